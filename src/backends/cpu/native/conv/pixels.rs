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
        let Geometry { op, dims } = self.geometry;
        for tap in 0..self.geometry.taps() {
            let (i, j) = (tap / dims.kernel[1], tap % dims.kernel[1]);
            let (mut to, end) = (tap * self.width, tap * self.width + columns.len());
            let (mut row, mut first) = (columns.start / dims.out_size[1], columns.start % dims.out_size[1]);
            while to < end {
                let here = first..dims.out_size[1].min(first + end - to);
                let line = op.seen(dims, 0, row, i).map(|line| line * dims.size[1]);
                self.cut(line, j, here.clone(), to, |mut piece| {
                    while piece.len > most {
                        pieces.push(Piece { len: most, ..piece });
                        piece = piece.from(most);
                    }
                    pieces.push(piece);
                });
                (to, row, first) = (to + here.len(), row + 1, 0);
            }
        }
    }

    /// Columns `here` of a row of y where column `j` of the kernel sees the line of the plane that begins at
    /// `line`: what lies inside it, and zeros before and after.
    fn cut(&self, line: Option<usize>, j: usize, here: Range<usize>, to: usize, mut each: impl FnMut(Piece)) {
        let Geometry { op, dims } = self.geometry;
        let Some(line) = line else { return each(Piece { to, from: None, len: here.len() }) };
        let seen = |column: usize| op.seen(dims, 1, column, j).map(|column| line + column);
        if op.stride[1] > 1 {
            here.enumerate().for_each(|(at, column)| each(Piece { to: to + at, from: seen(column), len: 1 }));
            return;
        }
        let (padding, limit) = (op.padding[1], dims.size[1] + op.padding[1]);
        let inside = |place: usize| place.saturating_sub(j).clamp(here.start, here.end);
        let (start, end) = (inside(padding), inside(limit));
        for (part, from) in [(here.start..start, None), (start..end, seen(start)), (end..here.end, None)] {
            if !part.is_empty() {
                each(Piece { to: to + part.start - here.start, from, len: part.len() });
            }
        }
    }

    /// Whether a whole panel lies in one row of y and sees no padding: then it is copied without a plan.
    fn is_whole(&self, columns: &Range<usize>) -> bool {
        let Geometry { op, dims } = self.geometry;
        let (row, first) = (columns.start / dims.out_size[1], columns.start % dims.out_size[1]);
        let sees = |axis: usize, place: usize, offset: usize| op.seen(dims, axis, place, offset).is_some();
        op.stride[1] == 1
            && columns.len() == self.width
            && first + self.width <= dims.out_size[1]
            && sees(0, row, 0)
            && sees(0, row, dims.kernel[0] - 1)
            && sees(1, first, 0)
            && sees(1, first + self.width - 1, dims.kernel[1] - 1)
    }
}

impl Piece {
    /// The rest after its first `len` elements.
    fn from(self, len: usize) -> Self {
        Self { to: self.to + len, from: self.from.map(|from| from + len), len: self.len - len }
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
        let is_whole = pixels.is_whole(&columns);
        if !is_whole {
            pixels.plan(&columns, V::LANES, &mut pieces);
        }
        let (taps, plane) = (geometry.taps(), geometry.dims.size[0] * geometry.dims.size[1]);
        let to = floats(to);
        let first = geometry.seen(columns.start, 0).unwrap_or_default();
        // The next panel sees mostly what this one has seen, and one more row of the image.
        let next = geometry.seen(columns.end, taps - geometry.dims.kernel[1]).unwrap_or(first);
        for channel in depths.start / taps..depths.end.div_ceil(taps) {
            let from = &image[channel * plane..][..plane];
            for line in (0..width).step_by(V::LANES) {
                V::prefetch(from.as_ptr().wrapping_add(next + line));
            }
            // Of the first channel and of the last one some rows may be another block's.
            let rows = (channel * taps).max(depths.start)..((channel + 1) * taps).min(depths.end);
            let mine = rows.start - channel * taps..rows.end - channel * taps;
            let to = &mut to[(rows.start - depths.start) * width..(rows.end - depths.start) * width];
            if is_whole {
                copy_whole::<V>(geometry, &from[first..], mine, width, to);
            } else if rows.len() == taps {
                pieces.iter().for_each(|piece| copy::<V>(from, to, *piece));
            } else {
                let places = mine.start * width..mine.end * width;
                for piece in pieces.iter().filter(|piece| places.contains(&piece.to)) {
                    copy::<V>(from, to, Piece { to: piece.to - places.start, ..*piece });
                }
            }
        }
    }
}

/// Rows `taps` of a channel, each `width` neighbours; `plane` begins with what the first place of the kernel
/// sees.
#[inline(always)]
fn copy_whole<V: Vector>(
    geometry: &Geometry,
    plane: &[f32],
    taps: Range<usize>,
    width: usize,
    to: &mut [f32],
) {
    let [rows, columns] = geometry.dims.kernel;
    for i in 0..rows {
        let line = &plane[i * geometry.dims.size[1]..][..width + columns - 1];
        for j in 0..columns {
            let tap = i * columns + j;
            if !taps.contains(&tap) {
                continue;
            }
            let to = &mut to[(tap - taps.start) * width..][..width];
            for (to, from) in to.chunks_exact_mut(V::LANES).zip(line[j..].chunks(V::LANES)) {
                V::load(from).store(to);
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
