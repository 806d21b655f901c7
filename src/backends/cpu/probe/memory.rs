//! Walks over streams of f32: what the caches and the memory can move.

use crate::backends::Fault;
use crate::backends::cpu::isa::{Isa, Level, Loops};
use crate::backends::cpu::parts::TeamScratch;
use crate::backends::cpu::streaming;
use crate::backends::cpu::vector::Vector;
use std::arch::x86_64::*;
use std::hint::black_box;

/// Which streams are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mix {
    /// Sum of a.
    Read,
    /// a = b.
    Copy,
    /// a = b with stores that go past the caches.
    CopyPast,
    /// a = b + s c.
    Triad,
    /// a = b + s c with stores that go past the caches.
    TriadPast,
    /// Four streams read, three of them written.
    Adam,
}

impl Mix {
    pub(super) fn streams(self) -> usize {
        match self {
            Self::Read => 1,
            Self::Copy | Self::CopyPast => 2,
            Self::Triad | Self::TriadPast => 3,
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
    pub(super) fn walk(&self, mix: Mix, isa: Isa, thread: usize, turns: u64) {
        for _ in 0..turns {
            // SAFETY: the pool gives each thread its own number.
            walk(mix, isa, unsafe { self.scratch.of(thread) });
        }
    }
}

fn walk(mix: Mix, isa: Isa, [a, b, c, d]: [&mut [f32]; MOST]) {
    match (mix, isa.level()) {
        // SAFETY: the processor has AVX-512.
        (Mix::Read, Level::Avx512) => drop(black_box(unsafe { sum_512(a) })),
        (Mix::Read, _) => drop(black_box(isa.run(Sum(a)))),
        (Mix::Copy, _) => a.copy_from_slice(b),
        (Mix::Triad, _) => isa.run(Triad(a, b, c)),
        (Mix::CopyPast, _) => streaming::copy(isa, a, b),
        (Mix::TriadPast, _) => streaming::triad(isa, a, b, c, SCALE),
        (Mix::Adam, _) => isa.run(Adam(a, b, c, d)),
    }
    black_box(a);
}

/// Factor of c.
const SCALE: f32 = 0.5;

/// Independent sums, so that loads and not the latency of additions are the limit.
struct Sum<'a>(&'a [f32]);

impl Loops for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<V: Vector>(self) -> f32 {
        const SUMS: usize = 64;
        let mut sums = [0f32; SUMS];
        for block in self.0.as_chunks::<SUMS>().0 {
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum += x;
            }
        }
        sums.iter().sum()
    }
}

#[target_feature(enable = "avx512f")]
fn sum_512(x: &[f32]) -> f32 {
    let mut sums = [_mm512_setzero_ps(); BLOCK / 16];
    for block in x.as_chunks::<BLOCK>().0 {
        for (sum, x) in sums.iter_mut().zip(block.as_chunks::<16>().0) {
            // SAFETY: x points to 16 floats.
            *sum = _mm512_add_ps(*sum, unsafe { _mm512_loadu_ps(x.as_ptr()) });
        }
    }
    sums.into_iter().fold(0.0, |total, sum| total + _mm512_reduce_add_ps(sum))
}

struct Triad<'a>(&'a mut [f32], &'a [f32], &'a [f32]);

impl Loops for Triad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for ((a, b), c) in self.0.iter_mut().zip(self.1).zip(self.2) {
            *a = V::scalar_multiply_add(SCALE, *c, *b);
        }
    }
}

/// Four streams read, three of them written. The values stay near their start for any number of turns.
struct Adam<'a>(&'a mut [f32], &'a mut [f32], &'a mut [f32], &'a [f32]);

impl Loops for Adam<'_> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        for (((p, m), v), g) in self.0.iter_mut().zip(self.1).zip(self.2).zip(self.3) {
            *p = V::scalar_multiply_add(SCALE, *p, *g);
            *m = V::scalar_multiply_add(SCALE, *m, *g);
            *v = V::scalar_multiply_add(SCALE, *v, *g);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mix_moves_what_it_says() {
        for isa in Isa::here() {
            for (mix, want) in [
                (Mix::Read, 1.0),
                (Mix::Copy, 0.5),
                (Mix::CopyPast, 0.5),
                (Mix::Triad, 0.5 + 0.5 / 3.0),
                (Mix::TriadPast, 0.5 + 0.5 / 3.0),
                (Mix::Adam, 0.5 + 0.25),
            ] {
                let streams = Streams::new(mix.streams(), 2 * BLOCK, 2).unwrap();
                (0..2).for_each(|thread| streams.touch(thread));
                streams.walk(mix, isa, 1, 1);
                // SAFETY: one thread, one result at a time.
                let [walked, ..]: [_; MOST] = unsafe { streams.scratch.of(1) };
                assert!(walked.iter().all(|x| (*x - want).abs() < 1e-6), "{mix:?} {}", walked[0]);
                // SAFETY: as above.
                let [other, ..]: [_; MOST] = unsafe { streams.scratch.of(0) };
                assert!(other.iter().all(|x| *x == 1.0));
            }
        }
    }

    #[test]
    fn the_sum_reads_every_element() {
        let x: Vec<f32> = (0..4 * BLOCK).map(|i| i as f32).collect();
        let want = (x.len() * (x.len() - 1) / 2) as f32;
        for isa in Isa::here() {
            assert_eq!(isa.run(Sum(&x)), want);
        }
        if Isa::best().level() == Level::Avx512 {
            // SAFETY: the processor has AVX-512.
            assert_eq!(unsafe { sum_512(&x) }, want);
        }
    }
}
