//! The part of CUDA's driver interface that this program uses, as a trait: [`real`] calls the installed
//! driver, a fake one records the calls and fails where a test wants it to.
//!
//! Names follow the CUDA Driver API reference manual; what each call does is said there.

mod errors;
#[cfg(test)]
pub(super) mod fake;
pub(super) mod real;

pub(super) use errors::DriverError;

use super::launch::TensorMap;

/// What a call of the driver gives.
pub(super) type Answer<T> = Result<T, DriverError>;

/// An address in the device's memory.
pub(super) type Address = u64;

/// A context, as the driver calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContextId(pub(super) usize);
/// A stream, as the driver calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(pub(super) usize);
/// An event, as the driver calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventId(pub(super) usize);
/// A loaded module, as the driver calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ModuleId(pub(super) usize);
/// A kernel of a module, as the driver calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FunctionId(pub(super) usize);

/// CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
pub(super) const MULTIPROCESSORS: i32 = 16;
/// CU_DEVICE_ATTRIBUTE_COMPUTE_MODE
pub(super) const COMPUTE_MODE: i32 = 20;
/// CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
pub(super) const L2_BYTES: i32 = 38;
/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
pub(super) const CAPABILITY_MAJOR: i32 = 75;
/// CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
pub(super) const CAPABILITY_MINOR: i32 = 76;
/// CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
pub(super) const MAX_DYNAMIC_SHARED: i32 = 8;
/// Dynamic shared memory that a kernel may use without asking.
pub(super) const SHARED_UNASKED: u32 = 48 << 10;

/// CUDA's driver. Every call may fail; none panics.
pub(super) trait Driver {
    /// cuDriverGetVersion: 1000 times the major number plus 10 times the minor one.
    fn version(&self) -> Answer<i32>;
    /// cuDeviceGetCount
    fn count(&self) -> Answer<i32>;
    /// cuDeviceGet
    fn device(&self, ordinal: i32) -> Answer<i32>;
    /// cuDeviceGetName
    fn name(&self, device: i32) -> Answer<String>;
    /// cuDeviceGetPCIBusId
    fn bus_id(&self, device: i32) -> Answer<String>;
    /// cuDeviceGetAttribute
    fn attribute(&self, device: i32, attribute: i32) -> Answer<i32>;
    /// cuDevicePrimaryCtxRetain and cuCtxSetCurrent
    fn retain(&self, device: i32) -> Answer<ContextId>;
    /// cuDevicePrimaryCtxRelease
    fn release(&self, device: i32) -> Answer<()>;
    /// cuMemAlloc
    fn allocate(&self, bytes: u64) -> Answer<Address>;
    /// cuMemFree
    fn free(&self, address: Address) -> Answer<()>;
    /// cuMemGetInfo: bytes of the device that somebody holds, whoever that is.
    fn taken(&self) -> Answer<u64>;
    /// cuMemHostAlloc with the flag DEVICEMAP: page-locked memory.
    fn allocate_host(&self, bytes: usize) -> Answer<*mut u8>;
    /// cuMemFreeHost
    fn free_host(&self, start: *mut u8) -> Answer<()>;
    /// cuMemHostGetDevicePointer: the device's address of page-locked memory.
    fn device_address(&self, start: *mut u8) -> Answer<Address>;
    /// cuStreamCreate, not blocked by the default stream.
    fn create_stream(&self) -> Answer<StreamId>;
    /// cuStreamDestroy
    fn destroy_stream(&self, stream: StreamId) -> Answer<()>;
    /// cuStreamSynchronize
    fn synchronize(&self, stream: StreamId) -> Answer<()>;
    /// cuStreamWaitValue32: the stream goes on once the word at `address` is `value` or later.
    fn wait_for_word(&self, stream: StreamId, address: Address, value: u32) -> Answer<()>;
    /// cuEventCreate
    fn create_event(&self) -> Answer<EventId>;
    /// cuEventDestroy
    fn destroy_event(&self, event: EventId) -> Answer<()>;
    /// cuEventRecord
    fn record(&self, event: EventId, stream: StreamId) -> Answer<()>;
    /// cuEventElapsedTime, in milliseconds.
    fn elapsed(&self, begin: EventId, end: EventId) -> Answer<f32>;
    /// cuModuleLoadData of a cubin, or of PTX that ends in 0.
    fn load_module(&self, image: &[u8]) -> Answer<ModuleId>;
    /// cuModuleUnload
    fn unload_module(&self, module: ModuleId) -> Answer<()>;
    /// cuModuleGetFunction
    fn function(&self, module: ModuleId, name: &str) -> Answer<FunctionId>;
    /// cuFuncSetAttribute
    fn set_attribute(&self, function: FunctionId, attribute: i32, value: i32) -> Answer<()>;
    /// cuLaunchKernel
    ///
    /// # Safety
    /// Each of `parameters` points to a value of the type that the kernel declares, and every address
    /// among them is one of live memory as large as the kernel uses.
    unsafe fn launch(
        &self,
        function: FunctionId,
        shape: &Shape,
        stream: StreamId,
        parameters: &mut [*mut std::ffi::c_void],
    ) -> Answer<()>;
    /// cuMemsetD8Async
    fn fill8(&self, address: Address, byte: u8, bytes: u64, stream: StreamId) -> Answer<()>;
    /// cuMemsetD32Async
    fn fill32(&self, address: Address, word: u32, words: u64, stream: StreamId) -> Answer<()>;
    /// cuMemcpyHtoDAsync
    ///
    /// # Safety
    /// The `bytes` from `from` on stay as they are until the stream has been waited for.
    unsafe fn copy_in(&self, to: Address, from: *const u8, bytes: usize, stream: StreamId) -> Answer<()>;
    /// cuMemcpyDtoHAsync
    ///
    /// # Safety
    /// The `bytes` from `to` on are writable, and nobody else uses them until the stream has been waited for.
    unsafe fn copy_out(&self, to: *mut u8, from: Address, bytes: usize, stream: StreamId) -> Answer<()>;
    /// cuMemcpyDtoDAsync
    fn copy_within(&self, to: Address, from: Address, bytes: u64, stream: StreamId) -> Answer<()>;
    /// cuTensorMapEncodeTiled over the memory at `address`.
    fn tensor_map(&self, map: &TensorMap, address: Address) -> Answer<[u64; 16]>;
}

/// Extents of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Blocks along x, y and z.
    pub(super) grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub(super) block: [u32; 3],
    /// Dynamic shared memory of a block.
    pub(super) shared_bytes: u32,
}
