//! May this record be trusted? Pure, so that a later policy can judge an old run again.

use super::ceiling::counts_operations;
use super::estimate::estimate_with;
use super::share::share;
use super::within::Noise;
use crate::backends::{CLOCK_DOUBT, DeviceKind, F32_UNIT, ProbeKind};
use crate::record::{Outcome, Reading, Record, Series};
use crate::suite::{Load, Scope};
use crate::units::significant;
use serde::Serialize;

/// Version of the rules below; a report says which it used.
pub const POLICY: u32 = 5;

/// A contender above this share of its probe shows that the probe is too low.
const PROBE_LOW: f64 = 1.01;

/// Share of kept samples that waited for a core above which the host counts as noisy.
const NOISY: f64 = 0.10;

/// Share of the samples' time that threads waited for a core above which the host counts as noisy.
const WAITED: f64 = 0.02;

/// Share of the time that a hypervisor may take before the host counts as noisy.
const STOLEN: f64 = 0.01;

/// An interval wider than this on either side has not converged.
const WIDE: f64 = 0.05;

/// Fewer starts than this do not show how much starts differ.
const STARTS: usize = 3;

/// A sample must last this many steps of its clock.
const CLOCK_STEPS: f64 = 100.0;

/// May a record be trusted?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Word {
    /// Nothing speaks against it.
    Valid,
    /// Usable with the reasons beside it; no headline.
    Suspect,
    /// No conclusion may rest on it.
    Invalid,
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
            Self::Invalid => "INVALID",
        })
    }
}

/// Why a record is not simply valid. The name in records, pages and `--json` is [`Code::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not tried.
    Skipped,
    /// Tried and failed.
    Failed,
    /// The answer was wrong.
    Wrong,
    /// So many outputs are zero that the check proves little.
    Mistrusted,
    /// Something else than the backend that was named did the work.
    FellBack,
    /// A lower precision than the one that was named.
    FellBackPrecision,
    /// A graphics interface that a CPU serves.
    SoftwareAdapter,
    /// A scripted device.
    Scripted,
    /// Built without optimisation.
    DebugBuild,
    /// The device lowered its clock.
    Throttled,
    /// The device's power limit is below its default.
    PowerCapped,
    /// Others used the device.
    ForeignProcess,
    /// Whether others used the device could not be read.
    ForeignUnknown,
    /// More threads than cores.
    Oversubscribed,
    /// More threads than the container's quota grants.
    Quota,
    /// Samples waited for a core, or the hypervisor took time.
    NoisyHost,
    /// The budget ended before the interval was narrow.
    Unconverged,
    /// Too few starts to know how much they differ.
    FewStarts,
    /// Samples too short for the clock.
    CoarseClock,
    /// The device's clock and the host's disagree over long batches.
    ClockDoubt,
    /// Faster than its own ceiling: the ceiling is too low.
    ProbeLow,
}

impl Code {
    /// Name in snake case.
    pub fn name(self) -> String {
        serde_json::to_string(&self).unwrap_or_default().trim_matches('"').to_string()
    }

    /// What this reason makes of a record.
    pub fn word(self) -> Word {
        match self {
            Self::Skipped
            | Self::Failed
            | Self::Wrong
            | Self::Mistrusted
            | Self::FellBack
            | Self::FellBackPrecision
            | Self::SoftwareAdapter
            | Self::Scripted
            | Self::DebugBuild => Word::Invalid,
            Self::Throttled
            | Self::PowerCapped
            | Self::ForeignProcess
            | Self::ForeignUnknown
            | Self::Oversubscribed
            | Self::Quota
            | Self::NoisyHost
            | Self::Unconverged
            | Self::FewStarts
            | Self::CoarseClock
            | Self::ClockDoubt
            | Self::ProbeLow => Word::Suspect,
        }
    }
}

/// A reason with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which rule.
    pub code: Code,
    /// What was seen, in one sentence.
    pub sentence: String,
}

/// The judgement of a record, or of one of its series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validity {
    /// The worst word of all reasons.
    pub word: Word,
    /// Reasons, the worst first.
    pub reasons: Vec<Reason>,
}

