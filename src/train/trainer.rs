//! A loaded program that is fed from outside.

use super::{Settings, TrainError};
use crate::backends::{self, Device, Lane, LoadOptions, Loaded, Packing, Unsupported};
use crate::program::{Program, State, ValueId};
use crate::tensor::HostArray;

/// A program on a device, with its values by name.
pub struct Trainer {
    // Goes before the device that it runs on.
    loaded: Box<dyn Loaded>,
    _device: Box<dyn Device>,
    program: Program,
}

fn lane(threads: usize) -> Lane {
    Lane { threads, packing: Packing::Plain }
}

/// Opens the backend of `settings` in this process, or says why that cannot be done.
pub fn open(settings: &Settings) -> Result<Box<dyn Device>, Unsupported> {
    let backend = &settings.backend;
    if backends::family_of(backend).is_some_and(|family| family.external().is_some()) {
        return Err(Unsupported(format!(
            "{backend} runs in a process of its own, which takes no parameters from outside"
        )));
    }
    backends::open(backend, &lane(settings.threads))
}

impl Trainer {
    /// Loads `program`, with fused ops in smaller steps where the backend lacks them. With `keep_all` every value can
    /// be read after an execution, not only inputs, outputs and what is handed on.
    pub fn new(settings: &Settings, program: &Program, keep_all: bool) -> Result<Self, TrainError> {
        let mut device = open(settings)?;
        let (backend, lane) = (&settings.backend, lane(settings.threads));
        let expanded = match backends::family_of(backend) {
            Some(family) => program.expand_for(|step, program| {
                family.supports(&lane, step, program).map_err(|reason| reason.0)
            })?,
            None => return Err(TrainError::Absent(format!("no backend is called `{backend}`"))),
        };
        let options = LoadOptions { seed: settings.seed, sets: 1, keep_all };
        let loaded = device.load(&expanded.program, &options)?;
        Ok(Self { loaded, _device: device, program: expanded.program })
    }

    /// What runs: the steps that the backend supports.
    pub fn program(&self) -> &Program {
        &self.program
    }

    fn find(&self, name: &str) -> Result<ValueId, TrainError> {
        let found = self.program.values.iter().position(|value| value.name == name);
        found.ok_or_else(|| TrainError::NoValue(name.to_string()))
    }

    /// Writes all elements of the input called `name`: what the next execution reads.
    pub fn write(&mut self, name: &str, elements: &HostArray) -> Result<(), TrainError> {
        let id = self.find(name)?;
        Ok(self.loaded.write(id, 0, 0, elements)?)
    }

    /// All elements of the value called `name`.
    pub fn read(&mut self, name: &str) -> Result<HostArray, TrainError> {
        let id = self.find(name)?;
        self.read_id(id)
    }

    /// All elements of a value by its number.
    pub(super) fn read_id(&mut self, id: ValueId) -> Result<HostArray, TrainError> {
        let elements = self.program.values[id].spec.elements();
        Ok(self.loaded.read(id, 0, 0..elements)?)
    }

    /// One execution, awaited.
    pub fn execute(&mut self) -> Result<(), TrainError> {
        self.loaded.enqueue(0)?;
        Ok(self.loaded.wait()?)
    }

    /// The mean of all elements of all outputs: the loss of a training step.
    pub fn mean_output(&mut self) -> Result<f64, TrainError> {
        let (mut sum, mut count) = (0.0, 0usize);
        for id in self.program.outputs.clone() {
            let output = self.read_id(id)?;
            sum += output.to_f64(0..output.len()).iter().sum::<f64>();
            count += output.len();
        }
        Ok(sum / count as f64)
    }

    /// Names of the parameters.
    pub fn parameters(&self) -> Vec<String> {
        let inputs = self.program.inputs().map(|id| &self.program.values[id]);
        inputs.filter(|value| value.state == State::Parameter).map(|value| value.name.clone()).collect()
    }

    /// Writes the parameters that `from`, a training step of the same model, has handed on.
    pub fn take_parameters(&mut self, from: &mut Self) -> Result<(), TrainError> {
        for name in self.parameters() {
            let updated = from.read(&format!("{name}'"))?;
            self.write(&name, &updated)?;
        }
        Ok(())
    }
}
