//! Runs of small models, on the obvious backend and on ours.

use super::*;
use crate::program::Program;
use crate::tensor::HostArray;
use crate::workloads::small;

fn on(backend: &str) -> Settings {
    Settings { backend: backend.to_string(), threads: 1, steps: None, seed: 3 }
}

fn program(model: &str) -> Program {
    small(model).unwrap().unwrap()
}

#[test]
fn two_backends_lose_alike_and_the_same_batch_again_loses_less() {
    for model in ["mlp", "bert"] {
        let mut course = of_fills(program(model), Start::Deviation(0.2), 5);
        let [naive, native] =
            ["cpu/naive", "cpu/native"].map(|name| run(&course, &on(name), 10).unwrap().losses);
        assert!(difference(&native, &naive).unwrap() < 1e-5, "{model}: {native:?} {naive:?}");
        let first = (course.batch)(0);
        course.batch = Box::new(move |_| first.clone());
        let losses = run(&course, &on("cpu/native"), 60).unwrap().losses;
        assert!(losses[59] < 0.9 * losses[0], "{model}: {losses:?}");
    }
    assert!(difference(&[1.0], &[1.0, 2.0]).is_err() && difference(&[], &[]).is_err());
}

#[test]
fn a_run_of_every_value_kept_is_the_same_run() {
    let course = of_fills(program("bert"), Start::Deviation(0.2), 6);
    let losses = run(&course, &on("cpu/native"), 5).unwrap().losses;
    let mut kept = course.start(&on("cpu/native"), true).unwrap();
    for (step, loss) in losses.iter().enumerate() {
        course.step(&mut kept, step).unwrap();
        assert_eq!(kept.mean_output().unwrap(), *loss);
    }
}

#[test]
fn a_loss_that_is_no_number_names_the_step_and_the_op() {
    let made = |at: usize, name: &'static str, from: f32| {
        let mut course = of_fills(program("mlp"), Start::He, 5);
        let batch = std::mem::replace(&mut course.batch, Box::new(|_| Inputs::new()));
        course.batch = Box::new(move |step| {
            let mut inputs = batch(step);
            if step == at {
                let len = if name == "pixels" { 160 } else { 4 };
                inputs.insert(name.to_string(), HostArray::F32(vec![from; len]));
            }
            inputs
        });
        match run(&course, &on("cpu/native"), 5) {
            Err(TrainError::NotFinite(found)) => found,
            other => panic!("{:?}", other.map(|run| run.losses)),
        }
    };
    let found = made(2, "second.bias", f32::INFINITY);
    assert_eq!((found.step, found.seen, &found.value[..]), (3, 3, "second.bias"));
    assert!(found.maker.starts_with("an input"), "{found}");
    // Products beyond f32 in the first layer.
    let found = made(1, "pixels", 3e38);
    assert_eq!((found.step, found.seen), (2, 2));
    assert!(found.maker.starts_with("op 0 (gemm)") && found.value.starts_with("gemm0"), "{found}");
}

#[test]
fn first_parameters_are_what_a_model_begins_with() {
    let program = program("bert");
    let begun = initial(&program, Start::Deviation(0.02), 1);
    let of = |name: &str| begun[name].to_f64(0..begun[name].len());
    assert!(of("layer1.norm2.gain").iter().all(|x| *x == 1.0));
    assert!(of("pooler.bias").iter().chain(&of("pooler.weight.v")).all(|x| *x == 0.0));
    let weights = of("layer0.up.weight");
    let variance = weights.iter().map(|x| x * x).sum::<f64>() / weights.len() as f64;
    assert!((0.8..1.2).contains(&(variance.sqrt() / 0.02)), "{variance}");
    assert!(!begun.contains_key("words") && begun.len() == program.carries.len());
    assert_eq!(begun, initial(&program, Start::Deviation(0.02), 1));
}

#[test]
fn parameters_move_to_the_program_that_answers() {
    let course = of_fills(program("mlp"), Start::He, 2);
    let mut learned = run(&course, &on("cpu/native"), 3).unwrap().trainer;
    let mut taught = course.start(&on("cpu/naive"), false).unwrap();
    taught.take_parameters(&mut learned).unwrap();
    let handed = learned.read("first.weight'").unwrap();
    assert_eq!(taught.read("first.weight").unwrap(), handed);
    assert_ne!(handed, course.initial["first.weight"]);
    assert!(matches!(taught.write("nothing", &handed), Err(TrainError::NoValue(_))));
}

#[test]
fn a_backend_that_takes_no_inputs_says_so() {
    for (backend, why) in
        [("null", "takes no inputs"), ("peer/torch", "process of its own"), ("cpu/x", "no backend")]
    {
        let course = of_fills(program("mlp"), Start::He, 2);
        let said = run(&course, &on(backend), 1).err().unwrap().to_string();
        assert!(said.contains(why), "{said}");
    }
}
