//! Ops that only training needs, at sizes that no register, block or thread divides.

use super::{Case, single};
use cutgpu::ops::{
    AttentionGrad, BiasGeluGrad, BiasRelu, Cast, ChannelSum, ColumnSum, Conv2dInputGrad, Conv2dWeightGrad,
    CrossEntropy, CrossEntropyGrad, Dropout, Embedding, EmbeddingGrad, GeluForm, GeluGrad, ImageLayout,
    LayerNormGrad, LayerNormParamGrad, MaxPool, MaxPoolGrad, Op, PutRows, Rearrange, Relu, ReluGrad, Scale,
    SoftmaxGrad, Tanh, TanhGrad,
};
use cutgpu::tensor::{DType, ValueSpec};

use DType::{Bf16, F16, F32, I32};

pub(super) fn training() -> Vec<Case> {
    let mut cases = element_wise();
    cases.extend(tables());
    cases.extend(rows());
    cases.extend(attention());
    cases.extend(convolutions());
    cases.extend(pools());
    cases.extend(orders());
    cases.extend(new_rows());
    cases
}

/// Those on which each kind of wrong answer is planted, too: f32, with products whose factors can be rounded.
pub(super) fn faulted() -> Vec<Case> {
    let of_row = || spec(&[5], F32);
    let x = || spec(&[5, 33], F32);
    let norm = vec![x(), x(), of_row(), of_row(), spec(&[33], F32)];
    let loss = vec![x(), spec(&[5], I32), of_row()];
    let head = || spec(&[1, 17, 16], F32);
    let heads = vec![head(), head(), head(), head(), head(), spec(&[1, 17], F32)];
    let (layout, stride, padding, kernel) = (ImageLayout::Nchw, [1, 1], [1, 1], [3, 3]);
    let images = vec![spec(&[2, 7, 9, 9], F32), spec(&[2, 5, 9, 9], F32)];
    vec![
        single(Op::LayerNormGrad(LayerNormGrad {}), norm),
        single(Op::CrossEntropyGrad(CrossEntropyGrad { scale: 0.2 }), loss),
        single(Op::AttentionGrad(AttentionGrad { scale: 0.25, causal: true }), heads),
        single(Op::Conv2dWeightGrad(Conv2dWeightGrad { layout, stride, padding, kernel }), images),
    ]
}

fn spec(shape: &[usize], dtype: DType) -> ValueSpec {
    ValueSpec::new(shape, dtype)
}

const SHAPES: [[usize; 2]; 4] = [[1, 1], [3, 17], [31, 67], [5, 1031]];

fn element_wise() -> Vec<Case> {
    let mut cases = vec![];
    for (shape, dtype) in SHAPES.into_iter().flat_map(|shape| [F32, Bf16, F16].map(|dtype| (shape, dtype))) {
        let (x, row) = (spec(&shape, dtype), spec(&shape[1..], dtype));
        let (one, two) = (vec![x.clone()], vec![x.clone(), x.clone()]);
        let (biased, both) = (vec![x.clone(), row.clone()], vec![x.clone(), x.clone(), row]);
        for form in [GeluForm::Erf, GeluForm::Tanh] {
            cases.push(single(Op::GeluGrad(GeluGrad { form }), two.clone()));
            cases.push(single(Op::BiasGeluGrad(BiasGeluGrad { form }), both.clone()));
        }
        cases.push(single(Op::Relu(Relu {}), one.clone()));
        cases.push(single(Op::BiasRelu(BiasRelu {}), biased));
        cases.push(single(Op::ReluGrad(ReluGrad {}), two.clone()));
        cases.push(single(Op::Tanh(Tanh {}), one.clone()));
        cases.push(single(Op::TanhGrad(TanhGrad {}), two));
        cases.push(single(Op::Scale(Scale { factor: -0.3 }), one.clone()));
        let dropout = Op::Dropout(Dropout { rate: 0.25, seed: 3 });
        cases.push(single(dropout, vec![x, spec(&[1], I32)]));
        let outputs = if dtype == F32 { vec![Bf16, F16] } else { vec![F32] };
        cases.extend(outputs.into_iter().map(|output| single(Op::Cast(Cast { output }), one.clone())));
    }
    cases
}

