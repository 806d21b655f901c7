//! A driver without a device, for tests: it keeps a count of everything that it gave and got back, writes down
//! the calls, fails at the one that a test wants, and runs what is queued in order, on the host's memory and a
//! clock of its own.

use super::*;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::rc::Rc;

/// Entries of a stream's queue; one more would block the host, forever if a gate is closed.
const QUEUE: usize = 1024;
/// Microseconds that the host takes to queue something.
const LAUNCH_US: f64 = 3.0;

/// A kernel that the fake can run: it reads its parameters.
pub(in crate::backends::cuda) type FakeKernel = Rc<dyn Fn(&[*mut c_void])>;

/// What the fake pretends to be and to be hit by.
#[derive(Clone)]
pub(in crate::backends::cuda) struct Script {
    /// Devices.
    pub(in crate::backends::cuda) devices: i32,
    /// CU_DEVICE_ATTRIBUTE_COMPUTE_MODE
    pub(in crate::backends::cuda) compute_mode: i32,
    /// Compute capability, major and minor.
    pub(in crate::backends::cuda) capability: (i32, i32),
    /// Bytes of memory of a device.
    pub(in crate::backends::cuda) memory: u64,
    /// Microseconds that a kernel takes.
    pub(in crate::backends::cuda) kernel_us: f64,
    /// Whether streams can wait for a word of memory.
    pub(in crate::backends::cuda) waits: bool,
    /// Error of the n-th call that may fail.
    pub(in crate::backends::cuda) fails: Option<(usize, i32)>,
    /// Error of every call of this function.
    pub(in crate::backends::cuda) refuses: Option<(&'static str, i32)>,
    /// Images that the device does not take.
    pub(in crate::backends::cuda) foreign: &'static [u8],
    /// Kernels that run; others do nothing.
    pub(in crate::backends::cuda) kernels: BTreeMap<String, FakeKernel>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            devices: 1,
            compute_mode: 0,
            capability: (9, 0),
            memory: 1 << 30,
            kernel_us: 1.0,
            waits: true,
            fails: None,
            refuses: None,
            foreign: b"foreign",
            kernels: BTreeMap::new(),
        }
    }
}

/// Something in a stream.
enum Work {
    Wait(Address, u32),
    Do(f64, Box<dyn FnOnce(f64)>),
    Mark(usize),
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    fallible: usize,
    dead: Option<i32>,
    next: usize,
    memory: BTreeMap<Address, (Layout, bool)>,
    /// Kinds and numbers of everything else that is live.
    live: BTreeMap<usize, &'static str>,
    functions: BTreeMap<usize, String>,
    events: BTreeMap<usize, f64>,
    queue: VecDeque<(f64, Work)>,
    host_us: f64,
    device_us: f64,
}

impl State {
    /// Bytes of the device's memory that are live.
    fn taken(&self) -> u64 {
        let bytes = |(layout, is_host): &(Layout, bool)| if *is_host { 0 } else { layout.size() as u64 };
        self.memory.values().map(bytes).sum()
    }
}

/// A driver without a device.
pub(in crate::backends::cuda) struct FakeDriver {
    script: Script,
    state: RefCell<State>,
}

impl FakeDriver {
    pub(in crate::backends::cuda) fn new(script: Script) -> Rc<Self> {
        Rc::new(Self { script, state: RefCell::default() })
    }

    /// Everything that was taken and not given back, by kind.
    pub(in crate::backends::cuda) fn live(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        let memory = state.memory.values().map(|(_, host)| if *host { "host memory" } else { "memory" });
        memory.chain(state.live.values().copied()).collect()
    }

    /// What was called, in order: `launch copy_bytes [2, 1, 1] [256, 1, 1] 0`.
    pub(in crate::backends::cuda) fn calls(&self) -> Vec<String> {
        self.state.borrow().calls.clone()
    }

    /// Calls so far that could have failed.
    pub(in crate::backends::cuda) fn fallible(&self) -> usize {
        self.state.borrow().fallible
    }

    /// Enters a call; an error where the script wants one. A fatal error is remembered, as a dead context is.
    fn enter(&self, call: &'static str, words: String) -> Answer<()> {
        let mut state = self.state.borrow_mut();
        state.calls.push(format!("{call} {words}").trim_end().to_string());
        state.fallible += 1;
        let number = state.fallible;
        let scripted = self.script.fails.filter(|(at, _)| *at == number).map(|(_, code)| code);
        let refused = self.script.refuses.filter(|(name, _)| *name == call).map(|(_, code)| code);
        let code = state.dead.or(scripted).or(refused);
        if let Some(code) = code.filter(|code| matches!(code, 700 | 702 | 709..=719 | 999)) {
            state.dead = Some(code);
        }
        code.map_or(Ok(()), |code| Err(DriverError::Code { call, code }))
    }

