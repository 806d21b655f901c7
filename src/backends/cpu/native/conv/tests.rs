use super::super::gemm::{CHUNK, Made, kernels, wide_kernels};
use super::*;
use crate::backends::cpu::isa::Isa;
use crate::tensor::DType;

fn geometry(
    layout: ImageLayout,
    shape: [usize; 3],
    kernel: [usize; 2],
    [stride, padding]: [usize; 2],
) -> Geometry {
    let [channels, rows, columns] = shape;
    let x = match layout {
        ImageLayout::Nchw => [1, channels, rows, columns],
        ImageLayout::Nhwc => [1, rows, columns, channels],
    };
    let op = Conv2d { layout, stride: [stride; 2], padding: [padding; 2], bias: false };
    let weights = [3, channels, kernel[0], kernel[1]];
    let dims = op.dims(&[ValueSpec::new(&x, DType::F32), ValueSpec::new(&weights, DType::F32)]).unwrap();
    Geometry { op, dims }
}

/// Extents of an image, of a kernel, and stride and padding.
const CASES: [([usize; 3], [usize; 2], [usize; 2]); 9] = [
    ([1, 1, 1], [3, 3], [1, 1]),
    ([3, 5, 7], [3, 3], [1, 1]),
    ([2, 3, 40], [3, 3], [1, 1]),
    ([2, 4, 101], [3, 3], [1, 0]),
    ([5, 9, 13], [1, 1], [1, 0]),
    ([2, 8, 70], [5, 3], [1, 2]),
    ([3, 11, 9], [3, 3], [2, 1]),
    ([2, 7, 6], [2, 5], [3, 4]),
    ([1, 2, 3], [1, 7], [1, 6]),
];

/// No number of an image twice, and none 0.
fn image(geometry: &Geometry) -> Vec<f32> {
    (1..=geometry.dims.image()).map(|x| x as f32).collect()
}

/// The depths of blocks that begin and end within a channel, too.
fn blocks(depth: usize) -> [Range<usize>; 3] {
    [0..depth, 0..depth.div_ceil(2), depth / 2..depth]
}

#[test]
fn panels_hold_what_the_kernel_sees_at_every_level() {
    let families = |isa| [kernels(isa, Arithmetic::F32), wide_kernels(isa)].into_iter().flatten();
    for (isa, kernels) in Isa::here().flat_map(|isa| families(isa).map(move |kernels| (isa, kernels))) {
        let width = kernels.columns;
        for (shape, kernel, how) in CASES {
            let geometry = geometry(ImageLayout::Nchw, shape, kernel, how);
            let (image, taps, mut pieces) = (image(&geometry), geometry.taps(), Vec::new());
            let pixels = Pixels::new(&geometry, isa, &image, width, &mut pieces);
            for start in (0..geometry.pixels()).step_by(width) {
                let columns = start..geometry.pixels().min(start + width);
                for depths in blocks(geometry.dims.depth()) {
                    let mut got = vec![f32::NAN.to_bits(); width * depths.len()];
                    pixels.make(columns.clone(), depths.clone(), &mut got);
                    for (row, place) in depths.enumerate() {
                        let plane = &image[place / taps * shape[1] * shape[2]..];
                        for (column, pixel) in columns.clone().enumerate() {
                            let want = geometry.seen(pixel, place % taps).map_or(0.0, |at| plane[at]);
                            let got = f32::from_bits(got[row * width + column]);
                            assert_eq!(got, want, "{} {geometry:?} {place} {pixel}", isa.name());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn lines_and_weights_agree_on_the_order_of_depth() {
    for (shape, kernel, how) in CASES {
        let geometry = geometry(ImageLayout::Nhwc, shape, kernel, how);
        let Geometry { dims, .. } = &geometry;
        let (image, channels, taps) = (image(&geometry), dims.channels, geometry.taps());
        let weights: Vec<f32> = (0..dims.out * dims.depth()).map(|x| x as f32).collect();
        let (patches, width) = (Patches { geometry: &geometry, image: &image }, 4);
        let columns = Weights { geometry: &geometry, weights: &weights, width };
        let rows = 0..geometry.pixels().min(5);
        for depths in blocks(dims.depth()) {
            let mut lines = vec![0; rows.len() * depths.len().next_multiple_of(CHUNK)];
            let mut panel = vec![0; width * depths.len()];
            patches.make(rows.clone(), depths.clone(), &mut lines);
            columns.make(0..dims.out, depths.clone(), &mut panel);
            for (at, place) in depths.enumerate() {
                let (tap, channel) = (place / channels, place % channels);
                for pixel in rows.clone() {
                    let want = geometry.seen(pixel, tap).map_or(0.0, |at| image[at * channels + channel]);
                    let got = lines[(at / CHUNK * rows.len() + pixel) * CHUNK + at % CHUNK];
                    assert_eq!(f32::from_bits(got), want, "{geometry:?} {place} {pixel}");
                }
                for out in 0..dims.out {
                    let want = weights[out * dims.depth() + channel * taps + tap];
                    assert_eq!(f32::from_bits(panel[at * width + out]), want, "{geometry:?} {place} {out}");
                }
            }
        }
    }
}
