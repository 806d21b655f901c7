//! Which cells a claim is about, as data.

use crate::backends::DeviceKind;
use crate::record::Record;
use crate::suite::Scope;
use crate::workloads::{Param, Params};

/// How many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Any number.
    Any,
    /// One.
    One,
    /// Every core.
    All,
    /// The same lane as the subject: threads and packing.
    Same,
}

/// Cells of a claim, or of what it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// Names of workloads; none for any.
    pub workloads: &'static [&'static str],
    /// Parameters with the value that they have.
    pub params: &'static [(&'static str, &'static str)],
    /// Backends: a name, a beginning with `*`, `=` for the subject's own; a `-` before one leaves it out.
    pub backends: &'static [&'static str],
    /// Kind of device.
    pub device: Option<DeviceKind>,
    /// Threads.
    pub threads: Threads,
    /// What the clock covers; none for any clock of the host.
    pub scope: Option<Scope>,
}

/// Everything that computes on a processor, except plain loops.
pub(super) const TUNED: Who = Who {
    workloads: &[],
    params: &[],
    backends: &["*", "-cpu/naive"],
    device: Some(DeviceKind::Cpu),
    threads: Threads::Any,
    scope: None,
};

/// Plain loops on one thread.
pub(super) const NAIVE: Who = Who { backends: &["cpu/naive"], threads: Threads::One, ..TUNED };

/// A graphics card.
pub(super) const GPU: Who = Who { backends: &["*"], device: Some(DeviceKind::Gpu), ..TUNED };

/// What a baseline shares with its subject.
#[derive(Clone, Copy, Debug)]
pub enum Same {
    /// The workload and every parameter but these.
    Except(&'static [&'static str]),
    /// These parameters, of whatever workload.
    Only(&'static [&'static str]),
}

impl Who {
    /// Whether `record` is one of these; `subject` is what it is compared with.
    pub fn fits(&self, record: &Record, subject: Option<&Record>) -> bool {
        // Older runs do not name the kind of device; all of them were of processors.
        let device = record.device.unwrap_or(DeviceKind::Cpu);
        let is_of = |workload: &&str| *workload == record.workload;
        self.device.is_none_or(|wanted| wanted == device)
            && self.has_threads(record, subject)
            && (self.workloads.is_empty() || self.workloads.iter().any(is_of))
            && self.params.iter().all(|(axis, value)| has(&record.point, axis, value))
            && self.is_backend(&record.contender.backend, subject)
    }

    fn is_backend(&self, name: &str, subject: Option<&Record>) -> bool {
        let matches = |pattern: &str| match (pattern, pattern.strip_suffix('*')) {
            ("=", _) => subject.is_some_and(|subject| subject.contender.backend == name),
            (_, Some(start)) => name.starts_with(start),
            (whole, None) => whole == name,
        };
        let is_out = |pattern: &&str| pattern.strip_prefix('-').is_some_and(matches);
        let is_in = |pattern: &&str| !pattern.starts_with('-') && matches(pattern);
        self.backends.iter().any(is_in) && !self.backends.iter().any(is_out)
    }

    fn has_threads(&self, record: &Record, subject: Option<&Record>) -> bool {
        let lane = &record.contender.lane;
        match self.threads {
            Threads::Any => true,
            Threads::One => lane.threads == 1,
            Threads::All => lane.threads >= record.conditions.cores,
            Threads::Same => subject.is_some_and(|subject| subject.contender.lane == *lane),
        }
    }
}

fn has(point: &Params, axis: &str, value: &str) -> bool {
    point.get(axis).is_some_and(|found| match found {
        Param::Text(found) => found == value,
        Param::Int(found) => value.parse() == Ok(*found),
    })
}

/// What a record and its baselines have in common: machine, repetition, and what [`Same`] says. None where the
/// record lacks one of the parameters.
pub(super) type Key<'a> = (&'a str, u32, &'a str, Vec<(&'a str, &'a Param)>);

impl Same {
    /// The key of a record.
    pub(super) fn key<'a>(&self, record: &'a Record) -> Option<Key<'a>> {
        let named = |axis: &'static str| Some((axis, record.point.get(axis)?));
        let (workload, point) = match self {
            Self::Except(axes) => {
                let kept = record.point.iter().filter(|(axis, _)| !axes.contains(&axis.as_str()));
                (record.workload.as_str(), kept.map(|(axis, value)| (axis.as_str(), value)).collect())
            }
            Self::Only(axes) => ("", axes.iter().map(|axis| named(axis)).collect::<Option<_>>()?),
        };
        Some((&record.host, record.repeat, workload, point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn record(backend: &str, threads: usize) -> Record {
        let mut record = example::measured();
        record.contender.backend = backend.to_string();
        record.contender.lane.threads = threads;
        record
    }

    #[test]
    fn cells_are_found_by_library_device_threads_and_parameters() {
        let mut gpu = record("cuda/native", 1);
        gpu.device = Some(DeviceKind::Gpu);
        let old = Record { device: None, ..record("cpu/openblas", 2) };
        let rows = [record("cpu/naive", 1), record("cpu/native", 1), record("cpu/native", 2), old, gpu];
        let found = |who: Who| -> Vec<usize> {
            (0..rows.len()).filter(|&row| who.fits(&rows[row], Some(&rows[1]))).collect()
        };
        assert_eq!(found(NAIVE), [0]);
        assert_eq!(found(TUNED), [1, 2, 3]);
        assert_eq!(found(GPU), [4]);
        assert_eq!(found(Who { threads: Threads::One, ..TUNED }), [1]);
        assert_eq!(found(Who { threads: Threads::All, ..TUNED }), [2, 3]);
        assert_eq!(found(Who { threads: Threads::Same, ..TUNED }), [1]);
        assert_eq!(found(Who { backends: &["="], ..TUNED }), [1, 2]);
        assert_eq!(found(Who { params: &[("m", "512")], ..NAIVE }), [0]);
        assert!(found(Who { params: &[("m", "513")], ..TUNED }).is_empty());
        assert!(found(Who { workloads: &["softmax"], ..TUNED }).is_empty());
    }

    #[test]
    fn a_key_holds_what_must_be_the_same() {
        let (mut a, mut b) = (record("cpu/native", 1), record("cpu/openblas", 2));
        a.point.insert("dtype".to_string(), Param::Text("bf16".to_string()));
        b.point.insert("dtype".to_string(), Param::Text("f32".to_string()));
        assert_eq!(Same::Except(&["dtype"]).key(&a), Same::Except(&["dtype"]).key(&b));
        assert_ne!(Same::Except(&[]).key(&a), Same::Except(&[]).key(&b));
        b.workload = "gemm_i8".to_string();
        assert_ne!(Same::Except(&["dtype"]).key(&a), Same::Except(&["dtype"]).key(&b));
        assert_eq!(Same::Only(&["m", "k"]).key(&a), Same::Only(&["m", "k"]).key(&b));
        assert_eq!(Same::Only(&["rows"]).key(&a), None);
        b.host = "elsewhere".to_string();
        assert_ne!(Same::Only(&["m"]).key(&a), Same::Only(&["m"]).key(&b));
    }
}
