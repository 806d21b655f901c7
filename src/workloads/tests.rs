use super::*;
use crate::program::State;

pub(super) fn params(text: &str) -> Params {
    let pair = |pair: &str| {
        let (axis, value) = pair.split_once('=').unwrap();
        let value = value.parse().map_or_else(|_| Param::Text(value.to_string()), Param::Int);
        (axis.to_string(), value)
    };
    text.split(',').filter(|text| !text.is_empty()).map(pair).collect()
}

fn program(workload: &str, point: &str) -> Program {
    let program = find(workload).unwrap().program(&params(point)).unwrap();
    program.validate().unwrap();
    program
}

/// A small point of every workload, with the work that a person counts.
const POINTS: &[(&str, &str, u64, u64)] = &[
    ("gemm", "m=2,n=3,k=5", 60, 4 * (10 + 15 + 6)),
    ("gemm", "m=2,n=3,k=5,batch=4,dtype=bf16,out=f32,trans=tt", 240, 4 * (2 * 25 + 4 * 6)),
    ("gemm", "m=2,n=3,k=5,batch=4,b=parameter", 240, 4 * (40 + 15 + 24)),
    ("gemm", "m=2,n=3,k=5,beta=1,dtype=f16,accumulate=same", 60, 2 * (10 + 15 + 6 + 6)),
    ("gemm", "m=2,n=3,k=5,dtype=tf32", 60, 4 * (10 + 15 + 6)),
    ("gemm", "m=2,n=3,k=5,dtype=f8e4m3", 60, 10 + 15 + 2 * 6),
    ("gemm_i8", "m=2,n=3,k=5,zero=ab", 60, 10 + 15 + 4 * 6),
    ("gemm_q8", "m=2,n=3,k=64", 2 * 2 * 3 * 64, 4 * 128 + 3 * 64 + 2 * 6 + 4 * 6),
    ("gemm_q8", "m=2,n=3,k=64,activations=q8", 2 * 2 * 3 * 64, 128 + 2 * 4 + 3 * 64 + 2 * 6 + 4 * 6),
    ("conv3x3", "height=5,in=3,out=4", 2 * 25 * 4 * 27, 4 * (75 + 108 + 4 + 100)),
    ("conv3x3", "height=5,width=2,in=3,out=4,batch=2,layout=nhwc", 4 * 10 * 4 * 27, 4 * (60 + 108 + 4 + 80)),
    ("quantize", "rows=3,columns=32", 4 * 96, 5 * 96 + 4),
    ("quantize", "rows=3,columns=32,per=block", 4 * 96, 5 * 96 + 6),
    ("quantize", "rows=3,columns=7,mode=static,a=u8", 3 * 21, 5 * 21),
    ("dequantize", "rows=3,columns=7", 3 * 21, 4 * (21 + 3 + 7 + 7 + 21)),
    ("linear", "m=2,n=3,k=5", 60 + 6, 4 * (10 + 15 + 6 + 6 + 3 + 6)),
    ("linear_i8", "m=2,n=3,k=5", 5 * 10 + 60 + 18, 50 + 4 + 25 + 24 + 4 * (6 + 1 + 1 + 3 + 6)),
    (
        "linear_i8",
        "m=2,n=3,k=5,mode=static,weights=channel,a=i8",
        2 * 10 + 60 + 18,
        50 + 25 + 24 + 4 * (6 + 1 + 3 + 3 + 6),
    ),
    ("linear_q8", "m=2,n=3,k=32", 384 + 6, 4 * 64 + 96 + 6 + 24 + 4 * (6 + 3 + 6)),
    ("copy", "bytes=80", 0, 80),
    ("copy", "bytes=83,dtype=bf16", 0, 80),
    ("triad", "bytes=120", 20, 120),
    ("add", "bytes=120,dtype=bf16", 20, 120),
    ("adamw", "bytes=160", 160, 280),
    ("adamw", "bytes=180,p16=yes", 160, 300),
    ("sgd_momentum", "bytes=120", 60, 200),
    ("sgd_momentum", "bytes=140,p16=yes", 60, 220),
    ("bias_add", "rows=3,columns=7", 21, 4 * (21 + 7 + 21)),
    ("gelu", "rows=3,columns=7,form=tanh", 9 * 21, 8 * 21),
    ("softmax", "rows=3,columns=7,dtype=bf16", 5 * 21, 4 * 21),
    ("layer_norm", "rows=3,columns=7", 8 * 21, 4 * (21 + 14 + 21 + 6)),
    ("add_layer_norm", "rows=3,columns=7", 9 * 21, 4 * (42 + 14 + 42 + 6)),
    ("attention", "queries=6,depth=4,heads=2,batch=3", 6 * 6 * 6 * 16, 4 * 4 * 6 * 24),
    ("attention", "queries=6,depth=4,heads=2,batch=3,mask=causal", 6 * 21 * 16, 4 * 4 * 6 * 24),
    ("attention", "queries=6,depth=4,heads=2,batch=3,log_sum_exp=yes", 6 * 36 * 16, 4 * (4 * 6 * 24 + 36)),
    ("attention", "queries=1,keys=9,depth=4,dtype=bf16", 9 * 16, 2 * (4 + 36 + 36 + 4)),
    (
        "attention_materialised",
        "queries=6,depth=4,heads=2,batch=3",
        6 * 36 * (16 + 6),
        4 * (2 * 144 + 216 + 216 + 216 + 216 + 144 + 144),
    ),
];

