//! Contenders whose worker is a program of its own: libraries in Python, by scripts that speak the worker
//! protocol. The scripts are part of this program and handed to Python as arguments, so that nothing has
//! to be found or written at run time.
//!
//! Adding a library: a module in `peers/` with a class `Peer`, and a [`Python`] here with the twin of its
//! table of ops.

mod find;
mod numpy;
mod ort;
#[cfg(test)]
mod tests;
mod torch;
mod torch_cuda;

pub use numpy::NUMPY;
pub use ort::{ORT, ORT_TUNED};
pub use torch::{TORCH, TORCH_CHECK, TORCH_COMPILED};
pub use torch_cuda::{TORCH_CUDA, TorchCuda};

use super::cpu::blas::settings::{Settings, applied};
use super::cpu::loaded::is_packable;
use super::*;
use crate::host::child;
use crate::ops::Op;
use crate::tensor::{DType, ValueSpec};

/// Imports the modules that its arguments hold.
const BOOT: &str = include_str!("../../../peers/boot.py");

/// What every worker in Python shares, by module.
const WORKER: [(&str, &str); 7] = [
    ("worker", include_str!("../../../peers/worker/__init__.py")),
    ("worker.errors", include_str!("../../../peers/worker/errors.py")),
    ("worker.inputs", include_str!("../../../peers/worker/inputs.py")),
    ("worker.machine", include_str!("../../../peers/worker/machine.py")),
    ("worker.program", include_str!("../../../peers/worker/program.py")),
    ("worker.session", include_str!("../../../peers/worker/session.py")),
    ("worker.shapes", include_str!("../../../peers/worker/shapes.py")),
];

/// A library in Python.
pub struct Python {
    id: &'static str,
    about: &'static str,
    /// Packages that it needs, by the folders that they are installed in.
    packages: &'static [&'static str],
    /// Its modules with their text; the first has the class `Peer`.
    modules: &'static [(&'static str, &'static str)],
    /// Whether its table of ops has the step, or what it lacks, after "`id` ".
    serves: fn(&Step, &Program) -> Result<(), &'static str>,
    /// Whether it lays out the parameters of a product or a convolution anew in the packed lane.
    packs: fn(&Step, &Program) -> bool,
    packings: &'static [Packing],
    /// It compiles a program before it runs it.
    compiles: bool,
    /// Variables for so many threads.
    settings: fn(usize) -> Settings,
}

impl Family for Python {
    fn id(&self) -> &'static str {
        self.id
    }

    fn devices(&self) -> Vec<Found> {
        find::python(self).map_or_else(|_| Vec::new(), |_| cpu::host(self.id, self.about))
    }

    fn supports(&self, lane: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        let refused = |why: &str| Err(Unsupported(format!("{} {why}", self.id)));
        if lane.packing == Packing::Packed && !self.packs_in(step, program) {
            return refused("lays out nothing of it anew");
        }
        let holds = |id: &usize| program.values[*id].spec.dtype != DType::F8e4m3;
        if !step.args.iter().chain(&step.outs).all(holds) {
            return refused("is sent no floating-point numbers of 8 bits");
        }
        (self.serves)(step, program).or_else(refused)
    }

    fn packings(&self) -> &'static [Packing] {
        self.packings
    }

    // A compiler that starts cold, and a second for each step: BERT-tiny's step of training took 40 s on two cores.
    fn compiling(&self, program: &Program) -> Duration {
        if self.compiles { Duration::from_secs(60 + program.steps.len() as u64) } else { Duration::ZERO }
    }

    fn open(&self, _: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        find::python(self)?;
        Err(Unsupported(format!("{} runs in a process of its own", self.id)))
    }

    fn environment(&self, lane: &Lane) -> Vec<(String, String)> {
        let mut variables = applied((self.settings)(lane.threads));
        variables.extend(find::path_of_packages(self).map(|path| ("PYTHONPATH".to_string(), path)));
        variables
    }

    fn external(&self) -> Option<Result<External, Unsupported>> {
        let command = |python: std::path::PathBuf| External {
            command: std::iter::once(python.to_string_lossy().into_owned()).chain(self.arguments()).collect(),
        };
        Some(find::python(self).map(command))
    }
}

impl Python {
    /// Python with this library and so many threads, about to run `text`; or what is missing.
    pub fn script(&self, text: &str, threads: usize) -> Result<std::process::Command, Unsupported> {
        let mut command = std::process::Command::new(find::python(self)?);
        command.args(["-c", text]);
        child::set_all(&mut command, &self.environment(&Lane { threads, packing: Packing::Plain }));
        Ok(command)
    }

    /// What Python is given: the text that imports the rest, the backend, the module of `Peer`, and each
    /// module's name and text.
    fn arguments(&self) -> impl Iterator<Item = String> {
        let pairs = WORKER.iter().chain(self.modules).flat_map(|(name, text)| [*name, *text]);
        ["-c", BOOT, self.id, self.modules[0].0].into_iter().chain(pairs).map(str::to_string)
    }

    /// Whether the packed lane differs from the plain one: it has a matrix to lay out, and every product
    /// has its own laid out.
    fn packs_in(&self, step: &Step, program: &Program) -> bool {
        if is_product(step) {
            return (self.packs)(step, program);
        }
        let is_matrix = |id: &ValueId| program.values[*id].spec.shape.len() >= 2 && is_packable(program, *id);
        self.packings.contains(&Packing::Packed) && program.inputs().any(|id| is_matrix(&id))
    }
}

fn is_product(step: &Step) -> bool {
    matches!(step.op, Op::Gemm(_) | Op::GemmI8(_) | Op::Conv2d(_))
}

/// The type that all values have.
fn common_type(specs: &[ValueSpec]) -> Option<DType> {
    let dtype = specs.first()?.dtype;
    specs.iter().all(|spec| spec.dtype == dtype).then_some(dtype)
}

/// Specs of a step's arguments and of its first outputs, at most `outs` of them.
fn specs_of(step: &Step, program: &Program, outs: usize) -> Vec<ValueSpec> {
    program.specs(&[&step.args[..], &step.outs[..step.outs.len().min(outs)]].concat()).into_vec()
}

/// The thread counts of libraries that the worker loads and does not compute with: numpy's own.
fn unused_blas() -> Settings {
    vec![("OPENBLAS_NUM_THREADS", "1".to_string())]
}
