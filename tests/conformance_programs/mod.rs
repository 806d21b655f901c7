//! The programs that every backend is asked for.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

mod training;

use cutgpu::ops::{Conv2d, Gemm, GemmI8, ImageLayout, Op, Softmax};
use cutgpu::program::{Phase, Program, State};
use cutgpu::tensor::{DType, ValueSpec};
use cutgpu::workloads::{Param, find};

/// A program and what to call it when it fails.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) program: Program,
}

const EXTENTS: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (1, 33, 17),
    (2, 3, 31),
    (17, 1, 33),
    (31, 2, 3),
    (33, 31, 17),
    (67, 71, 129),
    (3, 257, 513),
    (16, 32, 64),
];
const TRANSPOSES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// Everything.
pub(crate) fn programs() -> Vec<Case> {
    let mut cases = products();
    cases.extend(integer_products());
    cases.extend(softmaxes());
    cases.extend(convolutions());
    cases.extend(training::training());
    cases.extend(LAYERS.iter().map(|row| from_workload(row)));
    cases
}

/// A whole model, for who takes a program as one piece: a step of training and one of inference.
pub(crate) fn models() -> Vec<Case> {
    ["mlp mode=train batch=4", "mlp batch=4"].map(from_workload).into_iter().collect()
}

/// A few on which each kind of wrong answer is planted. f32 and of one step, so that rounding the
/// factors, leaving out a row and leaving out everything all show.
pub(crate) fn faulted() -> Vec<Case> {
    [
        "gemm m=33 n=17 k=31",
        "gemm m=1 n=64 k=64 trans=nt",
        "layer_norm rows=5 columns=33",
        "attention queries=17 depth=16",
        "conv3x3 height=9 in=5 out=7",
    ]
    .map(from_workload)
    .into_iter()
    .chain(training::faulted())
    .collect()
}

/// Workloads with sizes that no tile divides, and some that several threads share.
const LAYERS: &[&str] = &[
    "gemm m=150 n=1100 k=530",
    "gemm m=5 n=300 k=1030",
    "gemm m=1157 n=33 k=67",
    "gemm m=1157 n=33 k=67 trans=tn beta=1",
    "gemm m=1157 n=50 k=19 trans=nt dtype=f16",
    "gemm m=1157 n=1100 k=3 dtype=f16",
    "gemm m=33 n=1100 k=67 dtype=f16 b=parameter",
    "gemm m=33 n=1100 k=67 dtype=bf16 b=parameter",
    "gemm m=17 n=530 k=33 dtype=f8e4m3 trans=nt b=parameter",
    "gemm m=64 n=64 k=64 b=parameter",
    "gemm m=64 n=48 k=80 b=parameter dtype=bf16",
    "gemm m=17 n=33 k=65 dtype=bf16 accumulate=same",
    "gemm m=65 n=33 k=130 dtype=tf32",
    "gemm m=17 n=33 k=65 dtype=f8e4m3",
    "gemm m=33 n=48 k=80 dtype=f8e4m3 trans=nt b=parameter",
    "gemm m=1 n=64 k=128 dtype=f8e4m3 trans=nt out=f32",
    "gemm m=3 n=5 k=1 dtype=tf32 beta=1",
    "copy bytes=8",
    "copy bytes=100003",
    "copy bytes=1006 dtype=bf16",
    "triad bytes=12",
    "triad bytes=100003",
    "triad bytes=1206 dtype=f16",
    "add bytes=12",
    "add bytes=100003",
    "add bytes=1206 dtype=bf16",
    "adamw bytes=16",
    "adamw bytes=10007",
    "adamw bytes=1000003",
    "adamw bytes=10007 p16=yes",
    "sgd_momentum bytes=12",
    "sgd_momentum bytes=10007",
    "sgd_momentum bytes=10007 p16=yes",
    "softmax rows=1 columns=1",
    "softmax rows=3 columns=2",
    "softmax rows=17 columns=31",
    "softmax rows=2 columns=1031",
    "softmax rows=5 columns=67 dtype=bf16",
    "softmax rows=5 columns=67 dtype=f16",
    "layer_norm rows=1 columns=2",
    "layer_norm rows=3 columns=17",
    "layer_norm rows=31 columns=769",
    "layer_norm rows=5 columns=67 dtype=bf16",
    "layer_norm rows=5 columns=67 dtype=f16",
    "add_layer_norm rows=1 columns=2",
    "add_layer_norm rows=31 columns=769",
    "add_layer_norm rows=5 columns=67 dtype=bf16",
    "bias_add rows=1 columns=1",
    "bias_add rows=31 columns=33",
    "bias_add rows=2 columns=1031 dtype=bf16",
    "gelu rows=31 columns=33",
    "gelu rows=31 columns=33 form=tanh",
    "gelu rows=3 columns=67 dtype=bf16",
    "gelu rows=3 columns=67 dtype=f16 form=tanh",
    "attention queries=1 depth=1",
    "attention queries=1 keys=131 depth=33 heads=3 mask=causal log_sum_exp=yes",
    "attention queries=1 keys=67 depth=64 heads=5 dtype=bf16",
    "attention queries=17 depth=31 heads=3",
    "attention queries=33 depth=64 heads=2 batch=2 mask=causal",
    "attention queries=3 keys=67 depth=33 mask=causal",
    "attention queries=17 depth=64 dtype=bf16",
    "attention queries=300 depth=16 mask=causal",
    "attention queries=17 depth=31 heads=3 log_sum_exp=yes",
    "attention queries=3 keys=67 depth=33 mask=causal log_sum_exp=yes",
    "attention queries=33 depth=64 dtype=bf16 log_sum_exp=yes",
    "attention_materialised queries=17 depth=31 heads=3",
    "attention_materialised queries=3 keys=67 depth=33 mask=causal",
    "gemm_q8 m=1 n=33 k=32",
    "gemm_q8 m=17 n=31 k=96",
    "gemm_q8 m=1 n=257 k=1024 activations=q8",
    "gemm_q8 m=17 n=31 k=96 activations=q8",
    "conv3x3 height=1 in=1 out=1",
    "conv3x3 height=7 width=5 in=3 out=17 batch=2",
    "conv3x3 height=17 width=31 in=5 out=3 layout=nhwc",
    "conv3x3 height=14 in=64 out=33",
    "quantize rows=1 columns=1",
    "quantize rows=31 columns=33",
    "quantize rows=31 columns=33 a=u8",
    "quantize rows=17 columns=67 per=row",
    "quantize rows=17 columns=67 per=row a=u8",
    "quantize rows=17 columns=96 per=block",
    "quantize rows=31 columns=333 mode=static",
    "quantize rows=31 columns=333 mode=static a=u8",
    "dequantize rows=1 columns=1",
    "dequantize rows=17 columns=67",
    "linear m=17 n=33 k=65",
    "linear_i8 m=1 n=33 k=65",
    "linear_i8 m=17 n=33 k=65 per=row weights=channel",
    "linear_i8 m=17 n=33 k=65 mode=static a=i8",
    "linear_q8 m=17 n=33 k=96",
    "linear_q8 m=17 n=33 k=96 activations=q8",
    "mlp_block tokens=17 width=33",
    "update_step layers=2 width=31",
    "mlp mode=train batch=5 hidden=17",
    "mlp mode=train batch=6 hidden=33 parts=2 optimizer=momentum",
    "mlp mode=features batch=5 hidden=17 optimizer=sgd",
];