fn tables() -> Vec<Case> {
    let case = |(rows, ids, columns, dtype): (usize, usize, usize, DType)| {
        let (table, named) = (spec(&[rows, columns], dtype), spec(&[ids], I32));
        let dy = spec(&[ids, columns], dtype);
        [
            single(Op::Embedding(Embedding {}), vec![table, named.clone()]),
            single(Op::EmbeddingGrad(EmbeddingGrad { rows }), vec![dy, named]),
        ]
    };
    let rows = [(1, 1, 1, F32), (7, 31, 33, F32), (101, 17, 131, Bf16), (3, 257, 67, F16), (2, 1031, 5, F32)];
    rows.into_iter().flat_map(case).collect()
}

fn rows() -> Vec<Case> {
    let mut cases = vec![];
    let shapes = [[1, 1], [1, 7], [3, 2], [17, 31], [67, 131], [5, 1031], [1031, 3], [301, 769]];
    for (number, [rows, columns]) in shapes.into_iter().enumerate() {
        for dtype in [F32, [Bf16, F16][number % 2]] {
            let (x, labels) = (spec(&[rows, columns], dtype), spec(&[rows], I32));
            let (of_row, gain) = (spec(&[rows], F32), spec(&[columns], dtype));
            let statistics = vec![x.clone(), x.clone(), of_row.clone(), of_row.clone()];
            let with_gain = statistics.iter().cloned().chain([gain]).collect();
            let wide = spec(&[rows, columns], F32);
            cases.extend([
                single(Op::ColumnSum(ColumnSum {}), vec![x.clone()]),
                single(Op::CrossEntropy(CrossEntropy {}), vec![x.clone(), labels.clone()]),
                single(
                    Op::CrossEntropyGrad(CrossEntropyGrad { scale: 0.125 }),
                    vec![x.clone(), labels, of_row],
                ),
                single(Op::SoftmaxGrad(SoftmaxGrad { scale: 0.3 }), vec![x.clone(), x.clone()]),
                single(Op::SoftmaxGrad(SoftmaxGrad { scale: 1.0 }), vec![wide, x]),
                single(Op::LayerNormGrad(LayerNormGrad {}), with_gain),
                single(Op::LayerNormParamGrad(LayerNormParamGrad {}), statistics),
            ]);
        }
    }
    cases
}

fn attention() -> Vec<Case> {
    type Row = (usize, [usize; 2], [usize; 2], bool, DType);
    let case = |(heads, [queries, keys], [depth, width], causal, dtype): Row| {
        let of = |rows: usize, columns: usize| spec(&[heads, rows, columns], dtype);
        let y = of(queries, width);
        let lse = spec(&[heads, queries], F32);
        let args = vec![y.clone(), of(queries, depth), of(keys, depth), of(keys, width), y, lse];
        single(Op::AttentionGrad(AttentionGrad { scale: 1.0 / (depth as f64).sqrt(), causal }), args)
    };
    let rows: [Row; 9] = [
        (1, [1, 1], [1, 1], false, F32),
        (3, [17, 17], [31, 31], false, F32),
        (2, [33, 33], [64, 64], true, F32),
        (5, [3, 67], [33, 7], true, F32),
        (1, [300, 300], [16, 16], true, F32),
        // Some products are shorter than a block of depth, and some a little longer.
        (1, [1100, 1100], [16, 16], true, F32),
        (2, [131, 257], [64, 32], false, F32),
        (4, [33, 33], [64, 64], true, Bf16),
        (3, [17, 31], [33, 33], false, F16),
    ];
    rows.into_iter().map(case).collect()
}

