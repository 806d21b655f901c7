//! Checks answers against the f64 reference: every step on what the contender itself fed it.
//!
//! Inputs of the program are made again from the seed; everything else is read back. A small program is
//! checked at every element; of a large one, at a sample of each step's units that holds the first and
//! the last. Pure but for the reading.
//!
//! How a cell is proved:
//! - a program that [`is_direct`]: [`Verifier::check_steps`] on the load that will be timed;
//! - any other: [`Verifier::check_steps`] on a load that keeps every value, [`Answer::of`] that load,
//!   then [`Answer::check`] on the load that will be timed;
//! - after timing: [`check_finite`], a reset, one execution, and the check of the timed load once more.

mod answer;
mod fetch;
mod tally;
#[cfg(test)]
mod tests;

pub use answer::{Answer, check_finite};

use super::evidence::Verification;
use crate::backends::{Fault, Loaded};
use crate::ops::{Arg, Expected, in_parallel};
use crate::program::{Program, Step, ValueId};
use crate::random;
use crate::tensor::{DType, HostArray, Specs};
use fetch::{Pieces, Reader, read};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tally::Tally;

/// Reference operations that a program may cost to be checked at every element: a product of 1024 cubed
/// is just below.
pub const COMPLETE: u64 = 2_500_000_000;

/// Where elements of values are read.
pub trait Values {
    /// Why they cannot be.
    type Error;
    /// Elements of a value of an input set.
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Self::Error>;
}

/// A program loaded in this process.
pub struct Here<'a>(pub &'a mut dyn Loaded);

impl Values for Here<'_> {
    type Error = Fault;
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        self.0.read(value, set, range)
    }
}

/// An element that no rounding explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    /// Name of the value.
    pub value: String,
    /// The first wrong element's number, row-major.
    pub index: usize,
    /// What the contender answered.
    pub got: f64,
    /// The reference.
    pub wanted: f64,
    /// Largest accepted difference.
    pub allowed: f64,
    /// Wrong elements of this value.
    pub wrong: u64,
    /// Compared elements of this value.
    pub compared: u64,
    /// What it looks like, where that is known: an element never written, a lower precision.
    pub remark: &'static str,
    /// It looks like f32 computed in a lower precision.
    pub fell_back_precision: bool,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { value, index, got, wanted, allowed, wrong, compared, remark, .. } = self;
        write!(f, "{value}: element {index} is {got}, and ")?;
        match *allowed {
            f64::MAX => write!(f, "a finite number")?,
            0.0 => write!(f, "{wanted}")?,
            _ => write!(f, "{wanted} within {allowed:.2e}")?,
        }
        write!(f, " was wanted; {wrong} of {compared} compared elements are wrong{remark}")
    }
}

impl std::error::Error for Wrong {}

/// Why an answer is not accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure<E> {
    /// It is wrong.
    Wrong(Box<Wrong>),
    /// It cannot be read.
    Unreadable(E),
}

impl<E> From<Wrong> for Failure<E> {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(Box::new(wrong))
    }
}

/// Whether every step reads inputs only and leaves every result readable, so that the load that is timed
/// can be checked step by step itself.
pub fn is_direct(program: &Program) -> bool {
    program.steps.iter().all(|step| {
        step.args.iter().all(|&id| program.values[id].input.is_some())
            && step.outs.iter().all(|&id| program.is_kept(id))
    })
}

/// What the outputs of a unit should be.
type Wanted = Vec<Vec<Expected>>;

/// Checks answers to programs with inputs of one seed. What it has computed once it knows, so that the
/// contenders of a group share one reference.
#[derive(Debug)]
pub struct Verifier {
    seed: u64,
    limit: u64,
    known: HashMap<String, Arc<Vec<Wanted>>>,
    known_elements: usize,
}

/// Reference elements that a verifier remembers: 24 bytes each.
const MEMORY: usize = 8 << 20;

impl Verifier {
    /// `limit` is the number of reference operations that all steps of a program may cost together,
    /// usually [`COMPLETE`].
    pub fn new(seed: u64, limit: u64) -> Self {
        Self { seed, limit, known: HashMap::new(), known_elements: 0 }
    }

