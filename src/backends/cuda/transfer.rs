//! What crosses the bus in an end-to-end execution: the values of state batch in, the declared outputs out.

use super::driver::{Address, Answer};
use super::gpu::{HostMemory, Stream};
use crate::program::{Program, State, ValueId};
use std::ops::Range;

/// A value and where it lies in the host's memory.
struct Piece {
    value: ValueId,
    range: Range<usize>,
}

/// The host's side of both directions.
pub(super) struct Transfers {
    batch: Vec<Piece>,
    outputs: Vec<Piece>,
    /// One a set: a cold series reads other memory of the host each time too.
    sources: Vec<HostMemory>,
    target: HostMemory,
}

impl Transfers {
    /// Memory for the batch of each set and for the outputs; page-locked unless `pageable`.
    pub(super) fn new(stream: &Stream, program: &Program, sets: usize, pageable: bool) -> Answer<Self> {
        let is_carried = |id: &ValueId| program.carries.iter().any(|carry| carry.input == *id);
        let is_batch = |id: &ValueId| program.values[*id].state == State::Batch && !is_carried(id);
        let (batch, in_bytes) = pieces(program, program.inputs().filter(is_batch));
        let (outputs, out_bytes) = pieces(program, program.outputs.iter().copied());
        let memory = |bytes| HostMemory::new(stream.gpu(), bytes, pageable);
        let sources: Answer<Vec<_>> = (0..sets).map(|_| memory(in_bytes)).collect();
        Ok(Self { batch, outputs, sources: sources?, target: memory(out_bytes)? })
    }

    /// Remembers bytes of a value that is of the batch, from byte `offset` on. No copy is under way.
    pub(super) fn keep(&mut self, set: usize, value: ValueId, offset: usize, bytes: &[u8]) {
        for piece in self.batch.iter().filter(|piece| piece.value == value) {
            let start = piece.range.start + offset;
            self.sources[set].write(start..start + bytes.len(), bytes);
        }
    }

    /// Queues the copies of a set's batch to the device.
    pub(super) fn upload(
        &self,
        stream: &Stream,
        set: usize,
        place: impl Fn(ValueId) -> Address,
    ) -> Answer<()> {
        for Piece { value, range } in self.batch.iter().filter(|piece| !piece.range.is_empty()) {
            // SAFETY: the range lies inside the memory, which is written while no copy is under way and outlives the
            // stream's work, because whoever owns both waits before it goes.
            unsafe {
                let from = self.sources[set].as_ptr().add(range.start);
                stream.gpu().driver().copy_in(place(*value), from, range.len(), stream.id)?;
            }
        }
        Ok(())
    }

    /// Queues the copies of the outputs to the host.
    pub(super) fn download(&self, stream: &Stream, place: impl Fn(ValueId) -> Address) -> Answer<()> {
        for Piece { value, range } in self.outputs.iter().filter(|piece| !piece.range.is_empty()) {
            // SAFETY: the range lies inside the memory, which nobody reads and which outlives the stream's work.
            unsafe {
                let to = self.target.as_ptr().add(range.start);
                stream.gpu().driver().copy_out(to, place(*value), range.len(), stream.id)?;
            }
        }
        Ok(())
    }
}

/// Values one behind the other, and their bytes in all.
fn pieces(program: &Program, values: impl Iterator<Item = ValueId>) -> (Vec<Piece>, usize) {
    const ALIGNMENT: usize = 64;
    let mut end = 0;
    let pieces = values.map(|value| {
        let bytes = program.values[value].spec.bytes() as usize;
        let range = end..end + bytes;
        end = range.end.next_multiple_of(ALIGNMENT);
        Piece { value, range }
    });
    (pieces.collect(), end)
}
