//! Every op against formulas written a second time, and against plain code in its own precision.

mod contract;
mod formulas;
mod gradients;
mod images;
mod precision;
mod precision_training;
mod quantised;
mod training;

use super::*;
use crate::tensor::DType;

/// An op with arguments filled as it likes them.
struct Case {
    op: Op,
    specs: Vec<ValueSpec>,
    data: Vec<Vec<f64>>,
}

impl Case {
    fn new(op: Op, shapes: &[&[usize]], dtypes: &[DType]) -> Self {
        let types = dtypes.iter().cycle();
        let specs: Vec<_> =
            shapes.iter().zip(types).map(|(shape, &dtype)| ValueSpec::new(shape, dtype)).collect();
        let fill = |(arg, spec): (usize, &ValueSpec)| {
            let elements = spec.elements();
            let fill = op.operation().input(&specs, arg);
            crate::random::fill(fill, 5, arg as u64, spec.dtype, 0..elements).to_f64(0..elements)
        };
        let data = specs.iter().enumerate().map(fill).collect();
        Self { op, specs, data }
    }

    fn f32(op: Op, shapes: &[&[usize]]) -> Self {
        Self::new(op, shapes, &[DType::F32])
    }

    /// The whole answer, an output after another.
    fn answer(&self) -> Vec<Vec<Expected>> {
        let args: Vec<Arg> =
            self.specs.iter().zip(&self.data).map(|(spec, data)| Arg::whole(spec, data)).collect();
        let op = self.op.operation();
        let mut whole = vec![vec![]; op.outputs(&self.specs).unwrap().len()];
        for unit in 0..op.units(&self.specs) {
            let parts = op.reference(&args, unit);
            assert_eq!(parts.len(), whole.len());
            whole.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part));
        }
        whole
    }

    /// The values of one output.
    fn values(&self, output: usize) -> Vec<f64> {
        self.answer()[output].iter().map(|expected| expected.value).collect()
    }
}

