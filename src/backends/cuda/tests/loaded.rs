//! Programs on a device: values, resets, transfers, launches, time.

use super::*;
use crate::backends::cuda::clock::SEGMENT;

fn first(loaded: &mut dyn Loaded, value: ValueId, set: usize) -> f64 {
    loaded.read(value, set, 0..1).unwrap().to_f64(0..1)[0]
}

#[test]
fn a_carried_value_adds_up_whether_shared_or_swapped_and_a_reset_restores_it() {
    for (in_place, keep_all, parameters) in
        [(&[(0, 1)][..], false, 72), (&[(0, 1)], true, 144), (&[], false, 144), (&[], true, 144)]
    {
        let driver = FakeDriver::new(script());
        let mut device = incrementing(&driver, 1, in_place).unwrap();
        let mut loaded = device.load(&carried(), &options(2, keep_all)).unwrap();
        assert_eq!(loaded.memory()[&State::Parameter], parameters);
        assert_eq!(loaded.memory()[&State::Workspace], 256 + 512);
        let start = carried().input_data(1, 1, 1).to_f64(0..1)[0];
        for _ in 0..2 {
            for execution in 1..=3 {
                loaded.enqueue(1).unwrap();
                let new = first(&mut *loaded, 2, 1);
                assert!((new - (start + f64::from(execution))).abs() < 1e-5, "{new} after {execution}");
            }
            loaded.reset().unwrap();
            assert_eq!(first(&mut *loaded, 1, 1), start);
            assert!(parameters == 72 || first(&mut *loaded, 2, 1).is_nan());
        }
        assert_eq!(first(&mut *loaded, 1, 0), carried().input_data(1, 1, 0).to_f64(0..1)[0]);
        loaded.intact().unwrap();
        let held = device.on_device(false).unwrap();
        assert!(held.now >= 4 * 36 && held.peak == held.now);
        assert!(held.taken >= Some(held.now), "{held:?}");
        drop(loaded);
        assert_eq!(device.on_device(true).unwrap().now, 0);
        assert_eq!(device.on_device(false).unwrap().peak, 0);
        drop(device);
        assert_eq!(driver.live(), Vec::<&str>::new());
    }
}

#[test]
fn a_launch_has_the_plans_geometry_and_arguments_in_order() {
    let driver = FakeDriver::new(script());
    let mut device = incrementing(&driver, 1, &[]).unwrap();
    let mut loaded = device.load(&carried(), &options(1, false)).unwrap();
    loaded.enqueue(0).unwrap();
    let calls = driver.calls();
    assert!(calls.contains(&"cuFuncSetAttribute 8 50000".to_string()), "{calls:?}");
    assert!(calls.contains(&"cuLaunchKernel increment [3, 2, 1] [32, 4, 2] 50000".to_string()), "{calls:?}");
}

#[test]
fn a_copy_by_this_programs_own_plan_answers_right_at_odd_sizes() {
    for elements in [1, 7, 4096, 100_003] {
        let driver = FakeDriver::new(script());
        let mut device = native(&driver, "cuda/native/0").unwrap();
        let mut loaded = device.load(&copied(elements), &options(2, false)).unwrap();
        assert!(loaded.read(1, 1, 0..elements).unwrap().to_f64(0..elements).iter().all(|x| x.is_nan()));
        (0..2).for_each(|set| loaded.enqueue(set).unwrap());
        loaded.wait().unwrap();
        loaded.intact().unwrap();
        for set in 0..2 {
            let want = copied(elements).input_data(0, 1, set);
            assert_eq!(loaded.read(1, set, 0..elements).unwrap(), want, "{elements} {set}");
            let part = elements / 2..elements;
            assert_eq!(loaded.read(1, set, part.clone()).unwrap().to_f64(0..part.len()), want.to_f64(part));
        }
        assert!(loaded.read(1, 0, 0..elements + 1).is_err() && loaded.read(1, 2, 0..1).is_err());
    }
}

#[test]
fn a_write_beside_a_value_is_seen_once_something_ran() {
    let beyond: FakeKernel = Rc::new(|parameters: &[*mut c_void]| {
        let to = parameter::<*mut u8>(parameters, 1);
        // SAFETY: the guard behind the value is part of the arena.
        unsafe { to.add(parameter::<i64>(parameters, 2) as usize).write(0) };
    });
    let mut script = script();
    script.kernels.insert("copy_bytes".to_string(), beyond);
    let driver = FakeDriver::new(script);
    let mut device = native(&driver, "cuda/native/0").unwrap();
    let mut loaded = device.load(&copied(7), &options(1, false)).unwrap();
    loaded.intact().unwrap();
    loaded.enqueue(0).unwrap();
    for _ in 0..2 {
        let said = loaded.intact().unwrap_err().to_string();
        assert!(said.starts_with("something was written beside"), "{said}");
    }
}

