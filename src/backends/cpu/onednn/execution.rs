//! A primitive with memories that are pointed to the operands of each call.

use super::api::{Api, ExecArg};
use super::objects::{BIAS, DESTINATION, Layout, Owned, Primitive, SOURCE, WEIGHTS, ZERO_POINT, argument};
use crate::backends::Fault;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::loaded::Kernel;
use std::rc::Rc;

/// How the second argument of a step is laid out.
pub(super) struct Weights {
    plain: Owned,
    any: Option<Owned>,
}

impl Weights {
    /// As they lie, or, where they are packed, as the library likes best.
    pub(super) fn new(api: &Api, layout: &Layout, packed: bool) -> Result<Self, Fault> {
        let any = if packed { Some(api.any(layout)?) } else { None };
        Ok(Self { plain: api.strided(layout)?, any })
    }

    /// What a primitive is asked for.
    pub(super) fn wanted(&self) -> &Owned {
        self.any.as_ref().unwrap_or(&self.plain)
    }
}

/// Position of the weights among a step's arguments.
const SECOND: usize = 1;

/// A step of source, weights and perhaps a bias.
pub(super) struct Execution {
    api: Rc<Api>,
    primitive: Primitive,
    /// Of source, plain weights and bias: the step's arguments in order.
    inputs: Vec<Owned>,
    destination: Owned,
    args: Vec<ExecArg>,
    /// How the weights lie before they are packed; none in the plain lane.
    unpacked: Option<Owned>,
    /// Packed weights by set.
    packed: Vec<Option<Owned>>,
    /// The primitive adds to what its destination holds: the step's third argument.
    pub(super) accumulates: bool,
    // The arguments hold these two.
    zero_points: Vec<Owned>,
    zeros: Box<[i32; 2]>,
}

impl Execution {
    /// Memories for operands of these descriptions.
    pub(super) fn new(
        api: &Rc<Api>,
        primitive: Primitive,
        weights: Weights,
        [source, destination]: [&Owned; 2],
        bias: Option<&Owned>,
    ) -> Result<Self, Fault> {
        let described = [source, &weights.plain].into_iter().chain(bias);
        let inputs = described.map(|description| api.memory(description)).collect::<Result<Vec<_>, _>>()?;
        let destination = api.memory(destination)?;
        let numbered = [SOURCE, WEIGHTS, BIAS].into_iter().zip(&inputs);
        let numbered = numbered.chain([(DESTINATION, &destination)]);
        let args = numbered.map(|(number, memory)| argument(number, memory)).collect();
        Ok(Self {
            api: Rc::clone(api),
            primitive,
            inputs,
            destination,
            args,
            unpacked: weights.any.map(|_| weights.plain),
            packed: Vec::new(),
            accumulates: false,
            zero_points: Vec::new(),
            zeros: Box::default(),
        })
    }

    /// The numbers that mean 0 in source and weights.
    pub(super) fn take_zero_points(&mut self, zeros: [i32; 2]) -> Result<(), Fault> {
        *self.zeros = zeros;
        for (number, zero) in [SOURCE, WEIGHTS].into_iter().zip(&*self.zeros).filter(|(_, zero)| **zero != 0)
        {
            let memory = self.api.integer(zero)?;
            self.args.push(argument(ZERO_POINT | number, &memory));
            self.zero_points.push(memory);
        }
        Ok(())
    }
}

impl Kernel for Execution {
    fn run(&mut self, set: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let packed = self.packed.get(set).and_then(Option::as_ref);
        for (at, (memory, arg)) in self.inputs.iter().zip(args).enumerate() {
            match packed {
                Some(weights) if at == SECOND => self.args[SECOND] = argument(WEIGHTS, weights),
                _ => self.api.point(memory, arg.as_ptr())?,
            }
        }
        self.api.point(&self.destination, outs[0].as_mut_ptr())?;
        self.primitive.run(&self.args)
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        if self.accumulates { &[(0, 2)] } else { &[] }
    }

    fn pack(&mut self, set: usize, args: &[View]) -> Result<u64, Fault> {
        let Some(plain) = &self.unpacked else { return Ok(0) };
        let (memory, bytes) = self.primitive.packed(plain, args[SECOND].as_ptr())?.unzip();
        if self.packed.len() <= set {
            self.packed.resize_with(set + 1, || None);
        }
        self.packed[set] = memory;
        Ok(bytes.unwrap_or(0))
    }
}
