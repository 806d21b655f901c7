//! Every backward op against differences of its forward op's f64 reference: fourth-order central ones, whose own
//! error at a step of 1/1024 is some 1e-13.

use super::*;

/// What a backward op answers for one argument of a forward op.
struct Gradient {
    forward: Case,
    /// Argument that is moved.
    arg: usize,
    /// Factors of the first output's elements: dy.
    dy: Vec<f64>,
    /// The gradient of sum dy y.
    got: Vec<f64>,
}

const STEP: f64 = 1.0 / 1024.0;

impl Gradient {
    /// sum dy y where element `at` of the argument is moved by `by`, less what it is where it stands.
    fn moved(&self, at: usize, by: f64, y: &[f64]) -> f64 {
        let mut data = self.forward.data.clone();
        data[self.arg][at] += by;
        let moved = Case { op: self.forward.op.clone(), specs: self.forward.specs.clone(), data };
        moved.values(0).iter().zip(y).zip(&self.dy).map(|((moved, y), dy)| dy * (moved - y)).sum()
    }

    fn difference(&self, at: usize, step: f64, y: &[f64]) -> f64 {
        let over = |step| self.moved(at, step, y) - self.moved(at, -step, y);
        (8.0 * over(step) - over(2.0 * step)) / (12.0 * step)
    }

    /// Coordinates that were compared, and those next to a kink.
    fn check(&self, what: &str) -> (usize, usize) {
        let y = self.forward.values(0);
        let largest = self.got.iter().fold(0.0f64, |max, g| max.max(g.abs()));
        assert_eq!(self.got.len(), self.forward.data[self.arg].len(), "{what}");
        let (mut compared, mut skipped) = (0, 0);
        for (at, &got) in self.got.iter().enumerate() {
            let [wide, narrow] = [STEP, STEP / 8.0].map(|step| self.difference(at, step, &y));
            let allow = 1e-6 * got.abs().max(1e-3 * largest);
            // Two steps agree but where one of them crosses a kink.
            if (wide - narrow).abs() > allow {
                skipped += 1;
                continue;
            }
            assert!((got - wide).abs() <= allow, "{what}: element {at} is {got}, and {wide} was wanted");
            compared += 1;
        }
        (compared, skipped)
    }
}

fn random(elements: usize, number: u64) -> Vec<f64> {
    crate::random::fill(Fill::UNIT, 9, number, DType::F64, 0..elements).to_f64(0..elements)
}

/// The forward pass `op` on arguments of `shapes`, f64 but for integers, and a backward pass that `backward` makes of
/// it with dy: for each argument of the forward pass that has a gradient, its number and the backward op's output.
fn check(
    op: Op,
    (shapes, dtypes): (&[&[usize]], &[DType]),
    backward: impl Fn(&Case, &[f64]) -> (Case, Vec<(usize, usize)>),
) -> (usize, usize) {
    let forward = || Case::new(op.clone(), shapes, dtypes);
    let name = op.operation().name();
    let dy = random(forward().values(0).len(), 77);
    let (case, gradients) = backward(&forward(), &dy);
    let answers = case.answer();
    let (mut compared, mut skipped) = (0, 0);
    for (arg, output) in gradients {
        let got = answers[output].iter().map(|expected| expected.value).collect();
        let gradient = Gradient { forward: forward(), arg, dy: dy.clone(), got };
        let counts = gradient.check(&format!("{} of argument {arg} of {name}", case.op.operation().name()));
        (compared, skipped) = (compared + counts.0, skipped + counts.1);
    }
    (compared, skipped)
}

/// A backward op on data that the forward pass left.
fn back(op: Op, args: &[(&ValueSpec, &[f64])]) -> Case {
    let (specs, data) = args.iter().map(|(spec, data)| ((*spec).clone(), data.to_vec())).unzip();
    Case { op, specs, data }
}

const F64: &[DType] = &[DType::F64];

#[test]
fn smooth_element_wise_ops() {
    let shapes: (&[&[usize]], _) = (&[&[5, 17]], F64);
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        let gelu = check(Op::Gelu(Gelu { form }), shapes, |case, dy| {
            let x = (&case.specs[0], &case.data[0][..]);
            (back(Op::GeluGrad(GeluGrad { form }), &[(x.0, dy), x]), vec![(0, 0)])
        });
        let bias: (&[&[usize]], _) = (&[&[5, 17], &[17]], F64);
        let biased = check(Op::BiasGelu(BiasGelu { form }), bias, |case, dy| {
            let [x, bias] = [0, 1].map(|arg| (&case.specs[arg], &case.data[arg][..]));
            (back(Op::BiasGeluGrad(BiasGeluGrad { form }), &[(x.0, dy), x, bias]), vec![(0, 0)])
        });
        assert_eq!([gelu, biased], [(85, 0); 2]);
    }
    let tanh = check(Op::Tanh(Tanh {}), shapes, |case, dy| {
        let (spec, y) = (&case.specs[0], case.values(0));
        (back(Op::TanhGrad(TanhGrad {}), &[(spec, dy), (spec, &y)]), vec![(0, 0)])
    });
    let scale = Op::Scale(Scale { factor: -0.3 });
    let scaled =
        check(scale.clone(), shapes, |case, dy| (back(scale.clone(), &[(&case.specs[0], dy)]), vec![(0, 0)]));
    assert_eq!([tanh, scaled], [(85, 0); 2]);
}

