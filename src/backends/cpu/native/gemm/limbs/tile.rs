//! Tiles of 32 by 32 sums in the registers that are tiles.
//!
//! For each line of 32 elements six products, in an order in which each shares a factor with the next, and each register is
//! loaded just before it is needed: 14 loads go with 24 products of 16 cycles.
//!
//! Sums come from the second cache and go back there every few lines. Done at once, between one tile and the next, that
//! cost a quarter of the time of the products (Xeon with AMX, two threads, blocks of 512 by 384, median of 80 runs: 0.81
//! TFLOP/s of 1.11); so each register of sums is exchanged just before the first product that adds to it, and the next
//! tile's are fetched into the first cache meanwhile (1.07).

use super::super::tile::{CHUNK, fetch_near};
use super::split::{LIMB, LIMBS, TILE};
use crate::backends::cpu::amx::{self, LINE, SIDE};

/// While it lives, tiles may be computed on this thread.
pub(super) struct Session(());

impl Session {
    /// Sets up the registers.
    ///
    /// # Safety
    /// As [`amx`].
    pub(super) unsafe fn open() -> Self {
        // SAFETY: by this function's contract.
        unsafe { amx::open() };
        Self(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: as when it was opened.
        unsafe { amx::close() };
    }
}

/// Where a tile's sums are, and those that are still in the registers.
struct Exchange {
    /// Null before the first tile.
    before: *mut u32,
    sums: *mut u32,
    /// There are no sums yet.
    is_first: bool,
}

impl Exchange {
    /// Takes a register's sums where they belong and loads it with this tile's.
    ///
    /// # Safety
    /// As [`amx`].
    #[inline(always)]
    unsafe fn run<const ROW: usize, const COLUMN: usize>(&self) {
        // SAFETY: by this function's contract.
        unsafe {
            if !self.before.is_null() {
                amx::store_sum::<ROW, COLUMN>(self.before, TILE);
            }
            if self.is_first {
                amx::clear_sum::<ROW, COLUMN>();
            } else {
                amx::load_sum::<ROW, COLUMN>(self.sums, TILE);
            }
        }
    }
}

/// Adds to `sums`, or begins them, `[tile of columns][tile of rows][32][32]`, the products of `lines` lines of as many tiles
/// of A and of B.
///
/// # Safety
/// As [`amx`].
///
/// # Panics
/// When a slice is shorter.
pub(super) unsafe fn add(a: &[u32], b: &[u32], sums: &mut [f32], lines: usize, is_first: bool) {
    let line = LIMBS * LIMB;
    let (down, across) = (a.len() / (lines * line), b.len() / (lines * line));
    assert!(sums.len() >= down * across * TILE * TILE);
    let mut exchange = Exchange { before: std::ptr::null_mut(), sums: sums.as_mut_ptr().cast(), is_first };
    // A panel of B stays in the first cache while tiles of A go by.
    for b in b.chunks_exact(lines * line) {
        for a in a.chunks_exact(lines * line) {
            let mut next: *const u32 = exchange.sums.wrapping_add(TILE * TILE);
            // SAFETY: by this function's contract; the sums are a tile's, and factors have whole lines.
            unsafe {
                let mut due = Some(&exchange);
                for (a, b) in a.chunks_exact(line).zip(b.chunks_exact(line)) {
                    Line { a: a.as_ptr(), b: b.as_ptr(), next: &mut next }.add(due.take());
                }
            }
            exchange.before = exchange.sums;
            exchange.sums = exchange.sums.wrapping_add(TILE * TILE);
        }
    }
    if !exchange.before.is_null() {
        // SAFETY: by this function's contract; these are the sums of the last tile.
        unsafe { amx::store_sums::<2, 2>(exchange.before, TILE) };
    }
}

/// A line of 32 rows of A and one of as many columns of B.
struct Line<'a> {
    a: *const u32,
    b: *const u32,
    /// What is fetched, a cache line with each product.
    next: &'a mut *const u32,
}

impl Line<'_> {
    /// Adds its products, to exchanged sums where such are due.
    ///
    /// # Safety
    /// As [`amx`]; the line is there.
    #[inline(always)]
    unsafe fn add(mut self, due: Option<&Exchange>) {
        // SAFETY: by this function's contract.
        unsafe {
            self.load_a::<0>(1);
            self.load_a::<1>(1);
            self.with_b(3, due);
            self.with_b(2, None);
            self.with_b(1, None);
            self.with_a(3);
            self.with_a(2);
            self.with_b(2, None);
        }
    }

    /// Products of a limb of B and that of A that is there.
    ///
    /// # Safety
    /// As [`Line::add`].
    #[inline(always)]
    unsafe fn with_b(&mut self, limb: usize, due: Option<&Exchange>) {
        // SAFETY: by this function's contract.
        unsafe {
            self.load_b::<0>(limb);
            self.product::<0, 0>(due);
            self.product::<1, 0>(due);
            self.load_b::<1>(limb);
            self.product::<0, 1>(due);
            self.product::<1, 1>(due);
        }
    }

    /// Products of a limb of A and that of B that is there.
    ///
    /// # Safety
    /// As [`Line::add`].
    #[inline(always)]
    unsafe fn with_a(&mut self, limb: usize) {
        // SAFETY: by this function's contract.
        unsafe {
            self.load_a::<0>(limb);
            self.product::<0, 0>(None);
            self.product::<0, 1>(None);
            self.load_a::<1>(limb);
            self.product::<1, 0>(None);
            self.product::<1, 1>(None);
        }
    }

    /// # Safety
    /// As [`Line::add`].
    #[inline(always)]
    unsafe fn load_a<const ROW: usize>(&self, limb: usize) {
        // SAFETY: by this function's contract.
        unsafe { amx::load_a::<ROW>(self.a.add((limb - 1) * LIMB + ROW * SIDE * CHUNK), LINE) }
    }

    /// # Safety
    /// As [`Line::add`].
    #[inline(always)]
    unsafe fn load_b<const COLUMN: usize>(&self, limb: usize) {
        // SAFETY: by this function's contract.
        unsafe { amx::load_b::<COLUMN>(self.b.add((limb - 1) * LIMB + COLUMN * SIDE), 2 * LINE) }
    }

    /// # Safety
    /// As [`Line::add`].
    #[inline(always)]
    unsafe fn product<const ROW: usize, const COLUMN: usize>(&mut self, due: Option<&Exchange>) {
        // SAFETY: by this function's contract.
        unsafe {
            if let Some(exchange) = due {
                exchange.run::<ROW, COLUMN>();
            }
            amx::add_bf16::<ROW, COLUMN>();
        }
        fetch_near(self.next.cast());
        *self.next = self.next.wrapping_add(CHUNK);
    }
}
