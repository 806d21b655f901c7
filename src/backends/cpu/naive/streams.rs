//! Element-wise ops.

use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::GeluFunction;
use crate::backends::cpu::loaded::Kernel;
use crate::ops::{Add, BiasAdd, BiasGelu, Gelu, Triad};
use crate::tensor::ValueSpec;
use half::{bf16, f16};

pub(super) type Prepared = Result<Box<dyn Kernel>, Unsupported>;

pub(super) fn copy(_: Call<()>, args: &[View], outs: &mut [ViewMut]) {
    outs[0].copy_from(&args[0]);
}

pub(super) fn triad(op: &Triad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<Triad>, args: &[View], outs: &mut [ViewMut]) {
        let scale = call.op.scale as f32;
        zip::<T>(args, outs, |b, c| b + scale * c);
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn add(op: &Add, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<Add>, args: &[View], outs: &mut [ViewMut]) {
        zip::<T>(args, outs, |x, y| x + y);
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn bias_add(op: &BiasAdd, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<BiasAdd>, args: &[View], outs: &mut [ViewMut]) {
        with_bias::<T>(args, outs, |sum| sum);
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn gelu(op: &Gelu, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<Gelu>, args: &[View], outs: &mut [ViewMut]) {
        let gelu = GeluFunction::new(call.op.form);
        each::<T>(args, outs, |x| gelu.of_one(x));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn bias_gelu(op: &BiasGelu, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<BiasGelu>, args: &[View], outs: &mut [ViewMut]) {
        let gelu = GeluFunction::new(call.op.form);
        with_bias::<T>(args, outs, |sum| gelu.of_one(sum));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn each<T: Float>(args: &[View], outs: &mut [ViewMut], f: impl Fn(f32) -> f32) {
    for (y, x) in outs[0].slice::<T>().iter_mut().zip(args[0].slice::<T>()) {
        *y = T::from_f32(f(x.to_f32()));
    }
}

pub(super) fn zip<T: Float>(args: &[View], outs: &mut [ViewMut], mut f: impl FnMut(f32, f32) -> f32) {
    let pairs = args[0].slice::<T>().iter().zip(args[1].slice::<T>());
    for (z, (x, y)) in outs[0].slice::<T>().iter_mut().zip(pairs) {
        *z = T::from_f32(f(x.to_f32(), y.to_f32()));
    }
}

/// The bias is as long as a row.
pub(super) fn with_bias<T: Float>(args: &[View], outs: &mut [ViewMut], f: impl Fn(f32) -> f32) {
    let (x, bias) = (args[0].slice::<T>(), args[1].slice::<T>());
    let rows = outs[0].slice::<T>().chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len()));
    for (y, x) in rows {
        for ((y, x), bias) in y.iter_mut().zip(x).zip(bias) {
            *y = T::from_f32(f(x.to_f32() + bias.to_f32()));
        }
    }
}
