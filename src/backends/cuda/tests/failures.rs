//! Every call of the driver fails once: one clear sentence, everything given back.

use super::library::FakeBlas;
use super::*;
use crate::backends::cuda::blas::LtEngine;

/// Opens, loads, executes with every kind of transfer, reads: all that a worker does.
fn life(open: &dyn Fn() -> Result<GpuDevice, Unsupported>, program: &Program) -> Result<(), Fault> {
    let mut device = open()?;
    let mut loaded = device.load(program, &options(2, false))?;
    loaded.reset()?;
    loaded.use_device_clock(true);
    for set in [0, 1, 0] {
        loaded.upload(set)?;
        loaded.enqueue(set)?;
        loaded.download(set)?;
    }
    loaded.wait()?;
    match loaded.device_time() {
        Some(ns) if ns.is_nan() => return Err(Fault::Library("cuEventElapsedTime failed".to_string())),
        Some(_) => {}
        None => return Err(Fault::Library("no time".to_string())),
    }
    loaded.intact()?;
    loaded.read(program.outputs[0], 1, 0..3)?;
    loaded.reset()
}

fn lt(driver: &Rc<FakeDriver>) -> Result<GpuDevice, Unsupported> {
    let start = |id: &'static str, _: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
        Ok(Box::new(LtEngine { blas: Rc::new(FakeBlas::default()), id, origin: "fake".to_string() }))
    };
    CUBLASLT.open_on("cuda/cublaslt/0", driver.clone(), "fake", start)
}

/// Calls that try whether a stream can wait for a word of memory, and one of the fake library: nobody is told that
/// they failed.
const SWALLOWED: [&str; 5] = [
    "cuMemHostAlloc",
    "cuMemHostGetDevicePointer",
    "cuStreamWaitValue32",
    "cuStreamSynchronize",
    "cuMemcpyDtoDAsync",
];

type Open = fn(&Rc<FakeDriver>) -> Result<GpuDevice, Unsupported>;

#[test]
fn each_failure_is_one_sentence_and_frees_what_was_taken() {
    let engines: [(&str, Open); 2] =
        [("increment", |driver| incrementing(driver, 2, &[(0, 1)])), ("cublaslt", lt)];
    for (name, open) in engines {
        let whole = FakeDriver::new(script());
        life(&|| open(&whole), &carried()).unwrap();
        let points = whole.fallible();
        assert!(points > 40, "{name}: {points}");
        let mut calls = std::collections::BTreeSet::new();
        for number in 1..=points {
            for code in [2, 719] {
                let driver = FakeDriver::new(Script { fails: Some((number, code)), ..script() });
                let outcome = life(&|| open(&driver), &carried());
                assert_eq!(driver.live(), Vec::<&str>::new(), "{name}: call {number} failed with {code}");
                let call =
                    whole.calls().into_iter().filter(|call| is_fallible(call)).nth(number - 1).unwrap();
                let call = call.split(' ').next().unwrap().to_string();
                // A gate is a help, and giving back cannot fail.
                let Err(fault) = outcome else { continue };
                let said = fault.to_string();
                // A context that died in a call whose failure nobody is told is told by the next one.
                let by_next = code == 719 && SWALLOWED.contains(&call.as_str());
                assert!(said.contains(&call) || by_next, "{name}: {call} became: {said}");
                assert!(!said.contains('\n') && said.len() < 300, "{said}");
                let is_dead = matches!(fault, Fault::DeviceLost(_));
                let opening = matches!(fault, Fault::Unsupported(_)) || call == "cuEventElapsedTime";
                assert!(opening || is_dead == (code == 719), "{call} {code}: {fault:?}");
                calls.insert(call);
            }
        }
        assert!(calls.len() >= 17, "{name}: {calls:?}");
    }
}

fn is_fallible(call: &str) -> bool {
    let back = ["Destroy", "Free", "Unload", "Release"];
    !back.iter().any(|word| call.contains(word))
}

#[test]
fn a_dead_context_is_the_end_of_one_worker_only() {
    let driver = FakeDriver::new(Script { refuses: Some(("cuStreamSynchronize", 700)), ..script() });
    let fault = life(&|| incrementing(&driver, 1, &[]), &carried()).unwrap_err();
    assert!(
        matches!(&fault, Fault::DeviceLost(said) if said.contains("a kernel used an address")),
        "{fault:?}"
    );
    assert_eq!(driver.live(), Vec::<&str>::new());
    life(&|| incrementing(&FakeDriver::new(script()), 1, &[]), &carried()).unwrap();
}

#[test]
fn no_memory_in_the_middle_of_a_sweep_costs_the_case_that_wants_it() {
    let driver = FakeDriver::new(Script { memory: 1 << 20, ..script() });
    let mut device = native(&driver, "cuda/native/0").unwrap();
    let before = driver.live();
    for (elements, fits) in [(1000, true), (1 << 20, false), (1000, true)] {
        match device.load(&copied(elements), &options(1, false)) {
            Ok(_) => assert!(fits),
            Err(fault) => {
                assert!(
                    !fits && matches!(&fault, Fault::OutOfMemory(said) if said.contains("no memory left"))
                );
            }
        }
    }
    // What is compiled stays; memory does not.
    assert!(
        driver.live().iter().all(|kind| before.contains(kind) || *kind == "module"),
        "{:?}",
        driver.live()
    );
}