#[test]
fn dropout_is_its_own_gradient() {
    let op = Op::Dropout(Dropout { rate: 0.3, seed: 5 });
    let shapes: (&[&[usize]], &[DType]) = (&[&[5, 17], &[1]], &[DType::F64, DType::I32]);
    let counts = check(op.clone(), shapes, |case, dy| {
        let step = (&case.specs[1], &case.data[1][..]);
        (back(op.clone(), &[(&case.specs[0], dy), step]), vec![(0, 0)])
    });
    assert_eq!(counts, (85, 0));
}

#[test]
fn ops_with_kinks() {
    let relu = check(Op::Relu(Relu {}), (&[&[25, 40]], F64), |case, dy| {
        let (spec, y) = (&case.specs[0], case.values(0));
        (back(Op::ReluGrad(ReluGrad {}), &[(spec, dy), (spec, &y)]), vec![(0, 0)])
    });
    let biased = check(Op::BiasRelu(BiasRelu {}), (&[&[25, 40], &[40]], F64), |case, dy| {
        let (spec, y) = (&case.specs[0], case.values(0));
        (back(Op::ReluGrad(ReluGrad {}), &[(spec, dy), (spec, &y)]), vec![(0, 0)])
    });
    assert!(relu.1 + biased.1 <= 20 && relu.0 + biased.0 >= 1980, "{relu:?} {biased:?}");
    for (layout, window, shape) in
        [(ImageLayout::Nchw, 2, [2, 3, 7, 9]), (ImageLayout::Nhwc, 3, [1, 10, 9, 5])]
    {
        let pool = MaxPool { layout, window };
        let counts = check(Op::MaxPool(pool.clone()), (&[&shape], &[DType::F32]), |case, dy| {
            let (x, y) = (&case.specs[0], case.values(0));
            let spec = &case.op.operation().outputs(&case.specs).unwrap()[0];
            let grad = Op::MaxPoolGrad(MaxPoolGrad { layout, window });
            (back(grad, &[(spec, dy), (x, &case.data[0]), (spec, &y)]), vec![(0, 0)])
        });
        assert!(counts.1 * 100 <= counts.0, "{counts:?}");
    }
}

#[test]
fn sums_spread_their_gradient_and_biases_gather_it() {
    // The gradient of a bias is the sum of dy.
    let bias = check(Op::BiasAdd(BiasAdd {}), (&[&[5, 17], &[17]], F64), |case, dy| {
        (back(Op::ColumnSum(ColumnSum {}), &[(&case.specs[0], dy)]), vec![(1, 0)])
    });
    assert_eq!(bias, (17, 0));
    let op = Conv2d { layout: ImageLayout::Nchw, stride: [1, 1], padding: [0, 0], bias: true };
    let shapes: [&[usize]; 3] = [&[2, 3, 4, 5], &[4, 3, 2, 2], &[4]];
    let channel = check(Op::Conv2d(op), (&shapes, &[DType::F32]), |case, dy| {
        let y = case.op.operation().outputs(&case.specs).unwrap().remove(0);
        (back(Op::ChannelSum(ChannelSum {}), &[(&y, dy)]), vec![(2, 0)])
    });
    assert_eq!(channel, (4, 0));
}

#[test]
fn tables_and_losses() {
    let shapes: (&[&[usize]], &[DType]) = (&[&[5, 7], &[3, 4]], &[DType::F64, DType::I32]);
    let table = check(Op::Embedding(Embedding {}), shapes, |case, dy| {
        let y = case.op.operation().outputs(&case.specs).unwrap().remove(0);
        let ids = (&case.specs[1], &case.data[1][..]);
        (back(Op::EmbeddingGrad(EmbeddingGrad { rows: 5 }), &[(&y, dy), ids]), vec![(0, 0)])
    });
    assert_eq!(table, (35, 0));
    // One factor for all rows, as the backward op has it.
    let mut forward =
        Case::new(Op::CrossEntropy(CrossEntropy {}), &[&[6, 5], &[6]], &[DType::F64, DType::I32]);
    forward.data[1][2] = -1.0;
    let [x, labels] = [0, 1].map(|arg| (&forward.specs[arg], &forward.data[arg][..]));
    let lse = (ValueSpec::new(&[6], DType::F64), forward.values(1));
    let op = Op::CrossEntropyGrad(CrossEntropyGrad { scale: 0.25 });
    let got = back(op, &[x, labels, (&lse.0, &lse.1)]).values(0);
    assert!(got[10..15].iter().all(|dx| *dx == 0.0));
    let gradient = Gradient { forward, arg: 0, dy: vec![0.25; 6], got };
    assert_eq!(gradient.check("cross_entropy_grad"), (30, 0));
}

