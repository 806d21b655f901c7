//! Small forms of every model, in f64, against differences, against each other, and published counts.

mod counts;
mod gradients;
mod modes;

use super::bert;
use super::gpt2;
use super::mlp;
use super::regime::{Mode, Optimizer, Regime};
use super::transformer::{Order, Style};
use super::vgg;
use super::vit;
use crate::ops::{Arg, GeluForm, Op};
use crate::program::{Phase, Program, State, Value, ValueId};
use crate::random::{self, Fill};
use crate::tensor::{DType, HostArray};
use std::collections::BTreeMap;

const TRAIN: Regime = regime(Mode::Train);

const fn regime(mode: Mode) -> Regime {
    Regime { mode, optimizer: Optimizer::Adamw, parts: 1, recompute: false, dtype: DType::F32 }
}

const fn style(form: GeluForm, eps: f64, order: Order) -> Style {
    Style { layers: 2, hidden: 6, form, eps, order }
}

/// A model in a small form.
type Build = fn(&Regime) -> Program;

/// Every model in a small form, at a batch of 4.
const SMALL: &[(&str, Build)] = &[
    ("mlp", |regime| mlp::program([7, 5, 3], 4, regime).unwrap()),
    ("bert", |regime| {
        let config = bert::Config {
            style: style(GeluForm::Erf, 1e-12, Order::Post),
            heads: 2,
            width: 4,
            vocabulary: 7,
            positions: 5,
            kinds: 2,
            classes: 3,
        };
        bert::program(&config, [4, 3], regime).unwrap()
    }),
    ("gpt2", |regime| {
        let style = style(GeluForm::Tanh, 1e-5, Order::Pre);
        let config = gpt2::Config { style, heads: 2, width: 4, vocabulary: 7, positions: 5 };
        gpt2::program(&config, [4, 3], regime).unwrap()
    }),
    ("vgg16", |regime| vgg::program(&small_vgg(false), 4, regime).unwrap()),
    ("vgg16 with dropout", |regime| vgg::program(&small_vgg(true), 4, regime).unwrap()),
    ("vit", |regime| {
        let style = style(GeluForm::Erf, 1e-6, Order::Pre);
        let config = vit::Config { style, heads: 2, width: 4, classes: 3, image: 4, patch: 2 };
        vit::program(&config, 4, regime).unwrap()
    }),
];

fn small_vgg(dropout: bool) -> vgg::Config {
    vgg::Config { stages: vec![vec![3, 3], vec![4]], hidden: 5, classes: 3, image: 4, dropout }
}

fn small(name: &str, regime: &Regime) -> Program {
    let (_, build) = SMALL.iter().find(|(known, _)| *known == name).unwrap();
    let program = build(regime);
    program.validate().unwrap();
    program
}

/// Elements of an input that depend on its name and not on its number: the same in every regime.
fn data(value: &Value) -> Vec<f64> {
    let number = value.name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(131) + u64::from(byte));
    let (dtype, elements) = (value.spec.dtype, value.spec.elements());
    let dtype = if dtype.is_float() { DType::F64 } else { dtype };
    random::fill(value.input.unwrap(), 3, number, dtype, 0..elements).to_f64(0..elements)
}

/// A program with the elements of all its values.
struct Evaluated {
    program: Program,
    values: Vec<Vec<f64>>,
    /// Rounds results to their types; else they stay f64.
    rounded: bool,
}

impl Evaluated {
    fn new(program: Program, rounded: bool, data: impl Fn(&Value) -> Vec<f64>) -> Self {
        let input = |value: &Value| if value.input.is_some() { data(value) } else { vec![] };
        let values = program.values.iter().map(input).collect();
        let mut evaluated = Self { program, values, rounded };
        (0..evaluated.program.steps.len()).for_each(|step| evaluated.execute(step));
        evaluated
    }

    fn exact(program: Program) -> Self {
        Self::new(program, false, data)
    }

    fn execute(&mut self, step: usize) {
        let step = &self.program.steps[step];
        let specs = self.program.specs(&step.args);
        let args: Vec<Arg> =
            specs.iter().zip(&step.args).map(|(spec, &id)| Arg::whole(spec, &self.values[id])).collect();
        let op = step.op.operation();
        let mut outs = vec![vec![]; step.outs.len()];
        for unit in 0..op.units(&specs) {
            for (out, part) in outs.iter_mut().zip(op.reference(&args, unit)) {
                out.extend(part.iter().map(|expected| expected.value));
            }
        }
        for (&id, out) in step.outs.clone().iter().zip(outs) {
            let (dtype, len) = (self.program.values[id].spec.dtype, out.len());
            let round = |out: Vec<f64>| HostArray::from_f64(dtype, out.into_iter()).to_f64(0..len);
            self.values[id] = if self.rounded { round(out) } else { out };
        }
    }

    fn find(&self, name: &str) -> Option<ValueId> {
        self.program.values.iter().position(|value| value.name == name)
    }

    fn named(&self, name: &str) -> &[f64] {
        &self.values[self.find(name).unwrap_or_else(|| panic!("no value {name}"))]
    }

    /// Gradients of parameters by the parameter's name.
    fn gradients(&self) -> BTreeMap<&str, &[f64]> {
        let named = self.program.values.iter().zip(&self.values);
        named.filter_map(|(value, data)| Some((value.name.strip_suffix(".grad")?, &data[..]))).collect()
    }

    /// The mean of all losses.
    fn loss(&self) -> f64 {
        let losses: Vec<f64> =
            self.program.outputs.iter().flat_map(|&id| self.values[id].iter().copied()).collect();
        losses.iter().sum::<f64>() / losses.len() as f64
    }
}

/// Elements of the inputs of state parameter.
fn parameters(program: &Program) -> usize {
    let counted = program.inputs().map(|id| &program.values[id]);
    counted.filter(|value| value.state == State::Parameter).map(|value| value.spec.elements()).sum()
}

/// Elements of parameters that are updated.
fn trained(program: &Program) -> usize {
    let updated = program.carries.iter().map(|carry| &program.values[carry.input]);
    updated.filter(|value| value.state == State::Parameter).map(|value| value.spec.elements()).sum()
}

/// Operations of the steps of a phase whose op has one of these names; of all where there is none.
fn flops(program: &Program, phase: Option<Phase>, names: &[&str]) -> u64 {
    let steps = program.steps.iter().filter(|step| phase.is_none_or(|phase| step.phase == phase));
    let named = steps.filter(|step| names.is_empty() || names.contains(&step.op.operation().name()));
    named.map(|step| step.op.operation().work(&program.specs(&step.args)).flops).sum()
}

/// Whether elements come from the seed, not from their places.
fn is_random(value: &Value) -> bool {
    !matches!(value.input, Some(Fill::Places { .. }) | None)
}
