//! What a card can do at best, measured: arithmetic in registers, memory, the bus, a launch.
//!
//! The tensor cores are driven by mma.sync, which on Hopper reaches about two thirds of what wgmma does: a
//! kernel that uses wgmma may lie above that ceiling.

use super::clock;
use super::driver::Address;
use super::gpu::{Buffer, Gpu, HostMemory, Stream};
use super::kernels::Source;
use super::launch::{Argument, Launch, Plan};
use super::native::Native;
use crate::backends::{Ceiling, Fault};
use crate::units::Reading;
use std::rc::Rc;
use std::time::Instant;

/// The probes' kernels.
pub(super) static PROBES: Source =
    Source { name: "probes", file: "probes.cu", text: include_str!("kernels/probes.cu"), defines: &[] };

const THREADS: u32 = 256;
/// Blocks of one multiprocessor: as many as its registers hold of the probes.
const BLOCKS: u32 = 8;
/// Bytes of each buffer: far more than any last-level cache.
const FOOTPRINT: u64 = 256 << 20;
/// Bytes that cross the bus at once.
const CROSSING: usize = 64 << 20;
/// Tries of each probe, of which the best counts.
const TRIES: usize = 5;

/// What probes run on.
struct Probe<'a> {
    gpu: Rc<Gpu>,
    native: &'a mut Native,
    stream: Rc<Stream>,
    buffers: [Buffer; 3],
    sink: Buffer,
}

/// Every ceiling of a card; one that cannot be measured has the reason.
pub(super) fn measure(gpu: &Rc<Gpu>, native: &mut Native) -> Result<Vec<Ceiling>, Fault> {
    let buffer = |bytes| Buffer::new(gpu, bytes);
    let buffers = [buffer(FOOTPRINT)?, buffer(FOOTPRINT)?, buffer(FOOTPRINT)?];
    let (sink, stream) = (buffer(4 * u64::from(THREADS))?, Stream::new(gpu)?);
    for buffer in &buffers {
        // Not zeros, which a card moves and multiplies at less power.
        gpu.driver().fill32(buffer.address, 0x3f12_3456, FOOTPRINT / 4, stream.id)?;
    }
    let mut probe = Probe { gpu: gpu.clone(), native, stream, buffers, sink };
    let mut ceilings = probe.arithmetic();
    ceilings.extend(probe.memory());
    ceilings.extend(probe.bus());
    ceilings.push(ceiling("launch", "s", probe.launch()));
    Ok(ceilings)
}

fn ceiling(name: &str, unit: &str, rate: Result<f64, Fault>) -> Ceiling {
    let rate = rate.map_or_else(|fault| Reading::Absent(fault.to_string()), Reading::Value);
    Ceiling { name: name.to_string(), unit: unit.to_string(), rate }
}

