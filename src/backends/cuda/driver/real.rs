//! The installed driver, libcuda.so.1, opened at run time.

use super::*;
use crate::backends::Unsupported;
use crate::backends::cuda::libraries::{Opened, Wanted};
use crate::tensor::DType;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr;

/// Where the driver may be.
pub(in crate::backends::cuda) const DRIVER: Wanted = Wanted {
    about: "the NVIDIA driver's library",
    variable: "CUTGPU_LIBCUDA",
    names: &["libcuda.so.1", "libcuda.so"],
    wheels: &[],
    advice: "install the card's driver, or start the container with --gpus all",
};

/// The oldest driver: the first of CUDA 12.
const OLDEST: i32 = 12_000;

type Pointer = *mut c_void;

/// Functions by their exported names, which carry the version of their signature.
#[derive(Debug)]
struct Functions {
    version: unsafe extern "C" fn(*mut c_int) -> c_int,
    count: unsafe extern "C" fn(*mut c_int) -> c_int,
    device: unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
    name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
    bus_id: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int,
    retain: unsafe extern "C" fn(*mut Pointer, c_int) -> c_int,
    release: unsafe extern "C" fn(c_int) -> c_int,
    set_current: unsafe extern "C" fn(Pointer) -> c_int,
    allocate: unsafe extern "C" fn(*mut u64, usize) -> c_int,
    free: unsafe extern "C" fn(u64) -> c_int,
    memory: unsafe extern "C" fn(*mut usize, *mut usize) -> c_int,
    allocate_host: unsafe extern "C" fn(*mut Pointer, usize, c_uint) -> c_int,
    free_host: unsafe extern "C" fn(Pointer) -> c_int,
    device_address: unsafe extern "C" fn(*mut u64, Pointer, c_uint) -> c_int,
    create_stream: unsafe extern "C" fn(*mut Pointer, c_uint) -> c_int,
    destroy_stream: unsafe extern "C" fn(Pointer) -> c_int,
    synchronize: unsafe extern "C" fn(Pointer) -> c_int,
    wait_for_word: Option<unsafe extern "C" fn(Pointer, u64, u32, c_uint) -> c_int>,
    create_event: unsafe extern "C" fn(*mut Pointer, c_uint) -> c_int,
    destroy_event: unsafe extern "C" fn(Pointer) -> c_int,
    record: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    elapsed: unsafe extern "C" fn(*mut f32, Pointer, Pointer) -> c_int,
    load_module: unsafe extern "C" fn(*mut Pointer, *const c_void) -> c_int,
    unload_module: unsafe extern "C" fn(Pointer) -> c_int,
    function: unsafe extern "C" fn(*mut Pointer, Pointer, *const c_char) -> c_int,
    set_attribute: unsafe extern "C" fn(Pointer, c_int, c_int) -> c_int,
    launch: LaunchKernel,
    fill8: unsafe extern "C" fn(u64, u8, usize, Pointer) -> c_int,
    fill32: unsafe extern "C" fn(u64, c_uint, usize, Pointer) -> c_int,
    copy_in: unsafe extern "C" fn(u64, *const c_void, usize, Pointer) -> c_int,
    copy_out: unsafe extern "C" fn(Pointer, u64, usize, Pointer) -> c_int,
    copy_within: unsafe extern "C" fn(u64, u64, usize, Pointer) -> c_int,
    tensor_map: Option<EncodeTiled>,
}

/// Function; grid; block; shared bytes; stream; parameters; extra.
type LaunchKernel = unsafe extern "C" fn(
    Pointer,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    Pointer,
    *mut Pointer,
    *mut Pointer,
) -> c_int;

/// Map; type; rank; address; extents; strides; tile; steps; interleave, swizzle, promotion and fill.
type EncodeTiled = unsafe extern "C" fn(
    *mut c_void,
    c_int,
    u32,
    Pointer,
    *const u64,
    *const u64,
    *const u32,
    *const u32,
    c_int,
    c_int,
    c_int,
    c_int,
) -> c_int;

/// An initialised driver.
#[derive(Debug)]
pub(in crate::backends::cuda) struct RealDriver {
    functions: Functions,
    // Never closed: a driver keeps threads.
    library: Opened,
}

