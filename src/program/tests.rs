use super::*;
use crate::ops::{
    Add, AddLayerNorm, Attention, AttentionGrad, BiasGelu, BiasGeluGrad, BiasRelu, Copied, Embedding,
    GeluForm,
};
use crate::tensor::DType;

fn spec(shape: &[usize]) -> ValueSpec {
    ValueSpec::new(shape, DType::F32)
}

/// y = gelu(x + bias), carried into x.
fn gelu_program() -> Program {
    let mut program = Program::default();
    let x = program.input("x", spec(&[3, 5]), State::Batch, Fill::UNIT);
    let bias = program.input("bias", spec(&[5]), State::Parameter, Fill::UNIT);
    let op = Op::BiasGelu(BiasGelu { form: GeluForm::Erf });
    program.outputs = program.push(op, &[x, bias], Phase::Forward, State::Activation).unwrap();
    program.carry(program.outputs[0], x);
    program
}

fn attention_program() -> Program {
    let mut program = Program::default();
    let args = ["q", "k", "v"].map(|name| {
        program.input(name, spec(&[2, 5, 3]), State::Batch, Fill::Uniform { low: -2.0, high: 2.0 })
    });
    let op = Op::Attention(Attention { scale: 0.5, causal: true, log_sum_exp: true });
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation).unwrap();
    program
}

fn add_layer_norm_program() -> Program {
    let mut program = Program::default();
    let args = [("x", &[3, 5][..]), ("r", &[3, 5]), ("gain", &[5]), ("bias", &[5])]
        .map(|(name, shape)| program.input(name, spec(shape), State::Batch, Fill::UNIT));
    let op = Op::AddLayerNorm(AddLayerNorm { eps: 1e-5 });
    program.outputs = program.push(op, &args, Phase::Forward, State::Activation).unwrap();
    program
}

/// Attention and its gradients: the fused one reads what the forward pass kept.
fn attention_grad_program() -> Program {
    let mut program = attention_program();
    let dy = program.input("dy", spec(&[2, 5, 3]), State::Batch, Fill::UNIT);
    let [y, lse] = program.outputs[..] else { panic!() };
    let op = Op::AttentionGrad(AttentionGrad { scale: 0.5, causal: true });
    let made = program.push(op, &[dy, 0, 1, 2, y, lse], Phase::Backward, State::Gradient).unwrap();
    program.outputs.extend(made);
    program
}

fn element_wise_program() -> Program {
    let mut program = Program::default();
    let [dy, x] = ["dy", "x"].map(|name| program.input(name, spec(&[3, 5]), State::Batch, Fill::UNIT));
    let bias = program.input("bias", spec(&[5]), State::Parameter, Fill::UNIT);
    let (grad, relu) = (BiasGeluGrad { form: GeluForm::Tanh }, BiasRelu {});
    let mut push = |op, args: &[ValueId]| program.push(op, args, Phase::Forward, State::Activation).unwrap();
    let mut made = push(Op::BiasGeluGrad(grad), &[dy, x, bias]);
    made.extend(push(Op::BiasRelu(relu), &[x, bias]));
    program.outputs = made;
    program
}

fn lacks(names: &'static [&'static str]) -> impl Fn(&Step, &Program) -> Result<(), String> {
    move |step, program| {
        // Specs of every value must exist by the time a backend is asked.
        program.specs(&step.args);
        program.specs(&step.outs);
        let name = step.op.operation().name();
        if names.contains(&name) { Err(format!("no {name} here")) } else { Ok(()) }
    }
}

#[test]
fn an_expansion_computes_the_same_on_the_same_inputs() {
    for (program, lacking, steps) in [
        (gelu_program(), &["bias_gelu"][..], 2),
        (attention_program(), &["attention"][..], 3),
        (add_layer_norm_program(), &["add_layer_norm"][..], 2),
        (attention_grad_program(), &["attention_grad"][..], 8),
        (element_wise_program(), &["bias_gelu_grad", "bias_relu"][..], 4),
    ] {
        let Expanded { program: expanded, names } = program.expand_for(lacks(lacking)).unwrap();
        assert_eq!(names, lacking);
        assert_eq!(expanded.steps.len(), steps);
        assert_eq!(expanded.outputs, program.outputs);
        expanded.validate().unwrap();
        let (whole, parts) = (program.interpret(7), expanded.interpret(7));
        for id in 0..program.values.len() {
            for (a, b) in whole[id].iter().zip(&parts[id]) {
                assert!((a - b).abs() < 1e-6, "value {id}: {a} {b}");
            }
        }
        let added = &expanded.values[program.values.len()..];
        assert!(added.iter().all(|value| value.state == State::Workspace));
    }
}

#[test]
fn what_is_supported_stays_and_what_neither_runs_nor_expands_is_named() {
    let program = gelu_program();
    let same = program.expand_for(lacks(&[])).unwrap();
    assert_eq!((same.program, same.names), (program.clone(), vec![]));
    let error = program.expand_for(lacks(&["bias_gelu", "gelu"])).unwrap_err();
    assert_eq!(error.to_string(), "gelu: no gelu here");
}