/// `gemm m=3 n=4 k=5`, as on the command line.
fn from_workload(text: &str) -> Case {
    let mut words = text.split(' ');
    let workload = find(words.next().unwrap()).unwrap();
    let param = |word: &str| {
        let (axis, value) = word.split_once('=').unwrap();
        (axis.to_string(), value.parse().map_or_else(|_| Param::Text(value.to_string()), Param::Int))
    };
    let params = words.map(param).collect();
    let program = workload.program(&params).unwrap_or_else(|error| panic!("{text}: {error}"));
    Case { name: text.to_string(), program }
}

/// Each extent with each transpose; batches, factors and types vary with periods that have no common
/// divisor with these, so that all meet.
fn products() -> Vec<Case> {
    const TYPES: [(DType, DType); 7] = [
        (DType::F32, DType::F32),
        (DType::F32, DType::F32),
        (DType::Bf16, DType::F32),
        (DType::F32, DType::F32),
        (DType::Bf16, DType::Bf16),
        (DType::F16, DType::F32),
        (DType::F16, DType::F16),
    ];
    const FACTORS: [(f64, f64); 5] = [(1.0, 0.0), (1.0, 0.0), (-0.5, 2.0), (2.0, 0.0), (1.0, 1.0)];
    let mut cases = vec![];
    for (number, (extents, trans)) in shapes().enumerate() {
        let shared = number % 2 == 0;
        let batch = [1, 2, 3][number % 3];
        let ((input, output), (alpha, beta)) = (TYPES[number % 7], FACTORS[number % 5]);
        for (input, output) in [(DType::F32, DType::F32), (input, output)] {
            let op = Gemm { trans_a: trans.0, trans_b: trans.1, alpha, beta, ..Gemm::plain(output) };
            let mut args = operands(extents, trans, (batch, shared), [input, input]);
            if beta != 0.0 {
                args.push(matrix(batch, extents.0, extents.1, output));
            }
            cases.push(single(Op::Gemm(op), args));
        }
    }
    cases
}

