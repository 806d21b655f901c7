//! Images with their channels first as columns of a product: panels of pixels, made from the planes.

use super::super::gemm::Made;
use super::Geometry;
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::vector::Vector;
use std::cell::RefCell;
use std::ops::Range;

/// Neighbouring elements of a plane that are neighbours in a row of a panel, no more than a register's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// First place within the rows of a channel.
    to: usize,
    /// First place within the plane; none where only padding is seen.
    from: Option<usize>,
    len: usize,
}

/// The patches of an image as a matrix: a row for each channel and place of the kernel, in the order of the
/// weights, and a column for each pixel of y.
pub(super) struct Pixels<'a> {
    geometry: &'a Geometry,
    isa: Isa,
    image: &'a [f32],
    /// Columns of a panel.
    width: usize,
    pieces: RefCell<&'a mut Vec<Piece>>,
}

impl<'a> Pixels<'a> {
    pub(super) fn new(
        geometry: &'a Geometry,
        isa: Isa,
        image: &'a [f32],
        width: usize,
        pieces: &'a mut Vec<Piece>,
    ) -> Self {
        Self { geometry, isa, image, width, pieces: RefCell::new(pieces) }
    }

    /// How the rows of one channel are copied, place of the kernel by place.
    fn plan(&self, columns: &Range<usize>, most: usize, pieces: &mut Vec<Piece>) {
        pieces.clear();
        for tap in 0..self.geometry.taps() {
            let first = pieces.len();
            for (at, pixel) in columns.clone().enumerate() {
                let from = self.geometry.seen(pixel, tap);
                match pieces[first..].last_mut() {
                    Some(piece) if piece.len < most && piece.goes_on(from) => piece.len += 1,
                    _ => pieces.push(Piece { to: tap * self.width + at, from, len: 1 }),
                }
            }
        }
    }
}

impl Piece {
    /// Whether `from` comes after its last element.
    fn goes_on(&self, from: Option<usize>) -> bool {
        from == self.from.map(|first| first + self.len)
    }
}

impl Made for Pixels<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        self.isa.run(Fill { pixels: self, columns: across, depths, to });
    }
}

struct Fill<'a, 'b> {
    pixels: &'a Pixels<'b>,
    columns: Range<usize>,
    depths: Range<usize>,
    to: &'a mut [u32],
}

impl Loops for Fill<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pixels, columns, depths, to } = self;
        let Pixels { geometry, image, width, .. } = *pixels;
        let mut pieces = pixels.pieces.borrow_mut();
        pixels.plan(&columns, V::LANES, &mut pieces);
        let (taps, plane) = (geometry.taps(), geometry.dims.size[0] * geometry.dims.size[1]);
        let to = floats(to);
        // The next panel sees mostly what this one has seen, and one more row of the image.
        let next = geometry.seen(columns.end, taps - geometry.dims.kernel[1]);
        for channel in depths.start / taps..depths.end.div_ceil(taps) {
            let from = &image[channel * plane..][..plane];
            if let Some(next) = next {
                V::prefetch(from.as_ptr().wrapping_add(next));
                V::prefetch(from.as_ptr().wrapping_add(next + width / 2));
            }
            // Of the first channel and of the last one some rows may be another block's.
            let rows = (channel * taps).max(depths.start)..((channel + 1) * taps).min(depths.end);
            let skipped = (rows.start - channel * taps) * width;
            let to = &mut to[(rows.start - depths.start) * width..(rows.end - depths.start) * width];
            if rows.len() == taps {
                pieces.iter().for_each(|piece| copy::<V>(from, to, *piece));
                continue;
            }
            let places = skipped..skipped + to.len();
            for piece in pieces.iter().filter(|piece| places.contains(&piece.to)) {
                copy::<V>(from, to, Piece { to: piece.to - skipped, ..*piece });
            }
        }
    }
}

#[inline(always)]
fn copy<V: Vector>(plane: &[f32], to: &mut [f32], piece: Piece) {
    let to = &mut to[piece.to..][..piece.len];
    match piece.from {
        Some(from) if piece.len == V::LANES => V::load(&plane[from..][..V::LANES]).store(to),
        Some(from) => V::load_first(&plane[from..][..piece.len]).store_first(to),
        None => V::splat(0.0).store_first(to),
    }
}

/// The same memory as numbers.
fn floats(words: &mut [u32]) -> &mut [f32] {
    // SAFETY: both types have the same size and alignment, and every pattern of bits is a value of both.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
}