/// A small point of every model.
const MODELS: &[(&str, &str, u64, u64)] = &[
    ("mlp", "mode=train,batch=4", 0, 0),
    ("bert", "size=tiny,mode=train,batch=2,length=4", 0, 0),
    ("gpt2", "mode=train,batch=1,length=4", 0, 0),
    ("vgg16", "mode=train,batch=1,image=32", 0, 0),
    ("vit", "mode=train,batch=1", 0, 0),
];

#[test]
fn work_on_paper_is_what_a_person_counts() {
    for (workload, point, flops, bytes) in POINTS {
        let work = program(workload, point).work();
        assert_eq!((work.flops, work.bytes()), (*flops, *bytes), "{workload} {point}");
    }
}

#[test]
fn every_workload_says_what_it_yields_and_has_an_axis_without_default() {
    for workload in WORKLOADS {
        assert!(workload.axes.iter().any(|axis| axis.default.is_none()), "{}", workload.name);
        assert!(workload.axes.iter().all(|axis| !axis.about.is_empty()), "{}", workload.name);
        let (_, point, ..) = POINTS
            .iter()
            .chain(&[("mlp_block", "tokens=2,width=3", 0, 0), ("update_step", "layers=2,width=3", 0, 0)])
            .chain(MODELS)
            .find(|(name, ..)| *name == workload.name)
            .unwrap_or_else(|| panic!("{} has no point", workload.name));
        let point = workload.complete(&params(point)).unwrap();
        let program = workload.program(&point).unwrap();
        let Yield { unit, amount } = (workload.yields)(&point, &program);
        // A copy computes nothing, and its yield is traffic.
        assert!(amount > 0.0 && !unit.is_empty(), "{}: {amount} {unit}", workload.name);
        // A value that no suite can tell apart would be verified by half.
        let mut names: Vec<_> = program.values.iter().map(|value| &value.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), program.values.len(), "{}", workload.name);
    }
}

#[test]
fn an_update_step_carries_its_state() {
    let program = program("update_step", "layers=2,width=3");
    assert_eq!((program.steps.len(), program.carries.len()), (4, 12));
    assert!(program.outputs.is_empty());
    let bytes = program.bytes_by_state();
    let elements = 2 * (9 + 3);
    assert_eq!(bytes[&State::Parameter], 4 * elements);
    assert_eq!(bytes[&State::Optimizer], 8 * elements);
    assert_eq!(bytes[&State::Gradient], 4 * elements);
}

#[test]
fn the_mlp_block_keeps_its_numbers_near_one() {
    let program = program("mlp_block", "tokens=17,width=32");
    assert_eq!(program.steps.len(), 6);
    for (value, elements) in program.values.iter().zip(program.interpret(3)) {
        let largest = elements.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        assert!((0.01..50.0).contains(&largest), "{} reaches {largest}", value.name);
    }
}

#[test]
fn the_same_layer_answers_alike_in_every_precision() {
    // Each has weights of its own, so that only their size can be compared.
    for point in [
        ("linear", "m=16,n=32,k=256"),
        ("linear_i8", "m=16,n=32,k=256"),
        ("linear_i8", "m=16,n=32,k=256,mode=static,weights=channel,a=i8"),
        ("linear_i8", "m=16,n=32,k=256,per=row"),
        ("linear_q8", "m=16,n=32,k=256"),
        ("linear_q8", "m=16,n=32,k=256,activations=q8"),
    ] {
        let program = program(point.0, point.1);
        let values = program.interpret(3);
        let y = &values[program.outputs[0]];
        let size = (y.iter().map(|x| x * x).sum::<f64>() / y.len() as f64).sqrt();
        // Products of variance 1/3 and the bias of as much: 0.82; scales of columns vary it.
        assert!((0.7..1.0).contains(&size), "{point:?}: {size}");
    }
}