fn integer_products() -> Vec<Case> {
    const ZEROS: [(i32, i32); 3] = [(0, 0), (3, 0), (7, -5)];
    type Extents = (usize, usize, usize);
    let product = |(number, (extents, trans)): (usize, (Extents, (bool, bool)))| {
        let (zero_a, zero_b) = ZEROS[number % 3];
        let a = [DType::U8, DType::I8][number % 2];
        let op = GemmI8 { trans_a: trans.0, trans_b: trans.1, zero_a, zero_b };
        single(Op::GemmI8(op), operands(extents, trans, (1 + number % 2, true), [a, DType::I8]))
    };
    shapes().enumerate().map(product).collect()
}

/// What attention expands into.
fn softmaxes() -> Vec<Case> {
    let case = |(causal, log_sum_exp, output)| {
        let op = Softmax { scale: 0.25, causal, log_sum_exp, output };
        single(Op::Softmax(op), vec![ValueSpec::new(&[2, 17, 33], DType::F32)])
    };
    [(true, true, DType::F32), (false, true, DType::Bf16), (true, false, DType::F16)].map(case).into()
}

/// Kernels, strides and paddings that no workload has; many channels, so that the depth takes several blocks.
fn convolutions() -> Vec<Case> {
    type Row = ([usize; 5], [usize; 2], [usize; 2], [usize; 2], bool);
    let case = |(extents, kernel, stride, padding, bias): Row| {
        let [images, channels, rows, columns, out] = extents;
        [ImageLayout::Nchw, ImageLayout::Nhwc].map(|layout| {
            let x = match layout {
                ImageLayout::Nchw => [images, channels, rows, columns],
                ImageLayout::Nhwc => [images, rows, columns, channels],
            };
            let shapes = [&x[..], &[out, channels, kernel[0], kernel[1]], &[out]];
            let args = shapes.map(|shape| ValueSpec::new(shape, DType::F32));
            let count = if bias { 3 } else { 2 };
            single(Op::Conv2d(Conv2d { layout, stride, padding, bias }), args[..count].to_vec())
        })
    };
    [
        ([1, 1, 1, 1, 1], [1, 1], [1, 1], [0, 0], false),
        ([2, 3, 9, 11, 5], [1, 1], [1, 1], [0, 0], true),
        ([1, 3, 23, 23, 17], [7, 7], [2, 2], [3, 3], true),
        ([3, 2, 5, 70, 33], [3, 5], [1, 1], [0, 2], false),
        ([1, 5, 6, 7, 2], [2, 3], [3, 2], [4, 5], true),
        ([1, 131, 4, 37, 301], [3, 3], [1, 1], [1, 1], true),
        ([5, 35, 11, 13, 37], [3, 3], [1, 1], [1, 1], true),
        ([1, 133, 8, 94, 129], [3, 3], [1, 1], [0, 2], false),
    ]
    .into_iter()
    .flat_map(case)
    .collect()
}

fn shapes() -> impl Iterator<Item = ((usize, usize, usize), (bool, bool))> {
    EXTENTS.into_iter().flat_map(|extents| TRANSPOSES.map(|trans| (extents, trans)))
}

fn matrix(batch: usize, rows: usize, columns: usize, dtype: DType) -> ValueSpec {
    let lead: &[usize] = if batch > 1 { &[batch] } else { &[] };
    ValueSpec::new(&[lead, &[rows, columns]].concat(), dtype)
}

fn operands(
    (m, n, k): (usize, usize, usize),
    (trans_a, trans_b): (bool, bool),
    (batch, shared_b): (usize, bool),
    [a, b]: [DType; 2],
) -> Vec<ValueSpec> {
    let turned = |rows, columns, transposed| if transposed { (columns, rows) } else { (rows, columns) };
    let ((a_rows, a_columns), (b_rows, b_columns)) = (turned(m, k, trans_a), turned(k, n, trans_b));
    let batch_of_b = if shared_b { 1 } else { batch };
    vec![matrix(batch, a_rows, a_columns, a), matrix(batch_of_b, b_rows, b_columns, b)]
}

fn single(op: Op, args: Vec<ValueSpec>) -> Case {
    let mut program = Program::default();
    let input = |(number, spec): (usize, &ValueSpec)| {
        let fill = op.operation().input(&args, number);
        program.input(format!("x{number}"), spec.clone(), State::Batch, fill)
    };
    let ids: Vec<_> = args.iter().enumerate().map(input).collect();
    let name = format!("{op:?} of {args:?}");
    program.outputs = program.push(op, &ids, Phase::Forward, State::Activation).unwrap();
    Case { name, program }
}
