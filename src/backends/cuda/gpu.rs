//! An open GPU and what is taken from it: memory, streams, events, modules. Each gives itself back when it
//! is dropped, and keeps the GPU open as long as it lives.

use super::driver::*;
use super::launch::Arch;
use crate::backends::{OnDevice, Unsupported};
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

/// An open GPU, its context current on this thread.
pub(super) struct Gpu {
    driver: Rc<dyn Driver>,
    device: i32,
    /// Marketing name.
    pub(super) name: String,
    /// Compute capability.
    pub(super) arch: Arch,
    /// Multiprocessors.
    pub(super) multiprocessors: u32,
    /// Bytes of its last-level cache.
    pub(super) l2_bytes: u64,
    /// Place on the bus, which NVML knows too.
    pub(super) bus_id: String,
    held: Cell<OnDevice>,
}

impl Gpu {
    /// Opens the device of this number, as CUDA counts the visible ones.
    pub(super) fn open(driver: Rc<dyn Driver>, ordinal: i32) -> Result<Rc<Self>, Unsupported> {
        let count = driver.count()?;
        if ordinal >= count {
            let plural = if count == 1 { "" } else { "s" };
            return Err(Unsupported(format!(
                "there is no GPU {ordinal}: the driver shows {count} device{plural} (CUDA_VISIBLE_DEVICES may \
                 hide some)"
            )));
        }
        let device = driver.device(ordinal)?;
        let number = |attribute| driver.attribute(device, attribute).map(|value| value.max(0) as u32);
        if number(COMPUTE_MODE)? == PROHIBITED {
            return Err(Unsupported(format!(
                "GPU {ordinal} is in the compute mode `prohibited`: nvidia-smi --compute-mode=DEFAULT, as root, ends it"
            )));
        }
        let arch = Arch(number(CAPABILITY_MAJOR)? * 10 + number(CAPABILITY_MINOR)?);
        let multiprocessors = number(MULTIPROCESSORS)?;
        let l2_bytes = u64::from(number(L2_BYTES)?);
        let (name, bus_id) = (driver.name(device)?, driver.bus_id(device)?);
        // Last, so that nothing has to be given back if something before it fails.
        driver.retain(device)?;
        let held = Cell::default();
        Ok(Rc::new(Self { driver, device, name, arch, multiprocessors, l2_bytes, bus_id, held }))
    }

    /// The driver.
    pub(super) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Bytes that are allocated on it, by this program, and all that the driver counts.
    pub(super) fn held(&self, reset_peak: bool) -> OnDevice {
        let mut held = self.held.get();
        if reset_peak {
            held.peak = held.now;
            self.held.set(held);
        }
        OnDevice { taken: self.driver.taken().ok(), ..held }
    }

    fn took(&self, bytes: u64) {
        let held = self.held.get();
        let now = held.now + bytes;
        self.held.set(OnDevice { now, peak: held.peak.max(now), ..held });
    }

    fn gave_back(&self, bytes: u64) {
        let held = self.held.get();
        self.held.set(OnDevice { now: held.now.saturating_sub(bytes), ..held });
    }
}

/// CU_COMPUTEMODE_PROHIBITED
const PROHIBITED: u32 = 2;

impl Drop for Gpu {
    fn drop(&mut self) {
        // Nothing can be done about a driver that refuses to take something back, here and below.
        let _ = self.driver.release(self.device);
    }
}

/// Memory on the device.
pub(super) struct Buffer {
    gpu: Rc<Gpu>,
    /// Where it begins; a multiple of 256.
    pub(super) address: Address,
    bytes: u64,
}

impl Buffer {
    /// `bytes` of memory; an address that nobody may use where it is none.
    pub(super) fn new(gpu: &Rc<Gpu>, bytes: u64) -> Answer<Self> {
        let address = if bytes > 0 { gpu.driver.allocate(bytes)? } else { 0 };
        gpu.took(bytes);
        Ok(Self { gpu: gpu.clone(), address, bytes })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.gpu.gave_back(self.bytes);
        if self.bytes > 0 {
            let _ = self.gpu.driver.free(self.address);
        }
    }
}

/// Memory of the host that the device reads and writes: page-locked, or plain where a case asks how much
/// slower that is.
pub(super) struct HostMemory {
    start: *mut u8,
    bytes: usize,
    owner: Owner,
}

enum Owner {
    Driver(Rc<Gpu>),
    Plain(Vec<u8>),
}

