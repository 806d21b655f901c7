//! The device's memory for the values of a program: one allocation, each value at a multiple of 256 bytes,
//! with bytes around it that nobody may write.

use super::driver::{Address, Answer};
use super::gpu::{Buffer, Gpu, Stream};
use crate::backends::Fault;
use crate::tensor::{DType, HostArray, ValueSpec};
use std::ops::Range;
use std::rc::Rc;

/// As the driver aligns an allocation; tensor maps want 16, vector loads as much.
const ALIGNMENT: u64 = 256;
/// Bytes before and after each value that nobody may write.
const GUARD: u64 = 256;
/// What the guards hold.
const GUARD_BYTE: u8 = 0xA5;

struct Place {
    offset: u64,
    spec: ValueSpec,
}

impl Place {
    fn end(&self) -> u64 {
        self.offset + self.spec.bytes()
    }
}

/// Memory for a list of values.
pub(super) struct Arena {
    buffer: Buffer,
    places: Vec<Place>,
    stream: Rc<Stream>,
}

impl Arena {
    /// Memory for one value per spec, with whole guards.
    pub(super) fn new<'a>(
        gpu: &Rc<Gpu>,
        stream: &Rc<Stream>,
        specs: impl Iterator<Item = &'a ValueSpec>,
    ) -> Result<Self, Fault> {
        let too_large = || Fault::OutOfMemory("the values exceed the address space".to_string());
        let mut places: Vec<Place> = Vec::new();
        let mut end = GUARD;
        for spec in specs {
            let offset = end.next_multiple_of(ALIGNMENT);
            end = offset
                .checked_add(spec.bytes())
                .and_then(|end| end.checked_add(GUARD))
                .ok_or_else(too_large)?;
            end = end.checked_next_multiple_of(ALIGNMENT).ok_or_else(too_large)?;
            places.push(Place { offset, spec: spec.clone() });
        }
        let buffer = Buffer::new(gpu, end)?;
        gpu.driver().fill8(buffer.address, GUARD_BYTE, end, stream.id)?;
        Ok(Self { buffer, places, stream: stream.clone() })
    }

    /// Where value `place` begins.
    pub(super) fn address(&self, place: usize) -> Address {
        self.buffer.address + self.places[place].offset
    }

    /// Makes an element that nobody writes show: NaN, or the smallest value of an integer type.
    pub(super) fn spoil(&self, place: usize) -> Answer<()> {
        let (driver, spec) = (self.stream.gpu().driver(), &self.places[place].spec);
        let (address, bytes) = (self.address(place), spec.bytes());
        match spec.dtype {
            _ if bytes == 0 => Ok(()),
            // All bits set is a NaN in every format.
            DType::F64 | DType::F32 | DType::Bf16 | DType::F16 | DType::F8e4m3 => {
                driver.fill8(address, 0xFF, bytes, self.stream.id)
            }
            DType::I32 => driver.fill32(address, 1 << 31, bytes / 4, self.stream.id),
            DType::I8 => driver.fill8(address, 0x80, bytes, self.stream.id),
            DType::U8 => driver.fill8(address, 0, bytes, self.stream.id),
        }
    }

    /// Writes bytes of value `place`, from byte `offset` on.
    pub(super) fn write(&self, place: usize, offset: u64, bytes: &[u8]) -> Answer<()> {
        assert!(offset + bytes.len() as u64 <= self.places[place].spec.bytes());
        if bytes.is_empty() { Ok(()) } else { self.stream.write(self.address(place) + offset, bytes) }
    }

    /// Elements of value `place`, which has them.
    pub(super) fn read(&self, place: usize, range: Range<usize>) -> Answer<HostArray> {
        let dtype = self.places[place].spec.dtype;
        let from = self.address(place) + (range.start * dtype.size()) as u64;
        let bytes = self.stream.read(from, range.len() * dtype.size())?;
        Ok(HostArray::from_le_bytes(dtype, &bytes))
    }

    /// The first value next to which something was written, if any.
    pub(super) fn overrun(&self) -> Answer<Option<usize>> {
        for (number, place) in self.places.iter().enumerate() {
            let gap = place.end().next_multiple_of(ALIGNMENT) - place.end();
            for (start, bytes) in [(place.offset - GUARD, GUARD), (place.end(), GUARD + gap)] {
                let guard = self.stream.read(self.buffer.address + start, bytes as usize)?;
                if guard.iter().any(|&byte| byte != GUARD_BYTE) {
                    return Ok(Some(number));
                }
            }
        }
        Ok(None)
    }
}
