use super::*;
use crate::ops::{Gemm, Op};
use crate::program::Phase;
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};

/// Stands in for an op: adds 1 to the second argument, in place if it may.
struct Increment {
    pairs: &'static [(usize, usize)],
}

impl Kernel for Increment {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let out = outs[0].slice::<f32>();
        if self.pairs.is_empty() {
            out.copy_from_slice(args[1].slice());
        }
        assert_eq!(args[1].is_empty(), !self.pairs.is_empty());
        out.iter_mut().for_each(|x| *x += 1.0);
        Ok(())
    }
    fn in_place(&self) -> &'static [(usize, usize)] {
        self.pairs
    }
}

/// p' = f(x, p), carried; the op is only a shape.
fn program() -> Program {
    let mut program = Program::default();
    let spec = || ValueSpec::new(&[3, 3], DType::F32);
    let x = program.input("x", spec(), State::Batch, Fill::UNIT);
    let p = program.input("p", spec(), State::Parameter, Fill::UNIT);
    let out =
        program.push(Op::Gemm(Gemm::plain(DType::F32)), &[x, p], Phase::Update, State::Parameter).unwrap();
    program.carry(out[0], p);
    program.outputs = out;
    program
}

fn load(pairs: &'static [(usize, usize)], keep_all: bool) -> CpuLoaded {
    let options = LoadOptions { seed: 1, sets: 2, keep_all };
    CpuLoaded::new(&program(), &options, vec![Box::new(Increment { pairs })]).unwrap()
}

fn first(loaded: &mut CpuLoaded, value: ValueId, set: usize) -> f64 {
    loaded.read(value, set, 0..1).unwrap().to_f64(0..1)[0]
}

#[test]
fn a_carried_value_adds_up_whether_shared_swapped_or_copied_and_a_reset_restores_it() {
    for (pairs, keep_all, places) in
        [(&[(0, 1)][..], false, 2), (&[(0, 1)], true, 3), (&[], false, 3), (&[], true, 3)]
    {
        let mut loaded = load(pairs, keep_all);
        assert_eq!(loaded.layout.owners.len(), places);
        let start = f64::from(program().input_data(1, 1, 1).to_f64(0..1)[0] as f32);
        for _ in 0..2 {
            for execution in 1..=3 {
                loaded.enqueue(1).unwrap();
                let (old, new) = (first(&mut loaded, 1, 1), first(&mut loaded, 2, 1));
                assert!((new - (start + f64::from(execution))).abs() < 1e-5, "{new} after {execution}");
                assert!((old - if places == 2 { new } else { new - 1.0 }).abs() < 1e-5);
            }
            loaded.reset().unwrap();
            assert_eq!(first(&mut loaded, 1, 1), start);
            assert!(places == 2 || first(&mut loaded, 2, 1).is_nan());
        }
        assert_eq!(first(&mut loaded, 1, 0), program().input_data(1, 1, 0).to_f64(0..1)[0]);
        loaded.intact().unwrap();
    }
}

#[test]
fn values_that_are_read_later_are_not_overwritten() {
    let mut program = program();
    program.push(Op::Gemm(Gemm::plain(DType::F32)), &[0, 1], Phase::Forward, State::Activation).unwrap();
    let kernels = || -> Vec<Box<dyn Kernel>> {
        vec![Box::new(Increment { pairs: &[(0, 1)] }), Box::new(Increment { pairs: &[] })]
    };
    let kernels = kernels();
    let pairs = |step: usize| kernels[step].in_place();
    assert_eq!(shared_carries(&program, pairs), vec![]);
    program.steps.pop();
    assert_eq!(shared_carries(&program, pairs).len(), 1);
}

#[test]
fn memory_counts_every_set_and_a_shared_pair_once() {
    let bytes = load(&[(0, 1)], false).memory();
    assert_eq!(bytes, BTreeMap::from([(State::Batch, 72), (State::Parameter, 72)]));
    assert_eq!(load(&[(0, 1)], true).memory()[&State::Parameter], 144);
}

#[test]
fn a_read_outside_a_value_is_refused() {
    let mut loaded = load(&[], false);
    for (value, set, range) in [(0, 0, 0..10), (9, 0, 0..1), (0, 2, 0..1)] {
        assert!(loaded.read(value, set, range).is_err());
    }
}

#[test]
fn only_parameters_that_stay_the_same_are_packable() {
    let mut program = program();
    assert!(!is_packable(&program, 0) && !is_packable(&program, 1));
    program.carries.clear();
    assert!(is_packable(&program, 1));
}

fn nines(len: usize) -> HostArray {
    HostArray::F32(vec![9.0; len])
}

#[test]
fn what_is_written_is_what_the_next_execution_reads_whatever_the_turn() {
    for (pairs, keep_all) in [(&[(0, 1)][..], false), (&[(0, 1)], true), (&[], false), (&[], true)] {
        let mut loaded = load(pairs, keep_all);
        let start = first(&mut loaded, 1, 1);
        for executions in 0..4 {
            (0..executions).for_each(|_| loaded.enqueue(1).unwrap());
            loaded.write(1, 1, 0, &nines(9)).unwrap();
            loaded.enqueue(1).unwrap();
            assert_eq!(first(&mut loaded, 2, 1), 10.0, "{pairs:?} {keep_all} {executions}");
            loaded.write(1, 1, 3, &nines(2)).unwrap();
            loaded.enqueue(1).unwrap();
            let read = loaded.read(2, 1, 0..9).unwrap().to_f64(0..9);
            assert_eq!(read, [11.0, 11.0, 11.0, 10.0, 10.0, 11.0, 11.0, 11.0, 11.0]);
            loaded.reset().unwrap();
            loaded.write(1, 1, 0, &nines(9)).unwrap();
            loaded.reset().unwrap();
            assert_eq!(first(&mut loaded, 1, 1), start);
            loaded.intact().unwrap();
        }
        assert_eq!(first(&mut loaded, 1, 0), program().input_data(1, 1, 0).to_f64(0..1)[0]);
        // What is not carried stays.
        loaded.write(0, 0, 8, &nines(1)).unwrap();
        loaded.reset().unwrap();
        assert_eq!(loaded.read(0, 0, 8..9).unwrap(), nines(1));
        for (value, set, start, len) in [(2, 0, 0, 9), (1, 2, 0, 9), (1, 0, 1, 9), (7, 0, 0, 1)] {
            assert!(loaded.write(value, set, start, &nines(len)).is_err());
        }
    }
}

#[test]
fn a_parameter_of_which_a_kernel_has_a_copy_is_not_written() {
    /// Keeps a copy of its second argument.
    struct Packing;
    impl Kernel for Packing {
        fn run(&mut self, _: usize, _: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
            outs[0].slice::<f32>().fill(0.0);
            Ok(())
        }
        fn pack(&mut self, _: usize, args: &[View]) -> Result<u64, Fault> {
            Ok(4 * args[1].len() as u64)
        }
    }
    let mut program = program();
    program.carries.clear();
    let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
    let mut loaded = CpuLoaded::new(&program, &options, vec![Box::new(Packing)]).unwrap();
    let said = loaded.write(1, 0, 0, &nines(1)).unwrap_err();
    assert!(matches!(&said, Fault::Unsupported(why) if why.contains("plain lane")), "{said}");
    loaded.write(0, 0, 0, &nines(9)).unwrap();
}
