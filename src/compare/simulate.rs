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

    /// 2 to 12 % with this chance, else nothing.
    fn outlier(&mut self, chance: f64) -> f64 {
        if self.uniform() < chance { 0.02 + 0.1 * self.uniform() } else { 0.0 }
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
    /// Of a probe in one group of one run: it is a process too.
    pub(crate) prober: f64,
    /// Chance that a start is slow by 8 %, as when its pages lie badly.
    pub(crate) misplaced: f64,
    /// Chance that a whole group is disturbed by 2 to 12 %, which no probe sees.
    pub(crate) disturbed: f64,
    /// How many times as noisy the last contender is.
    pub(crate) noisiest: f64,
}

/// A machine like a small virtual one with neighbours, at the bottom of a quick run's effort.
pub(crate) const TYPICAL: World = World {
    groups: 10,
    contenders: 4,
    starts: 3,
    rounds: 6,
    start: 0.004,
    round: 0.01,
    outliers: 0.05,
    drift: 0.01,
    run: 0.01,
    hidden: 0.0015,
    probe: 0.01,
    prober: 0.0,
    misplaced: 0.0,
    disturbed: 0.0,
    noisiest: 1.0,
};

/// What happens during one group of one run.
struct Weather {
    /// By cell.
    hidden: Vec<f64>,
    disturbance: f64,
    prober: f64,
}

impl World {
    /// One run in which the cell of (group, contender) takes `factor` times as long as it should. The
    /// first contender has a twin.
    pub(crate) fn run(&self, seed: u64, factor: impl Fn(usize, usize) -> f64) -> Run {
        let mut draw = Draw::new(seed);
        let of_run = self.run * draw.normal();
        let mut drift = self.drift * draw.normal();
        let mut records = Vec::new();
        for group in 0..self.groups {
            let mut series = self.group(&mut draw, of_run, &mut drift);
            for (cell, series) in series.iter_mut().enumerate() {
                let contender = cell % self.contenders;
                let truth = 1e6 * (1.0 + contender as f64) * factor(group, contender);
                series.ns.iter_mut().for_each(|ns| *ns *= truth);
            }
            let record = |(cell, series)| self.record(seed, group, cell, series);
            records.extend(series.into_iter().enumerate().map(record));
        }
        Run { name: format!("run {seed}"), records, ..Run::default() }
    }

    /// Series of all cells of a group about 1 ns.
    fn group(&self, draw: &mut Draw, of_run: f64, drift: &mut f64) -> Vec<Series> {
        let cells = self.contenders + 1;
        let mut series: Vec<Series> = (0..cells).map(|_| empty()).collect();
        let weather = Weather {
            hidden: (0..cells).map(|_| self.hidden * draw.normal()).collect(),
            disturbance: draw.outlier(self.disturbed),
            prober: self.prober * draw.normal(),
        };
        for start in 0..self.starts {
            let placed: Vec<f64> = (0..cells).map(|cell| self.placement(cell, draw)).collect();
            for round in 0..self.rounds {
                // Speeds a round apart are still much alike; groups apart, hardly.
                const STAYS: f64 = 0.97;
                *drift = STAYS * *drift + (1.0 - STAYS * STAYS).sqrt() * self.drift * draw.normal();
                let slowness = of_run + *drift;
                for (cell, series) in series.iter_mut().enumerate() {
                    let noise =
                        self.noisiness(cell) * self.round * draw.normal() + draw.outlier(self.outliers);
                    let time = slowness + weather.disturbance + weather.hidden[cell] + placed[cell] + noise;
                    let rate = self.probe * draw.normal() + weather.prober - slowness;
                    push(series, time.exp(), 3e11 * rate.exp(), start, start * self.rounds + round);
                }
            }
        }
        series
    }

    fn noisiness(&self, cell: usize) -> f64 {
        if cell + 1 == self.contenders { self.noisiest } else { 1.0 }
    }

    fn placement(&self, cell: usize, draw: &mut Draw) -> f64 {
        let misplaced = if draw.uniform() < self.misplaced { 0.08 } else { 0.0 };
        self.noisiness(cell) * self.start * draw.normal() + misplaced
    }

    fn record(&self, seed: u64, group: usize, cell: usize, series: Series) -> Record {
        let contender = Contender {
            backend: format!("cpu/{}", cell % self.contenders),
            lane: Lane { threads: 2, packing: Packing::Plain },
            twin: cell >= self.contenders,
        };
        Record {
            group: format!("suite/case/g={group}"),
            started: format!("run {seed}, group {group}"),
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
