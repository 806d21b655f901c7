//! A clock that moves when it is told to.

use super::Behaviour;
use crate::ops::Work;
use crate::random;

/// Scripted time.
pub(super) struct Clock {
    now: f64,
    /// Nanoseconds of an execution at the start, pace of this process included.
    each: f64,
    noise: f64,
    drift: f64,
    seed: u64,
    executions: u64,
}

impl Clock {
    pub(super) fn new(behaviour: &Behaviour, work: Work) -> Self {
        let Behaviour { ns, ns_per_flop, ns_per_byte, noise, start_noise, drift, seed, .. } = *behaviour;
        let each = ns + ns_per_flop * work.flops as f64 + ns_per_byte * work.bytes() as f64;
        let pace = 1.0 + start_noise * normal(seed, 0, u64::from(std::process::id()));
        // A pace far out in the tail must not make time stand still.
        Self { now: 0.0, each: each * pace.max(0.1), noise, drift, seed, executions: 0 }
    }

    pub(super) fn now(&self) -> u64 {
        self.now as u64
    }

    pub(super) fn advance(&mut self, ns: f64) {
        self.now += ns;
    }

    /// Moves by one execution and returns its length.
    pub(super) fn execute(&mut self) -> f64 {
        let mut pace = 1.0 + self.drift * self.now * 1e-9;
        if self.noise > 0.0 {
            pace += self.noise * normal(self.seed, 1, self.executions);
        }
        self.executions += 1;
        let ns = self.each * pace.max(0.01);
        self.now += ns;
        ns
    }
}

/// Nearly normal with mean 0 and variance 1: the sum of four uniforms, cut from one random number.
fn normal(seed: u64, stream: u64, index: u64) -> f64 {
    let bits = random::bits(seed, stream, index);
    let sum: f64 = (0..4).map(|part| ((bits >> (16 * part)) & 0xFFFF) as f64 / 65536.0).sum();
    // Four uniforms on [0, 1) have mean 2 and variance 1/3.
    (sum - 2.0) * 3f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_deviation_that_was_asked_for() {
        let draws: Vec<f64> = (0..10_000).map(|index| normal(7, 1, index)).collect();
        let mean = draws.iter().sum::<f64>() / 1e4;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn time_follows_work_noise_and_drift() {
        let work = Work { flops: 100, bytes_read: 30, bytes_written: 20, spared: 0 };
        let plain = Behaviour { ns: 10.0, ns_per_flop: 0.5, ns_per_byte: 0.2, ..Behaviour::default() };
        let mut clock = Clock::new(&plain, work);
        assert_eq!((clock.execute(), clock.execute(), clock.now()), (70.0, 70.0, 140));
        let mut noisy = Clock::new(&Behaviour { noise: 0.1, ..plain.clone() }, work);
        assert_ne!(noisy.execute(), noisy.execute());
        let mut drifting = Clock::new(&Behaviour { drift: 1.0, ..plain }, work);
        drifting.advance(1e9);
        assert_eq!(drifting.execute(), 140.0);
    }
}