#[test]
fn exactly_the_batch_goes_in_and_the_outputs_come_out() {
    for (backend, pinned) in [("cuda/native/0", 2), ("cuda/native/0/pageable", 0)] {
        let driver = FakeDriver::new(script());
        let mut device = native(&driver, backend).unwrap();
        let mut loaded = device.load(&copied(1000), &options(1, false)).unwrap();
        // The word of the gate is page-locked in any case.
        assert_eq!(driver.live().iter().filter(|kind| **kind == "host memory").count(), pinned + 1);
        let before = driver.calls().len();
        loaded.upload(0).unwrap();
        loaded.enqueue(0).unwrap();
        loaded.download(0).unwrap();
        loaded.wait().unwrap();
        let calls = driver.calls().split_off(before);
        let names: Vec<&str> = calls.iter().map(|call| call.split(' ').next().unwrap()).collect();
        let want = ["cuMemcpyHtoDAsync", "cuLaunchKernel", "cuMemcpyDtoHAsync", "cuStreamSynchronize"];
        assert_eq!(names, want);
        assert!(calls[0].ends_with(" 4000") && calls[2].ends_with(" 4000"));
        assert!(!loaded.is_host_memory());
    }
}

#[test]
fn the_devices_clock_sees_kernels_and_no_launches() {
    // The host takes 3 us to queue what the device does in 1.
    let executions = 5 * SEGMENT + 17;
    for (waits, each_us) in [(true, 1.0), (false, 3.0)] {
        let driver = FakeDriver::new(Script { waits, ..script() });
        let mut device = native(&driver, "cuda/native/0").unwrap();
        let mut loaded = device.load(&copied(8), &options(1, false)).unwrap();
        assert_eq!(loaded.device_time(), None);
        loaded.use_device_clock(true);
        for _ in 0..2 {
            (0..executions).for_each(|_| loaded.enqueue(0).unwrap());
            loaded.wait().unwrap();
            let us = loaded.device_time().unwrap() / 1e3 / executions as f64;
            assert!((us - each_us).abs() < 0.05, "{us} us with waits: {waits}");
            assert_eq!(loaded.device_time(), None);
        }
        loaded.use_device_clock(false);
        loaded.enqueue(0).unwrap();
        loaded.wait().unwrap();
        assert_eq!(loaded.device_time(), None);
        let said = loaded.notes()["launches"].clone();
        assert_eq!(said.contains("hidden"), waits, "{said}");
    }
}

#[test]
fn a_program_of_more_launches_than_the_queue_holds_does_not_wait_for_itself() {
    let driver = FakeDriver::new(script());
    let mut device = incrementing(&driver, 3000, &[]).unwrap();
    let mut loaded = device.load(&carried(), &options(1, false)).unwrap();
    loaded.use_device_clock(true);
    loaded.enqueue(0).unwrap();
    loaded.wait().unwrap();
    assert!((loaded.device_time().unwrap() / 1e3 - 3000.0).abs() < 1.0);
}

#[test]
fn what_is_dropped_behind_a_closed_gate_ends() {
    let driver = FakeDriver::new(script());
    let mut device = native(&driver, "cuda/native/0").unwrap();
    let mut loaded = device.load(&copied(8), &options(1, false)).unwrap();
    loaded.use_device_clock(true);
    loaded.enqueue(0).unwrap();
    drop(loaded);
    drop(device);
    assert_eq!(driver.live(), Vec::<&str>::new());
}

#[test]
fn what_is_written_is_what_the_next_execution_reads_and_what_an_upload_brings_again() {
    let nines = |len| HostArray::F32(vec![9.0; len]);
    for (in_place, keep_all) in [(&[(0, 1)][..], false), (&[], false), (&[], true)] {
        let driver = FakeDriver::new(script());
        let mut device = incrementing(&driver, 1, in_place).unwrap();
        let mut loaded = device.load(&carried(), &options(2, keep_all)).unwrap();
        let start = first(&mut *loaded, 1, 1);
        for executions in 0..4 {
            (0..executions).for_each(|_| loaded.enqueue(1).unwrap());
            loaded.write(1, 1, 0, &nines(9)).unwrap();
            loaded.enqueue(1).unwrap();
            loaded.write(1, 1, 8, &nines(1)).unwrap();
            loaded.enqueue(1).unwrap();
            let read = loaded.read(2, 1, 7..9).unwrap().to_f64(0..2);
            assert_eq!(read, [11.0, 10.0], "{in_place:?} {keep_all} {executions}");
            loaded.reset().unwrap();
            loaded.write(1, 1, 0, &nines(9)).unwrap();
            loaded.reset().unwrap();
            assert_eq!(first(&mut *loaded, 1, 1), start);
        }
        loaded.write(0, 0, 4, &nines(5)).unwrap();
        loaded.upload(0).unwrap();
        loaded.wait().unwrap();
        assert_eq!(loaded.read(0, 0, 4..9).unwrap(), nines(5));
        let seeded = carried().input_data(0, 1, 0).to_f64(3..4);
        assert_eq!(loaded.read(0, 0, 3..4).unwrap().to_f64(0..1), seeded);
        loaded.intact().unwrap();
        for (value, set, at, len) in [(2, 0, 0, 9), (1, 2, 0, 9), (1, 0, 1, 9), (7, 0, 0, 1)] {
            assert!(loaded.write(value, set, at, &nines(len)).is_err());
        }
    }
}