    /// Notes that something is given back, which never fails.
    fn back(&self, call: &'static str) {
        self.state.borrow_mut().calls.push(call.to_string());
    }

    fn take(&self, kind: &'static str) -> usize {
        let mut state = self.state.borrow_mut();
        state.next += 1;
        let number = state.next;
        state.live.insert(number, kind);
        number
    }

    fn give(&self, call: &'static str, kind: &'static str, number: usize) {
        self.back(call);
        let removed = self.state.borrow_mut().live.remove(&number);
        assert_eq!(removed, Some(kind), "{call} of what is not live");
    }

    fn reserve(&self, bytes: u64, host: bool, call: &'static str) -> Answer<Address> {
        let mut state = self.state.borrow_mut();
        if !host && state.taken() + bytes > self.script.memory {
            return Err(DriverError::Code { call, code: errors::OUT_OF_MEMORY });
        }
        let layout = Layout::from_size_align(bytes as usize, 256).unwrap();
        assert!(layout.size() > 0);
        // SAFETY: the layout is not empty.
        let address = unsafe { alloc_zeroed(layout) }.expose_provenance() as u64;
        state.memory.insert(address, (layout, host));
        Ok(address)
    }

    fn unreserve(&self, address: Address, host: bool) {
        let (layout, kind) = self.state.borrow_mut().memory.remove(&address).expect("freed what is not live");
        assert_eq!(kind, host);
        // SAFETY: it was allocated with this layout and is not live any more.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address as usize), layout) };
    }

    /// Fails the test where `bytes` from `address` on are not inside one live allocation.
    fn check_range(&self, address: Address, bytes: u64) {
        let state = self.state.borrow();
        let (start, (layout, _)) = state.memory.range(..=address).next_back().expect("no such memory");
        assert!(address + bytes <= start + layout.size() as u64, "beyond an allocation");
    }

    fn queue(&self, work: Work) {
        let mut state = self.state.borrow_mut();
        state.host_us += LAUNCH_US;
        let now = state.host_us;
        state.queue.push_back((now, work));
        drop(state);
        self.pump();
        assert!(
            self.state.borrow().queue.len() <= QUEUE,
            "the queue is full and a gate is closed: a deadlock"
        );
    }

    /// Runs what can run.
    fn pump(&self) {
        loop {
            let mut state = self.state.borrow_mut();
            let host = state.host_us;
            match state.queue.front() {
                Some((_, Work::Wait(address, value))) => {
                    let at = std::ptr::with_exposed_provenance::<u32>(*address as usize);
                    // SAFETY: the address was given out by `device_address`.
                    let word = unsafe { at.read_volatile() };
                    if (word.wrapping_sub(*value) as i32) < 0 {
                        return;
                    }
                    state.device_us = state.device_us.max(host);
                    state.queue.pop_front();
                }
                Some(_) => {
                    let Some((queued, work)) = state.queue.pop_front() else { return };
                    state.device_us = state.device_us.max(queued);
                    match work {
                        Work::Do(us, run) => {
                            state.device_us += us;
                            let now = state.device_us;
                            drop(state);
                            run(now);
                        }
                        Work::Mark(event) => {
                            let now = state.device_us;
                            state.events.insert(event, now);
                        }
                        Work::Wait(..) => unreachable!(),
                    }
                }
                None => return,
            }
        }
    }

    fn copy(&self, to: usize, from: usize, bytes: usize) {
        let copy = move |_| {
            let from = std::ptr::with_exposed_provenance::<u8>(from);
            let to = std::ptr::with_exposed_provenance_mut::<u8>(to);
            // SAFETY: whoever queued the copy vouched for both sides.
            unsafe { std::ptr::copy(from, to, bytes) };
        };
        self.queue(Work::Do(0.0, Box::new(copy)));
    }
}

impl Drop for FakeDriver {
    fn drop(&mut self) {
        for (address, (layout, _)) in std::mem::take(&mut self.state.get_mut().memory) {
            // SAFETY: it was allocated with this layout and never freed.
            unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address as usize), layout) };
        }
    }
}

