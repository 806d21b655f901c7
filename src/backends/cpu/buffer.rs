//! Host memory that values live in: one mapping a load, huge pages where they pay, every value at
//! another offset within its page, guards around each.

pub use super::view::{Element, View, ViewMut};
use crate::backends::Fault;
use crate::tensor::{DType, HostArray, ValueSpec};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::ops::Range;
use std::ptr::NonNull;

/// What a stretch of an arena is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// NaN, or the smallest value of an integer type: an element that nobody wrote shows.
    Sentinel,
    /// Elements of an input, by a number that means something to the caller.
    Input(usize),
}

/// Page size that the layout reckons with.
const PAGE: usize = 4096;
/// Size of a huge page.
const HUGE: usize = 2 << 20;
/// Bytes before and after each value that nobody may write.
const GUARD: usize = 64;
/// Environment variable: where it is set, each value ends at a page that nobody can reach, so that a kernel
/// which reads or writes past it crashes. That is for tests: no two values lie as they do when measured.
pub const FENCES: &str = "CUTGPU_FENCES";
/// What the guards hold.
const GUARD_BYTE: u8 = 0xA5;
/// Elements that one filling job makes.
const CHUNK: usize = 1 << 16;

#[derive(Debug)]
struct Place {
    offset: usize,
    elements: usize,
    dtype: DType,
}

impl Place {
    fn bytes(&self) -> usize {
        self.elements * self.dtype.size()
    }
}

/// Whether values are to end at pages that nobody can reach.
pub(super) fn fences() -> bool {
    std::env::var_os(FENCES).is_some()
}

/// Memory for a list of values.
#[derive(Debug)]
pub struct Arena {
    map: NonNull<u8>,
    bytes: usize,
    places: Vec<Place>,
    /// Values end at pages that nobody can reach.
    fenced: bool,
}

// SAFETY: the mapping belongs to the arena alone; `fill` hands disjoint parts of it to threads.
unsafe impl Send for Arena {}
// SAFETY: through a shared arena elements are only read.
unsafe impl Sync for Arena {}

