//! Seeded runs with known truths, for tests of the rules. No clock.

use crate::backends::{Lane, Packing};
use crate::plan::Contender;
use crate::random;
use crate::record::{Record, Run, Series, example};

/// A stream of random numbers.
pub(crate) struct Draw {
    seed: u64,
    count: u64,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.count += 1;
        ((random::bits(self.seed, 0, self.count) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A shared machine and how it is measured. Spreads are standard deviations of logarithms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) groups: usize,
    pub(crate) contenders: usize,
    pub(crate) starts: u32,
    pub(crate) rounds: u32,
    /// Of a process: where its pages lie.
    pub(crate) start: f64,
    /// Of a sample.
    pub(crate) round: f64,
    /// Chance that a sample is disturbed by 2 to 12 %.
    pub(crate) outliers: f64,
    /// Of the machine's speed over minutes, seen by contenders and probes.
    pub(crate) drift: f64,
    /// Of the machine's speed from run to run, seen by contenders and probes.
    pub(crate) run: f64,
    /// Of one cell from run to run, seen by nothing else.
    pub(crate) hidden: f64,
    /// Of a probe's sample.
    pub(crate) probe: f64,
}

/// A machine like a small virtual one with neighbours.
pub(crate) const TYPICAL: World = World {
    groups: 10,
    contenders: 4,
    starts: 3,
    rounds: 6,
    start: 0.005,
    round: 0.01,
    outliers: 0.05,
    drift: 0.01,
    run: 0.01,
    hidden: 0.002,
    probe: 0.01,
};

impl World {
    /// One run in which the cell of (group, contender) takes `factor` times as long as it should. The
    /// first contender has a twin.
    pub(crate) fn run(&self, seed: u64, factor: impl Fn(usize, usize) -> f64) -> Run {
        let mut draw = Draw::new(seed);
        let speed_of_run = self.run * draw.normal();
        let mut records = Vec::new();
        let mut drift = self.drift * draw.normal();
        for group in 0..self.groups {
            let cells = self.contenders + 1;
            let mut series: Vec<Series> = (0..cells).map(|_| empty()).collect();
            let hidden: Vec<f64> = (0..cells).map(|_| self.hidden * draw.normal()).collect();
            let mut round = 0;
            for start in 0..self.starts {
                let placed: Vec<f64> = (0..cells).map(|_| self.start * draw.normal()).collect();
                for _ in 0..self.rounds {
                    // Speeds a round apart are still much alike; groups apart, hardly.
                    drift = 0.97 * drift + (1.0f64 - 0.97 * 0.97).sqrt() * self.drift * draw.normal();
                    for (cell, series) in series.iter_mut().enumerate() {
                        let contender = cell % self.contenders;
                        let truth = 1e6 * (1.0 + contender as f64) * factor(group, contender);
                        let slowness = speed_of_run + drift;
                        let noise = self.round * draw.normal() + self.outlier(&mut draw);
                        let ns = truth * (slowness + hidden[cell] + placed[cell] + noise).exp();
                        let rate = 3e11 * (self.probe * draw.normal() - slowness).exp();
                        push(series, ns, rate, start, round);
                    }
                    round += 1;
                }
            }
            records.extend(series.into_iter().enumerate().map(|(cell, s)| self.record(group, cell, s)));
        }
        Run { name: format!("run {seed}"), records, ..Run::default() }
    }

    fn outlier(&self, draw: &mut Draw) -> f64 {
        if draw.uniform() < self.outliers { 0.02 + 0.1 * draw.uniform() } else { 0.0 }
    }

    fn record(&self, group: usize, cell: usize, series: Series) -> Record {
        let contender = Contender {
            backend: format!("cpu/{}", cell % self.contenders),
            lane: Lane { threads: 2, packing: Packing::Plain },
            twin: cell >= self.contenders,
        };
        Record {
            group: format!("suite/case/g={group}"),
            contender,
            series: vec![series],
            ..example::measured()
        }
    }
}

fn empty() -> Series {
    Series {
        ns: vec![],
        start: vec![],
        round: vec![],
        run_delay_ns: vec![],
        steal_ns: vec![],
        probe_rate: vec![],
        ..example::series(1.0)
    }
}

fn push(series: &mut Series, ns: f64, rate: f64, start: u32, round: u32) {
    series.ns.push(ns);
    series.start.push(start);
    series.round.push(round);
    series.run_delay_ns.push(0);
    series.steal_ns.push(0);
    series.probe_rate.push(rate);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Call, Policy, compare_runs};

    /// Over many pairs of runs: shares of cells called different and of runs with a regression where
    /// nothing changed; of changed cells called slower, and of cells that cannot be told, where half of
    /// the contenders got 5 % slower.
    #[derive(Debug)]
    struct Rates {
        false_cells: f64,
        false_runs: f64,
        unknown_same: f64,
        power: f64,
        unknown_changed: f64,
    }