impl RealDriver {
    /// Finds the library and starts it.
    pub(in crate::backends::cuda) fn open() -> Result<Self, Unsupported> {
        Self::start(Opened::open(&DRIVER)?)
    }

    /// Looks for every function and initialises the driver.
    pub(in crate::backends::cuda) fn start(library: Opened) -> Result<Self, Unsupported> {
        // SAFETY: `CUresult cuInit(unsigned)`.
        let init: unsafe extern "C" fn(c_uint) -> c_int = unsafe { library.function("cuInit") }?;
        // SAFETY: each field's type is the C signature of the function it is given.
        let functions = unsafe { Functions::of(&library) }?;
        // SAFETY: 0 is the only flag there is.
        check("cuInit", unsafe { init(0) })?;
        let driver = Self { functions, library };
        let version = driver.version()?;
        if version < OLDEST {
            return Err(Unsupported(format!(
                "the NVIDIA driver is of CUDA {}.{}, and 12.0 is the oldest that is served: install a newer driver",
                version / 1000,
                version % 1000 / 10
            )));
        }
        Ok(driver)
    }

    /// Where the library came from.
    pub(in crate::backends::cuda) fn origin(&self) -> &str {
        self.library.origin()
    }
}

impl Functions {
    /// # Safety
    /// `library` is a CUDA driver, whose functions have the signatures of the reference manual.
    unsafe fn of(library: &Opened) -> Result<Self, Unsupported> {
        // SAFETY: as this function demands.
        unsafe {
            Ok(Self {
                version: library.function("cuDriverGetVersion")?,
                count: library.function("cuDeviceGetCount")?,
                device: library.function("cuDeviceGet")?,
                name: library.function("cuDeviceGetName")?,
                bus_id: library.function("cuDeviceGetPCIBusId")?,
                attribute: library.function("cuDeviceGetAttribute")?,
                retain: library.function("cuDevicePrimaryCtxRetain")?,
                release: library.function("cuDevicePrimaryCtxRelease_v2")?,
                set_current: library.function("cuCtxSetCurrent")?,
                allocate: library.function("cuMemAlloc_v2")?,
                free: library.function("cuMemFree_v2")?,
                memory: library.function("cuMemGetInfo_v2")?,
                allocate_host: library.function("cuMemHostAlloc")?,
                free_host: library.function("cuMemFreeHost")?,
                device_address: library.function("cuMemHostGetDevicePointer_v2")?,
                create_stream: library.function("cuStreamCreate")?,
                destroy_stream: library.function("cuStreamDestroy_v2")?,
                synchronize: library.function("cuStreamSynchronize")?,
                wait_for_word: library.function("cuStreamWaitValue32_v2").ok(),
                create_event: library.function("cuEventCreate")?,
                destroy_event: library.function("cuEventDestroy_v2")?,
                record: library.function("cuEventRecord")?,
                elapsed: library.function("cuEventElapsedTime")?,
                load_module: library.function("cuModuleLoadData")?,
                unload_module: library.function("cuModuleUnload")?,
                function: library.function("cuModuleGetFunction")?,
                set_attribute: library.function("cuFuncSetAttribute")?,
                launch: library.function("cuLaunchKernel")?,
                fill8: library.function("cuMemsetD8Async")?,
                fill32: library.function("cuMemsetD32Async")?,
                copy_in: library.function("cuMemcpyHtoDAsync_v2")?,
                copy_out: library.function("cuMemcpyDtoHAsync_v2")?,
                copy_within: library.function("cuMemcpyDtoDAsync_v2")?,
                tensor_map: library.function("cuTensorMapEncodeTiled").ok(),
            })
        }
    }
}

fn check(call: &'static str, code: c_int) -> Answer<()> {
    if code == 0 { Ok(()) } else { Err(DriverError::Code { call, code }) }
}

/// A size as C counts it.
fn size(call: &'static str, bytes: u64) -> Answer<usize> {
    usize::try_from(bytes).map_err(|_| DriverError::Refused { call, what: format!("{bytes} bytes") })
}

/// Text that a function writes into a buffer.
fn text(call: &'static str, write: impl FnOnce(*mut c_char, c_int) -> c_int) -> Answer<String> {
    const LENGTH: usize = 256;
    let mut buffer = [0u8; LENGTH];
    // One byte less than there are: the last stays 0.
    check(call, write(buffer.as_mut_ptr().cast(), LENGTH as c_int - 1))?;
    let text = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
    Ok(text.to_string_lossy().into_owned())
}

