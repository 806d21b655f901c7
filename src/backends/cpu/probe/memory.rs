//! Walks over streams of f32: what the caches and the memory can move.

use crate::backends::Fault;
use crate::backends::cpu::isa::{Isa, Loops};
use crate::backends::cpu::parts::TeamScratch;
use crate::backends::cpu::streaming::{Same, Scaled, Walk};
use crate::backends::cpu::vector::Vector;
use std::hint::black_box;

/// Which streams are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mix {
    /// Sum of a.
    Read,
    /// a = b.
    Copy,
    /// a = b + s c.
    Triad,
    /// Four streams read, three of them written, with a root and a quotient for each parameter, which are what
    /// the optimizer's step waits for in a cache.
    Adam,
}

/// How a mix is walked: which way is best depends on where the streams lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// The kernels' own loop.
    Plain,
    /// That loop, asking for lines ahead of time.
    Ahead,
    /// Stores go past the caches.
    Past,
    /// The C library's.
    Library,
}

impl Mix {
    pub(super) fn streams(self) -> usize {
        match self {
            Self::Read => 1,
            Self::Copy => 2,
            Self::Triad => 3,
            Self::Adam => 4,
        }
    }

    /// How many times a stream's bytes count. What a store reads first is not counted.
    pub(super) fn counted(self) -> usize {
        match self {
            Self::Adam => 7,
            other => other.streams(),
        }
    }

    /// Every way to walk it.
    pub(super) fn ways(self) -> &'static [Way] {
        match self {
            Self::Read => &[Way::Plain, Way::Ahead],
            Self::Copy => &[Way::Plain, Way::Past, Way::Library],
            Self::Triad => &[Way::Plain, Way::Past],
            Self::Adam => &[Way::Plain, Way::Ahead, Way::Past],
        }
    }

    /// Elements of each stream for `footprint` bytes over all, in whole blocks, at least one.
    pub(super) fn elements(self, footprint: u64) -> usize {
        (footprint as usize / 4 / self.streams()).next_multiple_of(BLOCK).max(BLOCK)
    }
}

/// Elements that every loop takes at once.
const BLOCK: usize = 256;
/// Most streams of a mix.
const MOST: usize = 4;

/// Buffers of every thread.
pub(super) struct Streams {
    scratch: TeamScratch,
    count: usize,
    len: usize,
}

impl Streams {
    pub(super) fn new(count: usize, len: usize, threads: usize) -> Result<Self, Fault> {
        let lens: [usize; MOST] = std::array::from_fn(|stream| if stream < count { len } else { 0 });
        Ok(Self { scratch: TeamScratch::new(threads, &lens)?, count, len })
    }

    pub(super) fn fit(&self, mix: Mix, len: usize) -> bool {
        self.count == mix.streams() && self.len == len
    }

    /// Writes every element, from the thread that will use it.
    pub(super) fn touch(&self, thread: usize) {
        // SAFETY: the pool gives each thread its own number.
        let streams: [_; MOST] = unsafe { self.scratch.of(thread) };
        streams.into_iter().enumerate().for_each(|(number, stream)| stream.fill(1.0 / (number + 1) as f32));
    }

    /// Walks all streams of `thread` `turns` times.
    pub(super) fn walk(&self, mix: Mix, way: Way, isa: Isa, thread: usize, turns: u64) {
        // SAFETY: the pool gives each thread its own number.
        let mut streams: [_; MOST] = unsafe { self.scratch.of(thread) };
        if mix == Mix::Read {
            return read(way, isa, streams[0], turns);
        }
        for _ in 0..turns {
            walk(mix, way, isa, streams.each_mut().map(|stream| &mut **stream));
        }
    }
}

fn walk(mix: Mix, way: Way, isa: Isa, [a, b, c, d]: [&mut [f32]; MOST]) {
    let past = way == Way::Past;
    match (mix, way) {
        (Mix::Read, _) => read(way, isa, a, 1),
        (Mix::Copy, Way::Library) => a.copy_from_slice(b),
        (Mix::Copy, _) => isa.run(Walk { z: &mut *a, x: [&*b], f: Same, past }),
        (Mix::Triad, _) => isa.run(Walk { z: &mut *a, x: [&*b, &*c], f: Scaled(SCALE), past }),
        (Mix::Adam, Way::Past) => isa.run(Adam::<false, true>([a, b, c], d)),
        (Mix::Adam, Way::Ahead) => isa.run(Adam::<true, false>([a, b, c], d)),
        (Mix::Adam, _) => isa.run(Adam::<false, false>([a, b, c], d)),
    }
    black_box(a);
}

