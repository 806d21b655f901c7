//! Where the time of a program goes, step by step, and how far each step is from what the machine can do.

use super::estimate::{Centres, Interval, median, quantile};
use super::noise::Prior;
use crate::backends::{Ceiling, LIMB_PRODUCTS};
use crate::measure::peaks::Peaks;
use crate::measure::probe::{card_unit, unit};
use crate::measure::protocol::ProbeKind;
use crate::ops::Work;
use crate::program::{Phase, Program, Step};
use serde::Serialize;
use std::collections::BTreeMap;

/// Largest share of a roof that its noise explains.
const MOST_SHARE: f64 = 1.01;

/// What the machine can do at best, all threads of a contender together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roofs {
    /// Operations a second of each unit.
    pub arithmetic: BTreeMap<ProbeKind, f64>,
    /// Levels of memory, smallest first: bytes that one holds, and bytes a second.
    pub memory: Vec<(u64, f64)>,
    /// They are those of a device with memory of its own.
    pub is_device: bool,
}

impl Roofs {
    /// Those that were measured on `threads` threads.
    pub fn of(peaks: &Peaks, threads: usize) -> Self {
        let mut roofs = Self::default();
        for peak in peaks.rows.iter().filter(|peak| peak.threads == threads) {
            let Some(&rate) = peak.rate.value() else { continue };
            if super::counts_operations(peak.probe) {
                roofs.arithmetic.insert(peak.probe, rate);
            } else if peak.probe == ProbeKind::Read {
                // A probe touches half of what its place holds.
                let holds = if peak.place == "memory" { u64::MAX } else { 2 * peak.footprint };
                roofs.memory.push((holds.saturating_mul(threads as u64), rate));
            }
        }
        roofs.memory.sort_by_key(|level| level.0);
        roofs
    }

    /// For a backend that may make f32 of products of bf16: the higher of both roofs.
    pub fn with_limbs(mut self) -> Self {
        let limbs = self.arithmetic.get(&ProbeKind::Bf16).map(|rate| rate / f64::from(LIMB_PRODUCTS));
        if let (Some(limbs), Some(f32)) = (limbs, self.arithmetic.get_mut(&ProbeKind::Fma)) {
            *f32 = f32.max(limbs);
        }
        self
    }

    /// Those of a device with memory of its own, by the names of its ceilings.
    pub fn of_device(ceilings: &[Ceiling]) -> Self {
        let mut roofs = Self::default();
        for Ceiling { name, rate, holds, .. } in ceilings {
            let Some(&rate) = rate.value() else { continue };
            match name.as_str() {
                "f32 multiply-add" => drop(roofs.arithmetic.insert(ProbeKind::Fma, rate)),
                "bf16 tensor cores" => drop(roofs.arithmetic.insert(ProbeKind::Bf16, rate)),
                "int8 tensor cores" => drop(roofs.arithmetic.insert(ProbeKind::Vnni, rate)),
                // A device that reads no faster than it copies tells the latter only.
                "memory read" | "L2 read" | "copy" => roofs.memory.push((holds.unwrap_or(u64::MAX), rate)),
                _ => {}
            }
        }
        roofs.memory.sort_by_key(|level| level.0);
        roofs.is_device = true;
        roofs
    }

    /// Nanoseconds that `work` by `probe`'s unit takes at least, and what they are spent on. None where no roof is
    /// known.
    fn least(&self, work: Work, probe: ProbeKind) -> Option<(f64, Limit)> {
        // A card without a probe for its tensor cores may have them all the same.
        let usual = if self.is_device { None } else { self.arithmetic.get(&ProbeKind::Fma) };
        let unit = self.arithmetic.get(&probe).or(usual)?;
        let (_, bandwidth) = self.memory.iter().find(|level| work.bytes() <= level.0)?;
        let (compute, memory) = (work.least_flops() as f64 / unit, work.bytes() as f64 / bandwidth);
        let limit = if compute > memory { Limit::Compute } else { Limit::Memory };
        Some((1e9 * compute.max(memory), limit))
    }
}

/// What a step waits for at best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Its arithmetic.
    Compute,
    /// Its compulsory bytes.
    Memory,
}

