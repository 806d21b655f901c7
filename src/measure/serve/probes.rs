//! Peak probes of a worker, kept warm from request to request.

use crate::backends::cpu::probe::{Probes, Reached};
use crate::backends::{Fault, ProbeKind, Unsupported};
use crate::host::affinity::OneCore;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that probes may keep together; beyond it only the last one keeps its buffers.
const MOST_KEPT: u64 = 1 << 30;

/// What to measure: which ceiling, bytes touched by each thread, milliseconds.
type Job = (ProbeKind, u64, f64);

/// Probes by number of threads. A group's contenders differ in it and take turns, and filling buffers
/// anew for each turn would take longer than the probe.
#[derive(Default)]
pub(super) struct ProbeTeams(BTreeMap<usize, Team>);

/// Probes on a thread of their own: they pin the thread that calls them, and a second pool made by a
/// pinned thread would have that one core only.
struct Team {
    jobs: Sender<Job>,
    rates: Receiver<Result<Reached, Unsupported>>,
    bytes: u64,
}

impl ProbeTeams {
    /// What a probe reaches on `threads` threads.
    pub(super) fn rate(&mut self, threads: usize, job: Job) -> Result<Reached, Fault> {
        let bytes = job.1.saturating_mul(threads as u64);
        let others: u64 = self.0.iter().filter(|(count, _)| **count != threads).map(|(_, t)| t.bytes).sum();
        if others.saturating_add(bytes) > MOST_KEPT {
            self.0.retain(|&count, _| count == threads);
        }
        let team = match self.0.remove(&threads) {
            Some(team) => team,
            None => Team::new(threads).map_err(|error| Fault::Library(error.to_string()))?,
        };
        let reached = team.rate(job)?;
        self.0.insert(threads, Team { bytes: team.bytes.max(bytes), ..team });
        Ok(reached)
    }
}

impl Team {
    fn new(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let (answers, rates) = channel();
        let work = move || {
            // Where the contenders are that compute on one thread.
            let _kept = if threads == 1 { OneCore::keep() } else { None };
            let mut probes = Probes::new(threads);
            for (kind, footprint, ms) in queue {
                let rate = match &mut probes {
                    Ok(probes) => probes.rate(kind, footprint, ms),
                    Err(why) => Err(why.clone()),
                };
                if answers.send(rate).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("probe".to_string()).spawn(work)?;
        Ok(Self { jobs, rates, bytes: 0 })
    }

    fn rate(&self, job: Job) -> Result<Reached, Fault> {
        let gone = || Fault::Library("the thread of the probes has ended".to_string());
        self.jobs.send(job).map_err(|_| gone())?;
        Ok(self.rates.recv().map_err(|_| gone())??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_of_several_sizes_are_kept_until_they_are_too_large() {
        let mut teams = ProbeTeams::default();
        for threads in [1, 2, 1] {
            assert!(teams.rate(threads, (ProbeKind::Read, 4096, 1.0)).unwrap().rate > 0.0);
        }
        assert_eq!(teams.0.len(), 2);
        assert!(teams.rate(1, (ProbeKind::Fma, MOST_KEPT, 1.0)).is_ok());
        assert_eq!(teams.0.keys().collect::<Vec<_>>(), [&1]);
    }
}