impl Arena {
    /// Zeroed memory for one value per spec. The pages are touched by the first [`Self::fill`].
    pub fn new<'a>(specs: impl Iterator<Item = &'a ValueSpec>) -> Result<Self, Fault> {
        Self::with_fences(specs, fences())
    }

    fn with_fences<'a>(specs: impl Iterator<Item = &'a ValueSpec>, fenced: bool) -> Result<Self, Fault> {
        let too_large = || Fault::OutOfMemory("the values exceed the address space".to_string());
        let mut places = Vec::new();
        let mut end = 0usize;
        for (number, spec) in specs.enumerate() {
            let size = usize::try_from(spec.bytes()).map_err(|_| too_large())?;
            // Two streams at the same offset modulo 4 KiB make loads wait for unrelated stores.
            let mut offset = end.next_multiple_of(PAGE) + GUARD + number % 7 * 576;
            end = offset
                .checked_add(size)
                .and_then(|end| end.checked_add(GUARD + HUGE))
                .ok_or_else(too_large)?
                - HUGE;
            if fenced {
                let fence = (offset + size).next_multiple_of(PAGE);
                (offset, end) = (fence - size, fence + PAGE);
            }
            places.push(Place { offset, elements: spec.elements(), dtype: spec.dtype });
        }
        if places.is_empty() {
            return Ok(Self { map: NonNull::dangling(), bytes: 0, places, fenced });
        }
        let bytes = end.next_multiple_of(if end >= HUGE { HUGE } else { PAGE });
        let map = map(bytes)?;
        let mut arena = Self { map, bytes, places, fenced };
        arena.guards().for_each(|(_, guard)| arena.bytes_mut(guard).fill(GUARD_BYTE));
        if fenced {
            arena.fence()?;
        }
        Ok(arena)
    }

    /// Closes the page after each value.
    fn fence(&self) -> Result<(), Fault> {
        for place in &self.places {
            let page = place.offset + place.bytes();
            // SAFETY: the page is part of the mapping, and holds nothing.
            unsafe { rustix::mm::mprotect(self.map.as_ptr().add(page).cast(), PAGE, MprotectFlags::empty()) }
                .map_err(|error| Fault::OutOfMemory(format!("no page can be closed: {error}")))?;
        }
        Ok(())
    }

    /// A view of value `place`.
    pub(super) fn view(&self, place: usize) -> View {
        let Place { offset, elements, dtype } = self.places[place];
        // SAFETY: every offset lies inside the mapping.
        View { start: unsafe { self.map.add(offset) }, elements, dtype }
    }

    /// A writable view of value `place`. The caller sees to it that no two views of one call of a
    /// kernel overlap when one of them is writable.
    pub(super) fn view_mut(&mut self, place: usize) -> ViewMut {
        ViewMut(self.view(place))
    }

    /// Bytes of all values, without guards and gaps.
    pub fn bytes_of_values(&self) -> u64 {
        self.places.iter().map(|place| place.bytes() as u64).sum()
    }

    /// Number of values.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Elements of value `place`.
    pub fn read(&self, place: usize, range: Range<usize>) -> HostArray {
        let view = self.view(place);
        match view.dtype {
            DType::F64 => HostArray::F64(view.slice()[range].to_vec()),
            DType::F32 => HostArray::F32(view.slice()[range].to_vec()),
            DType::Bf16 => HostArray::Bf16(view.slice()[range].to_vec()),
            DType::F16 => HostArray::F16(view.slice()[range].to_vec()),
            DType::F8e4m3 => HostArray::F8e4m3(view.slice()[range].to_vec()),
            DType::I32 => HostArray::I32(view.slice()[range].to_vec()),
            DType::I8 => HostArray::I8(view.slice()[range].to_vec()),
            DType::U8 => HostArray::U8(view.slice()[range].to_vec()),
        }
    }

    /// Writes elements of value `place`, which has them and their type, from element `start` on.
    pub fn write(&mut self, place: usize, start: usize, elements: &HostArray) {
        let end = start.saturating_add(elements.len());
        assert!(end <= self.places[place].elements, "a write beyond a value");
        // SAFETY: the range lies inside the value, and the exclusive borrow keeps everyone else away.
        unsafe { self.fill_range(place, Content::Input(place), start..end, &|_, _| elements.clone()) };
    }

    /// Fills values on every core that this process may use; `input` makes the elements of a range.
    pub fn fill(
        &mut self,
        what: &[(usize, Content)],
        input: &(dyn Fn(usize, Range<usize>) -> HostArray + Sync),
    ) {
        let mut jobs = Vec::new();
        for &(place, content) in what {
            let elements = self.places[place].elements;
            jobs.extend(
                (0..elements.div_ceil(CHUNK))
                    .map(|i| (place, content, i * CHUNK..((i + 1) * CHUNK).min(elements))),
            );
        }
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            while let Some((place, content, range)) =
                jobs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
            {
                // SAFETY: jobs are disjoint ranges of places, each is taken by one thread, and the
                // exclusive borrow of the arena keeps everyone else away.
                unsafe { self.fill_range(*place, *content, range.clone(), input) }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }

    /// # Safety
    /// Nobody else uses elements `range` of `place` meanwhile.
    unsafe fn fill_range(
        &self,
        place: usize,
        content: Content,
        range: Range<usize>,
        input: &(dyn Fn(usize, Range<usize>) -> HostArray + Sync),
    ) {
        let View { start, dtype, .. } = self.view(place);
        let (offset, elements) = (range.start * dtype.size(), range.len());
        // SAFETY: the range lies inside the value, and is ours by this function's contract.
        let mut part = unsafe { ViewMut(View { start: start.add(offset), elements, dtype }) };
        match content {
            Content::Input(number) => part.write(&input(number, range)),
            Content::Sentinel => part.spoil(),
        }
    }

    /// The first value next to which something was written, if any.
    pub fn overrun(&self) -> Option<usize> {
        let broken = self.guards().find(|(_, guard)| {
            // SAFETY: guards lie inside the mapping and hold initialised bytes.
            let bytes =
                unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(guard.start), guard.len()) };
            bytes.iter().any(|&byte| byte != GUARD_BYTE)
        })?;
        Some(broken.0)
    }

    /// The bytes before each value and after it, with its number; none after one that a closed page follows.
    fn guards(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let ends: Vec<_> =
            self.places.iter().map(|place| (place.offset, place.offset + place.bytes())).collect();
        let after = if self.fenced { 0 } else { GUARD };
        let around = move |(number, (start, end))| {
            [(number, start - GUARD..start), (number, end..end + after)].into_iter()
        };
        ends.into_iter().enumerate().flat_map(around)
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        debug_assert!(range.end <= self.bytes);
        // SAFETY: the range lies inside the mapping, which we borrow exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_ptr().add(range.start), range.len()) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        // SAFETY: the mapping is ours, whole, and no view outlives the arena.
        // A failure would leave the memory mapped, which nothing here could mend.
        let _ = unsafe { rustix::mm::munmap(self.map.as_ptr().cast(), self.bytes) };
    }
}

