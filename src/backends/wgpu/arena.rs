//! The adapter's memory for the values of a program: a buffer each, with bytes around it that nobody may write.

use super::gpu::{Gpu, Memory};
use crate::backends::Fault;
use crate::tensor::{DType, HostArray, ValueSpec};
use std::num::NonZeroU64;
use std::ops::Range;
use std::rc::Rc;
use wgpu::{BufferBinding, BufferUsages, CommandEncoderDescriptor, MapMode};

/// Bytes before and after each value that nobody may write: a binding may begin at multiples of this everywhere.
const GUARD: u64 = 256;
/// What the guards hold.
const GUARD_BYTE: u8 = 0xA5;
/// Copies and bindings are whole words.
pub(super) const WORD: u64 = 4;
/// Bytes that are handed to the queue at once: it keeps a copy of them until they have arrived.
const PIECE: usize = 32 << 20;

/// What memory of values is used for.
pub(super) const USES: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

/// A value's memory.
pub(super) struct Place {
    pub(super) memory: Memory,
    spec: ValueSpec,
}

impl Place {
    /// Bytes of the value in whole words.
    fn padded(&self) -> u64 {
        self.spec.bytes().next_multiple_of(WORD)
    }

    /// What a kernel sees of it.
    pub(super) fn binding(&self) -> BufferBinding<'_> {
        // A binding of no bytes is none; nobody looks at what an empty value is bound to.
        BufferBinding {
            buffer: &self.memory.raw,
            offset: GUARD,
            size: NonZeroU64::new(self.padded().max(WORD)),
        }
    }
}

/// Memory for a list of values.
pub(super) struct Arena {
    pub(super) places: Vec<Place>,
    gpu: Rc<Gpu>,
}

impl Arena {
    /// Memory for one value per spec, with whole guards.
    pub(super) fn new<'a>(gpu: &Rc<Gpu>, specs: impl Iterator<Item = &'a ValueSpec>) -> Result<Self, Fault> {
        let most = gpu.limits.max_storage_buffer_binding_size;
        let mut places = Vec::new();
        for spec in specs {
            let bytes = spec.bytes().checked_next_multiple_of(WORD).unwrap_or(u64::MAX);
            if bytes > most {
                let why = format!("a value of {bytes} bytes, and kernels of this adapter see {most} at most");
                return Err(Fault::Unsupported(why));
            }
            let memory = gpu.buffer(bytes + 2 * GUARD, USES)?;
            let guard = [GUARD_BYTE; GUARD as usize];
            gpu.queue.write_buffer(&memory.raw, 0, &guard);
            gpu.queue.write_buffer(&memory.raw, GUARD + bytes, &guard);
            places.push(Place { memory, spec: spec.clone() });
        }
        gpu.check()?;
        Ok(Self { places, gpu: gpu.clone() })
    }

    /// Makes an element that nobody writes show: NaN, or the smallest value of an integer type.
    pub(super) fn spoil(&self, place: usize) -> Result<(), Fault> {
        let Place { memory, spec } = &self.places[place];
        let word: u32 = match spec.dtype {
            // All bits set is a NaN in every format.
            DType::F64 | DType::F32 | DType::Bf16 | DType::F16 | DType::F8e4m3 => u32::MAX,
            DType::I32 => 1 << 31,
            DType::I8 => 0x8080_8080,
            DType::U8 => 0,
        };
        let mut left = self.places[place].padded() as usize;
        let piece = word.to_le_bytes().repeat(left.min(PIECE) / WORD as usize);
        let mut offset = GUARD;
        while left > 0 {
            let part = &piece[..left.min(PIECE)];
            self.send(memory, offset, part);
            offset += part.len() as u64;
            left -= part.len();
        }
        self.gpu.check()
    }

    /// Hands whole words to the queue, in pieces.
    fn send(&self, memory: &Memory, offset: u64, bytes: &[u8]) {
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            self.gpu.queue.write_buffer(&memory.raw, offset + (number * PIECE) as u64, piece);
            if piece.len() == PIECE {
                self.gpu.queue.submit([]);
            }
        }
    }

    /// Writes bytes of value `place`, from byte `offset` on; its last word may be filled up.
    pub(super) fn write(&self, place: usize, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        let Place { memory, spec } = &self.places[place];
        let end = offset + bytes.len() as u64;
        assert!(end <= self.places[place].padded(), "{} bytes at {offset} of {spec:?}", bytes.len());
        let (first, last) = (offset / WORD * WORD, end.next_multiple_of(WORD));
        if (first, last) == (offset, end) {
            self.send(memory, GUARD + offset, bytes);
            return self.gpu.check();
        }
        // Words that are written in part keep the rest.
        let mut words = self.bytes(place, first..last)?;
        words[(offset - first) as usize..(end - first) as usize].copy_from_slice(bytes);
        self.send(memory, GUARD + first, &words);
        self.gpu.check()
    }

    /// Elements of value `place`, which has them.
    pub(super) fn read(&self, place: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let dtype = self.places[place].spec.dtype;
        let (start, end) = ((range.start * dtype.size()) as u64, (range.end * dtype.size()) as u64);
        let first = start / WORD * WORD;
        let bytes = self.bytes(place, first..end.next_multiple_of(WORD))?;
        Ok(HostArray::from_le_bytes(dtype, &bytes[(start - first) as usize..(end - first) as usize]))
    }

    /// Whole words of value `place`.
    fn bytes(&self, place: usize, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        self.fetch(&[(place, GUARD + range.start, range.end - range.start)])
    }

    /// Pieces of buffers, one behind the other: (place, first byte of its buffer, bytes).
    fn fetch(&self, pieces: &[(usize, u64, u64)]) -> Result<Vec<u8>, Fault> {
        let total: u64 = pieces.iter().map(|(_, _, bytes)| bytes).sum();
        if total == 0 {
            return Ok(Vec::new());
        }
        let target = self.gpu.buffer(total, BufferUsages::COPY_DST | BufferUsages::MAP_READ)?;
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        let mut at = 0;
        for &(place, first, bytes) in pieces.iter().filter(|(_, _, bytes)| *bytes > 0) {
            encoder.copy_buffer_to_buffer(&self.places[place].memory.raw, first, &target.raw, at, bytes);
            at += bytes;
        }
        self.gpu.queue.submit([encoder.finish()]);
        mapped(&self.gpu, &target, <[u8]>::to_vec)
    }

    /// The first value next to which something was written, if any.
    pub(super) fn overrun(&self) -> Result<Option<usize>, Fault> {
        let guards =
            |(number, place): (usize, &Place)| [(number, 0, GUARD), (number, GUARD + place.padded(), GUARD)];
        let pieces: Vec<_> = self.places.iter().enumerate().flat_map(guards).collect();
        let bytes = self.fetch(&pieces)?;
        let spoilt = bytes.iter().position(|&byte| byte != GUARD_BYTE);
        Ok(spoilt.map(|byte| byte / (2 * GUARD as usize)))
    }
}

/// What `look` makes of memory that the host may read, after everything that was submitted.
pub(super) fn mapped<T>(gpu: &Gpu, memory: &Memory, look: impl FnOnce(&[u8]) -> T) -> Result<T, Fault> {
    // An error of mapping is one of the range's, below.
    memory.raw.map_async(MapMode::Read, .., |_| {});
    gpu.wait()?;
    let unread = |error| Fault::Library(format!("the adapter's memory cannot be read: {error:?}"));
    let range = memory.raw.get_mapped_range(..).map_err(unread)?;
    let answer = look(&range);
    drop(range);
    memory.raw.unmap();
    Ok(answer)
}
