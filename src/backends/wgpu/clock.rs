//! Whether an adapter's clock can be believed: how fine it is, and how long batches last on it and on the host's.

use super::calls::Recorder;
use super::ceilings::multiply_add;
use super::gpu::Gpu;
use crate::backends::Fault;
use std::rc::Rc;
use std::time::Instant;

/// What was seen of a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// The smallest time between two stamps, in nanoseconds: what it cannot tell apart.
    pub(super) quantum_ns: f64,
    /// Time of a long batch on it, as a share of that on the host's clock.
    pub(super) share: f64,
    /// Nanoseconds of that batch on the host's clock.
    pub(super) batch_ns: f64,
}

/// A batch on the host's clock has the way to the adapter and back in it, which must not count: some 100 us.
const LONG_NS: f64 = 3e7;
/// A neighbour can only make the host's time longer, so that the largest share counts.
const TRIES: usize = 3;
/// More than the two may differ by.
const APART: f64 = 0.03;
/// Passes that do next to nothing, whose stamps lie as close as the clock can tell.
const SHORT: usize = 64;
/// Launches of a pass, each of this many rounds at first.
const LAUNCHES: usize = 4;
const ROUNDS: u32 = 64;

impl Seen {
    /// Looks at the clock of an adapter that has one, for about a fifth of a second.
    pub(super) fn of(gpu: &Rc<Gpu>) -> Result<Self, Fault> {
        let mut recorder = Recorder::new(gpu)?;
        recorder.switch(true);
        let quantum_ns = quantum(gpu, &mut recorder)?;
        let mut rounds = ROUNDS;
        loop {
            let (_, host) = batch(gpu, &mut recorder, rounds)?;
            if host >= LONG_NS || rounds > u32::MAX / 16 {
                break;
            }
            rounds *= (LONG_NS / host).ceil().clamp(2.0, 16.0) as u32;
        }
        let mut seen = Self { quantum_ns, share: 0.0, batch_ns: 0.0 };
        for _ in 0..TRIES {
            let (device, host) = batch(gpu, &mut recorder, rounds)?;
            if device / host > seen.share {
                (seen.share, seen.batch_ns) = (device / host, host);
            }
        }
        Ok(seen)
    }

    /// What contradicts it, in one sentence, if anything does.
    pub(super) fn doubt(&self) -> Option<String> {
        let ms = self.batch_ns / 1e6;
        let off = (self.share - 1.0).abs() > APART || !self.share.is_finite();
        off.then(|| {
            format!(
                "a batch of {ms:.0} ms on the host's clock lasts {:.2} times that on the adapter's",
                self.share
            )
        })
    }
}

/// Nanoseconds of a batch in one pass, on the adapter's clock and on the host's.
fn batch(gpu: &Rc<Gpu>, recorder: &mut Recorder, rounds: u32) -> Result<(f64, f64), Fault> {
    let call = multiply_add(gpu, 256, rounds)?;
    let start = Instant::now();
    (0..LAUNCHES).try_for_each(|_| recorder.launch(&call))?;
    recorder.wait()?;
    let host = start.elapsed().as_secs_f64() * 1e9;
    Ok((recorder.take_time()?.unwrap_or(f64::NAN), host))
}

fn quantum(gpu: &Rc<Gpu>, recorder: &mut Recorder) -> Result<f64, Fault> {
    let call = multiply_add(gpu, 1, 1)?;
    for _ in 0..SHORT {
        recorder.launch(&call)?;
        recorder.flush();
    }
    Ok(smallest(&recorder.stamps()?) as f64 * gpu.tick.unwrap_or(1.0))
}

/// The smallest step between stamps that is none; 1 where all are alike.
fn smallest(stamps: &[u64]) -> u64 {
    let steps = stamps.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    steps.filter(|&step| step > 0).min().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_otherwise_is_doubted_and_a_true_one_is_not() {
        for (share, doubted) in
            [(1.0, false), (0.98, false), (1.02, false), (0.5, true), (1.05, true), (f64::NAN, true)]
        {
            let seen = Seen { quantum_ns: 1.0, share, batch_ns: 3e7 };
            assert_eq!(seen.doubt().is_some(), doubted, "{share}");
        }
    }

    #[test]
    fn the_quantum_is_the_smallest_step() {
        assert_eq!(smallest(&[0, 0, 96, 160, 128, 128]), 32);
        assert_eq!(smallest(&[7, 7]), 1);
    }
}