/// `bytes` of zeroed memory; aligned to huge pages, and asking for them, where it holds one or more.
fn map(bytes: usize) -> Result<NonNull<u8>, Fault> {
    let spare = if bytes >= HUGE { HUGE } else { 0 };
    let (read_write, private) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let start =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), bytes + spare, read_write, private) }
            .map_err(|error| Fault::OutOfMemory(format!("no {bytes} bytes for the values: {error}")))?;
    let ahead = if spare > 0 { start.addr().next_multiple_of(HUGE) - start.addr() } else { 0 };
    // SAFETY: all three addresses lie inside the mapping just made; its two ends are given back, so
    // that what stays is the `bytes` that `drop` unmaps. Refused advice only costs speed.
    unsafe {
        let aligned = start.byte_add(ahead);
        if ahead > 0 {
            let _ = rustix::mm::munmap(start, ahead);
        }
        if spare > ahead {
            let _ = rustix::mm::munmap(aligned.byte_add(bytes), spare - ahead);
        }
        if spare > 0 {
            let _ = rustix::mm::madvise(aligned, bytes, Advice::LinuxHugepage);
        }
        NonNull::new(aligned.cast())
            .ok_or_else(|| Fault::OutOfMemory("the kernel mapped address 0".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<ValueSpec> {
        let sizes = [1, 1000, 3 << 20, 17];
        DType::ALL
            .iter()
            .zip(sizes.iter().cycle())
            .map(|(&dtype, &size)| ValueSpec::new(&[size], dtype))
            .collect()
    }

    #[test]
    fn every_value_holds_what_it_was_filled_with() {
        let specs = specs();
        let mut arena = Arena::new(specs.iter()).unwrap();
        let what: Vec<_> = (0..specs.len()).map(|place| (place, Content::Input(place))).collect();
        let make = |number: usize, range: Range<usize>| {
            HostArray::from_f64(specs[number].dtype, range.map(|i| ((i + number) % 100) as f64))
        };
        arena.fill(&what, &make);
        for (place, spec) in specs.iter().enumerate() {
            let all = 0..spec.elements();
            assert_eq!(arena.read(place, all.clone()), make(place, all));
        }
        assert_eq!(arena.overrun(), None);
    }

    #[test]
    fn a_sentinel_shows_in_every_type() {
        let specs = specs();
        let mut arena = Arena::new(specs.iter()).unwrap();
        let what: Vec<_> = (0..specs.len()).map(|place| (place, Content::Sentinel)).collect();
        arena.fill(&what, &|_, _| unreachable!());
        let last: Vec<f64> = specs
            .iter()
            .enumerate()
            .map(|(i, s)| arena.read(i, s.elements() - 1..s.elements()).to_f64(0..1)[0])
            .collect();
        assert!(last[..5].iter().all(|x| x.is_nan()));
        assert_eq!(last[5..], [f64::from(i32::MIN), -128.0, 0.0]);
    }

    #[test]
    fn neighbours_start_at_other_offsets_of_the_page_and_are_aligned() {
        let specs = vec![ValueSpec::new(&[1 << 20], DType::F32); 7];
        let arena = Arena::new(specs.iter()).unwrap();
        let mut offsets: Vec<_> = (0..7).map(|place| arena.view(place).as_ptr().addr() % PAGE).collect();
        assert!(offsets.iter().all(|offset| offset % 64 == 0));
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), 7);
    }

    #[test]
    fn a_write_beside_a_value_is_seen() {
        for beyond in [-1, 4 * 5] {
            let specs = vec![ValueSpec::new(&[5], DType::F32); 3];
            let mut arena = Arena::new(specs.iter()).unwrap();
            let start = arena.view_mut(1).as_mut_ptr();
            // SAFETY: the guards are part of the mapping.
            unsafe { *start.offset(beyond) = 0 };
            assert_eq!(arena.overrun(), Some(1));
        }
    }

    #[test]
    fn nobody_reaches_beyond_a_fenced_value() {
        let specs = [1, 5, 1024, 3 << 20].map(|len| ValueSpec::new(&[len], DType::F32));
        let mut arena = Arena::with_fences(specs.iter(), true).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        for (place, spec) in specs.iter().enumerate() {
            let end = arena.view(place).as_ptr().addr() + spec.bytes() as usize;
            let closed =
                maps.lines().any(|line| line.starts_with(&format!("{end:x}-")) && line.contains(" ---p "));
            assert!(closed, "{place}: {end:x} in\n{maps}");
            arena.fill(&[(place, Content::Input(place))], &|_, range| HostArray::F32(vec![1.0; range.len()]));
        }
        assert_eq!(arena.overrun(), None);
        // SAFETY: the guard before a value is part of the mapping.
        unsafe { *arena.view_mut(2).as_mut_ptr().offset(-1) = 0 };
        assert_eq!(arena.overrun(), Some(2));
    }

    #[test]
    fn more_than_the_address_space_is_out_of_memory() {
        let spec = ValueSpec::new(&[usize::MAX / 8], DType::F32);
        assert!(matches!(Arena::new([&spec, &spec].into_iter()), Err(Fault::OutOfMemory(_))));
    }
}
