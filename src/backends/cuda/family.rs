//! CUDA's backends as plans and workers see them.

use super::blas::{BlasEngine, Cublas, CublasLt, LtEngine, Product};
use super::cards::Seen;
use super::ceilings::{PROBES, PROBES_HOPPER};
use super::compiler::{Compile, Nvrtc};
use super::cubins::{self, Cubins};
use super::driver::Driver;
use super::driver::real::RealDriver;
use super::engine::Engine;
use super::gpu::Gpu;
use super::kernels::SOURCES;
use super::launch::{Arch, launches};
use super::loaded::GpuLoaded;
use super::native::Native;
use super::nvml::Nvml;
use crate::backends::*;
use std::path::Path;
use std::rc::Rc;

/// An engine on an open device.
type Started = Result<Box<dyn Engine>, Unsupported>;
/// Starts the engine of a family, which is named first.
type Start = fn(&'static str, &Rc<Gpu>) -> Started;

/// A way of computing on NVIDIA's cards.
pub struct Cuda {
    id: &'static str,
    about: &'static str,
    serves: fn(&'static str, &Step, &Program) -> Result<(), Unsupported>,
    start: Start,
}

/// This program's kernels.
pub const NATIVE: Cuda = Cuda {
    id: "cuda/native",
    about: "this program's own kernels",
    serves: serves_native,
    start: start_native,
};

/// cuBLAS.
pub const CUBLAS: Cuda =
    Cuda { id: "cuda/cublas", about: "NVIDIA's cuBLAS", serves: serves_products, start: start_cublas };

/// cuBLASLt.
pub const CUBLASLT: Cuda =
    Cuda { id: "cuda/cublaslt", about: "NVIDIA's cuBLASLt", serves: serves_products, start: start_cublaslt };

/// Environment variable: where it is set, each device is there a second time, as `cuda/native/0/pageable`,
/// with transfers from and to memory that is not page-locked, as a program has it that took no care.
const PAGEABLE: &str = "CUTGPU_PAGEABLE";

/// How such a backend's name ends.
const PAGEABLE_ENDING: &str = "/pageable";

fn serves_native(_: &'static str, step: &Step, program: &Program) -> Result<(), Unsupported> {
    // Which card it will be is not known before a driver is opened: what some card can do is planned, and a
    // card that cannot says so at load.
    let (args, outs) = (program.specs(&step.args), program.specs(&step.outs));
    launches(&step.op, &args, &outs, Arch(90)).map(drop)
}

fn serves_products(id: &'static str, step: &Step, program: &Program) -> Result<(), Unsupported> {
    Product::new(id, &step.op, &program.specs(&step.args)).map(drop)
}

fn start_native(_: &'static str, gpu: &Rc<Gpu>) -> Result<Box<dyn Engine>, Unsupported> {
    let compiler = Nvrtc::open().map(|nvrtc| Box::new(nvrtc) as Box<dyn Compile>);
    Ok(Box::new(Native::new(gpu, Cubins::here(compiler)?)))
}

fn start_cublas(id: &'static str, _: &Rc<Gpu>) -> Result<Box<dyn Engine>, Unsupported> {
    let library = Cublas::open()?;
    let origin = library.origin().to_string();
    Ok(Box::new(BlasEngine { blas: Rc::new(library), id, origin }))
}

fn start_cublaslt(id: &'static str, _: &Rc<Gpu>) -> Result<Box<dyn Engine>, Unsupported> {
    let library = CublasLt::open()?;
    let origin = library.origin().to_string();
    Ok(Box::new(LtEngine { blas: Rc::new(library), id, origin }))
}

/// Compiles every kernel for every card that its header declares and writes the cubins into `folder`, for
/// machines without NVRTC; returns how many there are.
pub fn pack_cubins(folder: &Path) -> Result<usize, Unsupported> {
    let sources: Vec<_> = SOURCES.iter().copied().chain([&PROBES, &PROBES_HOPPER]).collect();
    cubins::pack(&Nvrtc::open()?, &sources, folder)
}

impl Cuda {
    /// The number of the device that a backend's name means, and whether its transfers are pageable.
    fn device_of(&self, backend: &str) -> Option<(i32, bool)> {
        let rest = backend.strip_prefix(self.id)?.strip_prefix('/')?;
        let (number, pageable) = match rest.strip_suffix(PAGEABLE_ENDING) {
            Some(number) => (number, true),
            None => (rest, false),
        };
        Some((number.parse().ok().filter(|number: &i32| *number >= 0)?, pageable))
    }

    /// Opens a device by its name, on a driver of the caller's choice.
    pub(super) fn open_on(
        &self,
        backend: &str,
        driver: Rc<dyn Driver>,
        origin: &str,
        start: impl Fn(&'static str, &Rc<Gpu>) -> Result<Box<dyn Engine>, Unsupported>,
    ) -> Result<GpuDevice, Unsupported> {
        let wrong = || {
            Unsupported(format!("{backend} is no device: its name ends in a number, as {}/0 does", self.id))
        };
        let (number, pageable) = self.device_of(backend).ok_or_else(wrong)?;
        let version = driver.version()?;
        let gpu = Gpu::open(driver, number)?;
        let engine = start(self.id, &gpu)?;
        let mut identity = identity(&gpu, version, origin, pageable);
        let nvml = Nvml::open(&gpu.bus_id);
        identity.notes.extend(nvml.as_ref().err().map(|reason| ("telemetry".to_string(), reason.0.clone())));
        Ok(GpuDevice { engine, identity, gpu, pageable, nvml: nvml.ok() })
    }
}

fn identity(gpu: &Gpu, version: i32, origin: &str, pageable: bool) -> Identity {
    let transfers = if pageable { "pageable memory" } else { "page-locked memory" };
    let notes = [
        ("compute_capability", format!("{}.{}", gpu.arch.0 / 10, gpu.arch.0 % 10)),
        ("multiprocessors", gpu.multiprocessors.to_string()),
        ("l2_bytes", gpu.l2_bytes.to_string()),
        ("driver", origin.to_string()),
        ("transfers", transfers.to_string()),
    ];
    Identity {
        name: gpu.name.clone(),
        version: format!("driver of CUDA {}.{}", version / 1000, version % 1000 / 10),
        threads: 1,
        notes: notes.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
        ..Identity::default()
    }
}

impl Family for Cuda {
    fn id(&self) -> &'static str {
        self.id
    }

    fn kind(&self) -> DeviceKind {
        DeviceKind::Gpu
    }

    fn devices(&self) -> Vec<Found> {
        let cards = Seen::here().visible();
        let endings: &[&str] =
            if std::env::var_os(PAGEABLE).is_some() { &["", PAGEABLE_ENDING] } else { &[""] };
        let found = |(number, card): (usize, super::cards::Card)| {
            let about =
                format!("{} on {}", self.about, if card.model.is_empty() { "a GPU" } else { &card.model });
            endings.iter().map(move |ending| Found {
                backend: format!("{}/{number}{ending}", self.id),
                kind: DeviceKind::Gpu,
                about: about.clone(),
            })
        };
        cards.into_iter().enumerate().flat_map(found).collect()
    }

    fn supports(&self, _: &Lane, step: &Step, program: &Program) -> Result<(), Unsupported> {
        (self.serves)(self.id, step, program)
    }

    fn open(&self, backend: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        let seen = Seen::here();
        if seen.visible().is_empty() {
            return Err(seen.absence());
        }
        let driver = RealDriver::open()?;
        let origin = driver.origin().to_string();
        Ok(Box::new(self.open_on(backend, Rc::new(driver), &origin, self.start)?))
    }

    fn environment(&self, _: &Lane) -> Vec<(String, String)> {
        super::variables().collect()
    }

    fn max_threads(&self) -> usize {
        1
    }
}

/// An open GPU with what computes on it.
pub(super) struct GpuDevice {
    engine: Box<dyn Engine>,
    identity: Identity,
    gpu: Rc<Gpu>,
    pageable: bool,
    nvml: Option<Nvml>,
}

impl Device for GpuDevice {
    fn identity(&self) -> Identity {
        let mut identity = self.identity.clone();
        self.engine.introduce(&mut identity);
        identity
    }

    fn on_device(&self, reset_peak: bool) -> Option<OnDevice> {
        Some(self.gpu.held(reset_peak))
    }

    fn telemetry(&self) -> Option<Telemetry> {
        self.nvml.as_ref().map(Nvml::read)
    }

    fn ceilings(&mut self) -> Result<Vec<Ceiling>, Fault> {
        self.engine.ceilings()
    }

    fn load(&mut self, program: &Program, options: &LoadOptions) -> Result<Box<dyn Loaded>, Fault> {
        let loaded = GpuLoaded::new(&self.gpu, &mut *self.engine, program, options, self.pageable)?;
        Ok(Box::new(loaded))
    }
}