#[test]
fn materialised_attention_answers_as_the_fused_op_and_keeps_its_scores() {
    for point in ["queries=17,depth=4,heads=2,batch=3", "queries=5,keys=9,depth=4,mask=causal"] {
        let (whole, steps) = (program("attention", point), program("attention_materialised", point));
        let answers = [&whole, &steps].map(|program| {
            let values = program.interpret(3);
            program.outputs.iter().flat_map(|&id| values[id].clone()).collect::<Vec<f64>>()
        });
        assert_eq!(answers[0].len(), answers[1].len());
        let close = answers[0].iter().zip(&answers[1]).all(|(x, y)| (x - y).abs() < 1e-6);
        assert!(close, "{point}");
        let scores = |program: &Program| program.bytes_by_state()[&State::Activation];
        assert!(scores(&steps) > 2 * scores(&whole), "{point}");
    }
}

#[test]
fn what_a_suite_may_get_wrong_is_said_plainly() {
    for (workload, point, sentence) in [
        ("gemm", "m=1,n=1", "workload gemm needs the parameter `k` (columns of A)"),
        ("gemm", "m=1,n=1,k=1,bach=2", "no parameter `bach`; did you mean `batch`?"),
        ("gemm", "m=0,n=1,k=1", "`m` is 0: a size of zero leaves nothing to compute"),
        ("gemm", "m=1,n=1,k=one", "`k` is one: a whole number is wanted"),
        (
            "gemm",
            "m=1,n=1,k=1,dtype=fb16",
            "one of f32, bf16, f16, tf32, f8e4m3 is wanted; did you mean `bf16`?",
        ),
        ("gemm", "m=1,n=1,k=1,dtype=f8e4m3,accumulate=same", "16 bits or more"),
        ("gemm", "m=1,n=1,k=1,dtype=3", "one of f32, bf16, f16, tf32, f8e4m3 is wanted"),
        ("gemm", "m=18446744073709551615,n=1,k=2", "larger than the address space"),
        ("gemm", "m=4294967296,n=4294967296,k=1", "larger than the address space"),
        ("gemm_i8", "m=1,n=1,k=100000", "a sum could leave 32 bits"),
        ("copy", "bytes=7", "`bytes` is 7: one element takes 8 bytes"),
        ("attention", "queries=8,keys=4,mask=causal", "as many keys as queries"),
        ("attention", "queries=1,batch=4294967296,heads=4294967296", "batch and heads together"),
        ("mlp_block", "tokens=1,width=4294967296,ratio=4294967296", "width and ratio together"),
        ("mlp_block", "tokens=1,width=1099511627776,ratio=1099511", "larger than the address space"),
        ("gemm_q8", "m=1,n=1,k=48", "multiple of 32"),
        ("quantize", "rows=1,columns=33,per=block", "blocks of 32 must fill the rows"),
        ("linear_i8", "m=1,n=1,k=1,mode=static,per=row", "one for all elements"),
        ("conv3x3", "height=4294967296,in=4294967296,out=1", "larger than the address space"),
        ("conv3x3", "height=18446744073709551615,in=1,out=1", "larger than the address space"),
        ("attention_materialised", "queries=8,keys=4,mask=causal", "as many keys as queries"),
        ("update_step", "layers=18446744073709551615,width=1", "at most 1000"),
        ("update_step", "layers=1,width=18446744073709551615", "larger than the address space"),
    ] {
        let error = find(workload).unwrap().program(&params(point)).unwrap_err().to_string();
        assert!(error.contains(sentence), "{workload} {point}: {error}");
    }
}

#[test]
fn an_absent_axis_takes_its_default_or_another_axis() {
    let complete = find("attention").unwrap().complete(&params("queries=8")).unwrap();
    assert_eq!(complete["keys"], Param::Int(8));
    assert_eq!(complete["mask"], Param::Text("full".to_string()));
    let beta = find("gemm").unwrap().complete(&params("m=1,n=1,k=1,beta=1")).unwrap();
    assert_eq!(beta["beta"], Param::Text("1".to_string()));
}

#[test]
fn what_names_no_type_computes_in_f32_unless_it_multiplies_bytes() {
    for (workload, point, wanted) in [
        ("adamw", "", "f32"),
        ("mlp_block", "", "f32"),
        ("gemm", "dtype=bf16", "bf16"),
        ("gemm", "dtype=tf32", "tf32"),
        ("gemm_i8", "a=u8", "i8"),
        ("linear_i8", "", "i8"),
        ("gemm_q8", "", "q8"),
    ] {
        assert_eq!(precision(workload, &params(point)), wanted, "{workload}");
    }
}