/// Judges `record` and, where one is given, a series of it; `noise` is that of its run, so that the
/// interval that is judged is the one that is shown.
pub fn validity(record: &Record, series: Option<&Series>, noise: &Noise) -> Validity {
    let mut found = Found(Vec::new());
    found.outcome(&record.outcome);
    found.answer(record);
    found.device(record);
    found.threads(record);
    if let Some(series) = series {
        found.samples(record, series);
        found.convergence(series, noise);
        found.probe(record, series, noise);
    }
    let mut reasons = found.0;
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.code.word()));
    Validity { word: reasons.first().map_or(Word::Valid, |reason| reason.code.word()), reasons }
}

/// Reasons found so far.
struct Found(Vec<Reason>);

impl Found {
    fn add(&mut self, code: Code, sentence: impl Into<String>) {
        self.0.push(Reason { code, sentence: sentence.into() });
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Measured => {}
            Outcome::Skipped { reason } => self.add(Code::Skipped, reason),
            Outcome::Failed { kind, message } => self.add(Code::Failed, format!("{kind}: {message}")),
            Outcome::Wrong { message } => self.add(Code::Wrong, message),
        }
    }

    fn answer(&mut self, record: &Record) {
        if let Some(note) = record.identity.as_ref().and_then(|identity| identity.notes.get("fell_back")) {
            self.add(Code::FellBack, note);
        }
        let Some(check) = &record.verification else { return };
        if check.mistrusted {
            self.add(Code::Mistrusted, "so many outputs are zero that the check proves little");
        }
        if check.fell_back_precision {
            let error = significant(check.median_relative, 2);
            let sentence = format!("the median error is {error} of scale: a lower precision in disguise");
            self.add(Code::FellBackPrecision, sentence);
        }
    }

    fn device(&mut self, record: &Record) {
        let conditions = &record.conditions;
        match record.device {
            Some(DeviceKind::SoftwareGpu) => {
                self.add(Code::SoftwareAdapter, "a CPU serves this graphics interface");
            }
            Some(DeviceKind::Null) => self.add(Code::Scripted, "a scripted device measures nothing"),
            Some(DeviceKind::Gpu) => {
                if let Reading::Absent(why) = &conditions.foreign {
                    let sentence = format!("whether others used the device is not known: {why}");
                    self.add(Code::ForeignUnknown, sentence);
                }
            }
            Some(DeviceKind::Cpu) | None => {}
        }
        if conditions.debug_build && record.outcome == Outcome::Measured {
            self.add(Code::DebugBuild, "cutgpu was built without optimisation; build it with --release");
        }
        if let Some(&count) = conditions.throttled.value().filter(|&&count| count > 0) {
            self.add(Code::Throttled, format!("the device had lowered its clock in {count} samples"));
        }
        if conditions.power_capped.value() == Some(&true) {
            self.add(Code::PowerCapped, "the device's power limit is below its default");
        }
        if let Some(&count) = conditions.foreign.value().filter(|&&count| count > 0) {
            self.add(Code::ForeignProcess, format!("{count} other processes used the device"));
        }
    }

    fn threads(&mut self, record: &Record) {
        let threads = record.contender.lane.threads;
        let cores = record.conditions.cores;
        if cores > 0 && threads > cores {
            self.add(Code::Oversubscribed, format!("{threads} threads on {cores} logical cores"));
        }
        if let Some(quota) = record.conditions.quota.filter(|&quota| threads as f64 > quota) {
            let quota = significant(quota, 2);
            self.add(Code::Quota, format!("{threads} threads, and the container's quota is {quota} cores"));
        }
    }

    fn samples(&mut self, record: &Record, series: &Series) {
        let samples = series.ns.len().max(1) as f64;
        let lengths: Vec<f64> = (0..series.ns.len()).map(|sample| length_ns(series, sample)).collect();
        let length = lengths.iter().sum::<f64>();
        let share = |ns: &[u64]| ns.iter().map(|&ns| ns as f64).sum::<f64>() / length;
        let (waited, stolen) = (share(&series.run_delay_ns), share(&series.steal_ns));
        if f64::from(series.noisy) > NOISY * samples {
            let sentence = format!("{} of {samples} samples waited for a core", series.noisy);
            self.add(Code::NoisyHost, sentence);
        } else if waited > WAITED {
            let percent = significant(waited * 100.0, 2);
            self.add(Code::NoisyHost, format!("threads waited {percent} % of the time for a core"));
        } else if stolen > STOLEN {
            let percent = significant(stolen * 100.0, 2);
            self.add(Code::NoisyHost, format!("the hypervisor took {percent} % of the time"));
        }
        let doubt = record.identity.as_ref().and_then(|identity| identity.notes.get(CLOCK_DOUBT));
        if let Some(doubt) = doubt.filter(|_| series.kind.scope == Scope::Device) {
            self.add(Code::ClockDoubt, doubt);
        }
        let shortest = lengths.into_iter().fold(f64::INFINITY, f64::min);
        if record.clock_precision_ns.is_some_and(|step| shortest < CLOCK_STEPS * step) {
            let sentence = format!("the shortest sample lasted {} ns", significant(shortest, 2));
            self.add(Code::CoarseClock, sentence + ", under 100 steps of its clock");
        }
    }

    fn convergence(&mut self, series: &Series, noise: &Noise) {
        let Some(estimate) = estimate_with(series, &noise.times) else {
            return self.add(Code::Unconverged, "no sample took any time");
        };
        // A long window is taken once: it tells about heat and power, not about where pages lie.
        if series.kind.load == Load::Sustained {
            return;
        }
        if estimate.starts < STARTS {
            let sentence = format!("{} starts, and at least {STARTS} are wanted", estimate.starts);
            return self.add(Code::FewStarts, sentence);
        }
        let half = estimate.ns.relative_half_width();
        if series.stop != "settled" && half > WIDE {
            let percent = significant(half * 100.0, 2);
            let sentence = format!("the budget ended when the interval was still ±{percent} % wide");
            self.add(Code::Unconverged, sentence);
        }
    }

    fn probe(&mut self, record: &Record, series: &Series, noise: &Noise) {
        let Some(share) = share(record, series, noise) else { return };
        let has_other_unit =
            record.identity.as_ref().is_some_and(|identity| identity.notes.contains_key(F32_UNIT));
        if series.probe == Some(ProbeKind::Fma) && has_other_unit {
            return;
        }
        // Of operations that nobody needs to do, none are held against the probe.
        let least = share.centre * record.work.least_flops() as f64 / record.work.flops.max(1) as f64;
        let reached = if series.probe.is_some_and(counts_operations) { least } else { share.centre };
        if reached > PROBE_LOW {
            let percent = significant(reached * 100.0, 4);
            let sentence = format!("it reached {percent} % of its probe: the probe is too low");
            self.add(Code::ProbeLow, sentence);
        }
    }
}