    fn rates(world: &World, pairs: u64, changed: impl Fn(usize, usize) -> bool + Copy) -> Rates {
        let mut sums = [0.0; 5];
        for pair in 0..pairs {
            let a = world.run(4 * pair, |_, _| 1.0);
            let same = compare_runs(&a, &world.run(4 * pair + 1, |_, _| 1.0), &Policy::default()).unwrap();
            let cells = same.cells.len() as f64;
            sums[0] += (same.count(Call::Slower) + same.count(Call::Faster)) as f64 / cells;
            sums[1] += f64::from(u8::from(same.has_regression()));
            sums[2] += same.unknown;
            let slower = world.run(4 * pair + 2, |g, c| if changed(g, c) { 1.05 } else { 1.0 });
            let slower = compare_runs(&a, &slower, &Policy::default()).unwrap();
            let is_changed = |cell: &&crate::compare::Compared| {
                let group = cell.id.group.rsplit('=').next().unwrap().parse().unwrap();
                changed(group, cell.id.contender.backend[4..].parse().unwrap())
            };
            let wanted: Vec<_> = slower.cells.iter().filter(is_changed).collect();
            let found = wanted.iter().filter(|cell| cell.call == Call::Slower).count();
            sums[3] += found as f64 / wanted.len() as f64;
            sums[4] += slower.unknown;
        }
        let [false_cells, false_runs, unknown_same, power, unknown_changed] = sums.map(|s| s / pairs as f64);
        Rates { false_cells, false_runs, unknown_same, power, unknown_changed }
    }

    #[test]
    #[ignore = "explores, asserts nothing"]
    fn explore() {
        let pairs = 20;
        let worlds: [(&str, World); 12] = [
            ("typical", TYPICAL),
            ("quiet", World { start: 0.003, round: 0.005, drift: 0.003, run: 0.003, ..TYPICAL }),
            ("start .7", World { start: 0.007, ..TYPICAL }),
            ("start 1", World { start: 0.01, ..TYPICAL }),
            ("round 2", World { round: 0.02, ..TYPICAL }),
            ("round 2, 9 rounds", World { round: 0.02, rounds: 9, ..TYPICAL }),
            ("run 3 %", World { run: 0.03, ..TYPICAL }),
            ("drift 3 %", World { drift: 0.03, ..TYPICAL }),
            ("hidden .5", World { hidden: 0.005, ..TYPICAL }),
            ("hidden 1", World { hidden: 0.01, ..TYPICAL }),
            ("bad probe", World { probe: 0.04, ..TYPICAL }),
            ("5 starts, 1 2", World { starts: 5, start: 0.01, round: 0.02, ..TYPICAL }),
        ];
        for (name, world) in worlds {
            for (which, changed) in [
                ("one contender", (|_, c| c == 1) as fn(usize, usize) -> bool),
                ("one cell", |g, c| g == 3 && c == 1),
                ("half of one", |g, c| g % 2 == 0 && c == 1),
                ("all", |_, _| true),
            ] {
                let r = rates(&world, pairs, changed);
                println!(
                    "{name:>18} {which:>14}: false cells {:.4} runs {:.3} unknown {:.3} | power {:.3} unknown {:.3}",
                    r.false_cells, r.false_runs, r.unknown_same, r.power, r.unknown_changed
                );
            }
        }
    }
}
#[cfg(test)]
mod diagnose {
    use super::*;
    use crate::compare::{Policy, compare_runs};
    #[test]
    #[ignore = "prints"]
    fn diagnose() {
        for pair in 0..4 {
            let world = World { drift: 0.03, hidden: 0.0, ..TYPICAL };
            let a = world.run(4 * pair, |_, _| 1.0);
            let b = world.run(4 * pair + 1, |_, _| 1.0);
            let c = compare_runs(&a, &b, &Policy::default()).unwrap();
            println!(
                "margin {:.4} floors {:?} between {:.4} machine {:?}",
                c.margin, c.floors, c.between_runs, c.machine
            );
            for cell in c.cells.iter().take(8) {
                println!(
                    "  {} {:?} p {:.3} {:?} unc {:.4}",
                    cell.id.contender, cell.ratio, cell.p, cell.call, cell.uncorrected
                );
            }
        }
    }
}
#[cfg(test)]
mod calibrate {
    use super::*;
    use crate::compare::{Policy, compare_runs};
    #[test]
    #[ignore = "prints"]
    fn calibrate() {
        for (name, world) in [
            ("typical", TYPICAL),
            ("no drift", World { drift: 0.0, run: 0.0, ..TYPICAL }),
            ("no hidden", World { drift: 0.0, run: 0.0, hidden: 0.0, ..TYPICAL }),
            ("no outliers", World { drift: 0.0, run: 0.0, hidden: 0.0, outliers: 0.0, ..TYPICAL }),
        ] {
            let (mut d2, mut e2, mut cover, mut n, mut betw) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for pair in 0..60 {
                let a = world.run(4 * pair, |_, _| 1.0);
                let b = world.run(4 * pair + 1, |_, _| 1.0);
                let c = compare_runs(&a, &b, &Policy::default()).unwrap();
                betw += c.between_runs / 60.0;
                for cell in c.cells.iter().filter(|cell| cell.id.contender.backend != "cpu/0") {
                    let half = (cell.ratio.high / cell.ratio.low).ln() / 2.0;
                    d2 += cell.ratio.centre.ln().powi(2);
                    e2 += half * half;
                    n += 1.0;
                    cover += f64::from(u8::from(cell.ratio.low <= 1.0 && cell.ratio.high >= 1.0));
                }
            }
            println!(
                "{name:>12}: sd of differences {:.4} %, half width {:.4} %, 90 % covers {:.3}, between {:.4} %",
                100.0 * f64::sqrt(d2 / n),
                100.0 * f64::sqrt(e2 / n),
                cover / n,
                100.0 * betw
            );
        }
    }
}
