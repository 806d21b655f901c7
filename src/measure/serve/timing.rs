//! The loops that a clock runs over. Nothing in them allocates, logs or asks.

use crate::backends::{Fault, Loaded};
use crate::host::sched::Waits;
use crate::measure::protocol::{MOST_EACH, Sampled};
use crate::suite::{Scope, Sync};

/// A sample must last so many steps of its clock.
const STEPS_OF_CLOCK: f64 = 100.0;
/// Executions after which a clock that still shows no time is given up.
const MOST_WITHOUT_TIME: u64 = 1 << 20;

/// Executions of one sample and what the clock covers.
#[derive(Clone, Copy)]
struct Covered {
    scope: Scope,
    sets: usize,
    iters: u64,
}

/// Times `iters` executions after a reset outside the clock; cycles through `sets` input sets.
pub fn sample(
    loaded: &mut dyn Loaded,
    sets: usize,
    scope: Scope,
    sync: Sync,
    iters: u64,
) -> Result<Sampled, Fault> {
    loaded.reset()?;
    loaded.use_device_clock(scope == Scope::Device);
    loaded.wait()?;
    // What the device's clock saw of samples on the host's clock belongs to nobody.
    loaded.device_time();
    let covered = Covered { scope, sets, iters };
    let before = Waits::read();
    let (ns, each_ns) = match sync {
        Sync::Batch => (batch(loaded, covered)?, Vec::new()),
        Sync::Each => each(loaded, covered)?,
    };
    let waited = Waits::read().since(&before);
    if !ns.is_finite() {
        return Err(Fault::Library(format!("the device's clock gave {ns} ns")));
    }
    Ok(Sampled { ns, run_delay_ns: waited.run_delay, steal_ns: waited.steal, each_ns, device: None })
}

/// All executions, one wait. Returns nanoseconds.
fn batch(loaded: &mut dyn Loaded, covered: Covered) -> Result<f64, Fault> {
    let mut set = 0;
    let begin = loaded.now();
    for _ in 0..covered.iters {
        start_one(loaded, covered.scope, set)?;
        set = next(set, covered.sets);
    }
    loaded.wait()?;
    let end = loaded.now();
    if covered.scope == Scope::Device { device_time(loaded) } else { Ok(between(begin, end)) }
}

/// A wait after each execution. Returns nanoseconds of all of them, and of each or of every n-th.
fn each(loaded: &mut dyn Loaded, covered: Covered) -> Result<(f64, Vec<f64>), Fault> {
    let stride = covered.iters.div_ceil(MOST_EACH as u64);
    let mut kept = Vec::with_capacity(covered.iters.div_ceil(stride.max(1)) as usize);
    let (mut until_kept, mut set, mut on_device) = (1, 0, 0.0);
    let begin = loaded.now();
    let mut last = begin;
    for _ in 0..covered.iters {
        start_one(loaded, covered.scope, set)?;
        loaded.wait()?;
        let now = loaded.now();
        let mut ns = between(last, now);
        if covered.scope == Scope::Device {
            ns = device_time(loaded)?;
            on_device += ns;
        }
        until_kept -= 1;
        if until_kept == 0 {
            kept.push(ns);
            until_kept = stride;
        }
        (last, set) = (now, next(set, covered.sets));
    }
    let ns = if covered.scope == Scope::Device { on_device } else { between(begin, last) };
    Ok((ns, kept))
}

/// Times `times` whole executions, and in turn with each the steps of another one: nanoseconds of both.
pub(super) fn profile(loaded: &mut dyn Loaded, times: u64) -> Result<(Vec<f64>, Vec<Vec<f64>>), Fault> {
    loaded.reset()?;
    loaded.use_device_clock(false);
    loaded.steps(0)?;
    loaded.enqueue(0)?;
    loaded.wait()?;
    let (mut whole, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let begin = loaded.now();
        loaded.enqueue(0)?;
        loaded.wait()?;
        whole.push(between(begin, loaded.now()));
        steps.push(loaded.steps(0)?);
    }
    Ok((whole, steps))
}

fn start_one(loaded: &mut dyn Loaded, scope: Scope, set: usize) -> Result<(), Fault> {
    if scope == Scope::EndToEnd {
        loaded.upload(set)?;
        loaded.enqueue(set)?;
        return loaded.download(set);
    }
    loaded.enqueue(set)
}

fn next(set: usize, sets: usize) -> usize {
    // No remainder: a division would cost more than a null execution.
    if set + 1 == sets { 0 } else { set + 1 }
}

fn between(begin: u64, end: u64) -> f64 {
    end.saturating_sub(begin) as f64
}

fn device_time(loaded: &mut dyn Loaded) -> Result<f64, Fault> {
    loaded.device_time().ok_or_else(|| Fault::Unsupported("the device has no clock of its own".to_string()))
}

