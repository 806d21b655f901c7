//! The register tile in the registers that are tiles: AMX, of bytes and of bfloat16.
//!
//! A tile register holds 16 rows of 16 words. One instruction adds to it the product of another two, 16 rows of
//! A by 16 words of depth times 16 words of depth by 16 columns of B, in 16 cycles; packed A and panels of B
//! are such tiles as they lie. Of eight registers four hold sums (32 rows, 32 columns), two A, two B, so that
//! four loads go with four products and four independent sums hide the latency of 52 cycles (Intel 64 and IA-32
//! Architectures Optimization Reference Manual, on Intel AMX).
//!
//! All registers keep one shape: setting it up costs more than a short tile, and missing rows are cheap to
//! compute and drop. One row stays with the vector registers, which are faster then.

use super::families::{Compiled, Kernels, Registers, family as of_vectors};
use super::tile::{CHUNK, Kernel, Tile, fetch_far, fetch_near};
use super::words::{Finish, Place, Words};
use super::words_x86::{Avx512, Dot};
use crate::backends::cpu::amx::{self, LINE, SIDE};
use std::arch::x86_64::_mm512_loadu_si512;

/// Rows and columns of a block of four registers of sums.
const BLOCK: usize = 2 * SIDE;

/// Adds a product of words of `D` to the sums of a row and a column of registers.
///
/// # Safety
/// As [`amx`].
#[inline(always)]
unsafe fn add<D: Dot, const ROW: usize, const COLUMN: usize>() {
    // SAFETY: by this function's contract.
    unsafe { if D::INTEGERS { amx::add_bytes::<ROW, COLUMN>() } else { amx::add_bf16::<ROW, COLUMN>() } }
}

/// The family for words of `D`.
pub(super) fn family<D: Dot>() -> Kernels
where
    Avx512<D>: Compiled,
{
    let vectors = of_vectors::<Avx512<D>>();
    Kernels {
        columns: BLOCK,
        most_rows: BLOCK,
        row_grain: SIDE,
        depth_grain: CHUNK,
        registers: Some(Registers { open: amx::open, close: amx::close }),
        lines: kernel::<D>,
        ..vectors
    }
}

fn kernel<D: Dot>(rows: usize) -> Kernel
where
    Avx512<D>: Compiled,
{
    match rows {
        1 => (of_vectors::<Avx512<D>>().lines)(1),
        2..=SIDE => tile::<D, 1>,
        _ => tile::<D, 2>,
    }
}

/// A tile of `ROWS` rows of registers.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn tile<D: Dot, const ROWS: usize>(tile: &Tile) {
    // SAFETY: by the contract of `Kernel`.
    unsafe { if tile.columns > SIDE { run::<D, ROWS, 2>(tile) } else { run::<D, ROWS, 1>(tile) } }
}

#[inline(always)]
unsafe fn run<D: Dot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let is_whole = tile.rows == ROWS * SIDE && tile.columns == COLUMNS * SIDE;
    // SAFETY: by the contract of `Kernel`. D is touched directly only where whole registers of it are the
    // tile's own.
    unsafe {
        match tile.finish {
            Finish::Add if is_whole => amx::load_sums::<ROWS, COLUMNS>(tile.init, tile.init_stride),
            _ => amx::clear_sums(),
        }
        products::<D, ROWS, COLUMNS>(tile);
        if is_whole && !matches!(tile.finish, Finish::General { .. }) {
            amx::store_sums::<ROWS, COLUMNS>(tile.d, tile.d_stride);
        } else {
            finish::<D, ROWS, COLUMNS>(tile);
        }
    }
}

/// Adds the products of all chunks of depth to the sums. Meanwhile the lines of D that will be written are asked
/// for, and what lies ahead: into the second cache, because the first is full of A and B. The next chunk of B, which
/// may be the next panel's first, is asked for into the first cache, which a busy neighbour on the core empties: 256^3
/// and 512^3 of bytes are 1.1 times as fast for it where there is none, 1.3 times beside one.
#[inline(always)]
unsafe fn products<D: Dot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let (mut a, mut b, mut ahead) = (tile.a, tile.b, tile.ahead);
    let chunks = tile.depth / CHUNK;
    // All of D in the first half of the time, so that the last line has come too.
    let rows_each = (2 * tile.rows).div_ceil(chunks.max(1));
    let mut rows_of_d = 0..if tile.d_is_far { tile.rows } else { 0 };
    let ahead_bytes = tile.ahead_rows.div_ceil(chunks.max(1)) * tile.ahead_step;
    for _ in 0..chunks {
        // SAFETY: by the contract of `Kernel`; rows of A beyond the tile's are there to be read.
        unsafe { products_of_chunk::<D, ROWS, COLUMNS>([a, b], [tile.a_stride, tile.b_step]) };
        let next = b.wrapping_add(CHUNK * tile.b_step);
        for line in 0..CHUNK * COLUMNS {
            let (word, column) = (line / COLUMNS, line % COLUMNS);
            fetch_near(next.wrapping_add(word * tile.b_step + column * SIDE).cast());
        }
        for row in rows_of_d.by_ref().take(rows_each) {
            (0..COLUMNS).for_each(|column| {
                fetch_far(tile.d.wrapping_add(row * tile.d_stride + column * SIDE).cast());
            });
        }
        for line in (0..ahead_bytes).step_by(LINE) {
            fetch_far(ahead.wrapping_add(line));
        }
        ahead = ahead.wrapping_add(ahead_bytes);
        a = a.wrapping_add(tile.a_step);
        b = b.wrapping_add(CHUNK * tile.b_step);
    }
}

/// Adds the products of 16 words of depth; rows of A and of B lie as many words apart as said.
#[inline(always)]
unsafe fn products_of_chunk<D: Dot, const ROWS: usize, const COLUMNS: usize>(
    [a, b]: [*const u32; 2],
    [a_stride, b_stride]: [usize; 2],
) {
    let [a_bytes, b_bytes] = [4 * a_stride, 4 * b_stride];
    // SAFETY: by the contract of `Kernel`.
    unsafe {
        amx::load_a::<0>(a, a_bytes);
        amx::load_b::<0>(b, b_bytes);
        add::<D, 0, 0>();
        if COLUMNS == 2 {
            amx::load_b::<1>(b.add(SIDE), b_bytes);
            add::<D, 0, 1>();
        }
        if ROWS == 2 {
            amx::load_a::<1>(a.add(SIDE * a_stride), a_bytes);
            add::<D, 1, 0>();
            if COLUMNS == 2 {
                add::<D, 1, 1>();
            }
        }
    }
}

/// The sums, through memory, where a store cannot do what is left to be done.
#[inline(always)]
unsafe fn finish<D: Dot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let mut sums = [[0; BLOCK]; BLOCK];
    // SAFETY: by the contract of `Kernel`; the block has room for all registers, and no more than the
    // tile's rows and columns of D are touched.
    unsafe {
        amx::store_sums::<ROWS, COLUMNS>(sums.as_mut_ptr().cast(), BLOCK);
        for (row, sums) in sums.iter().enumerate().take(tile.rows) {
            for (number, sums) in sums.chunks_exact(SIDE).enumerate().take(COLUMNS) {
                let at = number * SIDE;
                let place = Place {
                    row: tile.row.wrapping_add(at),
                    init: tile.init.wrapping_add(row * tile.init_stride + at),
                    d: tile.d.wrapping_add(row * tile.d_stride + at),
                    columns: tile.columns - at,
                };
                Avx512::<D>::finish(_mm512_loadu_si512(sums.as_ptr().cast()), tile.finish, place);
            }
        }
    }
}
