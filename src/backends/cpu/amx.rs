//! Instructions on registers that are tiles: AMX of bytes and of bfloat16, written as assembly because
//! the compiler's own names for them are not stable.
//!
//! A register holds 16 rows of 16 words of 32 bits. Here registers 0 to 3 are sums, two rows by two columns of
//! registers; 4 and 5 the rows of A; 6 and 7 the columns of B. The compiler uses none of them, because nothing
//! is compiled for AMX: they keep their contents from one piece of assembly to the next.
//!
//! # Safety
//! All functions need AMX and the system's leave, which [`super::isa::Isa::has_tiles`] proves; all but
//! [`open`] need it to have run on the thread, and [`close`] not since; what a pointer heads must be as many
//! rows as the registers have.

use std::arch::asm;

/// Rows of a register, and its words in a row.
pub(super) const SIDE: usize = 16;
/// Bytes of a row of a register.
pub(super) const LINE: usize = 4 * SIDE;

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
///
/// # Safety
/// As the module.
pub(super) unsafe fn open() {
    let mut shapes =
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
    shapes.row_bytes[..8].fill(LINE as u16);
    shapes.rows[..8].fill(SIDE as u8);
    // SAFETY: by the module's contract; the instruction reads the 64 bytes of `shapes`.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &shapes, options(readonly, nostack, preserves_flags)) }
}

/// Gives the registers back: a switch of threads need not keep their 8 KiB any more.
///
/// # Safety
/// As the module.
pub(super) unsafe fn close() {
    // SAFETY: by the module's contract.
    unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) }
}

/// Adds a product of bytes, those of A unsigned, to the sums of a row and a column of registers.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn add_bytes<const ROW: usize, const COLUMN: usize>() {
    // SAFETY: by the module's contract.
    unsafe {
        match (ROW, COLUMN) {
            (0, 0) => {
                asm!("tdpbusd tmm0, tmm4, tmm6", out("tmm0") _, options(nomem, nostack, preserves_flags))
            }
            (0, _) => {
                asm!("tdpbusd tmm1, tmm4, tmm7", out("tmm1") _, options(nomem, nostack, preserves_flags))
            }
            (_, 0) => {
                asm!("tdpbusd tmm2, tmm5, tmm6", out("tmm2") _, options(nomem, nostack, preserves_flags))
            }
            _ => asm!("tdpbusd tmm3, tmm5, tmm7", out("tmm3") _, options(nomem, nostack, preserves_flags)),
        }
    }
}

/// Adds a product of bfloat16 to the sums of a row and a column of registers. Like the vector instruction it
/// takes and leaves zeros for denormals.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn add_bf16<const ROW: usize, const COLUMN: usize>() {
    // SAFETY: by the module's contract.
    unsafe {
        match (ROW, COLUMN) {
            (0, 0) => {
                asm!("tdpbf16ps tmm0, tmm4, tmm6", out("tmm0") _, options(nomem, nostack, preserves_flags))
            }
            (0, _) => {
                asm!("tdpbf16ps tmm1, tmm4, tmm7", out("tmm1") _, options(nomem, nostack, preserves_flags))
            }
            (_, 0) => {
                asm!("tdpbf16ps tmm2, tmm5, tmm6", out("tmm2") _, options(nomem, nostack, preserves_flags))
            }
            _ => asm!("tdpbf16ps tmm3, tmm5, tmm7", out("tmm3") _, options(nomem, nostack, preserves_flags)),
        }
    }
}

/// Zeros for one of the registers of sums.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn clear_sum<const ROW: usize, const COLUMN: usize>() {
    // SAFETY: by the module's contract.
    unsafe {
        match (ROW, COLUMN) {
            (0, 0) => asm!("tilezero tmm0", out("tmm0") _, options(nomem, nostack, preserves_flags)),
            (0, _) => asm!("tilezero tmm1", out("tmm1") _, options(nomem, nostack, preserves_flags)),
            (_, 0) => asm!("tilezero tmm2", out("tmm2") _, options(nomem, nostack, preserves_flags)),
            _ => asm!("tilezero tmm3", out("tmm3") _, options(nomem, nostack, preserves_flags)),
        }
    }
}

