//! How far off minimal filtering may be: a convolution by 3 x 3 in steps of 1 from fewer products (Lavin and Gray, "Fast
//! Algorithms for Convolutional Neural Networks", 2015, §4.1).
//!
//! It makes a tile of 2 x 2 pixels from sums of weights times sums of pixels of the 4 x 4 that the tile sees. Most of what
//! these products hold cancels, but for its rounding errors: they go by the largest pixel of those and the sizes of all
//! weights, not by what a pixel adds up in the end. Where a pixel's tile begins is the method's own choice.

use super::sum::Sum;

/// Rows and columns that tiles see which may hold a pixel: the kernel's own three, one before and one after.
const SEEN: isize = 5;

/// What the tiles see that may hold a row of pixels.
pub(super) struct Window {
    /// Row and column that the kernel's first element meets where it makes the first pixel.
    pub(super) start: [isize; 2],
    /// Pixels in the row.
    pub(super) columns: usize,
    /// Rows and columns of what is seen.
    pub(super) size: [usize; 2],
    /// Channels of what is seen.
    pub(super) channels: usize,
}

impl Window {
    /// The largest size that each pixel's tiles may see in each channel: `[pixel][channel]`. `at` gives what is seen.
    pub(super) fn largest(&self, at: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
        let Self { start, columns, size, channels } = *self;
        let inside = |axis: usize, first: isize| {
            let end = (first + SEEN).clamp(0, size[axis].cast_signed());
            first.clamp(0, end).cast_unsigned()..end.cast_unsigned()
        };
        let rows = inside(0, start[0] - 1);
        let mut found = vec![0.0; columns * channels];
        for channel in 0..channels {
            let top = |column| rows.clone().map(|row| at(channel, row, column).abs()).fold(0.0, f64::max);
            let tops: Vec<f64> = (0..size[1]).map(top).collect();
            for pixel in 0..columns {
                let seen = &tops[inside(1, start[1] - 1 + pixel.cast_signed())];
                found[pixel * channels + channel] = seen.iter().copied().fold(0.0, f64::max);
            }
        }
        found
    }
}

/// The sum of the sizes of each kernel's weights.
pub(super) fn sizes(weights: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    weights
        .chunks_exact(rows * columns)
        .map(|kernel| kernel.iter().map(|weight| weight.abs()).sum())
        .collect()
}

/// The size of what pixel `pixel` may be made from: its own terms', or that of `largest` by its kernels' sizes.
pub(super) fn met(sum: &Sum, largest: Option<&[f64]>, pixel: usize, kernels: &[f64]) -> f64 {
    let Some(largest) = largest else { return sum.size };
    let seen = &largest[pixel * kernels.len()..][..kernels.len()];
    seen.iter().zip(kernels).map(|(x, w)| x * w).sum::<f64>().max(sum.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_see_one_place_before_the_kernel_and_one_behind_it() {
        // One channel of 6 x 7, whose pixels are numbers from 1 on; y has a border of one.
        let window = |row: isize| Window { start: [row - 1, -1], columns: 7, size: [6, 7], channels: 1 };
        let at = |_, row, column| -((row * 7 + column + 1) as f64);
        // Rows 0 to 2 and 1 to 5; columns up to the pixel's third.
        assert_eq!(window(0).largest(at), [17.0, 18.0, 19.0, 20.0, 21.0, 21.0, 21.0]);
        assert_eq!(window(3).largest(at)[..2], [38.0, 39.0]);
        assert_eq!(window(20).largest(at), [0.0; 7]);
    }

    #[test]
    fn a_pixel_that_sees_nothing_may_err_as_its_tile_does() {
        let kernels = sizes(&[1.0, -2.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], [3, 3]);
        assert_eq!(kernels, [3.5]);
        assert_eq!(met(&Sum::default(), Some(&[2.0, 4.0]), 1, &kernels), 14.0);
        assert_eq!(met(&Sum { size: 3.0, ..Sum::default() }, None, 1, &kernels), 3.0);
    }
}
