//! The probe beside each sample: what the machine could do just then, in the same place of the roofline.

use super::crash::{Crash, CrashKind};
use super::peer::{Hire, Peer};
use super::protocol::{Ask, ProbeKind, Reply};
use crate::ops::{Factors, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;
use crate::units::Nanos;
use std::collections::BTreeMap;
use std::time::Duration;

/// Operations per compulsory byte above which arithmetic is what limits a program. The caches of the
/// processors tried give one byte for about 1 to 4 operations of their peak, memory for about 6.
const COMPUTE_BOUND: f64 = 8.0;
/// The same for a product whose values stay in the caches: eight rows of f32 have 4 operations a byte.
const COMPUTE_BOUND_IN_CACHE: f64 = 3.0;
/// A probe that takes longer than this has hung.
const LIMIT: Duration = Duration::from_secs(10);

/// Which ceiling stands over a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// Which ceiling.
    pub kind: ProbeKind,
    /// Threads that compute.
    pub threads: usize,
    /// Bytes touched by each thread.
    pub footprint: u64,
}

impl Probe {
    /// The probe for a program on `threads` threads that cycles through `sets` copies of its values, where the
    /// last-level caches hold `cache` bytes.
    pub(super) fn of(program: &Program, threads: usize, sets: usize, cache: u64) -> Self {
        let bytes: u64 = program.bytes_by_state().values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        let all = bytes.saturating_mul(sets as u64);
        Self { kind: kind(program, all <= cache), threads, footprint: all / threads.max(1) as u64 }
    }
}

fn kind(program: &Program, in_cache: bool) -> ProbeKind {
    let work = program.work();
    let is_product = matches!(program.steps.as_slice(), [Step { op: Op::Gemm(_) | Op::GemmI8(_), .. }]);
    let bound = if is_product && in_cache { COMPUTE_BOUND_IN_CACHE } else { COMPUTE_BOUND };
    if work.flops as f64 > bound * work.bytes() as f64 {
        return arithmetic(program);
    }
    // One step decides: a program of several has the mix of streams of none of the probes.
    // Memory moves the more the smaller the share of what is written, so a copy is no ceiling over a sum.
    match program.steps.as_slice() {
        [Step { op: Op::Copy(_), .. }] => ProbeKind::Copy,
        [Step { op: Op::Triad(_), .. }] => ProbeKind::Triad,
        [Step { op: Op::Adamw(_) | Op::SgdMomentum(_), .. }] => ProbeKind::Adam,
        _ if work.bytes_read > 3 * work.bytes_written => ProbeKind::Read,
        _ if 2 * work.bytes_read > 3 * work.bytes_written => ProbeKind::Triad,
        _ => ProbeKind::Copy,
    }
}

/// The unit that does most of the arithmetic.
fn arithmetic(program: &Program) -> ProbeKind {
    let heaviest =
        program.steps.iter().max_by_key(|step| step.op.operation().work(&program.specs(&step.args)).flops);
    heaviest.map_or(ProbeKind::Fma, |step| unit(program, step))
}

/// The unit that does a step's arithmetic.
pub(crate) fn unit(program: &Program, step: &Step) -> ProbeKind {
    let inputs = step.args.first().map(|&value| program.values[value].spec.dtype);
    match (&step.op, inputs) {
        (Op::GemmI8(_), _) => ProbeKind::Vnni,
        (Op::Gemm(_), Some(DType::Bf16)) => ProbeKind::Bf16,
        _ => ProbeKind::Fma,
    }
}

/// The same on a card, whose tensor cores take both types of 16 bits, and more than products. They take TF32 too, at no
/// more than that rate, and 8 bits of either kind at one.
pub(crate) fn card_unit(program: &Program, step: &Step) -> ProbeKind {
    let input = step.args.first().map(|&value| program.values[value].spec.dtype);
    let is_narrow = matches!(input, Some(DType::Bf16 | DType::F16));
    match &step.op {
        Op::Gemm(_) if input == Some(DType::F8e4m3) => ProbeKind::Vnni,
        Op::Gemm(op) if op.factors == Factors::Tf32 => ProbeKind::Bf16,
        Op::Gemm(_) | Op::Attention(_) | Op::AttentionGrad(_) if is_narrow => ProbeKind::Bf16,
        _ => unit(program, step),
    }
}

