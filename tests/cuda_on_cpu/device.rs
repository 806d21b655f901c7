//! Executes plans: buffers between fences, launches through a unit's library.

use crate::toolchain::library;
use cutgpu::backends::cuda::kernels::Source;
use cutgpu::backends::cuda::launch::{Argument, Launch, Plan, TensorMap};
use cutgpu::tensor::{HostArray, ValueSpec};
use libloading::Library;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::path::Path;

const PAGE: usize = 4096;
/// Bytes after a buffer that nobody may touch: kernels that look beyond a matrix look rows beyond.
const FENCE: usize = 16 << 20;
/// What memory holds that was never written: NaN in every floating-point type.
const POISON: u8 = 0xff;
/// The driver's buffers begin at multiples of 256; vectors of 16 bytes are what kernels rely on.
const ALIGN: usize = 16;

/// Memory whose end is a fence. A page of poison before it, and what alignment leaves after it, must stay.
struct Buffer {
    map: *mut u8,
    room: usize,
    bytes: usize,
}

impl Buffer {
    fn new(contents: Option<&[u8]>, bytes: usize) -> Self {
        let room = bytes.next_multiple_of(ALIGN).next_multiple_of(PAGE) + PAGE;
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a new mapping of its own, of which the last part is made untouchable.
        let map = unsafe {
            let map = mmap_anonymous(std::ptr::null_mut(), room + FENCE, prot, flags).unwrap();
            mprotect(map.byte_add(room), FENCE, MprotectFlags::empty()).unwrap();
            map.cast::<u8>()
        };
        let buffer = Self { map, room, bytes };
        buffer.whole().fill(POISON);
        if let Some(contents) = contents {
            buffer.contents().copy_from_slice(contents);
        }
        buffer
    }

    fn start(&self) -> usize {
        self.room - self.bytes.next_multiple_of(ALIGN)
    }

    #[allow(clippy::mut_from_ref, reason = "a map that kernels write to by its address")]
    fn whole(&self) -> &mut [u8] {
        // SAFETY: the mapping holds `room` bytes that can be written until it is dropped.
        unsafe { std::slice::from_raw_parts_mut(self.map, self.room) }
    }

    #[allow(clippy::mut_from_ref, reason = "a map that kernels write to by its address")]
    fn contents(&self) -> &mut [u8] {
        let start = self.start();
        &mut self.whole()[start..start + self.bytes]
    }

    /// Whether nothing was written beside the contents.
    fn is_intact(&self) -> bool {
        let (before, rest) = self.whole().split_at(self.start());
        before.iter().chain(&rest[self.bytes..]).all(|&byte| byte == POISON)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nothing refers to any more.
        let _ = unsafe { munmap(self.map.cast(), self.room + FENCE) };
    }
}

/// The order of threads, and when copies are done: late, at once, at random.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) copies: i32,
}

type Entry = unsafe extern "C" fn(*const u32, *const u32, usize, *mut *mut c_void);

/// Libraries of units, by name.
#[derive(Default)]
pub(crate) struct Emulated {
    libraries: BTreeMap<&'static str, Library>,
}

impl Emulated {
    fn library(&mut self, folder: &Path, source: &Source) -> Result<&Library, String> {
        if !self.libraries.contains_key(source.name) {
            // SAFETY: the library was built from the emulator and a kernel; it runs nothing at load.
            let library =
                unsafe { Library::new(library(folder, source)) }.map_err(|error| error.to_string())?;
            self.libraries.insert(source.name, library);
        }
        Ok(&self.libraries[source.name])
    }

