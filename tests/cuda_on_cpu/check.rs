//! Answers against the ops' f64 references.

use crate::cases::Case;
use cutgpu::ops::{Arg, Expected};
use cutgpu::tensor::HostArray;

/// Inputs as the op wants them.
pub(crate) fn inputs(case: &Case) -> Vec<HostArray> {
    let operation = case.op.operation();
    let input = |(number, spec): (usize, &cutgpu::tensor::ValueSpec)| {
        let fill = operation.input(&case.args, number);
        cutgpu::random::fill(fill, 17, number as u64, spec.dtype, 0..spec.elements())
    };
    case.args.iter().enumerate().map(input).collect()
}

/// For each output, what each element must be.
pub(crate) fn reference(case: &Case, inputs: &[HostArray]) -> Vec<Vec<Expected>> {
    let data: Vec<Vec<f64>> = inputs.iter().map(|input| input.to_f64(0..input.len())).collect();
    let args: Vec<Arg> = case.args.iter().zip(&data).map(|(spec, data)| Arg::whole(spec, data)).collect();
    let operation = case.op.operation();
    let mut outputs = vec![vec![]; case.outs.len()];
    for unit in 0..operation.units(&case.args) {
        let answers = operation.reference(&args, unit);
        outputs.iter_mut().zip(answers).for_each(|(output, answer)| output.extend(answer));
    }
    outputs
}

/// The first element that is wrong.
pub(crate) fn compare(got: &[HostArray], want: &[Vec<Expected>]) -> Result<(), String> {
    for (number, (got, want)) in got.iter().zip(want).enumerate() {
        let got = got.to_f64(0..got.len());
        assert_eq!(got.len(), want.len());
        let is_right = |(got, want): (&f64, &Expected)| (got - want.value).abs() <= want.allow;
        if let Some(at) = got.iter().zip(want).position(|pair| !is_right(pair)) {
            let wrong = got.iter().zip(want).filter(|pair| !is_right(*pair)).count();
            return Err(format!(
                "output {number}: {wrong} of {} wrong; element {at} is {}, not {:?}",
                want.len(),
                got[at],
                want[at]
            ));
        }
    }
    Ok(())
}
