//! An open adapter and what is taken from it: buffers and pipelines. Each keeps it open as long as it lives.

use super::adapters::Adapter;
use super::clock;
use super::kernels;
use super::launch::{Binding, Can, Launch};
use super::tuned;
use crate::backends::{DeviceKind, Fault, OnDevice, Unsupported};
use pollster::block_on;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wgpu::*;

/// Where errors go that no call returns.
type Trouble = Arc<Mutex<Option<Fault>>>;

/// A kernel, compiled.
pub(super) struct Pipeline {
    pub(super) raw: ComputePipeline,
    pub(super) layout: BindGroupLayout,
}

/// What compiling took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compiled {
    pub(super) pipelines: usize,
    pub(super) time: Duration,
}

/// An open adapter.
pub(super) struct Gpu {
    pub(super) device: Device,
    pub(super) queue: Queue,
    pub(super) limits: Limits,
    pub(super) can: Can,
    /// Who chose the tile of products: a measurement, or nobody.
    pub(super) tuned: bool,
    /// Nanoseconds of a tick of the adapter's clock, where passes can read it.
    pub(super) tick: Option<f64>,
    /// What was seen of that clock, once anybody has looked.
    clock: OnceCell<Result<clock::Seen, Fault>>,
    trouble: Trouble,
    held: Cell<OnDevice>,
    pipelines: RefCell<HashMap<String, Rc<Pipeline>>>,
    compiled: Cell<Compiled>,
}

/// Features that are used where an adapter has them.
const USED: Features = Features::TIMESTAMP_QUERY
    .union(Features::SHADER_F16)
    .union(Features::SUBGROUP)
    .union(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

impl Gpu {
    /// Opens an adapter that was found; its products take `tile`, else the one that was tuned, else the usual.
    pub(super) fn open(
        raw: &wgpu::Adapter,
        found: &Adapter,
        tile: Option<&'static str>,
    ) -> Result<Rc<Self>, Unsupported> {
        let features = raw.features() & USED;
        let refused =
            |error: RequestDeviceError| Unsupported(format!("{} did not open: {error}", found.name));
        let request = |required_features: Features| {
            // SAFETY: cooperative matrices are experimental, which means that they may be wrong, not that they
            // break this process; what they compute is checked as everything is.
            let experimental_features = unsafe { ExperimentalFeatures::enabled() };
            let descriptor = DeviceDescriptor {
                required_features,
                required_limits: raw.limits(),
                experimental_features,
                ..DeviceDescriptor::default()
            };
            block_on(raw.request_device(&descriptor))
        };
        let (device, queue) = request(features).map_err(refused)?;
        let trouble = watched(&device);
        let only = tile.is_some();
        let tile = tile.or_else(|| tuned::tile(found));
        let can = Can {
            f16: features.contains(Features::SHADER_F16),
            subgroups: features.contains(Features::SUBGROUP),
            matrices: features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX | Features::SHADER_F16)
                && raw.cooperative_matrix_properties().iter().any(multiplies_halves),
            shared: raw.limits().max_compute_workgroup_storage_size,
            tile: tile.unwrap_or(Can::MOST.tile),
            only,
        };
        let has_clock = features.contains(Features::TIMESTAMP_QUERY);
        Ok(Rc::new(Self {
            tick: has_clock.then(|| f64::from(queue.get_timestamp_period())),
            limits: device.limits(),
            device,
            queue,
            can,
            tuned: tile.is_some(),
            clock: OnceCell::new(),
            trouble,
            held: Cell::default(),
            pipelines: RefCell::default(),
            compiled: Cell::default(),
        }))
    }

    /// Bytes of buffers, and what they were at most.
    pub(super) fn held(&self, reset_peak: bool) -> OnDevice {
        let mut held = self.held.get();
        if reset_peak {
            held.peak = held.now;
            self.held.set(held);
        }
        held
    }

    /// What is to be thought of the adapter's clock, where it has one: looked at once.
    pub(super) fn clock(self: &Rc<Self>) -> Option<Result<clock::Seen, Fault>> {
        self.tick?;
        Some(self.clock.get_or_init(|| clock::Seen::of(self)).clone())
    }

    /// Pipelines so far and the time that they took.
    pub(super) fn compiled(&self) -> Compiled {
        self.compiled.get()
    }

    /// What went wrong since it was last asked, outside any call that could have said so.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match &*trouble {
            // Only a new process can help.
            Some(lost @ Fault::DeviceLost(_)) => Err(lost.clone()),
            Some(_) => Err(trouble.take().unwrap_or_else(|| Fault::Library(String::new()))),
            None => Ok(()),
        }
    }

    /// Blocks until everything that was submitted has ended.
    pub(super) fn wait(&self) -> Result<(), Fault> {
        let polled = self.device.poll(PollType::wait_indefinitely());
        self.check()?;
        polled.map(drop).map_err(|error| Fault::Library(format!("waiting for the adapter failed: {error}")))
    }

    /// Runs `work`; an error that it caused is its answer.
    fn scoped<T>(&self, work: impl FnOnce() -> T) -> Result<T, Fault> {
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let answer = work();
        // Innermost first; each is popped whatever the others say.
        let errors = [block_on(validation.pop()), block_on(internal.pop()), block_on(memory.pop())];
        match errors.into_iter().flatten().next() {
            Some(error) => Err(fault(&error)),
            None => self.check().map(|()| answer),
        }
    }

    /// `bytes` of memory for `usage`, a multiple of 4.
    pub(super) fn buffer(self: &Rc<Self>, bytes: u64, usage: BufferUsages) -> Result<Memory, Fault> {
        let most = self.limits.max_buffer_size;
        if bytes > most {
            let why = format!("a buffer of {bytes} bytes, and this adapter makes none beyond {most}");
            return Err(Fault::Unsupported(why));
        }
        let descriptor = BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
        let raw = self.scoped(|| self.device.create_buffer(&descriptor))?;
        let held = self.held.get();
        let now = held.now + bytes;
        self.held.set(OnDevice { now, peak: held.peak.max(now), ..held });
        Ok(Memory { raw, bytes, gpu: self.clone() })
    }

    /// The kernel of a launch, compiled once.
    pub(super) fn pipeline(&self, launch: &Launch) -> Result<Rc<Pipeline>, Fault> {
        let text = kernels::text(launch);
        let key = format!("{}\n{text}", launch.entry);
        if let Some(pipeline) = self.pipelines.borrow().get(&key) {
            return Ok(pipeline.clone());
        }
        let start = Instant::now();
        let name = format!("{}: {}", launch.source.name, launch.entry);
        let pipeline = self.scoped(|| self.compile(launch, text)).map_err(|fault| match fault {
            Fault::Library(log) => Fault::Library(format!("the kernel {name} did not compile: {log}")),
            other => other,
        })?;
        let Compiled { pipelines, time } = self.compiled.get();
        self.compiled.set(Compiled { pipelines: pipelines + 1, time: time + start.elapsed() });
        let pipeline = Rc::new(pipeline);
        self.pipelines.borrow_mut().insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, launch: &Launch, text: String) -> Pipeline {
        let source = ShaderSource::Wgsl(text.into());
        let descriptor = ShaderModuleDescriptor { label: Some(launch.source.name), source };
        // SAFETY: kernels compare every index with its extent themselves, which tests hold them to by guards around
        // every buffer, and end every loop.
        let module =
            unsafe { self.device.create_shader_module_trusted(descriptor, ShaderRuntimeChecks::unchecked()) };
        let entries: Vec<_> = types(launch).enumerate().map(|(number, ty)| entry(number, ty)).collect();
        let descriptor = BindGroupLayoutDescriptor { label: None, entries: &entries };
        let layout = self.device.create_bind_group_layout(&descriptor);
        let together = self.device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let raw = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(launch.entry),
            layout: Some(&together),
            module: &module,
            entry_point: Some(launch.entry),
            compilation_options: PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { raw, layout }
    }
}

