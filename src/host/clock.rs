//! The host's clock.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first call in this process, on the monotonic clock.
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The smallest step that the clock was seen to make, in nanoseconds.
pub fn precision() -> f64 {
    let mut smallest = u64::MAX;
    let mut before = Instant::now();
    for _ in 0..1000 {
        let now = Instant::now();
        let step = now.duration_since(before).as_nanos() as u64;
        if step > 0 {
            smallest = smallest.min(step);
            before = now;
        }
    }
    // A clock that never moved in a thousand readings is no better than the time they took.
    if smallest == u64::MAX { 1e6 } else { smallest as f64 }
}
