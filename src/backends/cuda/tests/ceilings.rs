//! Ceilings: every probe has a rate or a reason, and its kernels compile for every card that they name.

use super::*;
use crate::backends::cuda::ceilings::{PROBES, PROBES_HOPPER};
use crate::backends::cuda::compiler::Nvrtc;

#[test]
fn every_probe_has_a_rate_and_frees_what_it_took() {
    let driver = FakeDriver::new(script());
    let mut device = native(&driver, "cuda/native/0").unwrap();
    let ceilings = device.ceilings().unwrap();
    assert_eq!(ceilings.len(), 15);
    for ceiling in &ceilings {
        // The fake's bus and launches take no time of the host's clock that it could read.
        assert!(matches!(ceiling.rate, Reading::Value(rate) if rate > 0.0), "{ceiling:?}");
    }
    drop(device);
    assert_eq!(driver.live(), Vec::<&str>::new());
}

#[test]
fn a_probe_that_cannot_run_has_the_reason() {
    let driver = FakeDriver::new(Script { refuses: Some(("cuLaunchKernel", 701)), ..script() });
    let ceilings = native(&driver, "cuda/native/0").unwrap().ceilings().unwrap();
    let absent = ceilings
        .iter()
        .filter(|ceiling| matches!(&ceiling.rate, Reading::Absent(why) if why.contains("701")));
    assert_eq!(absent.count(), 10);
    let driver = FakeDriver::new(Script { memory: 1 << 20, ..script() });
    let fault = native(&driver, "cuda/native/0").unwrap().ceilings().unwrap_err();
    assert!(matches!(fault, Fault::OutOfMemory(_)), "{fault:?}");
    assert_eq!(driver.live(), Vec::<&str>::new());
}

#[test]
fn the_probes_compile_for_every_card_that_they_name() {
    let nvrtc = match Nvrtc::open() {
        Ok(nvrtc) => nvrtc,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    for source in [&PROBES, &PROBES_HOPPER] {
        for target in source.archs() {
            assert!(!nvrtc.compile(source, target).unwrap().is_empty(), "{target}");
        }
    }
}
