//! To 8 bits, products of them, and back.

use super::{Call, Plain};
use crate::backends::cpu::buffer::{Element, View, ViewMut};
use crate::backends::cpu::float::Number;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{BLOCK, Dequantize, GemmQ8, Granularity, Quantize};
use crate::tensor::{DType, ValueSpec};
use half::f16;

/// How a number of steps is stored; what is out of range saturates.
trait Store: Element {
    fn store(steps: f32) -> Self;
}

impl Store for i8 {
    fn store(steps: f32) -> Self {
        steps as Self
    }
}

impl Store for u8 {
    fn store(steps: f32) -> Self {
        steps as Self
    }
}

/// To i8 or u8.
pub(super) fn quantize(op: &Quantize, specs: Vec<ValueSpec>) -> Box<dyn Kernel> {
    let run = if op.output == DType::U8 { run_quantize::<u8> } else { run_quantize::<i8> };
    Plain::boxed(op.clone(), specs, 0, run)
}

fn run_quantize<Q: Store>(call: Call<Quantize>, args: &[View], outs: &mut [ViewMut]) {
    let (op, x) = (call.op, args[0].slice::<f32>());
    let [q, scales @ ..] = outs else { return };
    let q = q.slice::<Q>();
    let Some(scales) = scales.first_mut() else {
        return steps(x, op.scale.map_or(0.0, |scale| scale as f32), op, q);
    };
    let group = op.group(call.specs[0].columns(), x.len());
    for (number, (x, q)) in x.chunks(group).zip(q.chunks_mut(group)).enumerate() {
        let scale = scale_of(x, op);
        steps(x, scale, op, q);
        match op.granularity {
            Granularity::Block => scales.slice::<f16>()[number] = f16::from_f32(scale),
            _ => scales.slice::<f32>()[number] = scale,
        }
    }
}

/// q = round(x / scale) + zero.
fn steps<Q: Store>(x: &[f32], scale: f32, op: &Quantize, q: &mut [Q]) {
    let zero = op.zero as f32;
    for (q, x) in q.iter_mut().zip(x) {
        let steps = if scale > 0.0 { x / scale } else { 0.0 };
        *q = Q::store(steps.round_ties_even() + zero);
    }
}

/// The smallest scale at which nothing of x saturates.
fn scale_of(x: &[f32], op: &Quantize) -> f32 {
    let (min, max) = x.iter().fold((0f32, 0f32), |(min, max), &x| (min.min(x), max.max(x)));
    let part = |size: f32, room: i32| if room > 0 { size / room as f32 } else { 0.0 };
    let [below, above] = op.room();
    part(-min, below).max(part(max, above))
}

/// From sums to f32.
pub(super) fn dequantize(op: &Dequantize, specs: Vec<ValueSpec>) -> Box<dyn Kernel> {
    Plain::boxed(op.clone(), specs, 0, run_dequantize)
}

fn run_dequantize(call: Call<Dequantize>, args: &[View], outs: &mut [ViewMut]) {
    let columns = call.specs[0].columns();
    let [scale_a, scale_b] = [1, 2].map(|arg| args[arg].slice::<f32>());
    let bias = args.get(3).map(View::slice::<f32>);
    for (index, (y, x)) in outs[0].slice::<f32>().iter_mut().zip(args[0].slice::<i32>()).enumerate() {
        let (row, column) = (index / columns, index % columns);
        // One scale for all stands alone.
        let scale = scale_a[row % scale_a.len()] * scale_b[column % scale_b.len()];
        *y = scale * *x as f32 + bias.map_or(0.0, |bias| bias[column]);
    }
}

/// D = A B^T with B in blocks, A in f32 or in blocks.
pub(super) fn gemm_q8(op: &GemmQ8, specs: Vec<ValueSpec>) -> Box<dyn Kernel> {
    let run = match (op.quantized_a, specs[1].dtype) {
        (false, _) => run_weights,
        (true, DType::F16) => run_blocks::<f16>,
        (true, _) => run_blocks::<f32>,
    };
    Plain::boxed(op.clone(), specs, 0, run)
}

fn run_weights(call: Call<GemmQ8>, args: &[View], outs: &mut [ViewMut]) {
    let (k, blocks) = (call.specs[0].columns(), call.specs[2].columns());
    let (a, b, scales) = (args[0].slice::<f32>(), args[1].slice::<i8>(), args[2].slice::<f16>());
    let n = scales.len() / blocks;
    for (index, d) in outs[0].slice::<f32>().iter_mut().enumerate() {
        let (row, column) = (index / n, index % n);
        let (a, b) = (&a[row * k..][..k], &b[column * k..][..k]);
        *d = 0.0;
        for ((a, b), scale) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(&scales[column * blocks..]) {
            let sum: f32 = a.iter().zip(b).map(|(a, b)| a * f32::from(*b)).sum();
            *d += sum * scale.to_f32();
        }
    }
}

fn run_blocks<S: Number>(call: Call<GemmQ8>, args: &[View], outs: &mut [ViewMut]) {
    let (k, blocks) = (call.specs[0].columns(), call.specs[1].columns());
    let (a, scales_a) = (args[0].slice::<i8>(), args[1].slice::<S>());
    let (b, scales_b) = (args[2].slice::<i8>(), args[3].slice::<f16>());
    let n = scales_b.len() / blocks;
    for (index, d) in outs[0].slice::<f32>().iter_mut().enumerate() {
        let (row, column) = (index / n, index % n);
        let pairs = a[row * k..][..k].chunks(BLOCK).zip(b[column * k..].chunks(BLOCK));
        let scales = scales_a[row * blocks..].iter().zip(&scales_b[column * blocks..]);
        *d = 0.0;
        for ((a, b), (scale_a, scale_b)) in pairs.zip(scales) {
            let sum: i32 = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            *d += sum as f32 * (scale_a.to_f32() * scale_b.to_f32());
        }
    }
}
