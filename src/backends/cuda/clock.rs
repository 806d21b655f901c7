//! Time by the device's own clock: events around batched launches.
//!
//! A launch costs the host some microseconds, and a small kernel takes less: between two of them the device
//! would stand still and its clock would time the host. So the stream first waits for a word of host memory
//! (the gate); the host queues launches behind it, marks the end, and opens it. The gate opens before the
//! driver's queue is full, which would stop the host forever, so a long batch is several segments. That is
//! how NVIDIA's nvbench does it, with a kernel that spins in place of the word.

use super::driver::{Address, Answer};
use super::gpu::{Event, Gpu, HostMemory, Stream};
use crate::backends::Fault;
use std::rc::Rc;

/// Launches behind one gate. The driver's queue holds 1024 entries; a second segment is queued while the first
/// runs.
pub(super) const SEGMENT: usize = 256;

/// Where the host lets the stream go on.
struct Gate {
    word: HostMemory,
    address: Address,
    /// What the word has when every gate so far is open.
    opened: u32,
}

impl Gate {
    /// None where the device or its driver cannot wait for memory.
    fn new(stream: &Stream) -> Option<Self> {
        const WORD: usize = size_of::<u32>();
        let gpu = stream.gpu();
        let word = HostMemory::new(gpu, WORD, false).ok()?;
        let address = gpu.driver().device_address(word.as_ptr()).ok()?;
        // It is 0 already, so this does not block; a driver that cannot do it says so now.
        gpu.driver().wait_for_word(stream.id, address, 0).ok()?;
        stream.wait().ok()?;
        Some(Self { word, address, opened: 0 })
    }

    fn close(&mut self, stream: &Stream) -> Answer<()> {
        stream.gpu().driver().wait_for_word(stream.id, self.address, self.opened.wrapping_add(1))
    }

    fn open(&mut self) {
        self.opened = self.opened.wrapping_add(1);
        // SAFETY: the word is four bytes, aligned by the driver to more, and written by this thread only; the
        // device reads it whole.
        unsafe { self.word.as_ptr().cast::<u32>().write_volatile(self.opened) };
    }
}

/// Nanoseconds of what `work` queues, by the device's clock, launches included.
pub(super) fn time(stream: &Stream, work: impl FnOnce() -> Result<(), Fault>) -> Result<f64, Fault> {
    let (begin, end) = (Event::new(stream.gpu())?, Event::new(stream.gpu())?);
    begin.record(stream)?;
    work()?;
    end.record(stream)?;
    stream.wait()?;
    Ok(f64::from(stream.gpu().driver().elapsed(begin.id, end.id)?) * 1e6)
}

/// Pairs of events, used again from wait to wait.
pub(super) struct DeviceClock {
    stream: Rc<Stream>,
    gate: Option<Gate>,
    segments: Vec<(Event, Event)>,
    used: usize,
    /// Launches since the segment began; none where none is open.
    queued: Option<usize>,
    is_on: bool,
}

impl DeviceClock {
    /// A clock that stands still until it is switched on.
    pub(super) fn new(stream: &Rc<Stream>) -> Self {
        let gate = Gate::new(stream);
        Self { stream: stream.clone(), gate, segments: Vec::new(), used: 0, queued: None, is_on: false }
    }

    /// Whether launches are hidden from it.
    pub(super) fn hides_launches(&self) -> bool {
        self.gate.is_some()
    }

    /// Times what follows, or stops doing so.
    pub(super) fn switch(&mut self, on: bool) {
        self.is_on = on;
    }

    /// Called before each launch.
    pub(super) fn before_launch(&mut self) -> Answer<()> {
        match (self.is_on, self.queued) {
            (false, _) => Ok(()),
            (true, Some(queued)) if queued < SEGMENT => {
                self.queued = Some(queued + 1);
                Ok(())
            }
            (true, _) => {
                self.end_segment()?;
                self.begin_segment()
            }
        }
    }

    fn begin_segment(&mut self) -> Answer<()> {
        let gpu: &Rc<Gpu> = self.stream.gpu();
        if self.used == self.segments.len() {
            self.segments.push((Event::new(gpu)?, Event::new(gpu)?));
        }
        if let Some(gate) = &mut self.gate {
            gate.close(&self.stream)?;
        }
        self.queued = Some(1);
        self.segments[self.used].0.record(&self.stream)
    }

    /// Marks the end of what is queued and lets it run.
    pub(super) fn end_segment(&mut self) -> Answer<()> {
        if self.queued.take().is_none() {
            return Ok(());
        }
        let marked = self.segments[self.used].1.record(&self.stream);
        // Whatever happened, a closed gate would stop the stream forever.
        self.gate.iter_mut().for_each(Gate::open);
        marked?;
        self.used += 1;
        Ok(())
    }

    /// Nanoseconds of the segments since it was last asked; none where there were none. The stream has been
    /// waited for.
    pub(super) fn take(&mut self) -> Answer<Option<f64>> {
        let used = std::mem::take(&mut self.used);
        if used == 0 {
            return Ok(None);
        }
        let driver = self.stream.gpu().driver();
        let ms =
            self.segments[..used].iter().map(|(begin, end)| driver.elapsed(begin.id, end.id).map(f64::from));
        Ok(Some(ms.sum::<Answer<f64>>()? * 1e6))
    }
}

impl Drop for DeviceClock {
    fn drop(&mut self) {
        if self.queued.is_some() {
            self.gate.iter_mut().for_each(Gate::open);
        }
        // The word must outlive the waits for it.
        let _ = self.stream.wait();
    }
}
