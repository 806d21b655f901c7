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
    largest: Mutex<Lens>,
    made: OnceLock<Made>,
    /// Somebody has told its bytes.
    counted: AtomicBool,
}

/// f32 elements of buffers.
#[derive(Clone, Debug, Default)]
struct Lens {
    /// Of each thread's own.
    each: Vec<usize>,
    /// Of the one that a team has together.
    together: usize,
}

impl Lens {
    fn raise_to(&mut self, other: &Self) {
        self.each.resize(self.each.len().max(other.each.len()), 0);
        self.each.iter_mut().zip(&other.each).for_each(|(largest, len)| *largest = (*largest).max(*len));
        self.together = self.together.max(other.together);
    }
}

/// The memory.
#[derive(Debug)]
struct Made {
    each: TeamScratch,
    together: TeamScratch,
}

impl Common {
    fn made(&self) -> Result<&Made, Fault> {
        if self.made.get().is_none() {
            let largest = self.largest.lock().map(|largest| largest.clone()).unwrap_or_default();
            let each = TeamScratch::new(self.threads, &largest.each)?;
            let together = TeamScratch::new(1, &[largest.together])?;
            if cfg!(debug_assertions) {
                each.poison();
                together.poison();
            }
            // Who comes second drops its own.
            let _ = self.made.set(Made { each, together });
        }
        self.made.get().ok_or_else(|| Fault::Library("no scratch was made".to_string()))
    }

    /// Asks for buffers of `lens`; no, where the memory is made already.
    fn ask(&self, lens: &Lens) -> bool {
        let Ok(mut largest) = self.largest.lock() else { return false };
        if self.made.get().is_some() {
            return false;
        }
        largest.raise_to(lens);
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
            largest: Mutex::default(),
            made: OnceLock::new(),
            counted: AtomicBool::new(false),
        })
    }

    /// Buffers of `each` f32 for each thread, and one of `together` for all.
    pub(super) fn ask(&self, each: &[usize], together: usize) -> SharedScratch {
        let lens = Lens { each: each.to_vec(), together };
        let mut current = self.current.borrow_mut();
        // What is in use belongs to a program that was loaded before.
        if !current.ask(&lens) {
            *current = Self::common(self.threads);
            current.ask(&lens);
        }
        SharedScratch { common: current.clone(), lens }
    }
}

/// Buffers of a step. Any other step may have written them before.
#[derive(Debug)]
pub(super) struct SharedScratch {
    common: Arc<Common>,
    lens: Lens,
}

impl SharedScratch {
    /// Makes the memory if no step has yet; its bytes for the first who asks, so that they are counted once.
    pub(super) fn bytes(&self) -> Result<u64, Fault> {
        let made = self.common.made()?;
        let bytes = made.each.bytes() + made.together.bytes();
        Ok(if self.common.counted.swap(true, Ordering::Relaxed) { 0 } else { bytes })
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
        let buffers: [&mut [f32]; N] = unsafe { made.each.of(thread) };
        let mut lens = self.lens.each.iter();
        buffers.map(|buffer| &mut buffer[..lens.next().copied().unwrap_or(0)])
    }

    /// The buffer that the team has together, with any content; an empty one where the memory was never made.
    ///
    /// # Safety
    /// Nobody else asks for it while the result is used.
    #[expect(clippy::mut_from_ref, reason = "steps run one after another, which is the contract")]
    pub(super) unsafe fn together(&self) -> &mut [f32] {
        let Some(made) = self.common.made.get() else { return &mut [] };
        // SAFETY: by this function's contract.
        let [buffer] = unsafe { made.together.of(0) };
        &mut buffer[..self.lens.together]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_load_share_what_the_largest_needs_and_loads_share_nothing() {
        let scratches = Scratches::new(2);
        let [small, large] = [scratches.ask(&[16], 32), scratches.ask(&[8, 64], 0)];
        assert!(small.bytes().expect("there is memory") >= 2 * 4 * (16 + 64) + 4 * 32);
        assert_eq!(large.bytes().expect("it is made"), 0, "counted already");
        // SAFETY: one after another.
        let [start, len] = unsafe { small.of::<1>(1) }.map(|x| [x.as_ptr() as usize, x.len()])[0];
        assert_eq!(len, 16);
        // SAFETY: one after another.
        let both: [[usize; 2]; 3] = unsafe { large.of(1) }.map(|x| [x.as_ptr() as usize, x.len()]);
        assert_eq!([both[0], [0, both[1][1]], [0, both[2][1]]], [[start, 8], [0, 64], [0, 0]]);
        // SAFETY: one after another.
        assert_eq!([&small, &large].map(|scratch| unsafe { scratch.together() }.len()), [32, 0]);
        let next = scratches.ask(&[4], 0);
        assert!(next.bytes().expect("there is memory") > 0);
        // SAFETY: one after another.
        assert_ne!(unsafe { next.of::<1>(1) }[0].as_ptr() as usize, start);
    }

    #[test]
    fn nothing_is_reached_before_it_is_made() {
        let scratch = Scratches::new(1).ask(&[16], 16);
        // SAFETY: one after another.
        assert!(unsafe { scratch.of::<2>(0) }.iter().all(|buffer| buffer.is_empty()));
        // SAFETY: one after another.
        assert!(unsafe { scratch.together() }.is_empty());
    }
}