fn convolutions() -> Vec<Case> {
    type Row = ([usize; 5], [usize; 2], [usize; 2], [usize; 2]);
    let case = |(extents, kernel, stride, padding): Row| {
        let [images, channels, rows, columns, out] = extents;
        let made =
            [0, 1].map(|axis| ([rows, columns][axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1);
        [ImageLayout::Nchw, ImageLayout::Nhwc].into_iter().flat_map(move |layout| {
            let images = |channels: usize, [rows, columns]: [usize; 2]| match layout {
                ImageLayout::Nchw => spec(&[images, channels, rows, columns], F32),
                ImageLayout::Nhwc => spec(&[images, rows, columns, channels], F32),
            };
            let size = [rows, columns];
            let (x, dy) = (images(channels, size), images(out, made));
            let weights = spec(&[out, channels, kernel[0], kernel[1]], F32);
            [
                single(
                    Op::Conv2dInputGrad(Conv2dInputGrad { layout, stride, padding, size }),
                    vec![dy.clone(), weights],
                ),
                single(
                    Op::Conv2dWeightGrad(Conv2dWeightGrad { layout, stride, padding, kernel }),
                    vec![dy, x],
                ),
            ]
        })
    };
    let rows: [Row; 9] = [
        ([1, 1, 1, 1, 1], [1, 1], [1, 1], [0, 0]),
        ([2, 3, 9, 11, 5], [1, 1], [1, 1], [0, 0]),
        ([2, 5, 14, 17, 33], [3, 3], [1, 1], [1, 1]),
        ([1, 3, 23, 23, 17], [7, 7], [2, 2], [3, 3]),
        ([3, 2, 5, 40, 7], [3, 5], [1, 1], [0, 2]),
        ([1, 5, 6, 7, 2], [2, 3], [3, 2], [4, 5]),
        ([1, 67, 4, 19, 71], [3, 3], [1, 1], [1, 1]),
        ([5, 65, 11, 13, 67], [3, 3], [1, 1], [1, 1]),
        ([1, 64, 23, 31, 130], [3, 3], [1, 1], [2, 0]),
    ];
    rows.into_iter().flat_map(case).collect()
}

/// Heads out of tokens and back, images as rows.
fn orders() -> Vec<Case> {
    type Row<'a> = (&'a [usize], &'a [usize], &'a [usize], usize, &'a [usize], DType);
    let case = |(split, order, output, count, arg, dtype): Row| {
        let op = Rearrange { split: split.to_vec(), order: order.to_vec(), output: output.to_vec() };
        single(Op::Rearrange(op), vec![spec(arg, dtype); count])
    };
    let rows: [Row; 7] = [
        (&[2, 5, 3, 4, 64], &[2, 0, 3, 1, 4], &[8, 5, 64], 1, &[10, 768], F32),
        (&[1], &[0], &[1, 1], 1, &[1], F32),
        (&[2, 17, 3, 5, 31], &[2, 0, 3, 1, 4], &[10, 17, 31], 1, &[34, 465], F32),
        (&[3, 2, 5, 17, 31], &[1, 3, 0, 2, 4], &[34, 465], 3, &[10, 17, 31], F32),
        (&[1, 2, 5, 17, 31], &[1, 3, 0, 2, 4], &[34, 155], 1, &[10, 17, 31], Bf16),
        (&[3 * 5 * 7 * 9], &[0], &[3, 315], 1, &[3, 5, 7, 9], F16),
        (&[67, 33], &[1, 0], &[33, 67], 1, &[67, 33], F32),
    ];
    rows.into_iter().map(case).collect()
}

/// A token's row among those before it, and several at once.
fn new_rows() -> Vec<Case> {
    let case = |(batch, rows, new, columns, at, dtype): (usize, usize, usize, usize, usize, DType)| {
        let args = [rows, new].map(|rows| spec(&[batch, rows, columns], dtype));
        single(Op::PutRows(PutRows { at }), args.into())
    };
    let rows = [
        (1, 1, 1, 1, 0, F32),
        (12, 33, 1, 64, 32, F32),
        (3, 17, 5, 31, 7, Bf16),
        (5, 9, 9, 3, 0, F16),
        (7, 101, 67, 129, 13, F32),
    ];
    rows.into_iter().map(case).collect()
}

fn pools() -> Vec<Case> {
    let case = |([images, channels, rows, columns], window): ([usize; 4], usize)| {
        [ImageLayout::Nchw, ImageLayout::Nhwc].into_iter().flat_map(move |layout| {
            let images = |rows, columns| match layout {
                ImageLayout::Nchw => spec(&[images, channels, rows, columns], F32),
                ImageLayout::Nhwc => spec(&[images, rows, columns, channels], F32),
            };
            let (x, y) = (images(rows, columns), images(rows / window, columns / window));
            [
                single(Op::MaxPool(MaxPool { layout, window }), vec![x.clone()]),
                single(Op::MaxPoolGrad(MaxPoolGrad { layout, window }), vec![y.clone(), x, y]),
            ]
        })
    };
    let rows = [([1, 1, 1, 1], 1), ([2, 3, 7, 9], 2), ([1, 17, 31, 33], 2), ([2, 5, 10, 7], 3)];
    let pools = rows.into_iter().flat_map(case);
    let images = [[1, 1, 1, 1], [2, 3, 7, 9], [1, 17, 67, 71], [3, 2, 150, 131]];
    let sums = images.iter().flat_map(|shape| {
        [F32, Bf16].map(|dtype| single(Op::ChannelSum(ChannelSum {}), vec![spec(shape, dtype)]))
    });
    pools.chain(sums).collect()
}
