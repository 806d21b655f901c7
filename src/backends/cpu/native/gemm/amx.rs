//! The register tile in the registers that are tiles: AMX, of bytes and of bfloat16.
//!
//! A tile register holds 16 rows of 16 words. One instruction adds to it the product of another two, 16 rows of
//! A by 16 words of depth times 16 words of depth by 16 columns of B, in 16 cycles; packed A and panels of B
//! are such tiles as they lie. Of eight registers four hold sums (32 rows, 32 columns), two A, two B, so that
//! four loads go with four products and four independent sums hide the latency of 52 cycles (Intel 64 and IA-32
//! Architectures Optimization Reference Manual, 20.5.3 and 20.5.5).
//!
//! All registers keep one shape: setting it up costs more than a short tile, and missing rows are cheap to
//! compute and drop. One row stays with the vector registers, which are faster then.

use super::tile::{CHUNK, Compiled, Kernel, Kernels, Registers, Tile, family as of_vectors, fetch_far};
use super::words::{Finish, Place, Words};
use super::words_x86::{Avx512, Bf16, Bytes, Dot};
use std::arch::asm;

/// Rows of a tile register, and its words in a row.
const SIDE: usize = 16;
/// Rows and columns of a block of four.
const BLOCK: usize = 2 * SIDE;
/// Bytes between the lines of packed A.
const LINE: usize = 4 * CHUNK;

/// The tile instruction of words whose vector instruction is [`Dot`].
///
/// # Safety
/// The processor has the instruction, and the thread's tile registers are set up.
pub(super) unsafe trait TileDot: Dot {
    /// Adds a product to the sums of a row and a column of registers.
    unsafe fn add<const ROW: usize, const COLUMN: usize>();
}

// The compiler uses no tile registers of its own, because nothing is compiled for AMX: they keep their
// contents from one `asm!` to the next.

// SAFETY: AMX-INT8 instructions only.
unsafe impl TileDot for Bytes {
    #[inline(always)]
    unsafe fn add<const ROW: usize, const COLUMN: usize>() {
        // SAFETY: by the trait's contract; registers of sums are 0 to 3, those of A 4 and 5, of B 6 and 7.
        unsafe {
            match (ROW, COLUMN) {
                (0, 0) => asm!("tdpbusd tmm0, tmm4, tmm6", options(nomem, nostack, preserves_flags)),
                (0, _) => asm!("tdpbusd tmm1, tmm4, tmm7", options(nomem, nostack, preserves_flags)),
                (_, 0) => asm!("tdpbusd tmm2, tmm5, tmm6", options(nomem, nostack, preserves_flags)),
                _ => asm!("tdpbusd tmm3, tmm5, tmm7", options(nomem, nostack, preserves_flags)),
            }
        }
    }
}

// SAFETY: AMX-BF16 instructions only.
unsafe impl TileDot for Bf16 {
    #[inline(always)]
    unsafe fn add<const ROW: usize, const COLUMN: usize>() {
        // SAFETY: as above.
        unsafe {
            match (ROW, COLUMN) {
                (0, 0) => asm!("tdpbf16ps tmm0, tmm4, tmm6", options(nomem, nostack, preserves_flags)),
                (0, _) => asm!("tdpbf16ps tmm1, tmm4, tmm7", options(nomem, nostack, preserves_flags)),
                (_, 0) => asm!("tdpbf16ps tmm2, tmm5, tmm6", options(nomem, nostack, preserves_flags)),
                _ => asm!("tdpbf16ps tmm3, tmm5, tmm7", options(nomem, nostack, preserves_flags)),
            }
        }
    }
}

/// The family for words of `D`.
pub(super) fn family<D: TileDot>() -> Kernels
where
    Avx512<D>: Compiled,
{
    let vectors = of_vectors::<Avx512<D>>();
    Kernels {
        columns: BLOCK,
        most_rows: BLOCK,
        row_grain: SIDE,
        depth_grain: CHUNK,
        registers: Some(Registers { open, close }),
        lines: kernel::<D>,
        ..vectors
    }
}