/// Factor of c.
const SCALE: f32 = 0.5;
/// Elements between what is asked for and what is read: 2 KiB.
const DISTANCE: usize = 512;

fn read(way: Way, isa: Isa, a: &[f32], turns: u64) {
    black_box(match way {
        Way::Ahead => isa.run(Sum::<true>(a, turns)),
        _ => isa.run(Sum::<false>(a, turns)),
    });
}

/// Independent sums, so that loads and not the latency of additions are the limit; they are added up after the
/// last turn, because that takes as long as reading a third of the first cache.
struct Sum<'a, const AHEAD: bool>(&'a [f32], u64);

impl<const AHEAD: bool> Loops for Sum<'_, AHEAD> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        const SUMS: usize = 16;
        let mut sums = [V::splat(0.0); SUMS];
        for _ in 0..self.1 {
            for block in black_box(self.0).chunks_exact(SUMS * V::LANES) {
                for (number, sum) in sums.iter_mut().enumerate() {
                    let x = &block[number * V::LANES..];
                    if AHEAD {
                        V::prefetch(x.as_ptr().wrapping_add(DISTANCE));
                    }
                    *sum = sum.add(V::load(x));
                }
            }
        }
        sums.into_iter().fold(V::splat(0.0), V::add).sum()
    }
}

/// m = s m + g, v = s v + g, p = s p + m / sqrt(v): four streams read, three of them written, and the slow
/// arithmetic of AdamW once. The values stay near their start for any number of turns.
struct Adam<'a, const AHEAD: bool, const PAST: bool>([&'a mut [f32]; 3], &'a [f32]);

impl<const AHEAD: bool, const PAST: bool> Loops for Adam<'_, AHEAD, PAST> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(moved, g) = self;
        let [p, m, v] = moved.map(|stream| &mut stream[..g.len()]);
        for at in (0..g.len()).step_by(V::LANES) {
            if AHEAD {
                V::prefetch(g.as_ptr().wrapping_add(at + DISTANCE));
            }
            let scale = V::splat(SCALE);
            let added = V::load(&g[at..]);
            let mean = scale.multiply_add(ahead::<V, AHEAD>(&m[at..]), added);
            let square = scale.multiply_add(ahead::<V, AHEAD>(&v[at..]), added);
            let moved = scale.multiply_add(ahead::<V, AHEAD>(&p[at..]), mean.quotient(square.sqrt()));
            for (new, stream) in [(moved, &mut *p), (mean, &mut *m), (square, &mut *v)] {
                if PAST { new.stream(&mut stream[at..]) } else { new.store(&mut stream[at..]) }
            }
        }
        V::fence();
    }
}

/// A stream's next elements, asking for those some way ahead too.
#[inline(always)]
fn ahead<V: Vector, const AHEAD: bool>(stream: &[f32]) -> V {
    if AHEAD {
        V::prefetch(stream.as_ptr().wrapping_add(DISTANCE));
    }
    V::load(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mix_moves_what_it_says_in_every_way() {
        for isa in Isa::here() {
            // p = 0.5 p + m / sqrt(v), of the new m = 0.5 / 2 + 1 / 4 and v = 0.5 / 3 + 1 / 4.
            let adam = 0.5 + 0.5 / (0.5f32 / 3.0 + 0.25).sqrt();
            for (mix, want) in
                [(Mix::Read, 1.0), (Mix::Copy, 0.5), (Mix::Triad, 0.5 + 0.5 / 3.0), (Mix::Adam, adam)]
            {
                for &way in mix.ways() {
                    let streams = Streams::new(mix.streams(), 2 * BLOCK, 2).unwrap();
                    (0..2).for_each(|thread| streams.touch(thread));
                    streams.walk(mix, way, isa, 1, 1);
                    // SAFETY: one thread, one result at a time.
                    let [walked, ..]: [_; MOST] = unsafe { streams.scratch.of(1) };
                    let right = walked.iter().all(|x| (*x - want).abs() < 1e-6);
                    assert!(right, "{isa:?} {mix:?} {way:?} {}", walked[0]);
                    // SAFETY: as above.
                    let [other, ..]: [_; MOST] = unsafe { streams.scratch.of(0) };
                    assert!(other.iter().all(|x| *x == 1.0));
                }
            }
        }
    }

    #[test]
    fn the_sum_reads_every_element() {
        let x: Vec<f32> = (0..4 * BLOCK).map(|i| i as f32).collect();
        let want = (x.len() * (x.len() - 1) / 2) as f32;
        for isa in Isa::here() {
            assert_eq!([isa.run(Sum::<false>(&x, 1)), isa.run(Sum::<true>(&x, 1))], [want; 2]);
        }
    }
}