/// A step, or all steps of one op in one phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// Part of the training loop.
    pub phase: Phase,
    /// Name of the op.
    pub op: String,
    /// What it makes: the name of its first result; empty for several steps.
    pub what: String,
    /// Steps.
    pub steps: usize,
    /// Nanoseconds: medians over executions, added up.
    pub ns: f64,
    /// Work on paper.
    pub work: Work,
    /// Nanoseconds at the roof; none where a roof is unknown.
    pub least_ns: Option<f64>,
    /// What most of `least_ns` is spent on.
    pub limit: Option<Limit>,
}

impl Spent {
    /// Share of the roof, from 0 to 1; none where no roof is known or nothing is to be done, and where the roof
    /// proves to have been measured too low.
    pub fn share(&self) -> Option<f64> {
        let least = self.least_ns.filter(|least| *least > 0.0 && self.ns > 0.0)?;
        Some(least / self.ns).filter(|share| *share <= MOST_SHARE)
    }

    /// Whether the step was faster than the roof: the probe was disturbed, and no share can be told.
    pub fn is_above_roof(&self) -> bool {
        self.least_ns.is_some_and(|least| least > MOST_SHARE * self.ns)
    }
}

/// Each step's time; `steps_ns` holds executions, each with every step.
pub fn steps(program: &Program, steps_ns: &[Vec<f64>], roofs: &Roofs) -> Vec<Spent> {
    let spent = |(number, step): (usize, &Step)| {
        let mut times: Vec<f64> = steps_ns.iter().filter_map(|each| each.get(number).copied()).collect();
        times.sort_by(f64::total_cmp);
        let work = step.op.operation().work(&program.specs(&step.args));
        let unit = if roofs.is_device { card_unit } else { unit };
        let least = roofs.least(work, unit(program, step));
        let what = step.outs.first().map_or(String::new(), |&id| program.values[id].name.clone());
        Spent {
            phase: step.phase,
            op: step.op.operation().name().to_string(),
            what,
            steps: 1,
            ns: if times.is_empty() { 0.0 } else { quantile(&times, 0.5) },
            work,
            least_ns: least.map(|(ns, _)| ns),
            limit: least.map(|(_, limit)| limit),
        }
    };
    program.steps.iter().enumerate().map(spent).collect()
}

/// Steps of one op in one phase taken together, the longest first.
pub fn by_op(steps: &[Spent]) -> Vec<Spent> {
    let mut groups: Vec<Vec<&Spent>> = Vec::new();
    for step in steps {
        let of = |group: &&mut Vec<&Spent>| group[0].phase == step.phase && group[0].op == step.op;
        match groups.iter_mut().find(of) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    let mut sums: Vec<Spent> = groups.iter().map(|group| together(group)).collect();
    sums.sort_by(|a, b| b.ns.total_cmp(&a.ns));
    sums
}

fn together(group: &[&Spent]) -> Spent {
    let least_of = |limit| {
        let of = group.iter().filter(|step| step.limit == Some(limit));
        of.filter_map(|step| step.least_ns).sum::<f64>()
    };
    let (compute, memory) = (least_of(Limit::Compute), least_of(Limit::Memory));
    let known = group.iter().all(|step| step.least_ns.is_some());
    Spent {
        phase: group[0].phase,
        op: group[0].op.clone(),
        what: if let [one] = group { one.what.clone() } else { String::new() },
        steps: group.len(),
        ns: group.iter().map(|step| step.ns).sum(),
        work: group.iter().fold(Work::default(), |sum, step| sum + step.work),
        least_ns: known.then_some(compute + memory),
        limit: known.then_some(if compute > memory { Limit::Compute } else { Limit::Memory }),
    }
}

/// How the sum of steps compares with the whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Balance {
    /// Median of whole executions, in nanoseconds.
    pub whole_ns: f64,
    /// Median over the other executions of the sum of their steps.
    pub sum_ns: f64,
    /// Sum of steps over the whole execution right before, so that a machine that slows down weighs on both: what
    /// profiling costs, or misses. None of times that are zero.
    pub ratio: Option<Interval>,
}

impl Balance {
    /// Of what was measured, in turns.
    pub fn of(whole_ns: &[f64], steps_ns: &[Vec<f64>]) -> Self {
        let sums: Vec<f64> = steps_ns.iter().map(|steps| steps.iter().sum()).collect();
        let ratios = whole_ns.iter().zip(&sums).map(|(whole, sum)| (sum / whole).ln());
        let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        let ratio = (!ratios.is_empty()).then(|| Centres(ratios).interval(&Prior::default()));
        let middle = |times: Vec<f64>| if times.is_empty() { 0.0 } else { median(times) };
        Self { whole_ns: middle(whole_ns.to_vec()), sum_ns: middle(sums), ratio }
    }

