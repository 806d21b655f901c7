//! What the kernels are asked for: every step of the programs that every backend is asked for, and sizes at
//! which tiles, stages and long rows of these kernels end.

use crate::conformance_programs::programs;
use cutgpu::backends::cuda::launch::{Arch, Plan, launches};
use cutgpu::ops::{
    Adamw, Add, AddLayerNorm, Attention, AttentionGrad, BiasAdd, BiasGelu, Cast, ChannelSum, ColumnSum,
    Conv2dWeightGrad, CrossEntropy, Embedding, Gelu, GeluForm, Gemm, GemmI8, GemmQ8, Granularity,
    ImageLayout, LayerNorm, LayerNormParamGrad, Op, Quantize, SgdMomentum, Softmax, Triad,
};
use cutgpu::tensor::{DType, ValueSpec};
use std::collections::BTreeSet;

/// An op and what it is applied to.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) op: Op,
    pub(crate) args: Vec<ValueSpec>,
    pub(crate) outs: Vec<ValueSpec>,
}

/// Cards whose plans differ.
const ARCHS: [Arch; 4] = [Arch(75), Arch(80), Arch(90), Arch(100)];

impl Case {
    /// Plans that differ between cards.
    pub(crate) fn plans(&self) -> Vec<Plan> {
        let mut met = BTreeSet::new();
        let plans = ARCHS.iter().filter_map(|&arch| launches(&self.op, &self.args, &self.outs, arch).ok());
        plans.filter(|plan| met.insert(format!("{plan:?}"))).collect()
    }

    pub(crate) fn elements(&self) -> usize {
        self.args.iter().map(ValueSpec::elements).sum()
    }
}

/// Every case, the small ones first.
pub(crate) fn cases() -> Vec<Case> {
    let (mut cases, mut met) = (vec![], BTreeSet::new());
    let steps = programs().into_iter().flat_map(|case| {
        let program = case.program;
        let step = |step: &cutgpu::program::Step| (step.op.clone(), program.specs(&step.args).into_vec());
        program.steps.iter().map(step).collect::<Vec<_>>()
    });
    for (op, args) in steps.chain(own()) {
        let outs = op.operation().outputs(&args).unwrap();
        let case = Case { op, args, outs };
        if met.insert(format!("{case:?}")) {
            cases.push(case);
        }
    }
    cases.sort_by_key(Case::elements);
    cases
}

fn spec(shape: &[usize], dtype: DType) -> ValueSpec {
    ValueSpec::new(shape, dtype)
}

fn own() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = products();
    cases.extend(few_rows());
    cases.extend(long_rows());
    cases.extend(elementwise());
    cases.extend(attentions());
    cases.extend(blocks_of_8_bits());
    cases.extend(training());
    cases
}

/// What the conformance programs of training have too small: sums of more than one slab of rows, gradients of weights
/// of more than one slab of pixels, losses of rows for a block, casts that fill no register, and every depth of the
/// gradients of attention.
fn training() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for (layout, dy, x) in [
        (ImageLayout::Nchw, [2, 5, 19, 17], [2, 3, 19, 17]),
        (ImageLayout::Nhwc, [2, 19, 17, 5], [2, 19, 17, 3]),
    ] {
        let grad = Conv2dWeightGrad { layout, stride: [1, 1], padding: [1, 1], kernel: [3, 3] };
        let args = [dy, x].map(|shape| spec(&shape, DType::F32));
        cases.push((Op::Conv2dWeightGrad(grad), args.into()));
    }
    for dtype in FLOATS {
        let (x, row) = (spec(&[70_000, 3], dtype), spec(&[70_000], DType::F32));
        cases.push((Op::ColumnSum(ColumnSum {}), vec![x.clone()]));
        cases.push((Op::LayerNormParamGrad(LayerNormParamGrad {}), vec![x.clone(), x, row.clone(), row]));
        cases.push((Op::ChannelSum(ChannelSum {}), vec![spec(&[300, 3, 2, 3], dtype)]));
        for other in FLOATS.into_iter().filter(|other| *other != dtype) {
            cases.push((Op::Cast(Cast { output: other }), vec![spec(&[1023], dtype)]));
        }
        cases
            .push((Op::CrossEntropy(CrossEntropy {}), vec![spec(&[3, 4999], dtype), spec(&[3], DType::I32)]));
        for columns in [4, 7, 600] {
            let table = vec![spec(&[11, columns], dtype), spec(&[20], DType::I32)];
            cases.push((Op::Embedding(Embedding {}), table));
        }
        for (depth, causal) in [(32, true), (64, false), (128, true), (100, false)] {
            let of = |rows: usize| spec(&[2, rows, depth], dtype);
            let (queries, keys) = if causal { (70, 90) } else { (41, 67) };
            let lse = spec(&[2, queries], DType::F32);
            let args = vec![of(queries), of(queries), of(keys), of(keys), of(queries), lse];
            let scale = 1.0 / (depth as f64).sqrt();
            cases.push((Op::AttentionGrad(AttentionGrad { scale, causal }), args));
        }
    }
    cases
}

