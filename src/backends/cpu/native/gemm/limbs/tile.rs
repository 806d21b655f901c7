//! Tiles of 32 by 32 sums in the registers that are tiles.
//!
//! For each line of 32 elements six products, in an order in which each shares a factor with the next, and each register is
//! loaded just before it is needed: 14 loads go with 24 products of 16 cycles.

use super::super::tile::CHUNK;
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

/// Adds to `sums`, or begins them, `[tile of columns][tile of rows][32][32]`, the products of `lines` lines of as many tiles
/// of A and of B.
///
/// # Safety
/// As [`amx`].
///
/// # Panics
/// When a slice is shorter.
pub(super) unsafe fn add(a: &[u32], b: &[u32], sums: &mut [f32], lines: usize, is_first: bool) {
    let tile = lines * LIMBS * LIMB;
    let (down, across) = (a.len() / tile, b.len() / tile);
    assert!(sums.len() >= down * across * TILE * TILE);
    let mut sums = sums.as_chunks_mut::<{ TILE * TILE }>().0.iter_mut();
    // A panel of B stays in the first cache while tiles of A go by.
    for b in b.chunks_exact(tile) {
        for (a, sums) in a.chunks_exact(tile).zip(&mut sums) {
            let sums: *mut u32 = sums.as_mut_ptr().cast();
            // SAFETY: by this function's contract; the sums are a tile's, and factors have whole lines.
            unsafe {
                if is_first {
                    amx::clear_sums();
                } else {
                    amx::load_sums::<2, 2>(sums, TILE);
                }
                for (a, b) in a.chunks_exact(LIMBS * LIMB).zip(b.chunks_exact(LIMBS * LIMB)) {
                    add_line(a.as_ptr(), b.as_ptr());
                }
                amx::store_sums::<2, 2>(sums, TILE);
            }
        }
    }
}

/// Adds the products of a line.
///
/// # Safety
/// As [`amx`]; a line of both factors is there.
#[inline(always)]
unsafe fn add_line(a: *const u32, b: *const u32) {
    // SAFETY: by this function's contract.
    unsafe {
        let a0 = |limb: usize| amx::load_a::<0>(a.add((limb - 1) * LIMB), LINE);
        let a1 = |limb: usize| amx::load_a::<1>(a.add((limb - 1) * LIMB + SIDE * CHUNK), LINE);
        let b0 = |limb: usize| amx::load_b::<0>(b.add((limb - 1) * LIMB), 2 * LINE);
        let b1 = |limb: usize| amx::load_b::<1>(b.add((limb - 1) * LIMB + SIDE), 2 * LINE);
        b0(1);
        a0(3);
        amx::add_bf16::<0, 0>();
        b1(1);
        amx::add_bf16::<0, 1>();
        a1(3);
        amx::add_bf16::<1, 0>();
        amx::add_bf16::<1, 1>();
        for limb in [2, 1] {
            a0(limb);
            amx::add_bf16::<0, 0>();
            amx::add_bf16::<0, 1>();
            a1(limb);
            amx::add_bf16::<1, 0>();
            amx::add_bf16::<1, 1>();
        }
        for limb in [3, 2] {
            b0(limb);
            amx::add_bf16::<0, 0>();
            amx::add_bf16::<1, 0>();
            b1(limb);
            amx::add_bf16::<0, 1>();
            amx::add_bf16::<1, 1>();
        }
        a0(2);
        amx::add_bf16::<0, 0>();
        amx::add_bf16::<0, 1>();
        a1(2);
        amx::add_bf16::<1, 0>();
        amx::add_bf16::<1, 1>();
    }
}
