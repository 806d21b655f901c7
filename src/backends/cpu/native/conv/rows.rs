//! Images with their channels last as rows of a product, and the weights in the order of such a row.

use super::super::gemm::{CHUNK, Made};
use super::Geometry;
use std::ops::Range;

/// The patches of an image as a matrix: a row for each pixel of y, in which the channels of a place of the
/// kernel stand together.
pub(super) struct Patches<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) image: &'a [f32],
}

impl Made for Patches<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        let channels = self.geometry.dims.channels;
        let count = across.len();
        for (number, pixel) in across.enumerate() {
            let mut place = depths.start;
            while place < depths.end {
                let (tap, channel) = (place / channels, place % channels);
                let run = (channels - channel).min(depths.end - place);
                let from = self.geometry.seen(pixel, tap);
                let from = from.map(|at| &self.image[at * channels + channel..][..run]);
                copy(from, run, place - depths.start, [number, count], to);
                place += run;
            }
        }
    }
}

/// `run` elements, or as many zeros, to words `start` and on of row `number` among `count`.
pub(super) fn copy(
    from: Option<&[f32]>,
    run: usize,
    start: usize,
    [number, count]: [usize; 2],
    to: &mut [u32],
) {
    let mut done = 0;
    while done < run {
        let (chunk, word) = ((start + done) / CHUNK, (start + done) % CHUNK);
        let len = (CHUNK - word).min(run - done);
        let to = &mut to[(chunk * count + number) * CHUNK + word..][..len];
        match from {
            Some(from) => to.iter_mut().zip(&from[done..]).for_each(|(to, x)| *to = x.to_bits()),
            None => to.fill(0),
        }
        done += len;
    }
}

/// Where among the weights of a channel of y the word of depth `place` of a row stands.
pub(super) fn place_in_weights(geometry: &Geometry, taps: usize, place: usize) -> usize {
    let channels = geometry.dims.channels;
    place % channels * taps + place / channels
}

/// The weights as a matrix with a column for each channel of y.
pub(super) struct Weights<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) weights: &'a [f32],
    /// Columns of a panel.
    pub(super) width: usize,
}

impl Made for Weights<'_> {
    fn make(&self, across: Range<usize>, depths: Range<usize>, to: &mut [u32]) {
        let (taps, depth) = (self.geometry.taps(), self.geometry.dims.depth());
        for (place, to) in depths.zip(to.chunks_exact_mut(self.width)) {
            let weights = &self.weights[place_in_weights(self.geometry, taps, place)..];
            for (to, channel) in to.iter_mut().zip(across.clone()) {
                *to = weights[channel * depth].to_bits();
            }
        }
    }
}