/// Rows and columns that do not fill a warp's or a block's, depths shorter and longer than a warp takes at once.
fn blocks_of_8_bits() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for (m, n, k) in [(1, 9, 32), (5, 33, 160), (7, 8, 416)] {
        let b = [spec(&[n, k], DType::I8), spec(&[n, k / 32], DType::F16)];
        let wide = [vec![spec(&[m, k], DType::F32)], b.to_vec()].concat();
        cases.push((Op::GemmQ8(GemmQ8 { quantized_a: false }), wide));
        for scales in [DType::F16, DType::F32] {
            let a = vec![spec(&[m, k], DType::I8), spec(&[m, k / 32], scales)];
            cases.push((Op::GemmQ8(GemmQ8 { quantized_a: true }), [a, b.to_vec()].concat()));
        }
    }
    cases
}

const FLOATS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];

/// Every type, in several blocks whose last one is not whole; rows shorter and longer than a vector.
fn elementwise() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for dtype in FLOATS {
        let (x, wide) = (spec(&[1021, 3], dtype), spec(&[1021, 3], DType::F32));
        cases.push((Op::Add(Add {}), vec![x.clone(), x.clone()]));
        cases.push((Op::Triad(Triad { scale: -0.75 }), vec![x.clone(), x.clone()]));
        for columns in [3, 67] {
            let pair = vec![spec(&[1021, columns], dtype), spec(&[columns], dtype)];
            cases.push((Op::BiasAdd(BiasAdd {}), pair.clone()));
            for form in [GeluForm::Erf, GeluForm::Tanh] {
                cases.push((Op::BiasGelu(BiasGelu { form }), pair.clone()));
                cases.push((Op::Gelu(Gelu { form }), vec![x.clone()]));
            }
        }
        for p16 in [false, true] {
            let state = [&wide, &x, &wide, &wide].map(ValueSpec::clone);
            cases.push((Op::SgdMomentum(SgdMomentum { p16, ..Default::default() }), state[..3].to_vec()));
            cases.push((Op::Adamw(Adamw { p16, ..Default::default() }), state.to_vec()));
        }
    }
    cases
}

/// Several tiles in each direction and several stages, with every type and transpose, whole and not.
fn products() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for (m, n, k) in
        [(130, 136, 72), (129, 131, 67), (264, 128, 200), (64, 72, 136), (68, 72, 132), (65, 66, 80)]
    {
        for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let turned = |rows, columns, turned| if turned { [columns, rows] } else { [rows, columns] };
            let shapes = [turned(m, k, trans_a), turned(k, n, trans_b)];
            for dtype in FLOATS {
                let op = Gemm { trans_a, trans_b, ..Gemm::plain(DType::F32) };
                cases.push((Op::Gemm(op), shapes.map(|shape| spec(&shape, dtype)).into()));
            }
            if (m, n) == (130, 136) {
                cases.extend(tiles_of_warpgroups(trans_a, trans_b));
                // Enough tiles for the large ones.
                for dtype in FLOATS {
                    let op = Gemm { trans_a, trans_b, ..Gemm::plain(dtype) };
                    let shape = |[rows, columns]: [usize; 2]| spec(&[25, rows, columns], dtype);
                    // A has whole vectors where 16 lines more make it so.
                    let shapes = [turned(136, 72, trans_a), turned(72, n, trans_b)];
                    cases.push((Op::Gemm(op), shapes.map(shape).into()));
                }
            }
            for (a, zero_a, zero_b) in [(DType::U8, 3, -5), (DType::I8, 0, 0)] {
                let op = GemmI8 { trans_a, trans_b, zero_a, zero_b };
                let args = vec![spec(&shapes[0], a), spec(&shapes[1], DType::I8)];
                cases.push((Op::GemmI8(op), args));
            }
        }
    }
    cases
}

