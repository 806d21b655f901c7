//! This program's own kernels: the launches that [`super::launch`] plans, on compiled modules.

use super::ceilings;
use super::cubins::{Cubin, Cubins};
use super::driver::{Address, FunctionId, Shape};
use super::engine::{Call, Engine, Recipe};
use super::gpu::{Gpu, Module, Stream};
use super::kernels::Source;
use super::launch::{self, Argument, Launch, Plan};
use crate::backends::{Ceiling, Fault, Identity, Unsupported};
use crate::ops::{Op, PutRows};
use crate::tensor::ValueSpec;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;

/// Modules that were loaded, by the name of their source.
pub(super) struct Native {
    gpu: Rc<Gpu>,
    cubins: Cubins,
    modules: BTreeMap<&'static str, Rc<Module>>,
}

impl Native {
    /// Nothing is loaded yet.
    pub(super) fn new(gpu: &Rc<Gpu>, cubins: Cubins) -> Self {
        Self { gpu: gpu.clone(), cubins, modules: BTreeMap::new() }
    }

    fn module(&mut self, source: &'static Source) -> Result<Rc<Module>, Fault> {
        if let Some(module) = self.modules.get(source.name) {
            return Ok(module.clone());
        }
        let arch = self.gpu.arch;
        let target = source.target(arch).ok_or_else(|| {
            let (name, archs) = (source.name, source.archs().join(", "));
            Unsupported(format!("the kernel {name} runs on {archs}, and this GPU is sm_{}", arch.0))
        })?;
        let accepts = |cubin: &Cubin| Ok(Module::new(&self.gpu, &cubin.bytes)?);
        let module = Rc::new(self.cubins.get(source, &target, accepts)?);
        self.modules.insert(source.name, module.clone());
        Ok(module)
    }

    /// A launch, ready but for addresses.
    fn ready(&mut self, launch: Launch) -> Result<Ready, Fault> {
        let Launch { source, kernel, grid, block, shared_bytes, arguments } = launch;
        let module = self.module(source)?;
        let function = module.function(&kernel, shared_bytes)?;
        Ok(Ready { _module: module, function, shape: Shape { grid, block, shared_bytes }, arguments })
    }

    /// The launches of a plan, without addresses.
    pub(super) fn recipe(&mut self, plan: Plan) -> Result<Box<dyn Recipe>, Fault> {
        let Plan { launches, scratch } = plan;
        let launches: Result<Vec<Ready>, Fault> =
            launches.into_iter().map(|launch| self.ready(launch)).collect();
        Ok(Box::new(Planned { gpu: self.gpu.clone(), launches: launches?, scratch }))
    }
}

impl Engine for Native {
    fn introduce(&self, identity: &mut Identity) {
        identity.origin = "crate".to_string();
        identity.notes.insert("compiler".to_string(), self.cubins.maker());
    }

    fn in_place(&self, op: &Op) -> &'static [(usize, usize)] {
        match op {
            Op::Adamw(_) => &[(0, 0), (1, 2), (2, 3)],
            Op::SgdMomentum(_) => &[(0, 0), (1, 2)],
            Op::PutRows(_) => PutRows::IN_PLACE,
            _ => &[],
        }
    }

    fn ceilings(&mut self) -> Result<Vec<Ceiling>, Fault> {
        ceilings::measure(&self.gpu.clone(), self)
    }

    fn prepare(&mut self, op: &Op, args: &[ValueSpec], outs: &[ValueSpec]) -> Result<Box<dyn Recipe>, Fault> {
        let plan = launch::launches(op, args, outs, self.gpu.arch)?;
        self.recipe(plan)
    }
}

/// A launch without addresses.
struct Ready {
    /// Keeps the function alive.
    _module: Rc<Module>,
    function: FunctionId,
    shape: Shape,
    arguments: Vec<Argument>,
}

/// A plan whose kernels are loaded.
struct Planned {
    gpu: Rc<Gpu>,
    launches: Vec<Ready>,
    scratch: Vec<u64>,
}

impl Recipe for Planned {
    fn scratch(&self) -> &[u64] {
        &self.scratch
    }

    fn bind(
        &self,
        args: &[Address],
        outs: &[Address],
        scratch: &[Address],
        _: &Stream,
    ) -> Result<Vec<Box<dyn Call>>, Fault> {
        let addresses = Addresses { args, outs, scratch };
        let bind = |ready: &Ready| -> Result<Box<dyn Call>, Fault> {
            let parameters = ready.arguments.iter().map(|argument| addresses.resolve(&self.gpu, argument));
            let (function, shape) = (ready.function, ready.shape);
            Ok(Box::new(KernelCall { function, shape, parameters: Parameters::new(parameters)? }))
        };
        self.launches.iter().map(bind).collect()
    }
}

struct Addresses<'a> {
    args: &'a [Address],
    outs: &'a [Address],
    scratch: &'a [Address],
}

impl Addresses<'_> {
    fn resolve(&self, gpu: &Gpu, argument: &Argument) -> Result<Parameter, Fault> {
        let at = |list: &[Address], number: usize| {
            let absent =
                || Fault::Library(format!("a launch names value {number}, which its op does not have"));
            list.get(number).copied().ok_or_else(absent)
        };
        Ok(match argument {
            Argument::Input(number) => Parameter::word(at(self.args, *number)?),
            Argument::Output(number) => Parameter::word(at(self.outs, *number)?),
            Argument::Scratch(number) => Parameter::word(at(self.scratch, *number)?),
            Argument::Null => Parameter::word(0),
            // Little-endian, so that the low bytes of a word are the number.
            Argument::F32(number) => Parameter::word(u64::from(number.to_bits())),
            Argument::I32(number) => Parameter::word(u64::from(number.cast_unsigned())),
            Argument::U32(number) => Parameter::word(u64::from(*number)),
            Argument::I64(number) => Parameter::word(number.cast_unsigned()),
            Argument::TensorMap(map) => Parameter(gpu.driver().tensor_map(map, at(self.args, map.input)?)?),
        })
    }
}

/// A kernel's parameter; longer than most, aligned as the longest wants it.
#[repr(C, align(64))]
struct Parameter([u64; 16]);

impl Parameter {
    fn word(word: u64) -> Self {
        let mut words = [0; 16];
        words[0] = word;
        Self(words)
    }
}

/// Parameters and the addresses of each, as the driver wants them.
struct Parameters {
    // Owned here so that the addresses stay those of live values; a box does not move its content.
    _values: Box<[Parameter]>,
    addresses: Vec<*mut c_void>,
}

impl Parameters {
    fn new(values: impl Iterator<Item = Result<Parameter, Fault>>) -> Result<Self, Fault> {
        let mut values: Box<[Parameter]> = values.collect::<Result<_, Fault>>()?;
        let addresses = values.iter_mut().map(|value| std::ptr::from_mut(value).cast()).collect();
        Ok(Self { _values: values, addresses })
    }
}

/// A launch on fixed addresses.
struct KernelCall {
    function: FunctionId,
    shape: Shape,
    parameters: Parameters,
}

impl Call for KernelCall {
    fn queue(&mut self, stream: &Stream) -> Result<(), Fault> {
        let Self { function, shape, parameters } = self;
        // SAFETY: the plan lists the kernel's parameters in order, each is at least as long as its type, and
        // the buffers that they name live as long as the loaded program, which owns this.
        unsafe { stream.gpu().driver().launch(*function, shape, stream.id, &mut parameters.addresses) }?;
        Ok(())
    }
}
