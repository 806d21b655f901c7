//! A plain B that the threads of a team lay out together: each a part of it, once, and then all multiply their rows by
//! the whole of it. Alone, each would copy every column that it computes, which threads that share the rows all do. On a
//! Xeon with AVX-512, two threads beside busy neighbours, f32 products of 768 to 4096 rows take 3 to 16 in a hundred less
//! time so.

use super::factors::Panels;
use super::lanes::{Lane, To};
use super::multiply::Engine;
use super::pack::{Matrix, Panel};
use super::words::Arithmetic;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::pool::Member;
use crate::ops::GemmDims;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of D for each thread from which on the copy is used often enough to wait for it: with 256, 512^3 took 1 to 8 in a
/// hundred longer.
const ROWS_EACH: usize = 384;
/// Most columns for each row: so many have been measured. Without a copy, threads share what is wider by its columns.
const COLUMNS_FOR_ROW: usize = 4;
/// Most words of a copy: the memory that it costs stays small beside a model's.
const MOST_WORDS: usize = 16 << 20;
/// Words of depth that are laid out at once, panel after panel: so much of B's rows is read in their order.
const STRIP: usize = 32;

/// Words of a copy of B, where the team makes one.
pub(super) fn words<L: Lane>(engine: &Engine, dims: GemmDims, threads: usize) -> Option<usize> {
    let GemmDims { batch, m, n, k, .. } = dims;
    let words = engine.words::<L>(k) * n.next_multiple_of(engine.kernels.columns);
    // Sums of the columns of bytes are not made here, and tile registers are fed by columns.
    let is_one = L::ARITHMETIC == Arithmetic::F32 && batch == 1 && threads > 1;
    let pays = m >= threads * ROWS_EACH && n <= m * COLUMNS_FOR_ROW && words <= MOST_WORDS;
    (is_one && pays).then_some(words)
}

/// Lays out this thread's part of B, `depth` by `columns`, as [`super::Packed`] does.
///
/// # Safety
/// Every thread of the team does so with the same arguments, and until all have, nobody else reads or writes `to`.
pub(super) unsafe fn lay_out<L: Lane, T: To<L>>(
    engine: &Engine,
    b: Matrix<T>,
    [depth, columns]: [usize; 2],
    me: &Member,
    to: &Parts<u32>,
) {
    let width = engine.kernels.columns;
    let (words, panels) = (engine.words::<L>(depth), columns.div_ceil(width));
    // Each reads what lies together: rows where rows are contiguous, else columns.
    let by_rows = b.is_by_rows();
    let mine = if by_rows { me.share(words, STRIP) } else { 0..words };
    let panels_of_mine = if by_rows { 0..panels } else { me.share(panels, 1) };
    for block in engine.blocks.depths(words) {
        let (from, until) = (block.start.max(mine.start), block.end.min(mine.end));
        for first in (from..until).step_by(STRIP) {
            let last = (first + STRIP).min(until);
            let depths = (first * L::PER_WORD).min(depth)..(last * L::PER_WORD).min(depth);
            for panel in panels_of_mine.clone() {
                let start = block.start * panels * width + panel * width * block.len();
                let at = |word: usize| start + (word - block.start) * width;
                let (columns, depths) = (panel * width..((panel + 1) * width).min(columns), depths.clone());
                // SAFETY: threads have different words of depth or different panels, and nobody else writes.
                let to = unsafe { to.part(at(first)..at(last)) };
                engine.isa.run(Panel { b, columns, depths, width, to, lane: PhantomData::<L> });
            }
        }
    }
}

/// What [`lay_out`] has made of a B of so many columns.
///
/// # Safety
/// All threads are done with it, and nobody writes `words` while the result is used.
pub(super) unsafe fn laid_out<'a>(engine: &Engine, columns: usize, words: &'a Parts<u32>) -> Panels<'a> {
    let columns = columns.next_multiple_of(engine.kernels.columns);
    // SAFETY: by this function's contract.
    Panels { words: unsafe { words.whole() }, columns, first: 0, shifts: &[] }
}

/// Rows that threads compute: most of them in equal shares, the others in pieces for who comes first. A core whose sibling
/// is busy is slower than the others, and these would wait for it.
pub(super) struct Rows {
    all: usize,
    grain: usize,
    /// Rows in equal shares.
    even: usize,
    /// The first row that nobody has taken.
    next: AtomicUsize,
}

/// Rows of a piece: a few tiles.
const PIECE: usize = 32;