    /// Whether the steps are known to be further from the whole than `share` of it.
    pub fn is_beyond(&self, share: f64) -> bool {
        self.ratio.is_some_and(|ratio| ratio.low > 1.0 + share || ratio.high < 1.0 - share)
    }

    /// Whether the steps are known to be within `share` of the whole.
    pub fn is_within(&self, share: f64) -> bool {
        self.ratio.is_some_and(|ratio| ratio.low >= 1.0 - share && ratio.high <= 1.0 + share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::peaks::Peak;
    use crate::ops::{Add, Attention, Factors, Gemm, Op};
    use crate::program::State;
    use crate::random::Fill;
    use crate::tensor::{DType, ValueSpec};
    use crate::units::Reading;

    /// Attention of 64 queries, keys and columns, then two sums.
    fn program() -> Program {
        let mut program = Program::default();
        let spec = || ValueSpec::new(&[64, 64], DType::F32);
        let x = program.input("x", spec(), State::Batch, Fill::UNIT);
        let w = program.input("w", spec(), State::Parameter, Fill::UNIT);
        let attention = Op::Attention(Attention { scale: 0.125, causal: false, log_sum_exp: false });
        let y = program.push(attention, &[x, w, w], Phase::Forward, State::Activation).unwrap()[0];
        for phase in [Phase::Forward, Phase::Backward] {
            program.push(Op::Add(Add {}), &[y, x], phase, State::Activation).unwrap();
        }
        program
    }

    fn roofs() -> Roofs {
        let peak = |probe, place: &str, footprint, rate| Peak {
            probe,
            threads: 2,
            place: place.to_string(),
            footprint,
            rate: Reading::Value(rate),
        };
        let rows = vec![
            peak(ProbeKind::Fma, "registers", 0, 1e11),
            peak(ProbeKind::Read, "memory", 1 << 28, 1e10),
            peak(ProbeKind::Read, "L2", 16 << 10, 4e10),
            Peak { threads: 1, ..peak(ProbeKind::Fma, "registers", 0, 1.0) },
        ];
        Roofs::of(&Peaks { rows, devices: vec![] }, 2)
    }

    #[test]
    fn a_step_is_held_against_the_roof_that_its_data_lie_under() {
        let roofs = roofs();
        assert_eq!(roofs.memory, [(64 << 10, 4e10), (u64::MAX, 1e10)]);
        let times = [vec![12e3, 20.0, 10.0], vec![11e3, 30.0, 10.0], vec![13e3, 25.0, 10.0]];
        let steps = steps(&program(), &times, &roofs);
        assert_eq!(steps.iter().map(|step| step.ns).collect::<Vec<_>>(), [12e3, 25.0, 10.0]);
        // 4 x 64^3 operations at 1e11, and 3 x 16 KiB in the cache.
        assert!((steps[0].least_ns.unwrap() - 10_485.76).abs() < 0.01);
        assert_eq!(steps[0].limit, Some(Limit::Compute));
        assert!((steps[0].share().unwrap() - 10_485.76 / 12e3).abs() < 1e-9);
        assert!((steps[1].least_ns.unwrap() - 49_152.0 / 40.0).abs() < 1e-6);
        assert_eq!(steps[1].limit, Some(Limit::Memory));
        // 1229 ns at the roof took 25: then the roof is wrong.
        assert!(steps[1].is_above_roof() && steps[1].share().is_none() && !steps[0].is_above_roof());
    }

    #[test]
    fn six_products_of_bf16_may_be_a_higher_roof_over_f32() {
        let with = |bf16| {
            let mut roofs = roofs();
            roofs.arithmetic.insert(ProbeKind::Bf16, bf16);
            roofs.with_limbs().arithmetic[&ProbeKind::Fma]
        };
        assert_eq!([with(5e11), with(12e11)], [1e11, 2e11]);
        assert_eq!(roofs().with_limbs(), roofs());
    }

    #[test]
    fn a_device_has_roofs_of_its_own() {
        let ceiling = |name: &str, rate, holds| Ceiling {
            name: name.to_string(),
            unit: String::new(),
            rate: Reading::Value(rate),
            holds,
        };
        let roofs = Roofs::of_device(&[
            ceiling("f32 multiply-add", 6e13, None),
            ceiling("bf16 tensor cores", 9e14, None),
            ceiling("memory read", 4e12, None),
            ceiling("memory copy", 3e12, None),
            ceiling("L2 read", 9e12, Some(50 << 20)),
            ceiling("shared memory read", 3e13, None),
        ]);
        assert_eq!(roofs.memory, [(50 << 20, 9e12), (u64::MAX, 4e12)]);
        let unit_of = |dtype, factors| {
            let mut program = Program::default();
            let x = program.input("x", ValueSpec::new(&[64, 64], dtype), State::Batch, Fill::UNIT);
            let op = Op::Gemm(Gemm { factors, ..Gemm::plain(DType::F32) });
            program.push(op, &[x, x], Phase::Forward, State::Activation).unwrap();
            card_unit(&program, &program.steps[0])
        };
        for (dtype, factors, want) in [
            (DType::F32, Factors::Exact, ProbeKind::Fma),
            (DType::F32, Factors::Tf32, ProbeKind::Bf16),
            (DType::F8e4m3, Factors::Exact, ProbeKind::Vnni),
        ] {
            assert_eq!(unit_of(dtype, factors), want);
        }
        for (dtype, want) in [(DType::F32, 6e13), (DType::Bf16, 9e14), (DType::F16, 9e14)] {
            let mut program = Program::default();
            let spec = ValueSpec::new(&[512, 512], dtype);
            let x = program.input("x", spec, State::Batch, Fill::UNIT);
            let attention = Op::Attention(Attention { scale: 1.0, causal: false, log_sum_exp: false });
            program.push(attention, &[x, x, x], Phase::Forward, State::Activation).unwrap();
            let spent = &steps(&program, &[vec![1e6]], &roofs)[0];
            let least = 1e9 * spent.work.flops as f64 / want;
            let bytes = 1e9 * spent.work.bytes() as f64 / 9e12;
            assert!((spent.least_ns.unwrap() - least.max(bytes)).abs() < 1e-9, "{dtype:?}");
        }
    }

    #[test]
    fn steps_of_one_op_in_one_phase_are_taken_together() {
        let mut program = program();
        program.push(Op::Add(Add {}), &[2, 2], Phase::Backward, State::Gradient).unwrap();
        let ops = by_op(&steps(&program, &[vec![1.0, 2.0, 3.0, 4.0]], &roofs()));
        let seen: Vec<_> = ops.iter().map(|op| (op.phase, &*op.op, op.steps, op.ns)).collect();
        let want = [
            (Phase::Backward, "add", 2, 7.0),
            (Phase::Forward, "add", 1, 2.0),
            (Phase::Forward, "attention", 1, 1.0),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn steps_are_held_against_the_whole_right_before() {
        // A machine that slows down to a third: the medians differ by 80 %, each pair by 2.
        let slower = [100.0, 101.0, 102.0, 300.0, 303.0];
        let sums = |by: f64, late: usize| {
            (0..slower.len()).map(|n| vec![slower[(n + late).min(4)] * by - 7.0, 7.0]).collect::<Vec<_>>()
        };
        let steady = Balance::of(&slower, &sums(1.02, 0));
        assert_eq!((steady.whole_ns, steady.sum_ns), (102.0, 1.02 * 102.0));
        assert!(steady.is_within(0.03) && !steady.is_within(0.01) && steady.is_beyond(0.01));
        let dear = Balance::of(&slower, &sums(1.04, 0));
        assert!(dear.is_beyond(0.03) && !dear.is_within(0.03));
        let cheap = Balance::of(&slower, &sums(0.96, 0));
        assert!(cheap.is_beyond(0.03) && !cheap.is_within(0.03));
        // One pair that straddles the change tells nothing either way.
        let noisy = Balance::of(&slower, &sums(1.02, 1));
        assert!(!noisy.is_within(0.03) && !noisy.is_beyond(0.03));
        let alone = Balance::of(&[100.0], &[vec![200.0]]);
        assert!(!alone.is_within(0.03) && !alone.is_beyond(0.03));
        assert_eq!(Balance::of(&[], &[]), Balance { whole_ns: 0.0, sum_ns: 0.0, ratio: None });
        assert_eq!(Balance::of(&[0.0], &[vec![0.0]]).ratio, None);
    }

    #[test]
    fn without_roofs_there_is_no_share() {
        let steps = steps(&program(), &[], &Roofs::default());
        assert!(steps.iter().all(|step| step.share().is_none() && step.ns == 0.0));
    }
}
