//! Measured ceilings of the processor and its memory: what a kernel's rate is a share of.

mod arithmetic;
mod memory;

use super::isa::Isa;
use super::pool::Pool;
use crate::backends::{ProbeKind, Unsupported};
use crate::host::sched::Waits;
use memory::{Mix, Streams, Way};
use std::collections::BTreeMap;
use std::time::Instant;

/// Shortest call: starting the threads must not show.
const SHORTEST_NS: f64 = 1e6;
/// Most bytes that a thread walks: several times what it sees of any cache; more would only take memory.
const MOST_BYTES: u64 = 256 << 20;

/// Threads and buffers that probes run on, kept from call to call.
pub struct Probes {
    pool: Pool,
    isa: Isa,
    streams: Option<Streams>,
    /// Nanoseconds of one turn, as last measured.
    turn_ns: BTreeMap<Turn, f64>,
}

/// The smallest stretch of a probe's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Arithmetic(arithmetic::Unit),
    Walk(Mix, Way, usize),
}

/// What a probe reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reached {
    /// Operations or bytes a second.
    pub rate: f64,
    /// Nanoseconds that threads waited for a core while its clock ran.
    pub run_delay_ns: u64,
}

/// Turns that were timed together.
struct Turns {
    count: u64,
    ns: f64,
    run_delay_ns: u64,
}

impl Turns {
    /// The rate, where all threads together do `amount` in a turn.
    fn reached(&self, amount: f64) -> Reached {
        Reached { rate: self.count as f64 * amount / (self.ns * 1e-9), run_delay_ns: self.run_delay_ns }
    }
}

impl Probes {
    /// Probes on `threads` threads, each kept on a core of its own, with the instructions that kernels are
    /// held to.
    pub fn new(threads: usize) -> Result<Self, Unsupported> {
        Self::with_isa(threads, Isa::chosen()?)
    }

    /// Probes that use no more than `isa`.
    fn with_isa(threads: usize, isa: Isa) -> Result<Self, Unsupported> {
        let pool = Pool::new(threads)
            .map_err(|error| Unsupported(format!("cannot start {threads} threads for probes: {error}")))?;
        Ok(Self { pool, isa, streams: None, turn_ns: BTreeMap::new() })
    }

    /// What `kind` reaches on all threads together in about `ms` milliseconds, at least 1. `footprint` is
    /// in bytes a thread over all streams of the probe; arithmetic ignores it.
    pub fn rate(&mut self, kind: ProbeKind, footprint: u64, ms: f64) -> Result<Reached, Unsupported> {
        let ns = if ms.is_finite() { ms * 1e6 } else { 0.0 };
        match kind {
            ProbeKind::Fma => self.arithmetic(arithmetic::Unit::Fma, ns),
            ProbeKind::Vnni => self.arithmetic(arithmetic::Unit::Vnni, ns),
            ProbeKind::Bf16 => self.arithmetic(arithmetic::Unit::Bf16, ns),
            ProbeKind::Read => self.walk(Mix::Read, footprint, ns),
            ProbeKind::Copy => self.walk(Mix::Copy, footprint, ns),
            ProbeKind::Triad => self.walk(Mix::Triad, footprint, ns),
            ProbeKind::Adam => self.walk(Mix::Adam, footprint, ns),
        }
    }

    fn arithmetic(&mut self, unit: arithmetic::Unit, ns: f64) -> Result<Reached, Unsupported> {
        let (isa, turn) = (self.isa, Turn::Arithmetic(unit));
        let each = unit.operations(isa)?;
        let turns = self.repeat(turn, ns, |pool, _, turns| {
            pool.run(&|_| unit.execute(isa, turns));
        });
        Ok(turns.reached(each * self.pool.threads() as f64))
    }

    /// The best of several ways to move the same bytes. All are tried in every call: a way that somebody
    /// disturbed once may be the best one.
    fn walk(&mut self, mix: Mix, footprint: u64, ns: f64) -> Result<Reached, Unsupported> {
        let (isa, ways) = (self.isa, mix.ways());
        let len = mix.elements(footprint.min(MOST_BYTES));
        let amount = (mix.counted() * 4 * len * self.pool.threads()) as f64;
        self.prepare(mix, len)?;
        let mut best = Reached::default();
        for &way in ways {
            let turns =
                self.repeat(Turn::Walk(mix, way, len), ns / ways.len() as f64, |pool, streams, turns| {
                    if let Some(streams) = streams {
                        pool.run(&|me| streams.walk(mix, way, isa, me.id, turns));
                    }
                });
            let reached = turns.reached(amount);
            best = if reached.rate > best.rate { reached } else { best };
        }
        Ok(best)
    }

    /// Buffers for `mix`, those of the last call where they fit.
    fn prepare(&mut self, mix: Mix, len: usize) -> Result<(), Unsupported> {
        if self.streams.as_ref().is_none_or(|streams| !streams.fit(mix, len)) {
            // The old ones first, or both would be held at once.
            self.streams = None;
            self.turn_ns.retain(|turn, _| matches!(turn, Turn::Arithmetic(_)));
            let streams = Streams::new(mix.streams(), len, self.pool.threads());
            let streams = streams.map_err(|fault| Unsupported(fault.to_string()))?;
            self.pool.run(&|me| streams.touch(me.id));
            self.streams = Some(streams);
        }
        Ok(())
    }

    /// Runs as many turns as last about `ns`.
    fn repeat(&mut self, turn: Turn, ns: f64, work: impl Fn(&Pool, Option<&Streams>, u64)) -> Turns {
        let (pool, streams) = (&self.pool, self.streams.as_ref());
        let timed = |count: u64| {
            let before = Waits::read();
            let start = Instant::now();
            work(pool, streams, count);
            let ns = start.elapsed().as_nanos().max(1) as f64;
            Turns { count, ns, run_delay_ns: Waits::read().since(&before).run_delay }
        };
        // A team that was stopped takes a while to wake and finds its caches and page tables taken, which
        // would count for much of a few milliseconds.
        work(pool, streams, 1);
        let wanted = ns.max(SHORTEST_NS);
        let each = self.turn_ns.entry(turn).or_insert(wanted);
        loop {
            let turns = timed((wanted / *each).ceil().max(1.0) as u64);
            // A thread that waited for a core makes a turn look long, so the shortest one seen counts.
            *each = each.min(turns.ns / turns.count as f64);
            if turns.ns >= 0.5 * wanted {
                return turns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ProbeKind; 7] = [
        ProbeKind::Fma,
        ProbeKind::Vnni,
        ProbeKind::Bf16,
        ProbeKind::Read,
        ProbeKind::Copy,
        ProbeKind::Triad,
        ProbeKind::Adam,
    ];

    #[test]
    fn every_probe_gives_a_rate_or_says_what_is_missing() {
        for isa in Isa::here() {
            for threads in [1, 2] {
                let mut probes = Probes::with_isa(threads, isa).unwrap();
                for kind in KINDS {
                    match probes.rate(kind, 1 << 16, 1.0) {
                        Ok(Reached { rate, .. }) => {
                            assert!(rate > 0.0 && rate.is_finite(), "{kind:?} {rate}")
                        }
                        Err(why) => assert!(matches!(kind, ProbeKind::Vnni | ProbeKind::Bf16), "{why}"),
                    }
                }
            }
        }
    }

    #[test]
    fn any_footprint_is_walked() {
        let mut probes = Probes::new(1).unwrap();
        for footprint in [0, 1, 4097, 1 << 20, 100] {
            assert!(probes.rate(ProbeKind::Triad, footprint, f64::NAN).unwrap().rate > 0.0);
        }
    }
}