impl Rows {
    /// All rows of a product, in multiples of `grain` where they can be.
    pub(super) fn new(all: usize, grain: usize) -> Self {
        let piece = PIECE.next_multiple_of(grain);
        let even = all / 4 * 3 / piece * piece;
        Self { all, grain, even, next: AtomicUsize::new(even) }
    }

    /// This thread's share.
    pub(super) fn share(&self, me: &Member) -> Range<usize> {
        me.share(self.even, self.grain)
    }

    /// Pieces that nobody has taken before.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let piece = PIECE.next_multiple_of(self.grain);
        std::iter::from_fn(move || {
            let first = self.next.fetch_add(piece, Ordering::Relaxed);
            (first < self.all).then(|| first..(first + piece).min(self.all))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::{kernels, wide_kernels};
    use super::super::packed::Packed;
    use super::super::{Blocks, words_mut};
    use super::*;
    use crate::backends::cpu::isa::Isa;
    use crate::backends::cpu::pool::Pool;
    use std::sync::Mutex;

    #[test]
    fn a_team_lays_out_what_one_thread_does() {
        for isa in Isa::here() {
            for kernels in kernels(isa, Arithmetic::F32).into_iter().chain(wide_kernels(isa)) {
                // So that a small depth has several blocks.
                let blocks = Blocks { depth: 64, ..Blocks::usual(&kernels) };
                let engine = Engine { isa, kernels, blocks };
                for ([depth, columns], by_rows, threads) in [
                    ([1, 1], true, 2),
                    ([33, 47], true, 2),
                    ([33, 47], false, 2),
                    ([200, 100], true, 3),
                    ([200, 100], false, 3),
                    ([257, 301], true, 5),
                    ([257, 301], false, 5),
                ] {
                    let numbers: Vec<f32> = (0..depth * columns).map(|x| x as f32).collect();
                    let strides = if by_rows { [columns, 1] } else { [1, depth] };
                    let b = Matrix::new(&numbers, strides);
                    let extents = [depth, columns];
                    let alone = Packed::new::<f32, f32>(&engine, [b].into_iter(), extents, 0).unwrap();
                    let len = engine.words::<f32>(depth) * columns.next_multiple_of(kernels.columns);
                    let mut floats = vec![f32::NAN; len];
                    let words = Parts::new(words_mut(&mut floats));
                    // SAFETY: the pool gives each thread its own number, and nobody else has the words.
                    let lay_out =
                        |me: &Member| unsafe { lay_out::<f32, f32>(&engine, b, extents, me, &words) };
                    Pool::new(threads).unwrap().run(&lay_out);
                    // SAFETY: all are done.
                    let together = unsafe { laid_out(&engine, columns, &words) };
                    let alone = alone.panels(0, 0);
                    assert_eq!(together.columns, alone.columns);
                    assert_eq!(together.words, &alone.words[..len], "{isa:?} {extents:?} {by_rows}");
                }
            }
        }
    }

    #[test]
    fn every_row_is_taken_once() {
        for (all, grain, threads) in [(767, 1, 2), (768, 1, 2), (1500, 16, 3), (1, 16, 2)] {
            let rows = Rows::new(all, grain);
            let taken = Mutex::new(Vec::new());
            Pool::new(threads).unwrap().run(&|me| {
                let mine = std::iter::once(rows.share(me)).chain(rows.pieces());
                taken.lock().unwrap().extend(mine.flatten());
            });
            let mut taken = taken.into_inner().unwrap();
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..all), "{all} {grain} {threads}");
            assert!(rows.even.is_multiple_of(grain) && rows.even <= all);
        }
    }

    #[test]
    fn a_copy_is_made_where_it_is_used_often_and_small() {
        let kernels = kernels(Isa::PORTABLE, Arithmetic::F32).unwrap();
        let engine = Engine { isa: Isa::PORTABLE, kernels, blocks: Blocks::usual(&kernels) };
        let dims = |batch, m, n, k| GemmDims { batch, m, n, k, shared_b: false };
        for (dims, threads, pays) in [
            (dims(1, 768, 100, 100), 2, true),
            (dims(1, 768, 100, 100), 1, false),
            (dims(1, 767, 100, 100), 2, false),
            (dims(2, 768, 100, 100), 2, false),
            (dims(1, 768, 100, 100), 3, false),
            (dims(1, 4096, 8192, 4096), 2, false),
            (dims(1, 768, 3072, 100), 2, true),
            (dims(1, 768, 3073, 100), 2, false),
        ] {
            assert_eq!(words::<f32>(&engine, dims, threads).is_some(), pays, "{dims:?} {threads}");
        }
        assert!(words::<i8>(&engine, dims(1, 768, 100, 100), 2).is_none());
    }
}