// SAFETY, of every call below: the functions have the signatures of the reference manual, addresses of
// results are those of live local variables, and handles come from the same driver.
impl Driver for RealDriver {
    fn version(&self) -> Answer<i32> {
        let mut version = 0;
        // SAFETY: see above.
        check("cuDriverGetVersion", unsafe { (self.functions.version)(&mut version) })?;
        Ok(version)
    }

    fn count(&self) -> Answer<i32> {
        let mut count = 0;
        // SAFETY: see above.
        check("cuDeviceGetCount", unsafe { (self.functions.count)(&mut count) })?;
        Ok(count)
    }

    fn device(&self, ordinal: i32) -> Answer<i32> {
        let mut device = 0;
        // SAFETY: see above.
        check("cuDeviceGet", unsafe { (self.functions.device)(&mut device, ordinal) })?;
        Ok(device)
    }

    fn name(&self, device: i32) -> Answer<String> {
        // SAFETY: see above; the buffer is as long as is said.
        text("cuDeviceGetName", |buffer, len| unsafe { (self.functions.name)(buffer, len, device) })
    }

    fn bus_id(&self, device: i32) -> Answer<String> {
        // SAFETY: see above; the buffer is as long as is said.
        text("cuDeviceGetPCIBusId", |buffer, len| unsafe { (self.functions.bus_id)(buffer, len, device) })
    }

    fn attribute(&self, device: i32, attribute: i32) -> Answer<i32> {
        let mut value = 0;
        // SAFETY: see above.
        let code = unsafe { (self.functions.attribute)(&mut value, attribute, device) };
        check("cuDeviceGetAttribute", code)?;
        Ok(value)
    }

    fn retain(&self, device: i32) -> Answer<ContextId> {
        let mut context = ptr::null_mut();
        // SAFETY: see above.
        check("cuDevicePrimaryCtxRetain", unsafe { (self.functions.retain)(&mut context, device) })?;
        // SAFETY: see above.
        check("cuCtxSetCurrent", unsafe { (self.functions.set_current)(context) }).inspect_err(|_| {
            let _ = self.release(device);
        })?;
        Ok(ContextId(context.expose_provenance()))
    }

    fn release(&self, device: i32) -> Answer<()> {
        // SAFETY: see above.
        check("cuDevicePrimaryCtxRelease", unsafe { (self.functions.release)(device) })
    }

    fn allocate(&self, bytes: u64) -> Answer<Address> {
        let mut address = 0;
        let bytes = size("cuMemAlloc", bytes)?;
        // SAFETY: see above.
        check("cuMemAlloc", unsafe { (self.functions.allocate)(&mut address, bytes) })?;
        Ok(address)
    }

    fn free(&self, address: Address) -> Answer<()> {
        // SAFETY: see above.
        check("cuMemFree", unsafe { (self.functions.free)(address) })
    }