/// Keeps what the device says outside any call.
fn watched(device: &Device) -> Trouble {
    let trouble = Trouble::default();
    let keep = |trouble: &Trouble, fault: Fault| {
        let mut first = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // The first error explains those that follow; a lost device outdoes it.
        if first.is_none() || matches!(fault, Fault::DeviceLost(_)) {
            *first = Some(fault);
        }
    };
    let errors = trouble.clone();
    device.on_uncaptured_error(Arc::new(move |error: Error| keep(&errors, fault(&error))));
    let lost = trouble.clone();
    device.set_device_lost_callback(move |_, message| keep(&lost, Fault::DeviceLost(message)));
    trouble
}

pub(super) fn fault(error: &Error) -> Fault {
    match error {
        Error::OutOfMemory { .. } => Fault::OutOfMemory("the adapter has no memory left for it".to_string()),
        Error::Validation { description, .. } | Error::Internal { description, .. } => {
            Fault::Library(description.trim().to_string())
        }
    }
}

/// Whether an adapter multiplies 16 x 16 matrices of f16 and adds in f32.
fn multiplies_halves(properties: &CooperativeMatrixProperties) -> bool {
    let CooperativeMatrixProperties { m_size, n_size, k_size, ab_type, cr_type, .. } = properties;
    (*m_size, *n_size, *k_size) == (16, 16, 16)
        && *ab_type == CooperativeScalarType::F16
        && *cr_type == CooperativeScalarType::F32
}

/// The types of a launch's bindings, the uniform last where there is one.
fn types(launch: &Launch) -> impl Iterator<Item = BufferBindingType> {
    let storage = launch.bindings.iter().map(|binding| BufferBindingType::Storage {
        read_only: matches!(binding, Binding::Input(_) | Binding::NoInput),
    });
    storage.chain((!launch.numbers.is_empty()).then_some(BufferBindingType::Uniform))
}

fn entry(number: usize, ty: BufferBindingType) -> BindGroupLayoutEntry {
    BindGroupLayoutEntry {
        binding: number as u32,
        visibility: ShaderStages::COMPUTE,
        ty: BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}

/// Memory of an adapter.
pub(super) struct Memory {
    pub(super) raw: Buffer,
    bytes: u64,
    gpu: Rc<Gpu>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        let held = self.gpu.held.get();
        self.gpu.held.set(OnDevice { now: held.now.saturating_sub(self.bytes), ..held });
    }
}

/// What an adapter of this type is.
pub(super) fn kind(device_type: DeviceType) -> DeviceKind {
    match device_type {
        DeviceType::Cpu => DeviceKind::SoftwareGpu,
        // A virtual one is a share of a card; what cannot say what it is, is held to be one, and its record says so.
        DeviceType::IntegratedGpu | DeviceType::DiscreteGpu | DeviceType::VirtualGpu | DeviceType::Other => {
            DeviceKind::Gpu
        }
    }
}
