//! Element-wise ops of training.

use super::streams::{Prepared, each, with_bias, zip};
use super::{Call, Plain};
use crate::backends::Unsupported;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::GeluSlope;
use crate::ops::{BiasGeluGrad, BiasRelu, Cast, Dropout, GeluGrad, Relu, ReluGrad, Scale, Tanh, TanhGrad};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

pub(super) fn relu(op: &Relu, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<Relu>, args: &[View], outs: &mut [ViewMut]) {
        each::<T>(args, outs, |x| x.max(0.0));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn bias_relu(op: &BiasRelu, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<BiasRelu>, args: &[View], outs: &mut [ViewMut]) {
        with_bias::<T>(args, outs, |sum| sum.max(0.0));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn relu_grad(op: &ReluGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<ReluGrad>, args: &[View], outs: &mut [ViewMut]) {
        zip::<T>(args, outs, |dy, y| if y > 0.0 { dy } else { 0.0 });
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn tanh(op: &Tanh, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<Tanh>, args: &[View], outs: &mut [ViewMut]) {
        each::<T>(args, outs, f32::tanh);
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn tanh_grad(op: &TanhGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(_: Call<TanhGrad>, args: &[View], outs: &mut [ViewMut]) {
        zip::<T>(args, outs, |dy, y| dy * (1.0 - y * y));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn gelu_grad(op: &GeluGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<GeluGrad>, args: &[View], outs: &mut [ViewMut]) {
        let slope = GeluSlope(call.op.form);
        zip::<T>(args, outs, |dy, x| dy * slope.of_one(x));
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn bias_gelu_grad(op: &BiasGeluGrad, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<BiasGeluGrad>, args: &[View], outs: &mut [ViewMut]) {
        let slope = GeluSlope(call.op.form);
        let bias = args[2].slice::<T>();
        let mut column = bias.iter().cycle();
        zip::<T>(args, outs, |dy, x| {
            let bias = column.next().map_or(0.0, |bias| bias.to_f32());
            dy * slope.of_one(x + bias)
        });
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn scale(op: &Scale, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<Scale>, args: &[View], outs: &mut [ViewMut]) {
        let factor = call.op.factor as f32;
        each::<T>(args, outs, |x| factor * x);
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}

pub(super) fn cast(op: &Cast, specs: Vec<ValueSpec>) -> Prepared {
    fn run<X: Float, Y: Float>(_: Call<Cast>, args: &[View], outs: &mut [ViewMut]) {
        for (y, x) in outs[0].slice::<Y>().iter_mut().zip(args[0].slice::<X>()) {
            *y = Y::from_f32(x.to_f32());
        }
    }
    let run = match (specs[0].dtype, op.output) {
        (DType::F32, DType::Bf16) => run::<f32, bf16>,
        (DType::F32, DType::F16) => run::<f32, f16>,
        (DType::Bf16, DType::F32) => run::<bf16, f32>,
        (DType::F16, DType::F32) => run::<f16, f32>,
        (x, y) => {
            return Err(Unsupported(format!("cpu/naive has no cast from {} to {}", x.name(), y.name())));
        }
    };
    Ok(Plain::boxed(op.clone(), specs, 0, run))
}

pub(super) fn dropout(op: &Dropout, specs: Vec<ValueSpec>) -> Prepared {
    fn run<T: Float>(call: Call<Dropout>, args: &[View], outs: &mut [ViewMut]) {
        let (threshold, factor) = (call.op.threshold(), call.op.factor() as f32);
        let key = Dropout::key_of(call.op.seed, args[1].slice::<i32>()[0]);
        for (index, (y, x)) in outs[0].slice::<T>().iter_mut().zip(args[0].slice::<T>()).enumerate() {
            let stays = Dropout::stays(key, index, threshold);
            *y = T::from_f32(if stays { factor * x.to_f32() } else { 0.0 });
        }
    }
    Plain::by_type(op.clone(), specs, 0, [run::<f32>, run::<bf16>, run::<f16>])
}