#[test]
fn a_program_survives_json_and_its_hash_tells_it_from_others() {
    let program = attention_program();
    let json = serde_json::to_string(&program).unwrap();
    let back: Program = serde_json::from_str(&json).unwrap();
    assert_eq!(back, program);
    assert_eq!(back.hash(), program.hash());
    assert_eq!(program.hash().len(), 64);
    assert_ne!(gelu_program().hash(), program.hash());
    assert!(json.contains(r#""op":"attention","scale":0.5,"causal":true"#), "{json}");
}

#[test]
fn a_valid_program_is_accepted() {
    gelu_program().validate().unwrap();
    attention_program().validate().unwrap();
}

#[test]
fn whatever_a_foreign_program_says_is_refused_with_a_sentence() {
    type Spoil = fn(&mut Program);
    let cases: &[(&str, Spoil)] = &[
        ("reads value 99", |p| p.steps[0].args[1] = 99),
        ("reads value 2", |p| p.steps[0].args[0] = 2),
        ("writes value 77", |p| p.steps[0].outs[0] = 77),
        ("written already", |p| p.steps[0].outs[0] = 0),
        ("has 1 outputs and names 2", |p| p.steps[0].outs.push(3)),
        ("has 1 outputs and names 0", |p| p.steps[0].outs.clear()),
        ("takes 2 arguments", |p| p.steps[0].args.truncate(1)),
        ("returns value 50", |p| p.outputs = vec![50]),
        ("returns and carries nothing", |p| (p.outputs, p.carries) = (vec![], vec![])),
        ("neither an input nor", |p| p.steps.clear()),
        ("extent of zero", |p| p.values[0].spec.shape = [0, 5][..].into()),
        ("larger than the address space", |p| {
            p.values[0].spec.shape = [usize::MAX, usize::MAX, 7][..].into()
        }),
        ("columns of the first", |p| p.values[1].spec.shape = [4][..].into()),
        ("is declared as", |p| p.values[2].spec.shape = [5, 3][..].into()),
        ("carried pair", |p| p.carries[0].input = 1000),
        ("cannot be carried into", |p| p.carries[0].input = 1),
        ("cannot be carried into", |p| p.carries[0].produced = 1),
        ("carried twice", |p| p.carries.push(p.carries[0])),
        ("cannot be filled", |p| p.values[0].input = Some(Fill::Uniform { low: f64::NAN, high: 1.0 })),
        ("cannot be filled", |p| p.values[0].input = Some(Fill::Uniform { low: 1.0, high: -1.0 })),
        ("cannot be filled", |p| p.values[0].input = Some(Fill::Integers { low: 5, high: 4 })),
    ];
    for (sentence, spoil) in cases {
        let mut program = gelu_program();
        spoil(&mut program);
        let error = program.validate().unwrap_err().to_string();
        assert!(error.contains(sentence), "{error} should say: {sentence}");
    }
}

#[test]
fn numbers_of_places_are_inputs_that_name_no_other() {
    let with = |fill| {
        let mut program = Program::default();
        let table = program.input("table", spec(&[5, 3]), State::Parameter, Fill::UNIT);
        let ids = program.input("ids", ValueSpec::new(&[4], DType::I32), State::Batch, fill);
        let copied = program.push(Op::Copy(Copied {}), &[ids], Phase::Forward, State::Activation).unwrap();
        let op = Op::Embedding(Embedding {});
        program.outputs = program.push(op, &[table, ids], Phase::Forward, State::Activation).unwrap();
        (program, copied[0])
    };
    let inside = Fill::Integers { low: 1, high: 4 };
    with(inside).0.validate().unwrap();
    let mut refused = vec![
        with(Fill::Integers { low: 0, high: 5 }).0,
        with(Fill::Integers { low: -1, high: 2 }).0,
        with(Fill::Uniform { low: 0.0, high: 4.0 }).0,
    ];
    let (mut computed, copied) = with(inside);
    computed.steps[1].args[1] = copied;
    let (mut carried, copied) = with(inside);
    carried.carry(copied, 1);
    refused.extend([computed, carried]);
    for program in refused {
        let error = program.validate().unwrap_err().to_string();
        assert!(error.contains("integers from 0 to 4"), "{error}");
    }
}

#[test]
fn carried_pairs_count_once_and_stay_kept() {
    let program = gelu_program();
    // x and y share 60 bytes, the bias has 20.
    assert_eq!(program.total_bytes(3), 3 * 80);
    assert_eq!(program.kept(), [2]);
    assert!(program.is_kept(2) && !program.is_kept(0));
    assert_eq!(program.total_bytes(usize::MAX), u64::MAX);
}

#[test]
fn interpreting_rounds_each_value_to_its_type() {
    let mut program = Program::default();
    let bf16 = ValueSpec::new(&[4], DType::Bf16);
    let x = program.input("x", bf16.clone(), State::Batch, Fill::UNIT);
    let y = program.push(Op::Copy(Copied {}), &[x], Phase::Forward, State::Activation).unwrap();
    program.outputs = program.push(Op::Add(Add {}), &[x, y[0]], Phase::Forward, State::Activation).unwrap();
    let values = program.interpret(1);
    for (x, sum) in values[0].iter().zip(&values[2]) {
        assert_eq!(*sum, 2.0 * x);
        assert_eq!(f64::from(half::bf16::from_f64(*x)), *x);
    }
}
