use super::*;
use crate::backends::Packing;
use crate::backends::cpu::buffer::Arena;
use crate::backends::cpu::isa::Isa;
use crate::backends::cpu::native::Extra;
use crate::backends::cpu::native::scratch::Scratches;
use crate::backends::cpu::pool::Pool;
use crate::host;
use crate::ops::Conv2d;
use crate::tensor::{DType, ValueSpec};
use std::rc::Rc;

/// Images, channels, rows, columns and channels of y; padding.
const CASES: [([usize; 5], [usize; 2]); 8] = [
    ([1, 1, 1, 1, 1], [1, 1]),
    ([1, 2, 2, 2, 3], [1, 1]),
    ([2, 3, 5, 7, 9], [1, 1]),
    ([1, 5, 3, 100, 2], [0, 0]),
    ([3, 17, 14, 14, 33], [1, 1]),
    ([2, 3, 4, 33, 5], [2, 5]),
    ([1, 4, 3, 66, 50], [0, 3]),
    ([3, 35, 41, 40, 70], [1, 1]),
];

fn team(isa: Isa, threads: usize) -> Team {
    let (pool, scratches) = (Rc::new(Pool::new(threads).unwrap()), Scratches::new(threads));
    let facts = Some(Rc::new(host::facts()));
    Team { pool, isa, packing: Packing::Plain, extra: Extra(0.0), facts, scratches }
}

fn geometry([images, channels, rows, columns, out]: [usize; 5], padding: [usize; 2]) -> Geometry {
    let op = Conv2d { layout: ImageLayout::Nchw, stride: [1; 2], padding, bias: true };
    let shapes = [&[images, channels, rows, columns][..], &[out, channels, KERNEL, KERNEL], &[out]];
    let dims = op.dims(&shapes.map(|shape| ValueSpec::new(shape, DType::F32))).unwrap();
    Geometry { op, dims }
}

/// Small whole numbers, with which nothing is rounded.
fn numbers(count: usize, step: usize) -> Vec<f32> {
    (0..count).map(|at| (at * step % 11) as f32 - 5.0).collect()
}

/// Runs a kernel on `args`; what it makes is as long as `len`.
fn run(kernel: &mut dyn Kernel, args: &[&[f32]], len: usize) -> Vec<f32> {
    let lens: Vec<usize> = args.iter().map(|arg| arg.len()).chain([len]).collect();
    let specs: Vec<_> = lens.iter().map(|&len| ValueSpec::new(&[len], DType::F32)).collect();
    let mut arena = Arena::new(specs.iter()).unwrap();
    for (place, arg) in args.iter().enumerate() {
        arena.view_mut(place).slice().copy_from_slice(arg);
    }
    arena.view_mut(args.len()).slice().fill(f32::NAN);
    kernel.workspace().unwrap();
    let views: Vec<View> = (0..args.len()).map(|place| arena.view(place)).collect();
    kernel.pack(0, &views).unwrap();
    kernel.run(0, &views, &mut [arena.view_mut(args.len())]).unwrap();
    arena.view(args.len()).slice::<f32>().to_vec()
}

/// Every pixel of y, and every element of the kernel that sees a pixel of x there: numbers of image, channel of y, pixel
/// of y, element, and pixel of x.
fn meetings(geometry: &Geometry, mut each: impl FnMut([usize; 5])) {
    let places = geometry.pixels() * KERNEL * KERNEL;
    for at in 0..geometry.dims.images * geometry.dims.out * places {
        let (plane, at) = (at / places, at % places);
        let (pixel, tap) = (at / (KERNEL * KERNEL), at % (KERNEL * KERNEL));
        if let Some(seen) = geometry.seen(pixel, tap) {
            each([plane / geometry.dims.out, plane % geometry.dims.out, pixel, tap, seen]);
        }
    }
}

#[test]
fn tiles_give_the_direct_sums_at_every_level() {
    for (extents, padding) in CASES {
        let geometry = geometry(extents, padding);
        let [images, channels, rows, columns, out] = extents;
        let (plane, pixels) = (rows * columns, geometry.pixels());
        let x = numbers(images * channels * plane, 7);
        let (w, bias) = (numbers(out * channels * KERNEL * KERNEL, 3), numbers(out, 5));
        let mut want: Vec<f32> = (0..images * out * pixels).map(|at| bias[at / pixels % out]).collect();
        meetings(&geometry, |[image, o, pixel, tap, seen]| {
            let terms = (0..channels).map(|channel| {
                x[(image * channels + channel) * plane + seen] * w[(o * channels + channel) * 9 + tap]
            });
            want[(image * out + o) * pixels + pixel] += terms.sum::<f32>();
        });
        for (isa, threads, packs) in Isa::here().flat_map(|isa| [(isa, 1, true), (isa, 3, false)]) {
            let mut kernel = Winograd::new(&team(isa, threads), &geometry, packs).unwrap();
            let got = run(&mut kernel, &[&x, &w, &bias], want.len());
            assert_eq!(got, want, "{} {extents:?} {padding:?} {packs}", isa.name());
        }
    }
}

#[test]
fn tiles_give_the_direct_gradient_at_every_level() {
    for (extents, padding) in CASES {
        let geometry = geometry(extents, padding);
        let [images, channels, rows, columns, out] = extents;
        let (plane, pixels) = (rows * columns, geometry.pixels());
        let (dy, x) = (numbers(images * out * pixels, 3), numbers(images * channels * plane, 7));
        let mut want = vec![0.0; out * channels * KERNEL * KERNEL];
        meetings(&geometry, |[image, o, pixel, tap, seen]| {
            for channel in 0..channels {
                want[(o * channels + channel) * 9 + tap] +=
                    dy[(image * out + o) * pixels + pixel] * x[(image * channels + channel) * plane + seen];
            }
        });
        for (isa, threads) in Isa::here().flat_map(|isa| [(isa, 1), (isa, 3)]) {
            let mut kernel = WeightGrad::new(&team(isa, threads), &geometry).unwrap();
            let got = run(&mut kernel, &[&dy, &x], want.len());
            assert_eq!(got, want, "{} {extents:?} {padding:?}", isa.name());
        }
    }
}
