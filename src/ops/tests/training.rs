//! Ops of training at odd sizes, and what they promise beside their gradients.

use super::*;
use DType::{Bf16, F32, F64, I32};

/// Every op of training, in the order of the enum, with each of its switches at least once.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = element_wise();
    cases.extend(of_rows());
    let attention = |causal| Op::AttentionGrad(AttentionGrad { scale: 0.5, causal });
    let lens: [&[usize]; 6] = [&[2, 3, 2], &[2, 3, 7], &[2, 5, 7], &[2, 5, 2], &[2, 3, 2], &[2, 3]];
    cases.push(Case::f32(attention(true), &lens));
    cases.push(Case::new(attention(false), &lens, &[Bf16, Bf16, Bf16, Bf16, Bf16, F32]));
    cases.extend(of_images());
    let order = vec![2, 0, 3, 1, 4];
    let heads = Rearrange { split: vec![2, 3, 2, 2, 5], order, output: vec![4, 3, 5] };
    cases.push(Case::f32(Op::Rearrange(heads), &[&[6, 20]]));
    let back = Rearrange { split: vec![3, 2, 7, 5], order: vec![1, 2, 0, 3], output: vec![14, 15] };
    cases.push(Case::new(Op::Rearrange(back), &[&[2, 7, 5][..]; 3], &[Bf16]));
    cases.push(Case::f32(Op::PutRows(PutRows { at: 2 }), &[&[3, 5, 7], &[3, 2, 7]]));
    cases
}

fn element_wise() -> Vec<Case> {
    let form = GeluForm::Tanh;
    vec![
        Case::new(Op::Relu(Relu {}), &[&[17]], &[Bf16]),
        Case::f32(Op::BiasRelu(BiasRelu {}), &[&[2500, 3], &[3]]),
        Case::f32(Op::ReluGrad(ReluGrad {}), &[&[4097], &[4097]]),
        Case::f32(Op::Tanh(Tanh {}), &[&[17]]),
        Case::new(Op::TanhGrad(TanhGrad {}), &[&[3, 5], &[3, 5]], &[Bf16]),
        Case::f32(Op::GeluGrad(GeluGrad { form: GeluForm::Erf }), &[&[17], &[17]]),
        Case::f32(Op::GeluGrad(GeluGrad { form }), &[&[4097], &[4097]]),
        Case::f32(Op::BiasGeluGrad(BiasGeluGrad { form: GeluForm::Erf }), &[&[3, 7], &[3, 7], &[7]]),
        Case::new(Op::BiasGeluGrad(BiasGeluGrad { form }), &[&[1300, 7], &[1300, 7], &[7]], &[Bf16]),
        Case::f32(Op::Scale(Scale { factor: -0.3 }), &[&[17]]),
        Case::f32(Op::Cast(Cast { output: Bf16 }), &[&[4097]]),
        Case::new(Op::Cast(Cast { output: F32 }), &[&[3, 5]], &[Bf16]),
        Case::new(Op::Dropout(Dropout { rate: 0.1, seed: 7 }), &[&[3, 1700], &[1]], &[F32, I32]),
    ]
}

fn of_rows() -> Vec<Case> {
    let rows: [&[usize]; 5] = [&[3, 5, 7], &[3, 5, 7], &[3, 5], &[3, 5], &[7]];
    let narrow = [Bf16, Bf16, F32, F32, Bf16];
    vec![
        Case::f32(Op::ColumnSum(ColumnSum {}), &[&[2, 5, 7]]),
        Case::new(Op::ColumnSum(ColumnSum {}), &[&[17]], &[Bf16]),
        Case::f32(Op::ChannelSum(ChannelSum {}), &[&[2, 3, 5, 7]]),
        Case::new(Op::Embedding(Embedding {}), &[&[5, 7], &[3, 4]], &[Bf16, I32]),
        Case::new(Op::EmbeddingGrad(EmbeddingGrad { rows: 11 }), &[&[3, 4, 7], &[3, 4]], &[F32, I32]),
        Case::new(Op::CrossEntropy(CrossEntropy {}), &[&[3, 5, 7], &[3, 5]], &[F32, I32]),
        Case::new(
            Op::CrossEntropyGrad(CrossEntropyGrad { scale: 0.1 }),
            &[&[15, 7], &[15], &[15]],
            &[Bf16, I32, F32],
        ),
        Case::f32(Op::SoftmaxGrad(SoftmaxGrad { scale: 0.5 }), &[&[2, 3, 17], &[2, 3, 17]]),
        Case::new(Op::SoftmaxGrad(SoftmaxGrad { scale: 0.5 }), &[&[17], &[17]], &[F32, Bf16]),
        Case::f32(Op::LayerNormGrad(LayerNormGrad {}), &rows),
        Case::new(Op::LayerNormGrad(LayerNormGrad {}), &rows, &narrow),
        Case::f32(Op::LayerNormParamGrad(LayerNormParamGrad {}), &rows[..4]),
        Case::new(Op::LayerNormParamGrad(LayerNormParamGrad {}), &rows[..4], &narrow),
    ]
}