    /// Compares every step's outputs in `set` with the reference. The program is valid, and has been reset
    /// and executed once.
    pub fn check_steps<V: Values>(
        &mut self,
        program: &Program,
        set: usize,
        values: &mut V,
    ) -> Result<Verification, Failure<V::Error>> {
        let total = program.steps.iter().fold(0u64, |sum, step| sum.saturating_add(cost(program, step)));
        let mut sum = Verification {
            elements: 0,
            complete: true,
            worst: 0.0,
            median_relative: 0.0,
            fell_back_precision: false,
            mistrusted: false,
        };
        for (number, step) in program.steps.iter().enumerate() {
            let share = if total <= self.limit { u64::MAX } else { self.limit / program.steps.len() as u64 };
            let units =
                self.sample(program, (number, step), set, share, values).map_err(Failure::Unreadable)?;
            sum.complete &= units.len() == step.op.operation().units(&program.specs(&step.args));
            let tallies = self.tally(program, step, set, &units, values)?;
            for (&out, tally) in step.outs.iter().zip(tallies) {
                tally.judge(&program.values[out])?;
                tally.add_to(&mut sum, program.values[out].spec.dtype);
            }
        }
        Ok(sum)
    }

    /// Units of a step to check for `share` reference operations: all, or the first, the last and one of
    /// each equal stretch between; where an argument names units, as many again of those that it names.
    fn sample<V: Values>(
        &self,
        program: &Program,
        (number, step): (usize, &Step),
        set: usize,
        share: u64,
        values: &mut V,
    ) -> Result<Vec<usize>, V::Error> {
        const MOST: u64 = 1024;
        let op = step.op.operation();
        let units = op.units(&program.specs(&step.args));
        let each = (cost(program, step) / units as u64).max(1);
        let wanted = share / each;
        if wanted >= units as u64 {
            return Ok((0..units).collect());
        }
        let count = wanted.clamp(16, MOST) as usize;
        let spread =
            |among| stretches(among, count, |stretch| random::bits(self.seed, number as u64, stretch));
        let mut sample = spread(units);
        if let Some(arg) = op.names_units() {
            let all = 0..program.values[step.args[arg]].spec.elements();
            let named = read(program, step.args[arg], self.seed, set, all, values)?;
            let mut named: Vec<usize> = named.into_iter().map(|unit| unit as usize).collect();
            named.retain(|&unit| unit < units);
            named.sort_unstable();
            named.dedup();
            if !named.is_empty() {
                sample.extend(spread(named.len()).into_iter().map(|place| named[place]));
                sample.sort_unstable();
                sample.dedup();
            }
        }
        Ok(sample)
    }

    /// Compares the outputs of `units` of a step.
    fn tally<V: Values>(
        &mut self,
        program: &Program,
        step: &Step,
        set: usize,
        units: &[usize],
        values: &mut V,
    ) -> Result<Vec<Tally>, Failure<V::Error>> {
        let key = self.key(program, step, set, units);
        let known = key.as_ref().and_then(|key| self.known.get(key)).cloned();
        let elements = elements(program, step, units.len());
        let remembers = known.is_none() && key.is_some() && self.known_elements + elements <= MEMORY;
        let checked = Checked { program, step, specs: program.specs(&step.args), remembers };
        let mut reader = Reader::new(program, step, self.seed, set, units, known.is_none());
        let (mut tallies, mut wanted) = (vec![Tally::default(); step.outs.len()], vec![]);
        while let Some(batch) = reader.next(values).map_err(Failure::Unreadable)? {
            let known = known.as_ref().map(|known| &known[batch.first..]);
            for (tally, fresh) in checked.compare(&batch.units, known) {
                tallies.iter_mut().zip(tally).for_each(|(sum, tally)| sum.add(&tally));
                wanted.extend(fresh);
            }
        }
        if let (Some(key), true) = (key, remembers) {
            self.known_elements += elements;
            self.known.insert(key, Arc::new(wanted));
        }
        Ok(tallies)
    }