/// Zeros.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn clear_sums() {
    // SAFETY: by the module's contract.
    unsafe {
        clear_sum::<0, 0>();
        clear_sum::<0, 1>();
        clear_sum::<1, 0>();
        clear_sum::<1, 1>();
    }
}

/// One register of sums, from the rows of all of them, `stride` words apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn load_sum<const ROW: usize, const COLUMN: usize>(from: *const u32, stride: usize) {
    let (from, bytes) = (from.wrapping_add(ROW * SIDE * stride + COLUMN * SIDE), 4 * stride);
    // SAFETY: by the module's contract: all rows of the register are there.
    unsafe {
        match (ROW, COLUMN) {
            (0, 0) => asm!("tileloadd tmm0, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm0") _,
                options(readonly, nostack, preserves_flags)),
            (0, _) => asm!("tileloadd tmm1, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm1") _,
                options(readonly, nostack, preserves_flags)),
            (_, 0) => asm!("tileloadd tmm2, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm2") _,
                options(readonly, nostack, preserves_flags)),
            _ => asm!("tileloadd tmm3, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm3") _,
                options(readonly, nostack, preserves_flags)),
        }
    }
}

/// Sums from rows `stride` words apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn load_sums<const ROWS: usize, const COLUMNS: usize>(from: *const u32, stride: usize) {
    // SAFETY: by the module's contract: all rows of the registers are there.
    unsafe {
        load_sum::<0, 0>(from, stride);
        if COLUMNS == 2 {
            load_sum::<0, 1>(from, stride);
        }
        if ROWS == 2 {
            load_sum::<1, 0>(from, stride);
        }
        if ROWS == 2 && COLUMNS == 2 {
            load_sum::<1, 1>(from, stride);
        }
    }
}

/// One register of sums, to the rows of all of them, `stride` words apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn store_sum<const ROW: usize, const COLUMN: usize>(to: *mut u32, stride: usize) {
    let (to, bytes) = (to.wrapping_add(ROW * SIDE * stride + COLUMN * SIDE), 4 * stride);
    // SAFETY: by the module's contract: all rows of the register are the caller's to write.
    unsafe {
        match (ROW, COLUMN) {
            (0, 0) => asm!("tilestored [{0} + {1}], tmm0", in(reg) to, in(reg) bytes,
                options(nostack, preserves_flags)),
            (0, _) => asm!("tilestored [{0} + {1}], tmm1", in(reg) to, in(reg) bytes,
                options(nostack, preserves_flags)),
            (_, 0) => asm!("tilestored [{0} + {1}], tmm2", in(reg) to, in(reg) bytes,
                options(nostack, preserves_flags)),
            _ => asm!("tilestored [{0} + {1}], tmm3", in(reg) to, in(reg) bytes,
                options(nostack, preserves_flags)),
        }
    }
}

/// Sums to rows `stride` words apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn store_sums<const ROWS: usize, const COLUMNS: usize>(to: *mut u32, stride: usize) {
    // SAFETY: by the module's contract: all rows of the registers are the caller's to write.
    unsafe {
        store_sum::<0, 0>(to, stride);
        if COLUMNS == 2 {
            store_sum::<0, 1>(to, stride);
        }
        if ROWS == 2 {
            store_sum::<1, 0>(to, stride);
        }
        if ROWS == 2 && COLUMNS == 2 {
            store_sum::<1, 1>(to, stride);
        }
    }
}

/// 16 rows of A, `bytes` apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn load_a<const ROW: usize>(from: *const u32, bytes: usize) {
    // SAFETY: by the module's contract: 16 rows are there.
    unsafe {
        if ROW == 0 {
            asm!("tileloadd tmm4, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm4") _,
                options(readonly, nostack, preserves_flags));
        } else {
            asm!("tileloadd tmm5, [{0} + {1}]", in(reg) from, in(reg) bytes, out("tmm5") _,
                options(readonly, nostack, preserves_flags));
        }
    }
}

/// 16 rows of B, `bytes` apart.
///
/// # Safety
/// As the module.
#[inline(always)]
pub(super) unsafe fn load_b<const COLUMN: usize>(from: *const u32, bytes: usize) {
    // SAFETY: by the module's contract: 16 rows are there.
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
