//! Launches on fixed buffers, and the recorder that hands them to the queue.

use super::arena::mapped;
use super::gpu::{Gpu, Memory, Pipeline};
use super::launch::{self, Launch, Number};
use crate::backends::Fault;
use std::rc::Rc;
use wgpu::*;

/// Launches that are submitted together. A submission costs tens of microseconds, so that it should hold many; the
/// adapter stands still until the first has come, so that it should not hold all.
const TOGETHER: usize = 128;
/// Work that is submitted together, in operations and bytes: a driver resets an adapter that seems to hang, which on
/// some systems is one that has not answered for two seconds.
const MOST_WORK: f64 = 5e10;
/// Queries of a set, as WebGPU grants them everywhere.
const QUERIES: u32 = 4096;
/// Bytes of a time stamp.
const STAMP: u64 = 8;

/// A launch on fixed buffers.
pub(super) struct Call {
    pub(super) pipeline: Rc<Pipeline>,
    pub(super) bindings: BindGroup,
    pub(super) grid: [u32; 3],
    /// Operations and bytes on paper.
    pub(super) work: f64,
}

impl Call {
    /// A launch on `buffers`, one for each of its bindings and the uniform's last; compiles its kernel if nobody has.
    pub(super) fn new(
        gpu: &Gpu,
        launch: &Launch,
        buffers: Vec<BufferBinding>,
        work: f64,
    ) -> Result<Self, Fault> {
        let pipeline = gpu.pipeline(launch)?;
        let entry = |(number, buffer): (usize, _)| BindGroupEntry {
            binding: number as u32,
            resource: BindingResource::Buffer(buffer),
        };
        let entries: Vec<_> = buffers.into_iter().enumerate().map(entry).collect();
        let descriptor = BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        let bindings = gpu.device.create_bind_group(&descriptor);
        Ok(Self { pipeline, bindings, grid: launch::grid(launch.groups)?, work })
    }
}

/// The uniform of a launch, as bytes.
pub(super) fn numbers(launch: &Launch) -> Vec<u8> {
    let bytes = |number: &Number| match *number {
        Number::U32(number) => number.to_le_bytes(),
        Number::I32(number) => number.to_le_bytes(),
        Number::F32(number) => number.to_le_bytes(),
    };
    launch.numbers.iter().flat_map(bytes).collect()
}

/// What is recorded and not yet submitted.
struct Open {
    pass: ComputePass<'static>,
    encoder: CommandEncoder,
    launches: usize,
    work: f64,
}

/// Time stamps around passes.
struct Clock {
    queries: QuerySet,
    /// Where they are resolved to, and where the host reads them.
    resolved: Memory,
    read: Memory,
    /// Queries that are used.
    used: u32,
    /// Nanoseconds of passes that were read before the set was full.
    earlier: f64,
    tick: f64,
}

/// Records launches and submits them.
pub(super) struct Recorder {
    open: Option<Open>,
    clock: Option<Clock>,
    is_on: bool,
    gpu: Rc<Gpu>,
}

impl Recorder {
    /// A recorder with a clock that stands still.
    pub(super) fn new(gpu: &Rc<Gpu>) -> Result<Self, Fault> {
        let clock = gpu.tick.map(|tick| Clock::new(gpu, tick)).transpose()?;
        Ok(Self { open: None, clock, is_on: false, gpu: gpu.clone() })
    }

    /// Times the passes that follow, or stops doing so.
    pub(super) fn switch(&mut self, on: bool) {
        self.flush();
        self.is_on = on;
    }

