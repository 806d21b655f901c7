use super::*;
use crate::backends::faulty::Kind;
use crate::ops::{Gemm, Op};
use crate::program::Phase;
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

const LANE: Lane = Lane { threads: 1, packing: Packing::Plain };

fn product(m: usize) -> Program {
    let mut program = Program::default();
    let a = program.input("a", ValueSpec::new(&[m, 3], DType::F32), State::Batch, Fill::UNIT);
    let b = program.input("b", ValueSpec::new(&[3, 2], DType::F32), State::Parameter, Fill::UNIT);
    program.outputs =
        program.push(Op::Gemm(Gemm::plain(DType::F32)), &[a, b], Phase::Forward, State::Activation).unwrap();
    program
}

fn load(behaviour: Behaviour, m: usize) -> Result<Box<dyn Loaded>, Fault> {
    open(behaviour, &LANE).load(&product(m), &LoadOptions { seed: 1, sets: 2, keep_all: false })
}

fn answer(loaded: &mut dyn Loaded) -> Vec<f64> {
    loaded.reset().unwrap();
    loaded.enqueue(1).unwrap();
    loaded.wait().unwrap();
    loaded.read(2, 1, 0..10).unwrap().to_f64(0..10)
}

#[test]
fn answers_are_the_product_and_appear_when_executed() {
    let mut loaded = load(Behaviour::default(), 5).unwrap();
    assert!(loaded.read(2, 1, 0..1).unwrap().to_f64(0..1)[0].is_nan());
    let program = product(5);
    let (a, b) = (program.input_data(0, 1, 1).to_f64(0..15), program.input_data(1, 1, 1).to_f64(0..6));
    let want = (0..3).map(|p| a[12 + p] * b[2 * p + 1]).sum::<f64>();
    assert!((answer(loaded.as_mut())[9] - want).abs() < 1e-6);
    assert!(loaded.read(2, 0, 0..1).unwrap().to_f64(0..1)[0].is_nan());
    assert!(loaded.read(2, 2, 0..1).is_err() && loaded.enqueue(2).is_err());
}

#[test]
fn the_clock_is_the_scripts() {
    let mut loaded =
        load(Behaviour { ns: 250.0, upload_ns: 40.0, device_share: Some(0.5), ..Default::default() }, 5)
            .unwrap();
    let start = loaded.now();
    loaded.upload(0).unwrap();
    loaded.enqueue(0).unwrap();
    assert_eq!(loaded.now() - start, 290);
    assert_eq!(loaded.device_time(), Some(125.0));
    assert!(!loaded.is_host_memory());
}

#[test]
fn planted_wrong_answers_are_wrong_and_spare_other_programs() {
    let right = answer(load(Behaviour::default(), 5).unwrap().as_mut());
    for kind in Kind::WRONG {
        let planted = Planted { m: Some(5), ..Planted::new(kind) };
        let behaviour = Behaviour { fault: Some(planted), ..Behaviour::default() };
        let wrong = answer(load(behaviour.clone(), 5).unwrap().as_mut());
        assert_ne!(wrong, right, "{kind:?}");
        let mut other = load(behaviour, 6).unwrap();
        assert_eq!(answer(other.as_mut()), answer(load(Behaviour::default(), 6).unwrap().as_mut()));
    }
}

#[test]
fn a_fault_waits_for_its_call() {
    let planted: Planted = serde_json::from_str(r#"{"kind": "error", "at": "enqueue", "nth": 3}"#).unwrap();
    let mut loaded = load(Behaviour { fault: Some(planted), ..Behaviour::default() }, 5).unwrap();
    let outcomes: Vec<bool> = (0..4).map(|_| loaded.enqueue(0).is_ok()).collect();
    assert_eq!(outcomes, [true, true, false, true]);
}

#[test]
fn a_script_names_its_backends() {
    let script: Script = serde_json::from_str(r#"{"null/a": {"ns": 5}, "null/b": {"noise": 0.1}}"#).unwrap();
    assert_eq!(script.0["null/a"].ns, 5.0);
    assert_eq!(script.0["null/b"], Behaviour { noise: 0.1, ..Behaviour::default() });
    assert!(serde_json::from_str::<Script>(r#"{"null": {"nanoseconds": 5}}"#).is_err());
}

#[test]
fn samples_are_logged_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut loaded =
        load(Behaviour { log: Some(log.display().to_string()), ..Behaviour::default() }, 5).unwrap();
    for _ in 0..2 {
        loaded.reset().unwrap();
        (0..3).for_each(|_| loaded.enqueue(0).unwrap());
        loaded.wait().unwrap();
        loaded.wait().unwrap();
    }
    let lines = std::fs::read_to_string(log).unwrap();
    assert_eq!(lines, format!("{0} 5 3\n{0} 5 3\n", std::process::id()));
}