/// Every op at odd sizes, with each of its switches at least once.
fn cases() -> Vec<Case> {
    use DType::{Bf16, F8e4m3, F16, F32, F64, I8, I32, U8};
    let gemm =
        |trans_a, trans_b, beta, output| Op::Gemm(Gemm { trans_a, trans_b, beta, ..Gemm::plain(output) });
    let softmax = |causal, output| Op::Softmax(Softmax { scale: 0.5, causal, log_sum_exp: causal, output });
    let conv = |layout, stride, bias| Conv2d { layout, stride, padding: [1, 1], bias };
    let by = Quantize::dynamic;
    let form = GeluForm::Tanh;
    let mut cases = vec![
        Case::f32(gemm(false, false, 0.0, F32), &[&[1, 1], &[1, 1]]),
        Case::f32(gemm(true, false, 0.5, F32), &[&[7, 3], &[7, 5], &[3, 5]]),
        Case::new(gemm(false, true, 0.0, F32), &[&[2, 3, 17], &[2, 5, 17]], &[Bf16]),
        Case::new(gemm(true, true, -1.0, F16), &[&[2, 17, 3], &[5, 17], &[2, 3, 5]], &[F16]),
        Case::f32(Op::Gemm(Gemm { factors: Factors::Tf32, ..Gemm::plain(F32) }), &[&[3, 17], &[17, 5]]),
        Case::new(gemm(false, true, 0.0, Bf16), &[&[3, 17], &[5, 17]], &[F8e4m3]),
        Case::new(Op::GemmI8(GemmI8::default()), &[&[3, 17], &[17, 5]], &[U8, I8]),
        Case::new(
            Op::GemmI8(GemmI8 { trans_a: true, trans_b: true, zero_a: -3, zero_b: 7 }),
            &[&[2, 17, 3], &[2, 5, 17]],
            &[I8],
        ),
        Case::new(
            Op::GemmQ8(GemmQ8 { quantized_a: false }),
            &[&[2, 3, 96], &[5, 96], &[5, 3]],
            &[F32, I8, F16],
        ),
        Case::new(
            Op::GemmQ8(GemmQ8 { quantized_a: true }),
            &[&[3, 64], &[3, 2], &[5, 64], &[5, 2]],
            &[I8, F16],
        ),
        Case::f32(Op::Conv2d(conv(ImageLayout::Nchw, [1, 1], false)), &[&[2, 3, 5, 7], &[4, 3, 3, 3]]),
        Case::f32(Op::Conv2d(conv(ImageLayout::Nhwc, [2, 3], true)), &[&[2, 5, 7, 3], &[4, 3, 3, 2], &[4]]),
        Case::f32(Op::Quantize(Quantize { scale: Some(0.01), ..by(Granularity::Tensor) }), &[&[3, 1700]]),
        Case::f32(Op::Quantize(Quantize { zero: 128, output: U8, ..by(Granularity::Tensor) }), &[&[3, 17]]),
        Case::f32(Op::Quantize(by(Granularity::Row)), &[&[2, 3, 17]]),
        Case::f32(Op::Quantize(by(Granularity::Block)), &[&[3, 96]]),
        Case::new(Op::Dequantize(Dequantize { bias: false }), &[&[2, 3, 7], &[], &[]], &[I32, F32, F32]),
        Case::new(
            Op::Dequantize(Dequantize { bias: true }),
            &[&[3, 7], &[3], &[7], &[7]],
            &[I32, F32, F32, F32],
        ),
        Case::new(Op::Copy(Copied {}), &[&[5000]], &[U8]),
        Case::f32(Op::Triad(Triad { scale: 3.0 }), &[&[4097], &[4097]]),
        Case::new(Op::Add(Add {}), &[&[3, 5], &[3, 5]], &[Bf16]),
        Case::new(Op::BiasAdd(BiasAdd {}), &[&[2, 2500, 3], &[3]], &[F16]),
        Case::f32(Op::Gelu(Gelu { form: GeluForm::Erf }), &[&[17]]),
        Case::new(Op::BiasGelu(BiasGelu { form }), &[&[1300, 7], &[7]], &[Bf16]),
        Case::f32(softmax(true, F32), &[&[2, 3, 5]]),
        Case::new(softmax(false, Bf16), &[&[17]], &[Bf16]),
        Case::new(Op::LayerNorm(LayerNorm { eps: 1e-5 }), &[&[3, 5, 7], &[7], &[7]], &[Bf16]),
        Case::f32(Op::LayerNorm(LayerNorm { eps: 1e-5 }), &[&[17], &[17], &[17]]),
        Case::f32(Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 }), &[&[3, 7], &[3, 7], &[7], &[7]]),
        Case::new(Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 }), &[&[17], &[17], &[17], &[17]], &[Bf16]),
        Case::f32(
            Op::Attention(Attention { scale: 0.5, causal: true, log_sum_exp: true }),
            &[&[2, 3, 7], &[2, 5, 7], &[2, 5, 2]],
        ),
        Case::new(
            Op::Attention(Attention { scale: 0.5, causal: false, log_sum_exp: false }),
            &[&[3, 7], &[5, 7], &[5, 2]],
            &[F64],
        ),
        Case::f32(Op::Adamw(Adamw::default()), &[&[5, 7][..]; 4]),
    ];
    let p16 = Adamw { p16: true, ..Adamw::default() };
    cases.push(Case::new(Op::Adamw(p16), &[&[4100][..]; 4], &[F32, Bf16, F32, F32]));
    cases.push(Case::f32(Op::SgdMomentum(SgdMomentum::default()), &[&[5, 7][..]; 3]));
    let p16 = SgdMomentum { p16: true, ..SgdMomentum::default() };
    cases.push(Case::new(Op::SgdMomentum(p16), &[&[4100][..]; 3], &[F32, Bf16, F32]));
    cases.extend(training::cases());
    cases
}
