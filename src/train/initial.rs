//! What training begins with. The fills of a model's inputs are honest work for a clock; a model that learns begins
//! with less.

use super::Inputs;
use crate::program::{Program, State, Value};
use crate::random::{self, Fill};
use crate::tensor::HostArray;

/// How the weights of products and tables begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// With this standard deviation, whatever their shape: language models have 0.02.
    Deviation(f64),
    /// With a variance of 2 over the rows, which keeps the size of what passes rectifiers (He and others, "Delving Deep
    /// into Rectifiers", 2015).
    He,
}

/// First elements of every parameter and every moment of a training step: weights and tables uniform with the deviation
/// of `start`, gains 1, biases 0, moments 0. A function of the seed and the input's number.
pub fn initial(program: &Program, start: Start, seed: u64) -> Inputs {
    let inputs = program.inputs().map(|id| (id, &program.values[id]));
    let begun = inputs.filter(|(_, value)| matches!(value.state, State::Parameter | State::Optimizer));
    begun.map(|(id, value)| (value.name.clone(), first(value, id as u64, start, seed))).collect()
}

fn first(value: &Value, number: u64, start: Start, seed: u64) -> HostArray {
    let (dtype, len) = (value.spec.dtype, value.spec.elements());
    let constant = |x: f64| HostArray::from_f64(dtype, std::iter::repeat_n(x, len));
    if value.state == State::Optimizer || value.name.ends_with(".bias") {
        return constant(0.0);
    }
    if value.name.ends_with(".gain") {
        return constant(1.0);
    }
    let deviation = match start {
        Start::Deviation(deviation) => deviation,
        Start::He => (2.0 / value.spec.rows() as f64).sqrt(),
    };
    // On [-b, b) uniform numbers have a variance of b^2 / 3.
    let bound = 3f64.sqrt() * deviation;
    random::fill(Fill::Uniform { low: -bound, high: bound }, seed, number, dtype, 0..len)
}