impl HostMemory {
    /// Zeroed memory.
    pub(super) fn new(gpu: &Rc<Gpu>, bytes: usize, pageable: bool) -> Answer<Self> {
        if pageable || bytes == 0 {
            let mut memory = vec![0; bytes];
            return Ok(Self { start: memory.as_mut_ptr(), bytes, owner: Owner::Plain(memory) });
        }
        let start = gpu.driver.allocate_host(bytes)?;
        // SAFETY: the driver gave `bytes` of memory to this process alone.
        unsafe { start.write_bytes(0, bytes) };
        Ok(Self { start, bytes, owner: Owner::Driver(gpu.clone()) })
    }

    /// Its first byte.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.start
    }

    /// Writes bytes while no copy is under way.
    pub(super) fn write(&mut self, range: Range<usize>, bytes: &[u8]) {
        assert!(range.end <= self.bytes && range.len() == bytes.len());
        // SAFETY: the range lies inside the memory, which is borrowed exclusively.
        unsafe { self.start.add(range.start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        match &mut self.owner {
            Owner::Driver(gpu) => drop(gpu.driver.free_host(self.start)),
            Owner::Plain(memory) => drop(std::mem::take(memory)),
        }
    }
}

/// A queue of work.
pub(super) struct Stream {
    gpu: Rc<Gpu>,
    /// What the driver calls it.
    pub(super) id: StreamId,
}

impl Stream {
    /// An empty queue.
    pub(super) fn new(gpu: &Rc<Gpu>) -> Answer<Rc<Self>> {
        Ok(Rc::new(Self { gpu: gpu.clone(), id: gpu.driver.create_stream()? }))
    }

    /// The GPU that it belongs to.
    pub(super) fn gpu(&self) -> &Rc<Gpu> {
        &self.gpu
    }

    /// Blocks until everything in it is done.
    pub(super) fn wait(&self) -> Answer<()> {
        self.gpu.driver.synchronize(self.id)
    }

    /// Copies bytes to the device and waits.
    pub(super) fn write(&self, to: Address, bytes: &[u8]) -> Answer<()> {
        // SAFETY: `bytes` is borrowed until the wait below is over.
        let copied = unsafe { self.gpu.driver.copy_in(to, bytes.as_ptr(), bytes.len(), self.id) };
        copied.and_then(|()| self.wait())
    }

    /// Copies `bytes` from the device, after all that is queued.
    pub(super) fn read(&self, from: Address, bytes: usize) -> Answer<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        if bytes > 0 {
            // SAFETY: `buffer` is borrowed until the wait below is over.
            unsafe { self.gpu.driver.copy_out(buffer.as_mut_ptr(), from, bytes, self.id) }?;
        }
        self.wait()?;
        Ok(buffer)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Memory that queued work uses is freed after this.
        let _ = self.wait();
        let _ = self.gpu.driver.destroy_stream(self.id);
    }
}

/// A mark in a stream, with the device's time when it was reached.
pub(super) struct Event {
    gpu: Rc<Gpu>,
    /// What the driver calls it.
    pub(super) id: EventId,
}

impl Event {
    /// A mark that is nowhere yet.
    pub(super) fn new(gpu: &Rc<Gpu>) -> Answer<Self> {
        Ok(Self { gpu: gpu.clone(), id: gpu.driver.create_event()? })
    }

    /// Puts it behind all that is queued.
    pub(super) fn record(&self, stream: &Stream) -> Answer<()> {
        self.gpu.driver.record(self.id, stream.id)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.gpu.driver.destroy_event(self.id);
    }
}

/// Compiled kernels on the device.
pub(super) struct Module {
    gpu: Rc<Gpu>,
    id: ModuleId,
}

impl Module {
    /// Loads a cubin or PTX.
    pub(super) fn new(gpu: &Rc<Gpu>, image: &[u8]) -> Answer<Self> {
        Ok(Self { gpu: gpu.clone(), id: gpu.driver.load_module(image)? })
    }

    /// A kernel that may use `shared_bytes` of dynamic shared memory.
    pub(super) fn function(&self, name: &str, shared_bytes: u32) -> Answer<FunctionId> {
        let function = self.gpu.driver.function(self.id, name)?;
        if shared_bytes > SHARED_UNASKED {
            self.gpu.driver.set_attribute(function, MAX_DYNAMIC_SHARED, shared_bytes as i32)?;
        }
        Ok(function)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = self.gpu.driver.unload_module(self.id);
    }
}