#[test]
fn rows() {
    for (columns, scale) in [(1, 1.0), (7, 0.3), (17, -1.5)] {
        let softmax = Softmax { scale, ..Softmax::plain(DType::F64) };
        let counts = check(Op::Softmax(softmax), (&[&[3, columns]], F64), |case, dy| {
            let (spec, y) = (&case.specs[0], case.values(0));
            (back(Op::SoftmaxGrad(SoftmaxGrad { scale }), &[(spec, dy), (spec, &y)]), vec![(0, 0)])
        });
        assert_eq!(counts, (3 * columns, 0));
    }
    let shapes: (&[&[usize]], _) = (&[&[5, 7], &[7], &[7]], F64);
    let norm = Op::LayerNorm(LayerNorm { eps: 1e-5 });
    let statistics = |case: &Case| {
        let spec = ValueSpec::new(&[5], DType::F64);
        [1, 2].map(|output| (spec.clone(), case.values(output)))
    };
    let of_x = check(norm.clone(), shapes, |case, dy| {
        let [x, gain] = [0, 1].map(|arg| (&case.specs[arg], &case.data[arg][..]));
        let [mean, rstd] = statistics(case);
        let args = [(x.0, dy), x, (&mean.0, &mean.1), (&rstd.0, &rstd.1), gain];
        (back(Op::LayerNormGrad(LayerNormGrad {}), &args), vec![(0, 0)])
    });
    let of_params = check(norm, shapes, |case, dy| {
        let x = (&case.specs[0], &case.data[0][..]);
        let [mean, rstd] = statistics(case);
        let args = [(x.0, dy), x, (&mean.0, &mean.1), (&rstd.0, &rstd.1)];
        (back(Op::LayerNormParamGrad(LayerNormParamGrad {}), &args), vec![(1, 0), (2, 1)])
    });
    assert_eq!([of_x, of_params], [(35, 0), (14, 0)]);
}

#[test]
fn attention_by_all_three_arguments() {
    for (queries, keys, causal) in [(1, 1, false), (3, 5, false), (3, 5, true), (4, 4, true)] {
        let op = Attention { scale: 0.6, causal, log_sum_exp: true };
        let shapes: [&[usize]; 3] = [&[2, queries, 3], &[2, keys, 3], &[2, keys, 2]];
        let counts = check(Op::Attention(op), (&shapes, F64), |case, dy| {
            let [q, k, v] = [0, 1, 2].map(|arg| (&case.specs[arg], &case.data[arg][..]));
            let (y, lse) = (case.values(0), case.values(1));
            let outputs = case.op.operation().outputs(&case.specs).unwrap();
            let op = Op::AttentionGrad(AttentionGrad { scale: 0.6, causal });
            let args = [(&outputs[0], dy), q, k, v, (&outputs[0], &y), (&outputs[1], &lse)];
            (back(op, &args), vec![(0, 0), (1, 1), (2, 2)])
        });
        assert_eq!(counts, (2 * (3 * queries + 5 * keys), 0));
    }
}

#[test]
fn convolutions_by_images_and_weights() {
    type Row = ([usize; 2], [usize; 2], [usize; 2], [usize; 2]);
    let rows: [Row; 4] = [
        ([5, 6], [3, 3], [1, 1], [1, 1]),
        ([6, 7], [2, 3], [2, 3], [0, 1]),
        ([3, 4], [1, 1], [1, 1], [0, 0]),
        ([5, 5], [2, 2], [3, 2], [3, 2]),
    ];
    for (size, kernel, stride, padding) in rows {
        for layout in [ImageLayout::Nchw, ImageLayout::Nhwc] {
            let x = match layout {
                ImageLayout::Nchw => [2, 3, size[0], size[1]],
                ImageLayout::Nhwc => [2, size[0], size[1], 3],
            };
            let op = Op::Conv2d(Conv2d { layout, stride, padding, bias: false });
            let shapes: [&[usize]; 2] = [&x, &[2, 3, kernel[0], kernel[1]]];
            let y = |case: &Case| case.op.operation().outputs(&case.specs).unwrap().remove(0);
            let by_images = check(op.clone(), (&shapes, &[DType::F32]), |case, dy| {
                let weights = (&case.specs[1], &case.data[1][..]);
                let op = Op::Conv2dInputGrad(Conv2dInputGrad { layout, stride, padding, size });
                (back(op, &[(&y(case), dy), weights]), vec![(0, 0)])
            });
            let by_weights = check(op, (&shapes, &[DType::F32]), |case, dy| {
                let x = (&case.specs[0], &case.data[0][..]);
                let op = Op::Conv2dWeightGrad(Conv2dWeightGrad { layout, stride, padding, kernel });
                (back(op, &[(&y(case), dy), x]), vec![(1, 0)])
            });
            let want = [6 * size[0] * size[1], 6 * kernel[0] * kernel[1]];
            assert_eq!([by_images, by_weights], want.map(|count| (count, 0)));
        }
    }
}