fn kernel<D: TileDot>(rows: usize) -> Kernel
where
    Avx512<D>: Compiled,
{
    match rows {
        1 => (of_vectors::<Avx512<D>>().lines)(1),
        2..=SIDE => tile::<D, 1>,
        _ => tile::<D, 2>,
    }
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Sets up eight registers of 16 rows of 64 bytes.
unsafe fn open() {
    let mut shapes =
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    shapes.row_bytes[..8].fill(LINE as u16);
    shapes.rows[..8].fill(SIDE as u8);
    // SAFETY: by the contract of `Registers`; the instruction reads the 64 bytes of `shapes`.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &shapes, options(readonly, nostack, preserves_flags)) }
}

/// Gives the registers back: a switch of threads need not keep their 8 KiB any more.
unsafe fn close() {
    // SAFETY: by the contract of `Registers`.
    unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
}

/// A tile of `ROWS` rows of registers.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn tile<D: TileDot, const ROWS: usize>(tile: &Tile) {
    // SAFETY: by the contract of `Kernel`.
    unsafe { if tile.columns > SIDE { run::<D, ROWS, 2>(tile) } else { run::<D, ROWS, 1>(tile) } }
}

#[inline(always)]
unsafe fn run<D: TileDot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let is_whole = tile.rows == ROWS * SIDE && tile.columns == COLUMNS * SIDE;
    // SAFETY: by the contract of `Kernel`. D is touched directly only where whole registers of it are the
    // tile's own.
    unsafe {
        match tile.finish {
            Finish::Add if is_whole => load_sums::<ROWS, COLUMNS>(tile.init, tile.init_stride),
            _ => clear_sums(),
        }
        products::<D, ROWS, COLUMNS>(tile);
        if is_whole && !matches!(tile.finish, Finish::General { .. }) {
            store_sums::<ROWS, COLUMNS>(tile.d, tile.d_stride);
        } else {
            finish::<D, ROWS, COLUMNS>(tile);
        }
    }
}

/// Adds the products of all chunks of depth to the sums.
#[inline(always)]
unsafe fn products<D: TileDot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let (mut a, mut b, mut ahead) = (tile.a, tile.b, tile.ahead);
    for _ in 0..tile.depth / CHUNK {
        // SAFETY: by the contract of `Kernel`; rows of A beyond the tile's are there to be read.
        unsafe {
            load_a::<0>(a);
            load_b::<0>(b, 4 * tile.b_step);
            D::add::<0, 0>();
            if COLUMNS == 2 {
                load_b::<1>(b.add(SIDE), 4 * tile.b_step);
                D::add::<0, 1>();
            }
            if ROWS == 2 {
                load_a::<1>(a.add(SIDE * CHUNK));
                D::add::<1, 0>();
                if COLUMNS == 2 {
                    D::add::<1, 1>();
                }
            }
        }
        for line in (0..CHUNK * tile.ahead_step).step_by(LINE) {
            fetch_far(ahead.wrapping_add(line));
        }
        ahead = ahead.wrapping_add(CHUNK * tile.ahead_step);
        a = a.wrapping_add(tile.a_step);
        b = b.wrapping_add(CHUNK * tile.b_step);
    }
}

/// The sums, through memory, where a store cannot do what is left to be done.
#[inline(always)]
unsafe fn finish<D: TileDot, const ROWS: usize, const COLUMNS: usize>(tile: &Tile) {
    let mut sums = [[0; BLOCK]; BLOCK];
    // SAFETY: by the contract of `Kernel`; the block has room for all registers, and no more than the
    // tile's rows and columns of D are touched.
    unsafe {
        store_sums::<ROWS, COLUMNS>(sums.as_mut_ptr().cast(), BLOCK);
        for (row, sums) in sums.iter().enumerate().take(tile.rows) {
            for (number, sums) in sums.chunks_exact(SIDE).enumerate().take(COLUMNS) {
                let at = number * SIDE;
                let place = Place {
                    row: tile.row.wrapping_add(at),
                    init: tile.init.wrapping_add(row * tile.init_stride + at),
                    d: tile.d.wrapping_add(row * tile.d_stride + at),
                    columns: tile.columns - at,
                };
                Avx512::<D>::finish(std::arch::x86_64::_mm512_loadu_si512(sums.as_ptr().cast()), tile.finish, place);
            }
        }
    }
}