    /// The outputs of `plan` on `inputs`, or what went wrong beside the answers.
    pub(crate) fn run(
        &mut self,
        folder: &Path,
        plan: &Plan,
        inputs: &[HostArray],
        outs: &[ValueSpec],
        order: Order,
    ) -> Result<Vec<HostArray>, String> {
        let bytes: Vec<_> = inputs.iter().map(HostArray::to_le_bytes).collect();
        let buffers = Buffers {
            inputs: bytes.iter().map(|bytes| Buffer::new(Some(bytes), bytes.len())).collect(),
            outputs: outs.iter().map(|spec| Buffer::new(None, spec.bytes() as usize)).collect(),
            scratch: plan.scratch.iter().map(|&bytes| Buffer::new(None, bytes as usize)).collect(),
        };
        for launch in &plan.launches {
            let library = self.library(folder, launch.source)?;
            start(library, launch, &buffers, order)?;
        }
        if buffers.inputs.iter().zip(&bytes).any(|(buffer, bytes)| buffer.contents() != &bytes[..]) {
            return Err("an input was changed".to_string());
        }
        let all = [&buffers.inputs, &buffers.outputs, &buffers.scratch];
        if all.into_iter().flatten().any(|buffer| !buffer.is_intact()) {
            return Err("something was written beside a value".to_string());
        }
        let read =
            |(spec, buffer): (&ValueSpec, &Buffer)| HostArray::from_le_bytes(spec.dtype, buffer.contents());
        Ok(outs.iter().zip(&buffers.outputs).map(read).collect())
    }
}

struct Buffers {
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
    scratch: Vec<Buffer>,
}

impl Buffers {
    /// A parameter's bytes.
    fn value(&self, argument: &Argument) -> Vec<u8> {
        let address = |buffer: &Buffer| (buffer.map as usize + buffer.start()).to_ne_bytes().to_vec();
        match argument {
            Argument::Input(number) => address(&self.inputs[*number]),
            Argument::Output(number) => address(&self.outputs[*number]),
            Argument::Scratch(number) => address(&self.scratch[*number]),
            Argument::Null => 0usize.to_ne_bytes().to_vec(),
            Argument::F32(x) => x.to_ne_bytes().to_vec(),
            Argument::I32(x) => x.to_ne_bytes().to_vec(),
            Argument::U32(x) => x.to_ne_bytes().to_vec(),
            Argument::I64(x) => x.to_ne_bytes().to_vec(),
            Argument::TensorMap(map) => encoded(map, self.value(&Argument::Input(map.input))),
        }
    }
}

/// A map as `hopper.h` declares it.
fn encoded(map: &TensorMap, address: Vec<u8>) -> Vec<u8> {
    assert!(map.swizzle == 128 && map.extents.len() == 3, "{map:?}: what the emulator knows");
    // What the driver asks for: rows of whole vectors, a tile's row within what is swizzled, and short axes.
    assert!(map.strides.iter().all(|stride| stride.is_multiple_of(16)), "{map:?}");
    assert!(map.tile[0] as usize * map.dtype.size() == 128 && map.tile.iter().all(|&extent| extent <= 256));
    let words = [map.dtype.size() as u64]
        .into_iter()
        .chain(map.extents.iter().copied())
        .chain(map.strides.iter().copied());
    let mut bytes = address;
    bytes.extend(words.flat_map(u64::to_ne_bytes));
    bytes.extend(map.tile.iter().flat_map(|extent| extent.to_ne_bytes()));
    bytes.resize(128, 0);
    bytes
}

fn start(library: &Library, launch: &Launch, buffers: &Buffers, order: Order) -> Result<(), String> {
    // Parameters stand where every type is aligned.
    let mut values: Vec<[u64; 16]> = Vec::new();
    for argument in &launch.arguments {
        let mut value = [0u64; 16];
        for (word, bytes) in value.iter_mut().zip(buffers.value(argument).chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        values.push(value);
    }
    let mut addresses: Vec<*mut c_void> = values.iter_mut().map(|value| value.as_mut_ptr().cast()).collect();
    let name = format!("emulated_{}\0", launch.kernel);
    // SAFETY: both functions have these types in the wrapper that `toolchain` writes; the parameters are those
    // of the plan, whose buffers live until the launch has returned.
    unsafe {
        let setup = library.get::<unsafe extern "C" fn(u64, i32)>(b"emulator_setup\0");
        setup.map_err(|error| error.to_string())?(order.seed, order.copies);
        let entry = library.get::<Entry>(name.as_bytes()).map_err(|error| error.to_string())?;
        let (grid, block) = (launch.grid.as_ptr(), launch.block.as_ptr());
        entry(grid, block, launch.shared_bytes as usize, addresses.as_mut_ptr());
    }
    Ok(())
}
