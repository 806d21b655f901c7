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

    fn workspace(&self) -> Result<u64, Fault> {
        self.inner.workspace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::buffer::Arena;
    use crate::ops::{Add, Embedding};
    use crate::tensor::{DType, HostArray};
    use std::cell::Cell;
    use std::rc::Rc;

    struct Counts(Rc<Cell<usize>>);

    impl Kernel for Counts {
        fn run(&mut self, _: usize, _: &[View], _: &mut [ViewMut]) -> Result<(), Fault> {
            self.0.set(self.0.get() + 1);
            Ok(())
        }
    }

    #[test]
    fn a_number_of_no_row_is_a_fault_and_reaches_no_kernel() {
        let specs = [ValueSpec::new(&[5, 2], DType::F32), ValueSpec::new(&[3], DType::I32)];
        let mut arena = Arena::new(specs.iter()).unwrap();
        let runs = Rc::new(Cell::new(0));
        let op = Op::Embedding(Embedding {});
        let mut kernel = checked(&op, &specs, Box::new(Counts(runs.clone())));
        for (ids, told) in [
            ([0, 4, 2], None),
            ([0, 5, 2], Some("number 1 of argument 1 is 5, which is not from 0 to 4")),
            ([0, 1, -1], Some("number 2 of argument 1 is -1")),
            ([i32::MIN, 1, 1], Some("number 0")),
        ] {
            arena.view_mut(1).write(&HostArray::I32(ids.to_vec()));
            let args = [arena.view(0), arena.view(1)];
            let outcome = kernel.run(0, &args, &mut []).map_err(|fault| fault.to_string());
            assert_eq!(outcome.is_ok(), told.is_none(), "{outcome:?}");
            let said = |why: &str| outcome.as_ref().is_err_and(|fault| fault.contains(why));
            assert!(told.is_none_or(said), "{outcome:?}");
        }
        assert_eq!(runs.get(), 1);
        checked(&Op::Add(Add {}), &specs, Box::new(Counts(runs.clone()))).run(0, &[], &mut []).unwrap();
        assert_eq!(runs.get(), 2);
    }
}
