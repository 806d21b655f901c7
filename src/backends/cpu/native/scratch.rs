//! Scratch memory of a program's steps: they run one after another, so that they have it in common.

use crate::backends::Fault;
use crate::backends::cpu::parts::TeamScratch;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The scratch of one load: as large as the most demanding of its steps asks for. It is made when a step first
/// uses it, and then no longer grows.
#[derive(Debug)]
struct Common {
    threads: usize,
    /// Largest length of each buffer so far.
    lens: Mutex<Vec<usize>>,
    made: OnceLock<TeamScratch>,
    /// Somebody has told its bytes.
    counted: AtomicBool,
}

impl Common {
    fn made(&self) -> Result<&TeamScratch, Fault> {
        if self.made.get().is_none() {
            let lens = self.lens.lock().map(|lens| lens.clone()).unwrap_or_default();
            let scratch = TeamScratch::new(self.threads, &lens)?;
            if cfg!(debug_assertions) {
                scratch.poison();
            }
            // Who comes second drops its own.
            let _ = self.made.set(scratch);
        }
        self.made.get().ok_or_else(|| Fault::Library("no scratch was made".to_string()))
    }

    /// Asks for buffers of `lens`; no, where the memory is made already.
    fn ask(&self, lens: &[usize]) -> bool {
        let Ok(mut largest) = self.lens.lock() else { return false };
        if self.made.get().is_some() {
            return false;
        }
        let count = largest.len().max(lens.len());
        largest.resize(count, 0);
        largest.iter_mut().zip(lens).for_each(|(largest, len)| *largest = (*largest).max(*len));
        true
    }
}

/// Where the steps of a load get their scratch.
#[derive(Debug)]
pub(super) struct Scratches {
    threads: usize,
    current: RefCell<Arc<Common>>,
}

impl Scratches {
    /// For so many threads.
    pub(super) fn new(threads: usize) -> Rc<Self> {
        Rc::new(Self { threads, current: RefCell::new(Self::common(threads)) })
    }

    fn common(threads: usize) -> Arc<Common> {
        Arc::new(Common {
            threads,
            lens: Mutex::default(),
            made: OnceLock::new(),
            counted: AtomicBool::new(false),
        })
    }

    /// Buffers of `lens` f32 for each thread.
    pub(super) fn ask(&self, lens: &[usize]) -> SharedScratch {
        let mut current = self.current.borrow_mut();
        // What is in use belongs to a program that was loaded before.
        if !current.ask(lens) {
            *current = Self::common(self.threads);
            current.ask(lens);
        }
        SharedScratch { common: current.clone(), lens: lens.to_vec() }
    }
}

/// Buffers of a step. Any other step may have written them before.
#[derive(Debug)]
pub(super) struct SharedScratch {
    common: Arc<Common>,
    lens: Vec<usize>,
}

impl SharedScratch {
    /// Makes the memory if no step has yet; its bytes for the first who asks, so that they are counted once.
    pub(super) fn bytes(&self) -> Result<u64, Fault> {
        let made = self.common.made()?;
        Ok(if self.common.counted.swap(true, Ordering::Relaxed) { 0 } else { made.bytes() })
    }

    /// The first `N` buffers of `thread`, with any content; empty ones where there are fewer, or where the memory was
    /// never made.
    ///
    /// # Safety
    /// Nobody else asks for this thread's buffers while the result is used: steps run one after another.
    #[expect(clippy::mut_from_ref, reason = "each thread has its own part, which is the contract")]
    pub(super) unsafe fn of<const N: usize>(&self, thread: usize) -> [&mut [f32]; N] {
        let Some(made) = self.common.made.get() else { return std::array::from_fn(|_| &mut [][..]) };
        // SAFETY: by this function's contract.
        let buffers: [&mut [f32]; N] = unsafe { made.of(thread) };
        let mut lens = self.lens.iter();
        buffers.map(|buffer| &mut buffer[..lens.next().copied().unwrap_or(0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_load_share_what_the_largest_needs_and_loads_share_nothing() {
        let scratches = Scratches::new(2);
        let [small, large] = [scratches.ask(&[16]), scratches.ask(&[8, 64])];
        assert!(small.bytes().expect("there is memory") >= 2 * 4 * (16 + 64));
        assert_eq!(large.bytes().expect("it is made"), 0, "counted already");
        // SAFETY: one after another.
        let [start, len] = unsafe { small.of::<1>(1) }.map(|x| [x.as_ptr() as usize, x.len()])[0];
        assert_eq!(len, 16);
        // SAFETY: one after another.
        let both: [[usize; 2]; 3] = unsafe { large.of(1) }.map(|x| [x.as_ptr() as usize, x.len()]);
        assert_eq!([both[0], [0, both[1][1]], [0, both[2][1]]], [[start, 8], [0, 64], [0, 0]]);
        let next = scratches.ask(&[4]);
        assert!(next.bytes().expect("there is memory") > 0);
        // SAFETY: one after another.
        assert_ne!(unsafe { next.of::<1>(1) }[0].as_ptr() as usize, start);
    }

    #[test]
    fn nothing_is_reached_before_it_is_made() {
        let scratch = Scratches::new(1).ask(&[16]);
        // SAFETY: one after another.
        assert!(unsafe { scratch.of::<2>(0) }.iter().all(|buffer| buffer.is_empty()));
    }
}