impl Probe<'_> {
    /// Blocks that fill the card.
    fn blocks(&self) -> u32 {
        self.gpu.multiprocessors.max(1) * BLOCKS
    }

    /// Seconds of one launch of `kernel`, at best, by the device's clock.
    fn seconds(&mut self, kernel: &str, arguments: Vec<Argument>, args: &[Address]) -> Result<f64, Fault> {
        let launch = Launch {
            source: &PROBES,
            kernel: kernel.to_string(),
            grid: [self.blocks(), 1, 1],
            block: [THREADS, 1, 1],
            shared_bytes: 0,
            arguments,
        };
        let recipe = self.native.recipe(Plan { launches: vec![launch], scratch: vec![] })?;
        let mut calls = recipe.bind(args, &[], &[], &self.stream)?;
        let mut best = f64::INFINITY;
        // The first one warms up.
        for _ in 0..=TRIES {
            let ns =
                clock::time(&self.stream, || calls.iter_mut().try_for_each(|call| call.queue(&self.stream)))?;
            best = best.min(ns / 1e9);
        }
        Ok(best)
    }

    fn arithmetic(&mut self) -> Vec<Ceiling> {
        const ROUNDS: i32 = 4096;
        /// f32 operations of a thread and round: 16 chains of a multiply-add.
        const FMA: f64 = 32.0;
        /// Operations of a warp and round: 8 products of 16 x 8 x 16, or x 32.
        const MMA: f64 = 8.0 * 2.0 * 16.0 * 8.0 * 16.0;
        let threads = f64::from(self.blocks() * THREADS);
        let rounds = f64::from(ROUNDS);
        let start = vec![Argument::Input(0), Argument::I32(ROUNDS)];
        let fma = [start.clone(), vec![Argument::F32(0.999), Argument::F32(0.001)]].concat();
        let mma = [start, vec![Argument::U32(0x3c12_3f45)]].concat();
        [
            ("f32 multiply-add", "probe_fma", fma, FMA * threads),
            ("bf16 tensor cores", "probe_mma_bf16", mma.clone(), MMA * threads / 32.0),
            ("f16 tensor cores", "probe_mma_f16", mma.clone(), MMA * threads / 32.0),
            ("int8 tensor cores", "probe_mma_i8", mma, 2.0 * MMA * threads / 32.0),
        ]
        .map(|(name, kernel, arguments, operations)| {
            let seconds = self.seconds(kernel, arguments, &[self.sink.address]);
            ceiling(name, "op/s", seconds.map(|seconds| operations * rounds / seconds))
        })
        .into()
    }

    fn memory(&mut self) -> Vec<Ceiling> {
        let [a, b, c] = self.buffers.each_ref().map(|buffer| buffer.address);
        let sink = self.sink.address;
        let vectors = |bytes: u64| Argument::I64((bytes / 16) as i64);
        // Half of the last-level cache, so that it stays there; many rounds, so that a launch does not count.
        let cached = (self.gpu.l2_bytes / 2).clamp(1 << 20, FOOTPRINT);
        let rounds = (4 * FOOTPRINT / cached).max(1);
        let read = |bytes, rounds: u64| {
            vec![Argument::Input(0), Argument::Input(1), vectors(bytes), Argument::I32(rounds as i32)]
        };
        let copy = vec![Argument::Input(0), Argument::Input(1), vectors(FOOTPRINT)];
        let triad = vec![
            Argument::Input(0),
            Argument::Input(1),
            Argument::Input(2),
            Argument::F32(0.5),
            vectors(FOOTPRINT),
        ];
        [
            ("memory read", "probe_read", read(FOOTPRINT, 1), [a, sink, 0], FOOTPRINT),
            ("memory copy", "probe_copy", copy, [a, b, 0], 2 * FOOTPRINT),
            ("memory triad", "probe_triad", triad, [a, b, c], 3 * FOOTPRINT),
            ("L2 read", "probe_read", read(cached, rounds), [a, sink, 0], cached * rounds),
        ]
        .map(|(name, kernel, arguments, args, bytes)| {
            let seconds = self.seconds(kernel, arguments, &args);
            ceiling(name, "B/s", seconds.map(|seconds| bytes as f64 / seconds))
        })
        .into()
    }

    fn bus(&mut self) -> Vec<Ceiling> {
        [
            ("host to device, page-locked", false, true, false),
            ("device to host, page-locked", false, false, true),
            ("both ways at once, page-locked", false, true, true),
            ("host to device, pageable", true, true, false),
            ("device to host, pageable", true, false, true),
        ]
        .map(|(name, pageable, there, back)| ceiling(name, "B/s", self.crossing(pageable, there, back)))
        .into()
    }

    /// Bytes a second over the bus by the host's clock, both directions counted.
    fn crossing(&self, pageable: bool, there: bool, back: bool) -> Result<f64, Fault> {
        let host = |wanted: bool| HostMemory::new(&self.gpu, if wanted { CROSSING } else { 0 }, pageable);
        let (source, target) = (host(there)?, host(back)?);
        let other = Stream::new(&self.gpu)?;
        let driver = self.gpu.driver();
        let mut best = f64::INFINITY;
        for _ in 0..=TRIES {
            let begin = Instant::now();
            // SAFETY: both memories have that many bytes and outlive the waits below; nobody else uses them.
            unsafe {
                if there {
                    driver.copy_in(self.buffers[0].address, source.as_ptr(), CROSSING, self.stream.id)?;
                }
                if back {
                    driver.copy_out(target.as_ptr(), self.buffers[1].address, CROSSING, other.id)?;
                }
            }
            self.stream.wait()?;
            other.wait()?;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        Ok((u8::from(there) + u8::from(back)) as f64 * CROSSING as f64 / best)
    }

    /// Seconds from a launch to the host's knowing that it is done, at best: what a small product cannot beat.
    fn launch(&mut self) -> Result<f64, Fault> {
        const LAUNCHES: usize = 100;
        let launch = Launch {
            source: &PROBES,
            kernel: "probe_nothing".to_string(),
            grid: [1, 1, 1],
            block: [32, 1, 1],
            shared_bytes: 0,
            arguments: vec![],
        };
        let recipe = self.native.recipe(Plan { launches: vec![launch], scratch: vec![] })?;
        let mut calls = recipe.bind(&[], &[], &[], &self.stream)?;
        let mut best = f64::INFINITY;
        for _ in 0..LAUNCHES {
            let begin = Instant::now();
            calls.iter_mut().try_for_each(|call| call.queue(&self.stream))?;
            self.stream.wait()?;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        Ok(best)
    }
}