    /// What tells one reference from another; none for a step that reads what the contender made.
    fn key(&self, program: &Program, step: &Step, set: usize, units: &[usize]) -> Option<String> {
        let args: Vec<_> = step.args.iter().map(|&id| &program.values[id]).collect();
        if args.iter().any(|arg| arg.input.is_none()) {
            return None;
        }
        let inputs: Vec<_> = args.iter().map(|arg| (&arg.spec, arg.input)).collect();
        serde_json::to_string(&(&step.op, &step.args, inputs, set, units.len())).ok()
    }
}

/// Output elements of `units` units of a step, about.
fn elements(program: &Program, step: &Step, units: usize) -> usize {
    let all: usize = step.outs.iter().map(|&out| program.values[out].spec.elements()).sum();
    all.div_ceil(step.op.operation().units(&program.specs(&step.args))).saturating_mul(units)
}

/// One number of each of `count` equal stretches of `0..units`, the first and the last among them.
/// `bits` of a stretch choose within it.
fn stretches(units: usize, count: usize, bits: impl Fn(u64) -> u64) -> Vec<usize> {
    let count = count.clamp(1, units);
    let start = |stretch: usize| (stretch as u128 * units as u128 / count as u128) as usize;
    let pick = |stretch: usize| {
        let length = start(stretch + 1) - start(stretch);
        start(stretch) + (bits(stretch as u64) % length as u64) as usize
    };
    let mut picked: Vec<usize> = (0..count).map(pick).collect();
    picked.extend([0, units - 1]);
    picked.sort_unstable();
    picked.dedup();
    picked
}

/// Operations that the reference of a step costs: those on paper, and the handling of each element.
fn cost(program: &Program, step: &Step) -> u64 {
    let handling = |ids: &[ValueId], each: u64| {
        ids.iter().fold(0u64, |sum, &id| {
            sum.saturating_add((program.values[id].spec.elements() as u64).saturating_mul(each))
        })
    };
    let work = step.op.operation().work(&program.specs(&step.args)).flops;
    work.saturating_add(handling(&step.args, 10)).saturating_add(handling(&step.outs, 60))
}

/// A step whose units are compared.
struct Checked<'a> {
    program: &'a Program,
    step: &'a Step,
    specs: Specs,
    remembers: bool,
}

impl Checked<'_> {
    /// Tallies of groups of units, with their references where those are to be remembered.
    fn compare(&self, units: &[Pieces], known: Option<&[Wanted]>) -> Vec<(Vec<Tally>, Vec<Wanted>)> {
        // A tally is large beside a short row.
        const GROUP: usize = 1 << 14;
        let length: usize =
            units.first().map_or(1, |unit| unit.outputs.iter().map(|(range, _)| range.len()).sum());
        let group = (GROUP / length.max(1)).max(1);
        let groups: Vec<usize> = (0..units.len().div_ceil(group)).collect();
        in_parallel(&groups, |number| {
            let (mut tallies, mut fresh) = (vec![Tally::default(); self.step.outs.len()], vec![]);
            let range = number * group..((number + 1) * group).min(units.len());
            for (unit, index) in units[range.clone()].iter().zip(range) {
                let computed = known.is_none().then(|| self.reference(unit));
                let wanted = computed.as_ref().or(known.map(|known| &known[index]));
                for ((tally, (range, got)), wanted) in
                    tallies.iter_mut().zip(&unit.outputs).zip(wanted.into_iter().flatten())
                {
                    tally.compare(range.start, got.at(range.clone()), wanted);
                }
                fresh.extend(computed.filter(|_| self.remembers));
            }
            (tallies, fresh)
        })
    }

    fn reference(&self, unit: &Pieces) -> Wanted {
        let args: Vec<Arg> = self
            .specs
            .iter()
            .zip(&unit.args)
            .map(|(spec, piece)| Arg::from(spec, piece.first, &piece.data))
            .collect();
        debug_assert_eq!(args.len(), self.program.specs(&self.step.args).len());
        self.step.op.operation().reference(&args, unit.unit)
    }
}

/// Units of the last place by which two executions of one load may differ, in the largest element of
/// their unit: threads and atomics may add up in another order.
fn ulps(dtype: DType) -> f64 {
    match dtype {
        DType::F64 | DType::F32 => 64.0,
        DType::Bf16 | DType::F16 => 4.0,
        DType::F8e4m3 => 1.0,
        DType::I32 | DType::I8 | DType::U8 => 0.0,
    }
}