/// Zeros.
#[inline(always)]
unsafe fn clear_sums() {
    // SAFETY: the caller's contract.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            out("tmm0") _,
            out("tmm1") _,
            out("tmm2") _,
            out("tmm3") _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Sums from rows `stride` words apart.
#[inline(always)]
unsafe fn load_sums<const ROWS: usize, const COLUMNS: usize>(from: *const u32, stride: usize) {
    let (below, bytes) = (from.wrapping_add(SIDE * stride), 4 * stride);
    // SAFETY: the caller's contract: all rows of the registers are there.
    unsafe {
        asm!("tileloadd tmm0, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm0") _,
            options(readonly, nostack, preserves_flags));
        if COLUMNS == 2 {
            asm!("tileloadd tmm1, [{0} + {1} + 64]", in(reg) from, in(reg) bytes, out("tmm1") _,
                options(readonly, nostack, preserves_flags));
        }
        if ROWS == 2 {
            asm!("tileloadd tmm2, [{0} + {1}]", in(reg) below, in(reg) bytes, out("tmm2") _,
                options(readonly, nostack, preserves_flags));
        }
        if ROWS == 2 && COLUMNS == 2 {
            asm!("tileloadd tmm3, [{0} + {1} + 64]", in(reg) below, in(reg) bytes, out("tmm3") _,
                options(readonly, nostack, preserves_flags));
        }
    }
}

/// Sums to rows `stride` words apart.
#[inline(always)]
unsafe fn store_sums<const ROWS: usize, const COLUMNS: usize>(to: *mut u32, stride: usize) {
    let (below, bytes) = (to.wrapping_add(SIDE * stride), 4 * stride);
    // SAFETY: the caller's contract: all rows of the registers are the caller's to write.
    unsafe {
        asm!("tilestored [{0} + {1}], tmm0", in(reg) to, in(reg) bytes, options(nostack, preserves_flags));
        if COLUMNS == 2 {
            asm!("tilestored [{0} + {1} + 64], tmm1", in(reg) to, in(reg) bytes,
                options(nostack, preserves_flags));
        }
        if ROWS == 2 {
            asm!("tilestored [{0} + {1}], tmm2", in(reg) below, in(reg) bytes,
                options(nostack, preserves_flags));
        }
        if ROWS == 2 && COLUMNS == 2 {
            asm!("tilestored [{0} + {1} + 64], tmm3", in(reg) below, in(reg) bytes,
                options(nostack, preserves_flags));
        }
    }
}

/// 16 lines of A.
#[inline(always)]
unsafe fn load_a<const ROW: usize>(from: *const u32) {
    // SAFETY: the caller's contract: 16 lines are there.
    unsafe {
        if ROW == 0 {
            asm!("tileloadd tmm4, [{0} + {1}]", in(reg) from, in(reg) LINE, out("tmm4") _,
                options(readonly, nostack, preserves_flags));
        } else {
            asm!("tileloadd tmm5, [{0} + {1}]", in(reg) from, in(reg) LINE, out("tmm5") _,
                options(readonly, nostack, preserves_flags));
        }
    }
}

/// 16 rows of B, `bytes` apart.
#[inline(always)]
unsafe fn load_b<const COLUMN: usize>(from: *const u32, bytes: usize) {
    // SAFETY: the caller's contract: 16 rows are there.
    unsafe {
        if COLUMN == 0 {
            asm!("tileloadd tmm6, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm6") _,
                options(readonly, nostack, preserves_flags));
        } else {
            asm!("tileloadd tmm7, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm7") _,
                options(readonly, nostack, preserves_flags));
        }
    }
}