    fn taken(&self) -> Answer<u64> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: see above.
        check("cuMemGetInfo", unsafe { (self.functions.memory)(&mut free, &mut total) })?;
        Ok(total.saturating_sub(free) as u64)
    }

    fn allocate_host(&self, bytes: usize) -> Answer<*mut u8> {
        const DEVICEMAP: c_uint = 2;
        let mut start = ptr::null_mut();
        // SAFETY: see above.
        let code = unsafe { (self.functions.allocate_host)(&mut start, bytes, DEVICEMAP) };
        check("cuMemHostAlloc", code)?;
        Ok(start.cast())
    }

    fn free_host(&self, start: *mut u8) -> Answer<()> {
        // SAFETY: see above.
        check("cuMemFreeHost", unsafe { (self.functions.free_host)(start.cast()) })
    }

    fn device_address(&self, start: *mut u8) -> Answer<Address> {
        let mut address = 0;
        // SAFETY: see above.
        let code = unsafe { (self.functions.device_address)(&mut address, start.cast(), 0) };
        check("cuMemHostGetDevicePointer", code)?;
        Ok(address)
    }

    fn create_stream(&self) -> Answer<StreamId> {
        const NON_BLOCKING: c_uint = 1;
        let mut stream = ptr::null_mut();
        // SAFETY: see above.
        check("cuStreamCreate", unsafe { (self.functions.create_stream)(&mut stream, NON_BLOCKING) })?;
        Ok(StreamId(stream.expose_provenance()))
    }

    fn destroy_stream(&self, stream: StreamId) -> Answer<()> {
        // SAFETY: see above.
        check("cuStreamDestroy", unsafe { (self.functions.destroy_stream)(pointer(stream.0)) })
    }

    fn synchronize(&self, stream: StreamId) -> Answer<()> {
        // SAFETY: see above.
        check("cuStreamSynchronize", unsafe { (self.functions.synchronize)(pointer(stream.0)) })
    }

    fn wait_for_word(&self, stream: StreamId, address: Address, value: u32) -> Answer<()> {
        const AT_LEAST: c_uint = 0;
        const CALL: &str = "cuStreamWaitValue32";
        let wait = self.functions.wait_for_word.ok_or(DriverError::Missing { call: CALL })?;
        // SAFETY: see above.
        check(CALL, unsafe { wait(pointer(stream.0), address, value, AT_LEAST) })
    }

    fn create_event(&self) -> Answer<EventId> {
        const TIMED: c_uint = 0;
        let mut event = ptr::null_mut();
        // SAFETY: see above.
        check("cuEventCreate", unsafe { (self.functions.create_event)(&mut event, TIMED) })?;
        Ok(EventId(event.expose_provenance()))
    }

    fn destroy_event(&self, event: EventId) -> Answer<()> {
        // SAFETY: see above.
        check("cuEventDestroy", unsafe { (self.functions.destroy_event)(pointer(event.0)) })
    }

    fn record(&self, event: EventId, stream: StreamId) -> Answer<()> {
        // SAFETY: see above.
        check("cuEventRecord", unsafe { (self.functions.record)(pointer(event.0), pointer(stream.0)) })
    }

    fn elapsed(&self, begin: EventId, end: EventId) -> Answer<f32> {
        let mut ms = 0.0;
        // SAFETY: see above.
        let code = unsafe { (self.functions.elapsed)(&mut ms, pointer(begin.0), pointer(end.0)) };
        check("cuEventElapsedTime", code)?;
        Ok(ms)
    }

    fn load_module(&self, image: &[u8]) -> Answer<ModuleId> {
        // The driver reads PTX to its 0, and a cubin as far as its headers say.
        let mut ended = image.to_vec();
        ended.push(0);
        let mut module = ptr::null_mut();
        // SAFETY: see above.
        let code = unsafe { (self.functions.load_module)(&mut module, ended.as_ptr().cast()) };
        check("cuModuleLoadData", code)?;
        Ok(ModuleId(module.expose_provenance()))
    }

    fn unload_module(&self, module: ModuleId) -> Answer<()> {
        // SAFETY: see above.
        check("cuModuleUnload", unsafe { (self.functions.unload_module)(pointer(module.0)) })
    }

    fn function(&self, module: ModuleId, name: &str) -> Answer<FunctionId> {
        const CALL: &str = "cuModuleGetFunction";
        let name = CString::new(name)
            .map_err(|error| DriverError::Refused { call: CALL, what: error.to_string() })?;
        let mut function = ptr::null_mut();
        // SAFETY: see above.
        check(CALL, unsafe { (self.functions.function)(&mut function, pointer(module.0), name.as_ptr()) })?;
        Ok(FunctionId(function.expose_provenance()))
    }

    fn set_attribute(&self, function: FunctionId, attribute: i32, value: i32) -> Answer<()> {
        // SAFETY: see above.
        let code = unsafe { (self.functions.set_attribute)(pointer(function.0), attribute, value) };
        check("cuFuncSetAttribute", code)
    }

    unsafe fn launch(
        &self,
        function: FunctionId,
        shape: &Shape,
        stream: StreamId,
        parameters: &mut [Pointer],
    ) -> Answer<()> {
        let Shape { grid, block, shared_bytes } = *shape;
        // SAFETY: see above; the caller vouches for the parameters.
        let code = unsafe {
            (self.functions.launch)(
                pointer(function.0),
                grid[0],
                grid[1],
                grid[2],
                block[0],
                block[1],
                block[2],
                shared_bytes,
                pointer(stream.0),
                parameters.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        check("cuLaunchKernel", code)
    }

    fn fill8(&self, address: Address, byte: u8, bytes: u64, stream: StreamId) -> Answer<()> {
        let bytes = size("cuMemsetD8Async", bytes)?;
        // SAFETY: see above.
        check("cuMemsetD8Async", unsafe { (self.functions.fill8)(address, byte, bytes, pointer(stream.0)) })
    }

    fn fill32(&self, address: Address, word: u32, words: u64, stream: StreamId) -> Answer<()> {
        let words = size("cuMemsetD32Async", words)?;
        // SAFETY: see above.
        check("cuMemsetD32Async", unsafe { (self.functions.fill32)(address, word, words, pointer(stream.0)) })
    }

    unsafe fn copy_in(&self, to: Address, from: *const u8, bytes: usize, stream: StreamId) -> Answer<()> {
        // SAFETY: see above; the caller vouches for `from`.
        let code = unsafe { (self.functions.copy_in)(to, from.cast(), bytes, pointer(stream.0)) };
        check("cuMemcpyHtoDAsync", code)
    }

    unsafe fn copy_out(&self, to: *mut u8, from: Address, bytes: usize, stream: StreamId) -> Answer<()> {
        // SAFETY: see above; the caller vouches for `to`.
        let code = unsafe { (self.functions.copy_out)(to.cast(), from, bytes, pointer(stream.0)) };
        check("cuMemcpyDtoHAsync", code)
    }

    fn copy_within(&self, to: Address, from: Address, bytes: u64, stream: StreamId) -> Answer<()> {
        let bytes = size("cuMemcpyDtoDAsync", bytes)?;
        // SAFETY: see above.
        let code = unsafe { (self.functions.copy_within)(to, from, bytes, pointer(stream.0)) };
        check("cuMemcpyDtoDAsync", code)
    }

    fn tensor_map(&self, map: &TensorMap, address: Address) -> Answer<[u64; 16]> {
        const CALL: &str = "cuTensorMapEncodeTiled";
        const INTERLEAVE_NONE: c_int = 0;
        const L2_256_BYTES: c_int = 3;
        const ZEROS: c_int = 0;
        let encode = self.functions.tensor_map.ok_or(DriverError::Missing { call: CALL })?;
        let refused = |what: &str| DriverError::Refused { call: CALL, what: what.to_string() };
        let kind = kind_of(map.dtype).ok_or_else(|| refused("a type that tensor maps do not have"))?;
        let swizzle = [0, 32, 64, 128].iter().position(|bytes| *bytes == map.swizzle);
        let swizzle = swizzle.ok_or_else(|| refused("a swizzle that is not 0, 32, 64 or 128 bytes"))?;
        let rank = map.extents.len();
        if rank == 0 || map.tile.len() != rank || map.strides.len() + 1 != rank {
            return Err(refused("extents, strides and tile differ in rank"));
        }
        let steps = vec![1u32; rank];
        // The driver wants the map itself at a multiple of 64.
        let mut encoded = Encoded([0; 16]);
        // SAFETY: see above; the four arrays have `rank` entries, the strides one less.
        let code = unsafe {
            encode(
                ptr::from_mut(&mut encoded).cast(),
                kind,
                rank as u32,
                pointer(address as usize),
                map.extents.as_ptr(),
                map.strides.as_ptr(),
                map.tile.as_ptr(),
                steps.as_ptr(),
                INTERLEAVE_NONE,
                swizzle as c_int,
                L2_256_BYTES,
                ZEROS,
            )
        };
        check(CALL, code)?;
        Ok(encoded.0)
    }
}

/// A CUtensorMap.
#[repr(C, align(64))]
struct Encoded([u64; 16]);

/// CUtensorMapDataType of a type.
fn kind_of(dtype: DType) -> Option<c_int> {
    Some(match dtype {
        DType::F8e4m3 | DType::U8 | DType::I8 => 0,
        DType::I32 => 4,
        DType::F16 => 6,
        DType::F32 => 7,
        DType::F64 => 8,
        DType::Bf16 => 9,
    })
}

fn pointer(handle: usize) -> Pointer {
    ptr::with_exposed_provenance_mut(handle)
}