/// Enough tiles for both widths of Hopper's kernel, with more depth than its stages hold where that costs little; rows
/// of D that are whole vectors or not, and what is added to them.
fn tiles_of_warpgroups(trans_a: bool, trans_b: bool) -> Vec<(Op, Vec<ValueSpec>)> {
    let turned = |rows, columns, turned| if turned { [columns, rows] } else { [rows, columns] };
    let mut cases = vec![];
    for (batch, n, beta, deep) in [(48, 136, 0.0, !trans_a && !trans_b), (12, 200, 0.5, trans_a && !trans_b)]
    {
        // Three rounds of the stages, which are 4 of the wide kernel and 5 of the other.
        let deep = if deep && n == 136 {
            520
        } else if deep {
            712
        } else {
            72
        };
        let (m, n, k) = (136, if trans_b { n - 3 } else { n }, deep);
        for dtype in [DType::Bf16, DType::F16] {
            let output = if beta == 0.0 { DType::F32 } else { dtype };
            let shape = |[rows, columns]: [usize; 2], dtype| spec(&[batch, rows, columns], dtype);
            let mut args = vec![shape(turned(m, k, trans_a), dtype), shape(turned(k, n, trans_b), dtype)];
            if beta != 0.0 {
                args.push(shape([m, n], output));
            }
            cases.push((Op::Gemm(Gemm { trans_a, trans_b, beta, ..Gemm::plain(output) }), args));
        }
    }
    if trans_a && !trans_b {
        // One B for all, which only a transposed A leaves apart.
        let args = vec![spec(&[24, 72, 136], DType::Bf16), spec(&[72, 136], DType::Bf16)];
        cases.push((Op::Gemm(Gemm { trans_a, alpha: 0.75, ..Gemm::plain(DType::F32) }), args));
    }
    cases
}

/// Few rows: every number that a kernel is made for and some between, whole vectors or not, a depth that is split over
/// blocks, more than one product, and what is added to them.
fn few_rows() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for (batch, m, n, k) in
        [(1, 1, 264, 200), (1, 2, 129, 131), (2, 3, 520, 72), (1, 4, 72, 640), (3, 8, 131, 264), (1, 7, 8, 5)]
    {
        for (dtype, trans_b) in FLOATS.into_iter().flat_map(|dtype| [(dtype, false), (dtype, true)]) {
            let (beta, output) = if m == 3 { (0.5, DType::F32) } else { (0.0, dtype) };
            let shape = |rows, columns, dtype| spec(&[batch, rows, columns], dtype);
            let b = if trans_b { shape(n, k, dtype) } else { shape(k, n, dtype) };
            let mut args = vec![shape(m, k, dtype), b];
            if beta != 0.0 {
                args.push(shape(m, n, output));
            }
            cases.push((Op::Gemm(Gemm { trans_b, alpha: 0.75, beta, ..Gemm::plain(output) }), args));
        }
    }
    cases
}

/// Rows for a warp, a block, and beyond what shared memory keeps; with and without whole vectors.
fn long_rows() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for columns in [8, 516, 4100, 12_292, 11_299] {
        for dtype in FLOATS {
            let x = spec(&[3, columns], dtype);
            let args = [&x, &x, &spec(&[columns], dtype), &spec(&[columns], dtype)].map(ValueSpec::clone);
            cases.push((Op::Softmax(Softmax::plain(dtype)), vec![x.clone()]));
            cases.push((Op::LayerNorm(LayerNorm { eps: 1e-5 }), args[1..].to_vec()));
            cases.push((Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 }), args.to_vec()));
        }
        let softmax = Softmax { scale: 0.5, causal: true, log_sum_exp: true, output: DType::Bf16 };
        let to_f16 = Softmax { output: DType::F16, ..softmax.clone() };
        for softmax in [softmax, to_f16] {
            cases.push((Op::Softmax(softmax), vec![spec(&[2, 3, columns], DType::F32)]));
        }
        let quantize = Quantize::dynamic(Granularity::Row);
        cases.push((Op::Quantize(quantize), vec![spec(&[9, columns], DType::F32)]));
    }
    cases
}

/// Several tiles of queries and keys, every width that a kernel is made for and one less.
fn attentions() -> Vec<(Op, Vec<ValueSpec>)> {
    let mut cases = vec![];
    for (number, depth) in [32, 63, 64, 96, 127, 128].into_iter().enumerate() {
        for causal in [false, true] {
            for dtype in FLOATS {
                let (queries, keys) = if number % 2 == 0 { (65, 130) } else { (130, 131) };
                let scale = 1.0 / (depth as f64).sqrt();
                let op = Attention { scale, causal, log_sum_exp: causal };
                let shape = |rows, columns| spec(&[2, rows, columns], dtype);
                let width = if number == 0 { 24 } else { depth };
                let args = vec![shape(queries, depth), shape(keys, depth), shape(keys, width)];
                cases.push((Op::Attention(op), args));
            }
        }
    }
    cases
}
