//! Memory that the threads of a team share without overlap.

use super::buffer::Arena;
use crate::backends::Fault;
use crate::tensor::{DType, ValueSpec};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// Scratch of a team of threads: a list of f32 buffers for each, zeroed at first.
#[derive(Debug)]
pub struct TeamScratch {
    arena: Arena,
    count: usize,
}

impl TeamScratch {
    /// Buffers of `lens` elements for each of `threads` threads.
    pub fn new(threads: usize, lens: &[usize]) -> Result<Self, Fault> {
        let specs: Vec<_> = lens.iter().map(|&len| ValueSpec::new(&[len], DType::F32)).collect();
        let arena = Arena::new(std::iter::repeat_n(&specs, threads).flatten())?;
        Ok(Self { arena, count: lens.len() })
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.arena.bytes_of_values()
    }

    /// Fills every buffer with NaN, so that who relies on its first content is found out.
    pub fn poison(&self) {
        for place in 0..self.arena.places() {
            let view = self.arena.view(place);
            // SAFETY: the view heads `elements` aligned floats, and nobody has been given a buffer yet.
            unsafe { std::slice::from_raw_parts_mut(view.start.as_ptr().cast::<f32>(), view.elements) }
                .fill(f32::NAN);
        }
    }

    /// The first `N` buffers of `thread`; empty ones where there are fewer.
    ///
    /// # Safety
    /// Nobody else asks for this thread's buffers while the result is used.
    #[expect(clippy::mut_from_ref, reason = "each thread has its own part, which is the contract")]
    pub unsafe fn of<const N: usize>(&self, thread: usize) -> [&mut [f32]; N] {
        std::array::from_fn(|number| {
            if number >= self.count {
                return &mut [][..];
            }
            let view = self.arena.view(thread * self.count + number);
            // SAFETY: the view heads `elements` aligned, initialised floats, which are the caller's
            // alone by this function's contract; no two buffers overlap.
            unsafe { std::slice::from_raw_parts_mut(view.start.as_ptr().cast(), view.elements) }
        })
    }
}

impl TeamScratch {
    /// The first buffer of the first thread, once nobody writes it any more.
    ///
    /// # Safety
    /// [`Self::of`] is not called for that thread while the result is used.
    pub unsafe fn filled(&self) -> &[f32] {
        let view = self.arena.view(0);
        // SAFETY: the view heads `elements` aligned, initialised floats, which nobody writes by this
        // function's contract.
        unsafe { std::slice::from_raw_parts(view.start.as_ptr().cast(), view.elements) }
    }
}

/// A slice of which the members of a team write disjoint parts.
pub struct Parts<'a, T> {
    start: NonNull<T>,
    len: usize,
    whole: PhantomData<&'a mut [T]>,
}

// SAFETY: the slice is written through `part`, `write` and `start` alone, whose callers keep to disjoint elements, and
// read through `whole` while nobody writes.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    /// To be cut up.
    pub fn new(whole: &'a mut [T]) -> Self {
        Self { start: NonNull::from(&mut *whole).cast(), len: whole.len(), whole: PhantomData }
    }

    /// First element, for parts that are no ranges.
    pub fn start(&self) -> *mut T {
        self.start.as_ptr()
    }

    /// All elements.
    ///
    /// # Safety
    /// Nobody writes any of them while the result is used.
    pub unsafe fn whole(&self) -> &[T]
    where
        T: Sync,
    {
        // SAFETY: the slice is as long, and nobody writes it by this function's contract.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// As [`Self::part`].
    pub unsafe fn write(&self, at: usize, value: T) {
        // SAFETY: by this function's contract.
        if let [element] = unsafe { self.part(at..at + 1) } {
            *element = value;
        }
    }

    /// Elements `range`.
    ///
    /// # Safety
    /// Nobody else asks for any of these elements while the result is used.
    ///
    /// # Panics
    /// When the range leaves the slice.
    #[expect(clippy::mut_from_ref, reason = "the parts are disjoint, which is the contract")]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part outside its slice");
        // SAFETY: the range lies inside the slice, and is the caller's alone by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(range.start), range.len()) }
    }
}