fn of_images() -> Vec<Case> {
    let (first, last) = (ImageLayout::Nchw, ImageLayout::Nhwc);
    let (stride, padding) = ([2, 3], [1, 1]);
    let input_grad =
        |layout, stride, size| Op::Conv2dInputGrad(Conv2dInputGrad { layout, stride, padding, size });
    let weight_grad =
        |layout, stride, kernel| Op::Conv2dWeightGrad(Conv2dWeightGrad { layout, stride, padding, kernel });
    let pool_grad = |layout, window| Op::MaxPoolGrad(MaxPoolGrad { layout, window });
    vec![
        Case::f32(input_grad(first, [1, 1], [5, 7]), &[&[2, 4, 5, 7], &[4, 3, 3, 3]]),
        Case::f32(input_grad(last, stride, [5, 7]), &[&[2, 3, 3, 4], &[4, 3, 3, 2]]),
        Case::f32(weight_grad(first, [1, 1], [3, 3]), &[&[2, 4, 5, 7], &[2, 3, 5, 7]]),
        Case::f32(weight_grad(last, stride, [3, 2]), &[&[2, 3, 3, 4], &[2, 5, 7, 3]]),
        Case::f32(Op::MaxPool(MaxPool { layout: first, window: 2 }), &[&[2, 3, 5, 7]]),
        Case::f32(Op::MaxPool(MaxPool { layout: last, window: 3 }), &[&[2, 6, 7, 5]]),
        Case::f32(pool_grad(first, 2), &[&[2, 3, 2, 3], &[2, 3, 5, 7], &[2, 3, 2, 3]]),
        Case::f32(pool_grad(last, 3), &[&[2, 2, 2, 5], &[2, 6, 7, 5], &[2, 2, 2, 5]]),
    ]
}

