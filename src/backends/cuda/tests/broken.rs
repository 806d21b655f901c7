//! Broken installations: each is one sentence that says what to do.

use super::*;
use crate::backends::cuda::cards;

/// What opening says, on one line.
fn said(outcome: Result<GpuDevice, Unsupported>) -> String {
    let said = outcome.map(drop).unwrap_err().0;
    assert!(!said.contains('\n') && said.len() < 300, "{said}");
    said
}

fn driver_with(change: impl FnOnce(&mut Script)) -> Rc<FakeDriver> {
    let mut script = script();
    change(&mut script);
    FakeDriver::new(script)
}

#[test]
fn each_refusal_of_the_driver_says_what_to_do() {
    for (call, code, word) in [
        ("cuDeviceGetCount", 100, "nvidia-smi"),
        ("cuDriverGetVersion", 34, "stub"),
        ("cuDevicePrimaryCtxRetain", 46, "compute-mode=DEFAULT"),
        ("cuDevicePrimaryCtxRetain", 2, "no memory left"),
        ("cuDevicePrimaryCtxRetain", 802, "fabric manager"),
        ("cuDevicePrimaryCtxRetain", 803, "restart the machine"),
        ("cuDevicePrimaryCtxRetain", 804, "cuda-compat"),
        ("cuDevicePrimaryCtxRetain", 999, "dmesg"),
        ("cuDeviceGet", 101, "CUDA_VISIBLE_DEVICES"),
    ] {
        let driver = driver_with(|script| script.refuses = Some((call, code)));
        let said = said(native(&driver, "cuda/native/0"));
        assert!(said.starts_with(call) && said.contains(word), "{said}");
        assert_eq!(driver.live(), Vec::<&str>::new());
    }
}

#[test]
fn a_device_that_is_not_there_or_prohibited_or_misnamed_is_refused() {
    let driver = driver_with(|script| script.devices = 2);
    for number in [0, 1] {
        let device = native(&driver, &format!("cuda/native/{number}")).unwrap();
        assert_eq!(device.identity().name, format!("Fake {number}"));
    }
    assert!(said(native(&driver, "cuda/native/2")).contains("the driver shows 2 devices"));
    for name in ["cuda/native", "cuda/native/", "cuda/native/x", "cuda/native/-1", "cuda/native/0/x"] {
        assert!(said(native(&driver, name)).contains("its name ends in a number"), "{name}");
    }
    let prohibited = driver_with(|script| script.compute_mode = 2);
    assert!(said(native(&prohibited, "cuda/native/0")).contains("--compute-mode=DEFAULT"));
}

#[test]
fn a_card_before_turing_and_a_cubin_of_another_card_are_one_cell() {
    let driver = driver_with(|script| script.capability = (6, 1));
    let fault = native(&driver, "cuda/native/0").unwrap().load(&copied(8), &options(1, false)).map(drop);
    assert!(matches!(&fault, Err(Fault::Unsupported(said)) if said.contains("7.5")), "{fault:?}");
    let driver = driver_with(|script| script.foreign = b"copy sm_90");
    let fault = native(&driver, "cuda/native/0").unwrap().load(&copied(8), &options(1, false)).map(drop);
    assert!(matches!(&fault, Err(fault) if fault.to_string().contains("another architecture")), "{fault:?}");
}

#[test]
fn without_a_compiler_or_carried_cubins_opening_says_how_to_get_one() {
    let driver = FakeDriver::new(script());
    let start = |_: &'static str, _: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
        Err(Cubins::here(Err(Unsupported("NVRTC is not here: install it".to_string())))
            .map(drop)
            .unwrap_err())
    };
    let outcome = NATIVE.open_on("cuda/native/0", driver.clone(), "fake", start);
    assert!(said(outcome).contains("install it"));
    assert_eq!(driver.live(), Vec::<&str>::new());
}

#[test]
fn a_machine_without_a_card_has_no_device_and_says_why_in_one_sentence() {
    if !cards::Seen::here().visible().is_empty() {
        return eprintln!("skipped: this machine has a GPU");
    }
    for family in [&NATIVE, &CUBLAS, &CUBLASLT] {
        assert_eq!(family.devices(), []);
        let lane = Lane { threads: 1, packing: Packing::Plain };
        let reason = open(family.id(), &lane).map(drop).unwrap_err().0;
        assert!(reason.contains(": ") && !reason.contains('\n'), "{reason}");
    }
}
