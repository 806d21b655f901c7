//! The slow and obvious execution of a whole program.

use super::Program;
use crate::ops::{Arg, Operation, in_parallel};
use crate::tensor::{DType, HostArray};

impl Program {
    /// Every value after one execution, computed in f64 and rounded to its own type between steps, as a
    /// backend stores it. For small programs: all values are held at once. The program is valid.
    pub fn interpret(&self, seed: u64) -> Vec<Vec<f64>> {
        let mut values: Vec<Vec<f64>> = vec![vec![]; self.values.len()];
        for id in self.inputs() {
            let data = self.input_data(id, seed, 0);
            values[id] = data.to_f64(0..data.len());
        }
        for step in &self.steps {
            let args: Vec<Arg> =
                step.args.iter().map(|&id| Arg::whole(&self.values[id].spec, &values[id])).collect();
            let outputs = whole_reference(step.op.operation(), &args);
            for (&out, output) in step.outs.iter().zip(outputs) {
                values[out] = round(self.values[out].spec.dtype, output);
            }
        }
        values
    }
}

/// All elements of every output of an op.
pub fn whole_reference(op: &dyn Operation, args: &[Arg]) -> Vec<Vec<f64>> {
    let specs: Vec<_> = args.iter().map(|arg| arg.spec.clone()).collect();
    let units: Vec<usize> = (0..op.units(&specs)).collect();
    let answers = in_parallel(&units, |unit| {
        let outputs = op.reference(args, unit);
        outputs.into_iter().map(|output| output.iter().map(|x| x.value).collect()).collect::<Vec<Vec<f64>>>()
    });
    let mut whole = vec![vec![]; op.outputs(&specs).map_or(0, |outputs| outputs.len())];
    for answer in answers {
        whole.iter_mut().zip(answer).for_each(|(all, part)| all.extend(part));
    }
    whole
}

fn round(dtype: DType, values: Vec<f64>) -> Vec<f64> {
    let len = values.len();
    HostArray::from_f64(dtype, values.into_iter()).to_f64(0..len)
}