#[test]
fn ties_in_a_window_go_to_the_first() {
    let (x, y) = ([1, 1, 2, 4], [1, 1, 1, 2]);
    let mut case =
        Case::f32(Op::MaxPoolGrad(MaxPoolGrad { layout: ImageLayout::Nchw, window: 2 }), &[&y, &x, &y]);
    case.data = vec![vec![5.0, 7.0], vec![1.0, 3.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0], vec![3.0, 2.0]];
    assert_eq!(case.values(0), [0.0, 5.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_loss_is_the_logarithm_of_a_share_and_minus_one_is_not_counted() {
    let op = || Op::CrossEntropy(CrossEntropy {});
    let mut case = Case::new(op(), &[&[3, 4], &[3]], &[F64, I32]);
    case.data = vec![vec![0.0; 12], vec![2.0, -1.0, 0.0]];
    case.data[0][8] = 3f64.ln();
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-14, "{got} {want}");
    let losses = case.values(0);
    close(losses[0], 4f64.ln());
    assert_eq!(losses[1], 0.0);
    close(losses[2], 2f64.ln());
    close(case.values(1)[2], 6f64.ln());
}

#[test]
fn places_are_drawn_from_those_that_there_are() {
    let case = Case::new(Op::Embedding(Embedding {}), &[&[5, 1], &[1000]], &[F64, I32]);
    let ends =
        |data: &[f64]| data.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    assert_eq!(ends(&case.data[1]), (0.0, 4.0));
    let case = Case::new(Op::CrossEntropy(CrossEntropy {}), &[&[1000, 3], &[1000]], &[F64, I32]);
    assert_eq!(ends(&case.data[1]), (-1.0, 2.0));
}

#[test]
fn masks_drop_the_rate_anew_each_step_and_agree_with_the_page() {
    let (n, rate) = (100_000, 0.3);
    let of = |step: f64| {
        let mut case = Case::new(Op::Dropout(Dropout { rate, seed: 7 }), &[&[n], &[1]], &[F64, I32]);
        case.data = vec![vec![1.0; n], vec![step]];
        case.values(0)
    };
    let (first, second) = (of(3.0), of(4.0));
    for mask in [&first, &second] {
        assert!(mask.iter().all(|y| *y == 0.0 || (y * 0.7 - 1.0).abs() < 1e-15));
        let share = mask.iter().filter(|y| **y == 0.0).count() as f64 / n as f64;
        assert!((share - rate).abs() < 0.005, "{share}");
    }
    assert!(first != second && first == of(3.0));
    // By the function that other languages have, too.
    for (index, y) in first.iter().enumerate().take(1000) {
        let drawn = crate::random::bits(7, 3, index as u64) >> 40;
        assert_eq!(*y == 0.0, drawn < (0.3 * 16_777_216f64).round() as u64);
    }
    assert_eq!(of(-1.0), {
        let key = Dropout::key_of(7, -1);
        let kept = |index| if Dropout::stays(key, index, 5_033_165) { 1.0 / 0.7 } else { 0.0 };
        (0..n).map(kept).collect::<Vec<_>>()
    });
}

#[test]
fn casts_round_to_even_and_widen_exactly() {
    let mut case = Case::f32(Op::Cast(Cast { output: Bf16 }), &[&[2]]);
    case.data[0] = vec![1.0 + 2f64.powi(-8), 3.0];
    // A tie: both neighbours are as near.
    assert!(case.answer()[0].iter().all(|expected| expected.allow <= expected.value * 2f64.powi(-8) * 1.01));
    let wide = Case::new(Op::Cast(Cast { output: F32 }), &[&[17]], &[Bf16]);
    assert!(wide.answer()[0].iter().all(|expected| expected.allow == 0.0));
    assert_eq!(wide.values(0), wide.data[0]);
}

#[test]
fn arguments_of_training_that_do_not_fit_are_refused() {
    let f = |shape: &[usize]| ValueSpec::new(shape, F32);
    let i = |shape: &[usize]| ValueSpec::new(shape, I32);
    let drop = |rate| Op::Dropout(Dropout { rate, seed: 0 });
    let table = |rows| Op::EmbeddingGrad(EmbeddingGrad { rows });
    let loss = Op::CrossEntropy(CrossEntropy {});
    let attention = Op::AttentionGrad(AttentionGrad { scale: 1.0, causal: true });
    let heads = |queries: usize, keys: usize| {
        let (q, y) = (f(&[queries, 3]), f(&[queries, 2]));
        vec![y.clone(), q, f(&[keys, 3]), f(&[keys, 2]), y, f(&[queries])]
    };
    let mut short = heads(3, 3);
    short[5] = f(&[2]);
    let input_grad = |size| {
        let (layout, stride, padding) = (ImageLayout::Nchw, [2, 2], [1, 1]);
        Op::Conv2dInputGrad(Conv2dInputGrad { layout, stride, padding, size })
    };
    let weight_grad = |kernel| {
        let (layout, stride, padding) = (ImageLayout::Nchw, [1, 1], [0, 0]);
        Op::Conv2dWeightGrad(Conv2dWeightGrad { layout, stride, padding, kernel })
    };
    let rearrange = |split: &[usize], order: &[usize], output: &[usize]| {
        let [split, order, output] = [split, order, output].map(<[usize]>::to_vec);
        Op::Rearrange(Rearrange { split, order, output })
    };
    let pool = |window| Op::MaxPool(MaxPool { layout: ImageLayout::Nchw, window });
    for (op, args, sentence) in [
        (Op::ReluGrad(ReluGrad {}), vec![f(&[3]), f(&[4])], "one shape and one type"),
        (Op::BiasRelu(BiasRelu {}), vec![f(&[2, 3]), f(&[2])], "columns of the first"),
        (Op::Scale(Scale { factor: f64::NAN }), vec![f(&[3])], "finite"),
        (Op::Cast(Cast { output: I32 }), vec![f(&[3])], "answers in a floating-point type"),
        (drop(1.0), vec![f(&[3]), i(&[1])], "in [0, 1)"),
        (drop(0.1), vec![f(&[3]), i(&[2])], "the step must be i32 [1]"),
        (Op::ColumnSum(ColumnSum {}), vec![f(&[])], "not a scalar"),
        (Op::ChannelSum(ChannelSum {}), vec![f(&[3, 4])], "four axes"),
        (Op::Embedding(Embedding {}), vec![f(&[3, 4]), f(&[2])], "ids must be i32"),
        (Op::Embedding(Embedding {}), vec![f(&[3]), i(&[2])], "rows of numbers"),
        (table(0), vec![f(&[3, 4]), i(&[3])], "must have rows"),
        (table(5), vec![f(&[3, 4]), i(&[2])], "a row for each id"),
        (loss.clone(), vec![f(&[3, 4]), i(&[4])], "one for each row"),
        (loss, vec![f(&[3, 4]), f(&[3])], "labels must be i32"),
        (
            Op::CrossEntropyGrad(CrossEntropyGrad { scale: 1.0 }),
            vec![f(&[3, 4]), i(&[3]), f(&[4])],
            "one for each row",
        ),
        (Op::SoftmaxGrad(SoftmaxGrad { scale: 1.0 }), vec![f(&[3]), f(&[4])], "one shape"),
        (
            Op::LayerNormGrad(LayerNormGrad {}),
            vec![f(&[3, 4]), f(&[3, 4]), f(&[4]), f(&[3]), f(&[4])],
            "one for each row",
        ),
        (
            Op::LayerNormGrad(LayerNormGrad {}),
            vec![f(&[3, 4]), f(&[3, 4]), f(&[3]), f(&[3]), f(&[3])],
            "the gain",
        ),
        (
            Op::LayerNormParamGrad(LayerNormParamGrad {}),
            vec![f(&[3, 4]), f(&[4, 3]), f(&[3]), f(&[3])],
            "one shape and one type",
        ),
        (attention.clone(), short, "one for each query"),
        (attention, heads(5, 3), "as many keys as queries"),
        (input_grad([9, 9]), vec![f(&[1, 4, 4, 4]), f(&[4, 3, 3, 3])], "dy is another"),
        (input_grad([0, 9]), vec![f(&[1, 4, 4, 4]), f(&[4, 3, 3, 3])], "no size"),
        (weight_grad([3, 3]), vec![f(&[1, 4, 4, 4]), f(&[2, 3, 6, 6])], "dy is another"),
        (weight_grad([9, 9]), vec![f(&[1, 4, 4, 4]), f(&[1, 3, 6, 6])], "fit into the padded image"),
        (pool(0), vec![f(&[1, 1, 4, 4])], "must have pixels"),
        (pool(5), vec![f(&[1, 1, 4, 9])], "fit into the image"),
        (
            Op::MaxPoolGrad(MaxPoolGrad { layout: ImageLayout::Nchw, window: 2 }),
            vec![f(&[1, 1, 2, 2]), f(&[1, 1, 4, 4]), f(&[1, 1, 2, 1])],
            "what the forward pass answers",
        ),
        (rearrange(&[2, 3], &[0, 0], &[6]), vec![f(&[6])], "each axis once"),
        (rearrange(&[2, 3], &[1], &[6]), vec![f(&[6])], "each axis once"),
        (rearrange(&[2, 3], &[1, 0], &[6]), vec![f(&[6]), f(&[6])], "as many elements"),
        (rearrange(&[usize::MAX, 3], &[1, 0], &[6]), vec![f(&[6])], "as many elements"),
        (rearrange(&[2, 3], &[1, 0], &[4]), vec![f(&[6])], "evenly"),
        (rearrange(&[2, 3], &[1, 0], &[0]), vec![f(&[6])], "evenly"),
        (rearrange(&[2, 3], &[1, 0], &[6]), vec![], "takes 1 argument"),
    ] {
        let error = op.operation().outputs(&args).unwrap_err().to_string();
        assert!(error.contains(sentence), "{error} should say: {sentence}");
        assert!(error.starts_with(op.operation().name()), "{error}");
    }
}