/// Length of a whole sample. `iters` has one entry a start; an older start may lack one.
fn length_ns(series: &Series, sample: usize) -> f64 {
    let iters = series.iters.get(series.start[sample] as usize).copied().unwrap_or(1);
    series.ns[sample] * iters as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Verification, example};

    fn judged(change: impl Fn(&mut Record)) -> (Word, Vec<Code>) {
        let mut record = example::measured();
        change(&mut record);
        let validity = validity(&record, record.series.first(), &Noise::default());
        assert!(validity.reasons.iter().all(|reason| !reason.sentence.is_empty()));
        (validity.word, validity.reasons.iter().map(|reason| reason.code).collect())
    }

    fn check(record: &mut Record) -> &mut Verification {
        record.verification.as_mut().unwrap()
    }

    #[test]
    fn a_clean_record_is_valid() {
        assert_eq!(judged(|_| {}), (Word::Valid, vec![]));
    }

    #[test]
    fn each_fault_has_its_code_and_word() {
        type Change = fn(&mut Record);
        let cases: [(Change, Word, Code); 22] = [
            (|r| r.outcome = Outcome::Skipped { reason: "x".into() }, Word::Invalid, Code::Skipped),
            (
                |r| r.outcome = Outcome::Failed { kind: "hang".into(), message: "x".into() },
                Word::Invalid,
                Code::Failed,
            ),
            (|r| r.outcome = Outcome::Wrong { message: "x".into() }, Word::Invalid, Code::Wrong),
            (|r| check(r).mistrusted = true, Word::Invalid, Code::Mistrusted),
            (|r| check(r).fell_back_precision = true, Word::Invalid, Code::FellBackPrecision),
            (
                |r| {
                    let notes = &mut r.identity.as_mut().unwrap().notes;
                    notes.insert("fell_back".into(), "to the CPU".into());
                },
                Word::Invalid,
                Code::FellBack,
            ),
            (|r| r.device = Some(DeviceKind::SoftwareGpu), Word::Invalid, Code::SoftwareAdapter),
            (|r| r.device = Some(DeviceKind::Null), Word::Invalid, Code::Scripted),
            (|r| r.conditions.debug_build = true, Word::Invalid, Code::DebugBuild),
            (|r| r.conditions.throttled = Reading::Value(3), Word::Suspect, Code::Throttled),
            (|r| r.conditions.power_capped = Reading::Value(true), Word::Suspect, Code::PowerCapped),
            (|r| r.conditions.foreign = Reading::Value(1), Word::Suspect, Code::ForeignProcess),
            (|r| r.device = Some(DeviceKind::Gpu), Word::Suspect, Code::ForeignUnknown),
            (|r| r.contender.lane.threads = 3, Word::Suspect, Code::Oversubscribed),
            (|r| r.conditions.quota = Some(1.5), Word::Suspect, Code::Quota),
            (|r| r.series[0].noisy = 2, Word::Suspect, Code::NoisyHost),
            (|r| r.series[0].run_delay_ns = vec![3_000_000; 12], Word::Suspect, Code::NoisyHost),
            (|r| r.series[0].steal_ns = vec![2_000_000; 12], Word::Suspect, Code::NoisyHost),
            (|r| r.series[0].start = vec![0; 12], Word::Suspect, Code::FewStarts),
            (|r| r.clock_precision_ns = Some(2e6), Word::Suspect, Code::CoarseClock),
            (
                |r| {
                    let notes = &mut r.identity.as_mut().unwrap().notes;
                    notes.insert(CLOCK_DOUBT.into(), "half of the host's time".into());
                    r.series[0].kind.scope = Scope::Device;
                },
                Word::Suspect,
                Code::ClockDoubt,
            ),
            (|r| r.series[0].probe_rate = vec![2.6e11; 12], Word::Suspect, Code::ProbeLow),
        ];
        for (change, word, code) in cases {
            assert_eq!(judged(change), (word, vec![code]), "{code:?}");
        }
    }

    #[test]
    fn operations_that_a_method_spares_are_not_held_against_the_probe() {
        let fast = |record: &mut Record, spared| {
            record.series[0].probe_rate = vec![2.6e11; 12];
            record.work.spared = spared;
        };
        assert_eq!(judged(|record| fast(record, 0)), (Word::Suspect, vec![Code::ProbeLow]));
        assert_eq!(judged(|record| fast(record, record.work.flops / 9 * 5)), (Word::Valid, vec![]));
    }

    #[test]
    fn multiply_adds_are_no_ceiling_for_who_makes_f32_of_something_else() {
        let fast = |record: &mut Record, note: &str| {
            record.series[0].probe_rate = vec![2.6e11; 12];
            let identity = record.identity.get_or_insert_default();
            identity.notes.insert(note.to_string(), "tdpbf16ps (AMX)".to_string());
        };
        assert_eq!(judged(|record| fast(record, F32_UNIT)), (Word::Valid, vec![]));
        assert_eq!(judged(|record| fast(record, "bf16")), (Word::Suspect, vec![Code::ProbeLow]));
    }

    #[test]
    fn a_wide_interval_is_unconverged_only_if_the_budget_ended_it() {
        let wide = |record: &mut Record| {
            record.series[0].ns[..4].fill(1.2e6);
            record.series[0].stop = "budget".into();
        };
        assert_eq!(judged(wide), (Word::Suspect, vec![Code::Unconverged]));
        assert_eq!(judged(|record| record.series[0].stop = "budget".into()), (Word::Valid, vec![]));
    }

    #[test]
    fn the_worst_reason_comes_first() {
        let (word, codes) = judged(|record| {
            record.contender.lane.threads = 3;
            record.device = Some(DeviceKind::SoftwareGpu);
        });
        assert_eq!((word, codes), (Word::Invalid, vec![Code::SoftwareAdapter, Code::Oversubscribed]));
        assert_eq!(Code::FellBackPrecision.name(), "fell_back_precision");
    }
}