impl Driver for FakeDriver {
    fn version(&self) -> Answer<i32> {
        self.enter("cuDriverGetVersion", String::new())?;
        Ok(13_000)
    }
    fn count(&self) -> Answer<i32> {
        self.enter("cuDeviceGetCount", String::new())?;
        Ok(self.script.devices)
    }
    fn device(&self, ordinal: i32) -> Answer<i32> {
        self.enter("cuDeviceGet", ordinal.to_string())?;
        Ok(ordinal)
    }
    fn name(&self, device: i32) -> Answer<String> {
        self.enter("cuDeviceGetName", device.to_string())?;
        Ok(format!("Fake {device}"))
    }
    fn bus_id(&self, device: i32) -> Answer<String> {
        self.enter("cuDeviceGetPCIBusId", device.to_string())?;
        Ok(format!("0000:0{device}:00.0"))
    }
    fn attribute(&self, _: i32, attribute: i32) -> Answer<i32> {
        self.enter("cuDeviceGetAttribute", attribute.to_string())?;
        Ok(match attribute {
            COMPUTE_MODE => self.script.compute_mode,
            CAPABILITY_MAJOR => self.script.capability.0,
            CAPABILITY_MINOR => self.script.capability.1,
            MULTIPROCESSORS => 132,
            L2_BYTES => 50 << 20,
            other => panic!("attribute {other}"),
        })
    }
    fn retain(&self, device: i32) -> Answer<ContextId> {
        self.enter("cuDevicePrimaryCtxRetain", device.to_string())?;
        Ok(ContextId(self.take("context")))
    }
    fn release(&self, _: i32) -> Answer<()> {
        let context =
            self.state.borrow().live.iter().find(|(_, kind)| **kind == "context").map(|(id, _)| *id);
        self.give("cuDevicePrimaryCtxRelease", "context", context.expect("no context"));
        Ok(())
    }
    fn allocate(&self, bytes: u64) -> Answer<Address> {
        self.enter("cuMemAlloc", bytes.to_string())?;
        self.reserve(bytes, false, "cuMemAlloc")
    }
    fn free(&self, address: Address) -> Answer<()> {
        self.back("cuMemFree");
        self.unreserve(address, false);
        Ok(())
    }
    fn taken(&self) -> Answer<u64> {
        self.back("cuMemGetInfo");
        Ok(self.state.borrow().taken())
    }
    fn allocate_host(&self, bytes: usize) -> Answer<*mut u8> {
        self.enter("cuMemHostAlloc", bytes.to_string())?;
        let address = self.reserve(bytes as u64, true, "cuMemHostAlloc")?;
        Ok(std::ptr::with_exposed_provenance_mut(address as usize))
    }
    fn free_host(&self, start: *mut u8) -> Answer<()> {
        self.back("cuMemFreeHost");
        self.unreserve(start.expose_provenance() as u64, true);
        Ok(())
    }
    fn device_address(&self, start: *mut u8) -> Answer<Address> {
        self.enter("cuMemHostGetDevicePointer", String::new())?;
        Ok(start.expose_provenance() as u64)
    }
    fn create_stream(&self) -> Answer<StreamId> {
        self.enter("cuStreamCreate", String::new())?;
        Ok(StreamId(self.take("stream")))
    }
    fn destroy_stream(&self, stream: StreamId) -> Answer<()> {
        self.give("cuStreamDestroy", "stream", stream.0);
        Ok(())
    }
    fn synchronize(&self, _: StreamId) -> Answer<()> {
        self.enter("cuStreamSynchronize", String::new())?;
        self.pump();
        assert!(self.state.borrow().queue.is_empty(), "waited behind a closed gate: a deadlock");
        let mut state = self.state.borrow_mut();
        state.host_us = state.host_us.max(state.device_us);
        Ok(())
    }
    fn wait_for_word(&self, _: StreamId, address: Address, value: u32) -> Answer<()> {
        self.enter("cuStreamWaitValue32", value.to_string())?;
        if !self.script.waits {
            return Err(DriverError::Missing { call: "cuStreamWaitValue32" });
        }
        self.queue(Work::Wait(address, value));
        Ok(())
    }
    fn create_event(&self) -> Answer<EventId> {
        self.enter("cuEventCreate", String::new())?;
        Ok(EventId(self.take("event")))
    }
    fn destroy_event(&self, event: EventId) -> Answer<()> {
        self.give("cuEventDestroy", "event", event.0);
        Ok(())
    }
    fn record(&self, event: EventId, _: StreamId) -> Answer<()> {
        self.enter("cuEventRecord", String::new())?;
        self.queue(Work::Mark(event.0));
        Ok(())
    }
    fn elapsed(&self, begin: EventId, end: EventId) -> Answer<f32> {
        self.enter("cuEventElapsedTime", String::new())?;
        let state = self.state.borrow();
        let at = |event: EventId| state.events.get(&event.0).expect("an event that was not reached");
        Ok(((at(end) - at(begin)) / 1e3) as f32)
    }
    fn load_module(&self, image: &[u8]) -> Answer<ModuleId> {
        self.enter("cuModuleLoadData", String::new())?;
        if image == self.script.foreign {
            return Err(DriverError::Code { call: "cuModuleLoadData", code: 209 });
        }
        Ok(ModuleId(self.take("module")))
    }
    fn unload_module(&self, module: ModuleId) -> Answer<()> {
        self.give("cuModuleUnload", "module", module.0);
        Ok(())
    }
    fn function(&self, module: ModuleId, name: &str) -> Answer<FunctionId> {
        self.enter("cuModuleGetFunction", name.to_string())?;
        let mut state = self.state.borrow_mut();
        assert_eq!(state.live.get(&module.0), Some(&"module"));
        state.next += 1;
        let number = state.next;
        state.functions.insert(number, name.to_string());
        Ok(FunctionId(number))
    }
    fn set_attribute(&self, _: FunctionId, attribute: i32, value: i32) -> Answer<()> {
        self.enter("cuFuncSetAttribute", format!("{attribute} {value}"))
    }
    unsafe fn launch(
        &self,
        function: FunctionId,
        shape: &Shape,
        _: StreamId,
        parameters: &mut [*mut c_void],
    ) -> Answer<()> {
        let name = self.state.borrow().functions[&function.0].clone();
        let Shape { grid, block, shared_bytes } = shape;
        self.enter("cuLaunchKernel", format!("{name} {grid:?} {block:?} {shared_bytes}"))?;
        let run = self.script.kernels.get(&name).cloned();
        // The real one copies what the addresses point to; here they live as long as the call does.
        let parameters: Vec<usize> =
            parameters.iter().map(|parameter| parameter.expose_provenance()).collect();
        let call = move |_| {
            let addresses: Vec<_> =
                parameters.iter().map(|&at| std::ptr::with_exposed_provenance_mut(at)).collect();
            run.iter().for_each(|run| run(&addresses));
        };
        self.queue(Work::Do(self.script.kernel_us, Box::new(call)));
        Ok(())
    }
    fn fill8(&self, address: Address, byte: u8, bytes: u64, _: StreamId) -> Answer<()> {
        self.enter("cuMemsetD8Async", format!("{byte} {bytes}"))?;
        self.check_range(address, bytes);
        let at = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: the range is inside an allocation.
        self.queue(Work::Do(0.0, Box::new(move |_| unsafe { at.write_bytes(byte, bytes as usize) })));
        Ok(())
    }
    fn fill32(&self, address: Address, word: u32, words: u64, _: StreamId) -> Answer<()> {
        self.enter("cuMemsetD32Async", format!("{word} {words}"))?;
        self.check_range(address, words * 4);
        let fill = move |_| {
            for number in 0..words as usize {
                let at = std::ptr::with_exposed_provenance_mut::<u32>(address as usize + number * 4);
                // SAFETY: the range is inside an allocation.
                unsafe { at.write(word) };
            }
        };
        self.queue(Work::Do(0.0, Box::new(fill)));
        Ok(())
    }
    unsafe fn copy_in(&self, to: Address, from: *const u8, bytes: usize, _: StreamId) -> Answer<()> {
        self.enter("cuMemcpyHtoDAsync", bytes.to_string())?;
        self.check_range(to, bytes as u64);
        self.copy(to as usize, from.expose_provenance(), bytes);
        Ok(())
    }
    unsafe fn copy_out(&self, to: *mut u8, from: Address, bytes: usize, _: StreamId) -> Answer<()> {
        self.enter("cuMemcpyDtoHAsync", bytes.to_string())?;
        self.check_range(from, bytes as u64);
        self.copy(to.expose_provenance(), from as usize, bytes);
        Ok(())
    }
    fn copy_within(&self, to: Address, from: Address, bytes: u64, _: StreamId) -> Answer<()> {
        self.enter("cuMemcpyDtoDAsync", bytes.to_string())?;
        self.check_range(to, bytes);
        self.check_range(from, bytes);
        self.copy(to as usize, from as usize, bytes as usize);
        Ok(())
    }
    fn tensor_map(&self, map: &TensorMap, address: Address) -> Answer<[u64; 16]> {
        self.enter("cuTensorMapEncodeTiled", format!("{:?}", map.extents))?;
        let mut words = [0; 16];
        words[0] = address;
        Ok(words)
    }
}
