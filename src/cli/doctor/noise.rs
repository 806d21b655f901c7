//! How much of the cores' time is taken by others.

use crate::host::sched::{Waits, has_run_delay};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long to listen.
const LENGTH: Duration = Duration::from_millis(200);

/// What was missed while every core was kept busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// Share of the threads' time that they waited for a core; none where the kernel does not tell.
    pub waited: Option<f64>,
    /// Share of their time that the hypervisor took from this machine.
    pub stolen: f64,
    /// Longest time that a thread was away.
    pub longest: Duration,
}

/// Keeps `threads` threads busy and counts what they miss.
pub(super) fn listen(threads: usize) -> Noise {
    let (before, start, enough) = (Waits::read(), Instant::now(), AtomicBool::new(false));
    let (waited, longest) = std::thread::scope(|scope| {
        let spinning: Vec<_> = (0..threads).map(|_| scope.spawn(|| spin(&enough))).collect();
        std::thread::sleep(LENGTH);
        // A thread's waits are gone when it ends, so they are read while all of them spin.
        let waited = Waits::read().since(&before);
        enough.store(true, Ordering::Relaxed);
        let gaps = spinning.into_iter().filter_map(|thread| thread.join().ok());
        (waited, gaps.max().unwrap_or_default())
    });
    let total = start.elapsed().as_nanos() as f64 * threads as f64;
    let share = |ns: u64| ns as f64 / total;
    let stolen = share(waited.steal);
    Noise { waited: has_run_delay().then(|| share(waited.run_delay)), stolen, longest }
}

/// Reads the clock without pause; the longest step between two readings.
fn spin(enough: &AtomicBool) -> Duration {
    let (mut longest, mut before) = (Duration::ZERO, Instant::now());
    while !enough.load(Ordering::Relaxed) {
        let now = Instant::now();
        longest = longest.max(now - before);
        before = now;
    }
    longest
}