/// Executions that last `min_ns`, and at least 100 steps of the clock; and the nanoseconds of one.
/// Doubles, or grows faster while far away, until a sample is that long.
pub(super) fn calibrate(
    loaded: &mut dyn Loaded,
    sets: usize,
    scope: Scope,
    sync: Sync,
    min_ns: u64,
) -> Result<(u64, f64), Fault> {
    let step = precision(|| loaded.now());
    let wanted = (min_ns as f64).max(STEPS_OF_CLOCK * step).max(1.0);
    let mut iters = 1;
    loop {
        let took = sample(loaded, sets, scope, sync, iters)?.ns;
        if took >= wanted {
            let each_ns = took / iters as f64;
            return Ok(((wanted / each_ns).ceil() as u64, each_ns));
        }
        if took == 0.0 && iters >= MOST_WITHOUT_TIME {
            return Err(Fault::Library(format!("the clock stood still over {iters} executions")));
        }
        let growth = (wanted / took.max(1.0)).ceil().clamp(2.0, 16.0);
        iters = iters.saturating_mul(growth as u64);
    }
}

/// Smallest difference of two readings of `now` that is not zero, in the clock's unit; 1 for a clock
/// that does not move.
pub(super) fn precision(mut now: impl FnMut() -> u64) -> f64 {
    const READINGS: usize = 1000;
    let mut last = now();
    let mut smallest = u64::MAX;
    for _ in 0..READINGS {
        let reading = now();
        if reading > last {
            smallest = smallest.min(reading - last);
        }
        last = reading;
    }
    if smallest == u64::MAX { 1.0 } else { smallest as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{State, ValueId};
    use crate::tensor::HostArray;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::ops::Range;

    /// Writes down what is called; each execution takes `each` ns, each reading of the clock nothing.
    #[derive(Default)]
    struct Recorder {
        calls: RefCell<String>,
        each: u64,
        now: u64,
    }

    impl Recorder {
        fn note(&self, call: &str) {
            let mut calls = self.calls.borrow_mut();
            calls.push_str(call);
            calls.push(' ');
        }
    }

    impl Loaded for Recorder {
        fn reset(&mut self) -> Result<(), Fault> {
            self.note("reset");
            Ok(())
        }
        fn upload(&mut self, set: usize) -> Result<(), Fault> {
            self.note(&format!("up{set}"));
            Ok(())
        }
        fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
            self.note(&format!("run{set}"));
            self.now += self.each;
            Ok(())
        }
        fn wait(&mut self) -> Result<(), Fault> {
            self.note("wait");
            Ok(())
        }
        fn download(&mut self, set: usize) -> Result<(), Fault> {
            self.note(&format!("down{set}"));
            Ok(())
        }
        fn read(&mut self, _: ValueId, _: usize, _: Range<usize>) -> Result<HostArray, Fault> {
            Err(Fault::Library("nothing to read".to_string()))
        }
        fn now(&self) -> u64 {
            self.note("clock");
            self.now
        }
        fn memory(&self) -> BTreeMap<State, u64> {
            BTreeMap::new()
        }
    }

    #[test]
    fn the_clock_covers_what_the_scope_says_and_sets_take_turns() {
        for (scope, sync, calls) in [
            (Scope::Resident, Sync::Batch, "reset wait clock run0 run1 run0 wait clock "),
            (
                Scope::Resident,
                Sync::Each,
                "reset wait clock run0 wait clock run1 wait clock run0 wait clock ",
            ),
            (
                Scope::EndToEnd,
                Sync::Batch,
                "reset wait clock up0 run0 down0 up1 run1 down1 up0 run0 down0 wait clock ",
            ),
        ] {
            let mut recorder = Recorder { each: 7, ..Recorder::default() };
            let sampled = sample(&mut recorder, 2, scope, sync, 3).unwrap();
            assert_eq!(*recorder.calls.borrow(), calls);
            assert_eq!(sampled.ns, 21.0);
            assert_eq!(sampled.each_ns, if sync == Sync::Each { vec![7.0; 3] } else { vec![] });
        }
        let device = sample(&mut Recorder::default(), 1, Scope::Device, Sync::Batch, 1);
        assert!(matches!(device, Err(Fault::Unsupported(_))), "{device:?}");
    }

    #[test]
    fn of_many_latencies_every_nth_is_kept() {
        for (iters, kept) in [(4096, 4096), (4097, 2049), (8192, 4096), (12_289, 3073)] {
            let mut recorder = Recorder { each: 7, ..Recorder::default() };
            let sampled = sample(&mut recorder, 1, Scope::Resident, Sync::Each, iters).unwrap();
            assert_eq!((sampled.each_ns.len(), sampled.ns), (kept, 7.0 * iters as f64), "{iters}");
        }
    }

    #[test]
    fn calibration_ends_at_the_wanted_time_or_says_that_there_is_none() {
        // The recorder's clock stands still between executions: its step counts as 1 ns.
        for (each, min_ns, iters) in [(7, 7000, 1000), (1_000_000, 5, 1), (1, 5, 100)] {
            let mut recorder = Recorder { each, ..Recorder::default() };
            let found = calibrate(&mut recorder, 1, Scope::Resident, Sync::Batch, min_ns).unwrap();
            assert_eq!(found, (iters, each as f64));
        }
        let still = calibrate(&mut Recorder::default(), 1, Scope::Resident, Sync::Batch, 5);
        assert!(still.unwrap_err().to_string().contains("stood still"));
    }

    #[test]
    fn precision_is_the_smallest_step() {
        let mut readings = [0, 0, 30, 30, 50, 90].into_iter().cycle();
        assert_eq!(precision(|| readings.next().unwrap_or(0)), 20.0);
        assert_eq!(precision(|| 5), 1.0);
    }
}
