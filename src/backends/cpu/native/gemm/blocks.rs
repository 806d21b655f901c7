//! How much of a product is worked on at a time, from the sizes of the caches.
//!
//! Five loops around the tile, after Goto and van de Geijn ("Anatomy of High-Performance Matrix
//! Multiplication", 2008) and Van Zee and van de Geijn ("BLIS", 2015): a block of B stays in the last cache
//! while blocks of A, in the second, pass over it panel by panel.

use super::families::Kernels;
use super::tile::CHUNK;
use crate::host::Facts;
use std::ops::Range;

/// Extents of a block, and the cache that they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Blocks {
    /// Words of depth. Long, because each pass over the depth reads and writes D again: a panel of B comes
    /// from the second cache then, which keeps up.
    pub(in super::super) depth: usize,
    /// Rows of A: a little over half of the second cache.
    pub(in super::super) rows: usize,
    /// Columns of B: a quarter of the last cache.
    pub(in super::super) columns: usize,
    /// Bytes of the second cache.
    pub(in super::super) second: usize,
    /// Bytes of the last cache that are one thread's.
    pub(super) last: usize,
}

/// Bytes of a usual second cache.
const SECOND: usize = 1 << 20;
/// Bytes of a usual last cache.
const LAST: usize = 16 << 20;
/// Bytes of a word.
pub(super) const WORD: usize = 4;

impl Blocks {
    /// For the caches of this machine; usual sizes where they are unknown.
    pub(in super::super) fn of(facts: &Facts, kernels: &Kernels) -> Self {
        let bytes = |level, usual: usize| {
            facts.cache(level).map_or(usual, |cache| usize::try_from(cache.bytes.0).unwrap_or(usual))
        };
        Self::for_caches([bytes(2, SECOND), bytes(3, LAST)], kernels)
    }

    /// For caches of usual sizes.
    pub(in super::super) fn usual(kernels: &Kernels) -> Self {
        Self::for_caches([SECOND, LAST], kernels)
    }

    /// Where so many threads share the last cache. B is laid out by each, but for large products, so its columns
    /// stay as they are.
    pub(in super::super) fn shared_by(self, threads: usize) -> Self {
        Self { last: self.last / threads.max(1), ..self }
    }

    fn for_caches([second, last]: [usize; 2], kernels: &Kernels) -> Self {
        let depth = (second / 8 / (WORD * kernels.columns)).clamp(128, 1024).next_multiple_of(CHUNK);
        let rows = (second / 100 * 55 / (WORD * depth) / kernels.most_rows).max(2) * kernels.most_rows;
        let columns = (last / 4 / (WORD * depth) / kernels.columns).clamp(8, 64) * kernels.columns;
        Self { depth, rows, columns, second, last }
    }

    /// Columns of whole panels, `width` wide and so deep, that stay in the second cache beside a block of A: a quarter of
    /// it, and one at least.
    pub(super) fn group(&self, depth: usize, width: usize) -> usize {
        (self.second / 4 / (WORD * depth * width)).max(1) * width
    }

    /// Words of depth of each block, of nearly equal size in whole cache lines.
    pub(super) fn depths(&self, words: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = self.depth_step(words);
        (0..words).step_by(step).map(move |start| start..(start + step).min(words))
    }

    /// Most words of depth that a block of a product of at most so many has: a product of fewer may be cut into longer
    /// blocks.
    pub(super) fn most_depth(&self, words: usize) -> usize {
        words.min(self.depth).next_multiple_of(CHUNK).max(CHUNK)
    }

    /// Words of depth of every block but the last.
    pub(in super::super) fn depth_step(&self, words: usize) -> usize {
        words.div_ceil(words.div_ceil(self.depth).max(1)).next_multiple_of(CHUNK).max(CHUNK)
    }
}

/// `len` in nearly equal parts of at most `most`, the longer ones first.
pub(in super::super) fn parts(len: usize, most: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    parts_in(len, most, 1)
}

/// The same, of whole `grain`s but for the last part's end; `most` is a multiple of one.
pub(super) fn parts_in(len: usize, most: usize, grain: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    let (grains, count) = (len.div_ceil(grain), len.div_ceil(most));
    let (each, longer) = (grains / count.max(1), grains % count.max(1));
    (0..count).map(move |id| {
        let start = id * each + id.min(longer);
        start * grain..((start + each + usize::from(id < longer)) * grain).min(len)
    })
}

#[cfg(test)]
mod tests {
    use super::super::families::kernels;
    use super::super::words::Arithmetic;
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn parts_and_depths_cover_everything_in_nearly_equal_lengths() {
        let Some(kernels) = kernels(Isa::PORTABLE, Arithmetic::F32) else { panic!("no products of f32") };
        let blocks = Blocks { depth: 64, ..Blocks::usual(&kernels) };
        for len in [0, 1, 13, 14, 15, 64, 65, 128, 141, 1000] {
            let cut: Vec<_> = parts(len, 14).collect();
            assert_eq!(cut.iter().cloned().flatten().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            let lengths = || cut.iter().map(ExactSizeIterator::len);
            assert!(lengths().max() <= Some(14) && lengths().max() <= lengths().min().map(|least| least + 1));
            let depths: Vec<_> = blocks.depths(len).collect();
            assert_eq!(depths.iter().cloned().flatten().collect::<Vec<_>>(), (0..len).collect::<Vec<_>>());
            assert!(depths.iter().all(|depths| depths.start % CHUNK == 0 && depths.len() <= 64));
            assert!((0..=len).all(|shorter| blocks.depth_step(shorter) <= blocks.most_depth(len)));
        }
    }

    #[test]
    fn blocks_fit_the_caches_they_are_for() {
        for isa in Isa::here() {
            let Some(kernels) = kernels(isa, Arithmetic::F32) else { panic!("no products of f32") };
            for (second, last) in
                [(256 << 10, 4 << 20), (512 << 10, 16 << 20), (1 << 20, 32 << 20), (2 << 20, 1 << 28)]
            {
                let blocks = Blocks::for_caches([second, last], &kernels);
                let Blocks { depth, rows, columns, .. } = blocks;
                assert!(WORD * depth * rows <= second && WORD * depth * columns <= last, "{isa:?} {second}");
                for depth in [CHUNK, depth] {
                    let (width, group) = (kernels.columns, blocks.group(depth, kernels.columns));
                    assert!(
                        group == width || group.is_multiple_of(width) && WORD * depth * group <= second / 4
                    );
                }
                assert!(depth >= 128 && rows >= kernels.most_rows && columns % kernels.columns == 0);
            }
        }
    }
}
