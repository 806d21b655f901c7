//! What a card can do at best, measured: arithmetic in registers, memory, the bus, a launch.
//!
//! Tensor cores are driven by mma.sync, and on Hopper, where that reaches about two thirds of what they do, by wgmma.

use super::clock;
use super::driver::Address;
use super::gpu::{Buffer, Gpu, HostMemory, Stream};
use super::kernels::Source;
use super::launch::{Arch, Argument, Launch, Plan};
use super::native::Native;
use crate::backends::{Ceiling, Fault};
use crate::units::Reading;
use std::rc::Rc;
use std::time::Instant;

/// The probes' kernels.
pub(super) static PROBES: Source =
    Source { name: "probes", file: "probes.cu", text: include_str!("kernels/probes.cu"), defines: &[] };

/// Those that only Hopper's cards have code for.
pub(super) static PROBES_HOPPER: Source = Source {
    name: "probes_hopper",
    file: "probes_hopper.cu",
    text: include_str!("kernels/probes_hopper.cu"),
    defines: &[],
};
/// Shared memory of theirs: 64 lines and 256 of 128 bytes.
const HOPPER_SHARED: u32 = (64 + 256) * 128;

const THREADS: u32 = 256;
/// Blocks of one multiprocessor: as many as its registers hold of the smaller probes; of others several in turn.
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
    Ceiling { name: name.to_string(), unit: unit.to_string(), rate, holds: None }
}

impl Probe<'_> {
    /// Blocks that fill the card.
    fn blocks(&self) -> u32 {
        self.gpu.multiprocessors.max(1) * BLOCKS
    }

    /// Seconds of one launch of `kernel`, at best, by the device's clock.
    fn seconds(&mut self, kernel: &str, arguments: Vec<Argument>, args: &[Address]) -> Result<f64, Fault> {
        self.seconds_of(&PROBES, 0, kernel, arguments, args)
    }

    /// The same of a kernel of `source`, whose blocks want `shared_bytes`.
    fn seconds_of(
        &mut self,
        source: &'static Source,
        shared_bytes: u32,
        kernel: &str,
        arguments: Vec<Argument>,
        args: &[Address],
    ) -> Result<f64, Fault> {
        let launch = Launch {
            source,
            kernel: kernel.to_string(),
            grid: [self.blocks(), 1, 1],
            block: [THREADS, 1, 1],
            shared_bytes,
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
        let threads = f64::from(self.blocks() * THREADS);
        let arguments =
            vec![Argument::Input(0), Argument::I32(ROUNDS), Argument::F32(0.999), Argument::F32(0.001)];
        let fma = self.seconds("probe_fma", arguments, &[self.sink.address]);
        let fma = fma.map(|seconds| FMA * threads * f64::from(ROUNDS) / seconds);
        let tensor = [("bf16", 1.0), ("f16", 1.0), ("i8", 2.0)].map(|(dtype, times)| {
            let name = if dtype == "i8" { "int8" } else { dtype };
            ceiling(&format!("{name} tensor cores"), "op/s", self.tensor(dtype, times, ROUNDS))
        });
        [ceiling("f32 multiply-add", "op/s", fma)].into_iter().chain(tensor).collect()
    }

    /// Operations a second of tensor cores, which do `times` as many as of 16-bit elements.
    fn tensor(&mut self, dtype: &str, times: f64, rounds: i32) -> Result<f64, Fault> {
        /// Operations of a warp and round: 8 products of 16 x 8 x 16.
        const MMA: f64 = 8.0 * 2.0 * 16.0 * 8.0 * 16.0;
        /// Of four warps and a round: 4 products of 64 x 256 x 16.
        const WGMMA: f64 = 4.0 * 2.0 * 64.0 * 256.0 * 16.0;
        let (args, arguments) = (
            [self.sink.address],
            vec![Argument::Input(0), Argument::I32(rounds), Argument::U32(0x3c12_3f45)],
        );
        let warps = f64::from(self.blocks() * THREADS / 32);
        let (operations, seconds) = if self.gpu.arch == Arch::HOPPER {
            let kernel = format!("probe_wgmma_{dtype}");
            let seconds = self.seconds_of(&PROBES_HOPPER, HOPPER_SHARED, &kernel, arguments, &args)?;
            (WGMMA * warps / 4.0, seconds)
        } else {
            (MMA * warps, self.seconds(&format!("probe_mma_{dtype}"), arguments, &args)?)
        };
        Ok(times * operations * f64::from(rounds) / seconds)
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
        // A thread reads 8 vectors of 16 bytes in a round.
        let shared_rounds = 4096u64;
        let shared = u64::from(self.blocks() * THREADS) * 8 * 16 * shared_rounds;
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
            (
                "shared memory read",
                "probe_shared",
                vec![Argument::Input(0), Argument::I32(shared_rounds as i32)],
                [sink, 0, 0],
                shared,
            ),
        ]
        .map(|(name, kernel, arguments, args, bytes)| {
            let seconds = self.seconds(kernel, arguments, &args);
            let rate = ceiling(name, "B/s", seconds.map(|seconds| bytes as f64 / seconds));
            Ceiling { holds: name.starts_with("L2").then_some(self.gpu.l2_bytes), ..rate }
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