/// The worker that serves every probe of a run, started when it is first needed.
pub(super) struct Prober<'a> {
    hire: &'a dyn Hire,
    peer: Option<Box<dyn Peer>>,
    /// Whether this processor can run a probe, once that has been tried.
    known: BTreeMap<ProbeKind, bool>,
    deaths: u32,
}

impl<'a> Prober<'a> {
    pub(super) fn new(hire: &'a dyn Hire) -> Self {
        Self { hire, peer: None, known: BTreeMap::new(), deaths: 0 }
    }

    /// The probe that this processor has: plain multiply-adds stand in for a unit that it lacks.
    pub(super) fn available(&mut self, wanted: Probe) -> Option<Probe> {
        const TRIAL: Nanos = Nanos(1e6);
        let mut kinds = vec![wanted.kind];
        if matches!(wanted.kind, ProbeKind::Vnni | ProbeKind::Bf16) {
            kinds.push(ProbeKind::Fma);
        }
        kinds.into_iter().map(|kind| Probe { kind, ..wanted }).find(|probe| {
            let known = self.known.get(&probe.kind).copied();
            known.unwrap_or_else(|| {
                let runs = self.rate(*probe, TRIAL).is_some();
                self.known.insert(probe.kind, runs);
                runs
            })
        })
    }

    /// Operations or bytes a second, and nanoseconds that its threads waited for a core. None where it
    /// cannot run: its number is worth having, but no reason to lose a cell.
    pub(super) fn rate(&mut self, probe: Probe, length: Nanos) -> Option<(f64, u64)> {
        const DEATHS: u32 = 3;
        if self.deaths >= DEATHS {
            return None;
        }
        let Probe { kind, threads, footprint } = probe;
        let ask = Ask::Probe { probe: kind, threads, footprint, ms: length.seconds() * 1e3 };
        match self.exchange(&ask) {
            Ok(Reply::Probed { rate, run_delay_ns }) if rate > 0.0 => Some((rate, run_delay_ns)),
            Err(crash) if !matches!(crash.kind, CrashKind::Refused | CrashKind::Unsupported) => {
                (self.peer, self.deaths) = (None, self.deaths + 1);
                None
            }
            Ok(_) | Err(_) => None,
        }
    }

    fn exchange(&mut self, ask: &Ask) -> Result<Reply, Crash> {
        let peer = match self.peer.take() {
            Some(mut peer) => {
                peer.resume()?;
                peer
            }
            None => self.hire.hire_prober(LIMIT)?,
        };
        let peer = self.peer.insert(peer);
        let reply = peer.ask(ask, LIMIT);
        peer.pause()?;
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{Param, Params, find};

    fn program(workload: &str, point: &str) -> Program {
        let set = |part: &str| {
            let (axis, value) = part.split_once('=').unwrap();
            let value = value.parse().map_or(Param::Text(value.to_string()), Param::Int);
            (axis.to_string(), value)
        };
        find(workload).unwrap().program(&point.split(',').map(set).collect::<Params>()).unwrap()
    }

    #[test]
    fn what_limits_a_program_depends_on_where_its_values_lie() {
        const CACHE: u64 = 32 << 20;
        for (workload, point, want) in [
            ("gemm", "m=1024,n=1024,k=1024", ProbeKind::Fma),
            ("gemm", "m=8,n=1024,k=1024", ProbeKind::Fma),
            ("gemm", "m=8,n=4096,k=4096", ProbeKind::Read),
            ("gemm", "m=1,n=256,k=512", ProbeKind::Read),
            ("gemm", "m=1,n=512,k=512,dtype=bf16,out=f32", ProbeKind::Read),
            ("gemm", "m=256,n=256,k=256,dtype=bf16,out=f32", ProbeKind::Bf16),
            ("gemm_i8", "m=1,n=512,k=1024", ProbeKind::Read),
            ("gemm_i8", "m=256,n=256,k=256", ProbeKind::Vnni),
            ("adamw", "bytes=524288", ProbeKind::Adam),
            ("softmax", "rows=128,columns=512", ProbeKind::Copy),
        ] {
            let probe = Probe::of(&program(workload, point), 1, 1, CACHE);
            assert_eq!(probe.kind, want, "{workload} {point}");
        }
    }
}
