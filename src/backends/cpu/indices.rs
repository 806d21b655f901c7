//! Numbers that name places, such as rows of a table: looked at before a kernel trusts them.

use super::buffer::{View, ViewMut};
use super::loaded::Kernel;
use crate::backends::Fault;
use crate::ops::Op;
use crate::tensor::ValueSpec;

/// A kernel that refuses numbers of no place.
struct Checked {
    name: &'static str,
    /// Arguments with the least and the greatest number that they may hold.
    bounds: Vec<(usize, [i64; 2])>,
    inner: Box<dyn Kernel>,
}

/// `kernel` behind a check of every argument that [`crate::ops::Operation::indices`] bounds; `kernel` itself where
/// there is none.
pub fn checked(op: &Op, args: &[ValueSpec], kernel: Box<dyn Kernel>) -> Box<dyn Kernel> {
    let op = op.operation();
    let bounds: Vec<_> =
        (0..args.len()).filter_map(|arg| op.indices(args, arg).map(|bounds| (arg, bounds))).collect();
    if bounds.is_empty() { kernel } else { Box::new(Checked { name: op.name(), bounds, inner: kernel }) }
}

impl Kernel for Checked {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        for (arg, [low, high]) in &self.bounds {
            let numbers = args[*arg].slice::<i32>();
            let wrong = numbers.iter().position(|number| !(*low..=*high).contains(&i64::from(*number)));
            if let Some(at) = wrong {
                let (name, number) = (self.name, numbers[at]);
                return Err(Fault::Library(format!(
                    "{name}: number {at} of argument {arg} is {number}, which is not from {low} to {high}"
                )));
            }
        }
        self.inner.run(set, args, outs)
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        self.inner.in_place()
    }

    fn pack(&mut self, set: usize, args: &[View]) -> Result<u64, Fault> {
        self.inner.pack(set, args)
    }

    fn workspace(&self) -> u64 {
        self.inner.workspace()
    }
}
