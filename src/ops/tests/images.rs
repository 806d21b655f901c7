//! Convolutions against a loop that goes from x to y instead of from y to x.

use super::*;

/// Extents and settings of a convolution: `[images, channels, rows, columns]`, `[out, rows, columns]` of the
/// kernel, stride, padding.
type Shape = ([usize; 4], [usize; 3], [usize; 2], [usize; 2]);

const SHAPES: [Shape; 5] = [
    ([1, 1, 1, 1], [1, 1, 1], [1, 1], [0, 0]),
    ([2, 3, 5, 7], [4, 3, 3], [1, 1], [1, 1]),
    ([1, 2, 7, 6], [3, 3, 2], [2, 3], [1, 2]),
    ([2, 5, 3, 4], [2, 1, 4], [1, 1], [0, 3]),
    ([1, 2, 8, 8], [1, 8, 8], [5, 5], [0, 0]),
];

/// y in the order image, channel, row, column: each element of x adds to every place that sees it.
fn scattered(case: &Case, shape: Shape, nhwc: bool) -> (Vec<f64>, [usize; 2]) {
    let ([images, channels, rows, columns], [out, kernel_rows, kernel_columns], stride, padding) = shape;
    let places = |size, kernel, axis: usize| (size + 2 * padding[axis] - kernel) / stride[axis] + 1;
    let size = [places(rows, kernel_rows, 0), places(columns, kernel_columns, 1)];
    let mut y = vec![0.0; images * out * size[0] * size[1]];
    let taps = (0..out * channels * kernel_rows * kernel_columns)
        .map(|index| (index, index / kernel_columns % kernel_rows, index % kernel_columns));
    for (index, i, j) in taps {
        let channel = index / (kernel_rows * kernel_columns) % channels;
        let o = index / (kernel_rows * kernel_columns * channels);
        for (image, r, s) in
            (0..images * rows * columns).map(|x| (x / (rows * columns), x / columns % rows, x % columns))
        {
            let at = if nhwc {
                ((image * rows + r) * columns + s) * channels + channel
            } else {
                ((image * channels + channel) * rows + r) * columns + s
            };
            let place = |x: usize, tap: usize, axis: usize| {
                let start = (x + padding[axis]).checked_sub(tap)?;
                (start % stride[axis] == 0 && start / stride[axis] < size[axis]).then(|| start / stride[axis])
            };
            if let (Some(row), Some(column)) = (place(r, i, 0), place(s, j, 1)) {
                y[((image * out + o) * size[0] + row) * size[1] + column] +=
                    case.data[0][at] * case.data[1][index];
            }
        }
    }
    (y, size)
}

#[test]
fn conv2d_is_what_every_pixel_adds() {
    for shape in SHAPES {
        let ([images, channels, rows, columns], [out, kernel_rows, kernel_columns], stride, padding) = shape;
        for (nhwc, bias) in [(false, false), (true, false), (false, true), (true, true)] {
            let layout = if nhwc { ImageLayout::Nhwc } else { ImageLayout::Nchw };
            let x = if nhwc { [images, rows, columns, channels] } else { [images, channels, rows, columns] };
            let weights = [out, channels, kernel_rows, kernel_columns];
            let args = [&x[..], &weights, &[out]];
            let op = Conv2d { layout, stride, padding, bias };
            let case = Case::f32(Op::Conv2d(op), if bias { &args } else { &args[..2] });
            let (want, size) = scattered(&case, shape, nhwc);
            let got = case.values(0);
            assert_eq!(got.len(), want.len());
            for (index, want) in want.iter().enumerate() {
                let (image, o) = (index / (size[0] * size[1]) / out, index / (size[0] * size[1]) % out);
                let within = index % (size[0] * size[1]);
                let at = if nhwc { (image * size[0] * size[1] + within) * out + o } else { index };
                let want = want + if bias { case.data[2][o] } else { 0.0 };
                assert!((got[at] - want).abs() < 1e-12, "{shape:?} {layout:?} {index}: {} {want}", got[at]);
            }
        }
    }
}