    /// Records a launch.
    pub(super) fn launch(&mut self, call: &Call) -> Result<(), Fault> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.pass.set_pipeline(&call.pipeline.raw);
        open.pass.set_bind_group(0, &call.bindings, &[]);
        let [x, y, z] = call.grid;
        open.pass.dispatch_workgroups(x, y, z);
        open.launches += 1;
        open.work += call.work;
        if open.launches >= TOGETHER || open.work >= MOST_WORK {
            self.flush();
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Open, Fault> {
        let clock = self.clock.as_mut().filter(|_| self.is_on);
        let mut encoder = self.gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        let mut descriptor = ComputePassDescriptor::default();
        if let Some(clock) = clock {
            if clock.used + 2 > QUERIES {
                clock.read(&self.gpu)?;
            }
            descriptor.timestamp_writes = Some(clock.next());
        }
        let pass = encoder.begin_compute_pass(&descriptor).forget_lifetime();
        Ok(Open { pass, encoder, launches: 0, work: 0.0 })
    }

    /// Submits what was recorded.
    pub(super) fn flush(&mut self) {
        let Some(Open { pass, encoder, .. }) = self.open.take() else { return };
        drop(pass);
        self.gpu.queue.submit([encoder.finish()]);
    }

    /// Blocks until everything that was recorded has ended.
    pub(super) fn wait(&mut self) -> Result<(), Fault> {
        self.flush();
        self.gpu.wait()
    }

    /// Nanoseconds of the passes since it was last asked, by the adapter's clock; none where none were timed.
    pub(super) fn take_time(&mut self) -> Result<Option<f64>, Fault> {
        self.flush();
        let Some(clock) = self.clock.as_mut().filter(|clock| clock.used > 0 || clock.earlier > 0.0) else {
            return Ok(None);
        };
        clock.read(&self.gpu)?;
        Ok(Some(std::mem::take(&mut clock.earlier)))
    }

    /// The stamps of the passes since time was last asked for; none where none were timed.
    pub(super) fn stamps(&mut self) -> Result<Vec<u64>, Fault> {
        self.flush();
        self.clock.as_mut().map_or(Ok(Vec::new()), |clock| clock.stamps(&self.gpu))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Clock {
    fn new(gpu: &Rc<Gpu>, tick: f64) -> Result<Self, Fault> {
        let descriptor = QuerySetDescriptor { label: None, ty: QueryType::Timestamp, count: QUERIES };
        let queries = gpu.device.create_query_set(&descriptor);
        let bytes = u64::from(QUERIES) * STAMP;
        let resolved = gpu.buffer(bytes, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC)?;
        let read = gpu.buffer(bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
        Ok(Self { queries, resolved, read, used: 0, earlier: 0.0, tick })
    }

    /// The stamps of one more pass.
    fn next(&mut self) -> ComputePassTimestampWrites<'_> {
        let first = self.used;
        self.used += 2;
        ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Adds up the passes of the set, which is empty then.
    fn read(&mut self, gpu: &Gpu) -> Result<(), Fault> {
        self.earlier += ticks(&self.stamps(gpu)?) as f64 * self.tick;
        Ok(())
    }

    /// The set's stamps; it is empty then.
    fn stamps(&mut self, gpu: &Gpu) -> Result<Vec<u64>, Fault> {
        let used = std::mem::take(&mut self.used);
        if used == 0 {
            return Ok(Vec::new());
        }
        let mut encoder = gpu.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.resolve_query_set(&self.queries, 0..used, &self.resolved.raw, 0);
        let bytes = u64::from(used) * STAMP;
        encoder.copy_buffer_to_buffer(&self.resolved.raw, 0, &self.read.raw, 0, bytes);
        gpu.queue.submit([encoder.finish()]);
        mapped(gpu, &self.read, |bytes| {
            let stamp =
                |bytes: &[u8]| bytes.iter().rev().fold(0, |stamp, &byte| stamp << 8 | u64::from(byte));
            bytes[..used as usize * STAMP as usize].chunks_exact(STAMP as usize).map(stamp).collect()
        })
    }
}

/// Ticks of passes whose stamps follow each other. A clock that ran backwards adds nothing.
fn ticks(stamps: &[u64]) -> u64 {
    stamps.chunks_exact(2).map(|pass| pass[1].saturating_sub(pass[0])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_added_up() {
        assert_eq!(ticks(&[5, 7, 1 << 40, (1 << 40) + 100, 9, 8]), 102);
        assert_eq!(ticks(&[]), 0);
    }
}
