//! Families of register tiles: for each kind of words and instruction set, a kernel for each number of rows.

#[cfg(target_arch = "x86_64")]
use super::amx;
#[cfg(target_arch = "x86_64")]
use super::tile::COPYING_BY_COLUMNS;
use super::tile::{COLUMNS, COPYING, Kernel, LINES, MOST_ROWS, Tile, WIDE_ROWS, copies, in_chains};
use super::words::{Arithmetic, PortableF32, PortablePairs, Words};
#[cfg(target_arch = "x86_64")]
use super::words_x86::{self, Avx2F32, Avx2Pairs, Avx512};
use crate::backends::cpu::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::backends::cpu::isa::Level;

/// The kernel for a number of rows, 1 to the family's most.
pub(in super::super) type OfRows = fn(usize) -> Kernel;

/// The kernels of one kind of words on one instruction set.
#[derive(Clone, Copy)]
pub(in super::super) struct Kernels {
    /// Columns of a tile.
    pub(in super::super) columns: usize,
    /// Rows of the tallest tile.
    pub(in super::super) most_rows: usize,
    /// Rows that cost as much as fewer of them do.
    pub(in super::super) row_grain: usize,
    /// Words that the depth of every tile is a multiple of.
    pub(in super::super) depth_grain: usize,
    /// A comes by columns only.
    pub(in super::super) by_columns_only: bool,
    /// Sums live in tile registers: these are set up while the kernels run, as many rows of A are read as a
    /// grain has, and A comes by lines only.
    pub(in super::super) registers: Option<Registers>,
    pub(in super::super) lines: OfRows,
    pub(in super::super) by_columns: OfRows,
    pub(in super::super) copying: OfRows,
}

/// How a thread sets up tile registers, and how it gives them back.
///
/// # Safety
/// The processor has them, and this process the system's leave.
#[derive(Clone, Copy)]
pub(in super::super) struct Registers {
    pub(in super::super) open: unsafe fn(),
    pub(in super::super) close: unsafe fn(),
}

/// While it lives, the kernels it was opened for may run on this thread.
pub(in super::super) struct Session(Option<Registers>);

impl Kernels {
    /// Rows and columns that threads share products by.
    pub(in super::super) fn grains(&self) -> [usize; 2] {
        [self.row_grain, self.columns]
    }

    /// Sets up what the kernels need of this thread.
    pub(in super::super) fn session(&self) -> Session {
        if let Some(Registers { open, .. }) = self.registers {
            // SAFETY: the family was made for an instruction set that proves them.
            unsafe { open() };
        }
        Session(self.registers)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(Registers { close, .. }) = self.0 {
            // SAFETY: as when it was opened.
            unsafe { close() };
        }
    }
}

/// The wide family, where there are registers enough.
pub(in super::super) fn wide_kernels(isa: Isa) -> Option<Kernels> {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == Level::Avx512 {
        return Some(wide_family::<Avx512<words_x86::F32>>());
    }
    let _ = isa;
    None
}

/// The family for `arithmetic` on `isa`, if it has one.
pub(in super::super) fn kernels(isa: Isa, arithmetic: Arithmetic) -> Option<Kernels> {
    #[cfg(target_arch = "x86_64")]
    match (arithmetic, isa.level()) {
        (Arithmetic::Bytes, _) if isa.has_tiles() => return Some(amx::family::<words_x86::Bytes>()),
        (Arithmetic::Bf16, _) if isa.has_tiles() => return Some(amx::family::<words_x86::Bf16>()),
        (Arithmetic::F32, Level::Avx512) => return Some(family::<Avx512<words_x86::F32>>()),
        (Arithmetic::F32, Level::Avx2) => return Some(family::<Avx2F32>()),
        (Arithmetic::Bytes, Level::Avx512) if isa.has_bytes() => {
            return Some(family::<Avx512<words_x86::Bytes>>());
        }
        (Arithmetic::Bf16, Level::Avx512) if isa.has_bf16() => {
            return Some(family::<Avx512<words_x86::Bf16>>());
        }
        (Arithmetic::Pairs, Level::Avx2 | Level::Avx512) => return Some(family::<Avx2Pairs>()),
        _ => {}
    }
    let _ = isa;
    match arithmetic {
        Arithmetic::F32 => Some(family::<PortableF32>()),
        Arithmetic::Pairs => Some(family::<PortablePairs>()),
        Arithmetic::Bytes | Arithmetic::Bf16 => None,
    }
}

/// Rows of the kernels that every family has.
const SHORT: usize = 6;

/// Kernels of a kind of words, compiled for their instruction set.
pub(super) trait Compiled: Words {
    fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel;

    /// Those of more than [`SHORT`] rows; a family without them repeats its first and never asks for one.
    fn tall<const VECTORS: usize, const MODE: u8>() -> [Kernel; MOST_ROWS - SHORT] {
        [Self::kernel::<1, VECTORS, MODE>(); MOST_ROWS - SHORT]
    }
}

/// The family of a kind of vector registers.
pub(super) fn family<W: Compiled>() -> Kernels {
    Kernels {
        columns: 2 * W::LANES,
        most_rows: W::MOST_ROWS,
        row_grain: 1,
        depth_grain: 1,
        by_columns_only: false,
        registers: None,
        lines: of_rows::<W, 2, LINES>,
        by_columns: of_rows::<W, 2, COLUMNS>,
        copying: of_rows::<W, 2, COPYING>,
    }
}

/// That of [`WIDE_ROWS`] rows by three registers.
#[cfg(target_arch = "x86_64")]
fn wide_family<W: Compiled>() -> Kernels {
    Kernels {
        columns: 3 * W::LANES,
        most_rows: WIDE_ROWS,
        row_grain: 1,
        depth_grain: 1,
        by_columns_only: true,
        registers: None,
        lines: of_wide_rows::<W, COLUMNS>,
        by_columns: of_wide_rows::<W, COLUMNS>,
        copying: of_wide_rows::<W, COPYING_BY_COLUMNS>,
    }
}

#[cfg(target_arch = "x86_64")]
fn of_wide_rows<W: Compiled, const MODE: u8>(rows: usize) -> Kernel {
    let all: [Kernel; WIDE_ROWS] = [
        W::kernel::<1, 3, MODE>(),
        W::kernel::<2, 3, MODE>(),
        W::kernel::<3, 3, MODE>(),
        W::kernel::<4, 3, MODE>(),
        W::kernel::<5, 3, MODE>(),
        W::kernel::<6, 3, MODE>(),
        W::kernel::<7, 3, MODE>(),
        W::kernel::<8, 3, MODE>(),
    ];
    all[rows - 1]
}

fn of_rows<W: Compiled, const VECTORS: usize, const MODE: u8>(rows: usize) -> Kernel {
    let short: [Kernel; SHORT] = [
        W::kernel::<1, VECTORS, MODE>(),
        W::kernel::<2, VECTORS, MODE>(),
        W::kernel::<3, VECTORS, MODE>(),
        W::kernel::<4, VECTORS, MODE>(),
        W::kernel::<5, VECTORS, MODE>(),
        W::kernel::<6, VECTORS, MODE>(),
    ];
    if rows <= SHORT { short[rows - 1] } else { W::tall::<VECTORS, MODE>()[rows - 1 - SHORT] }
}

/// The tile, or as many of its registers of columns as hold all that are wanted.
#[inline(always)]
unsafe fn compute<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
    // SAFETY: by the contract of `Kernel`. A copying kernel stores whole rows of B.
    unsafe {
        if VECTORS == 3 && !copies(MODE) && tile.columns <= 2 * W::LANES {
            return W::kernel::<ROWS, 2, MODE>()(tile);
        }
        if VECTORS == 2 && !copies(MODE) && tile.columns <= W::LANES {
            return in_chains::<W, ROWS, 1, MODE>(tile);
        }
        in_chains::<W, ROWS, VECTORS, MODE>(tile);
    }
}

/// On any processor.
unsafe fn portable<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
    // SAFETY: by the contract of `Kernel`.
    unsafe { compute::<W, ROWS, VECTORS, MODE>(tile) }
}

impl Compiled for PortableF32 {
    fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
        portable::<Self, ROWS, VECTORS, MODE>
    }
}

impl Compiled for PortablePairs {
    fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
        portable::<Self, ROWS, VECTORS, MODE>
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;

    fn tall_of<W: Compiled, const VECTORS: usize, const MODE: u8>() -> [Kernel; MOST_ROWS - SHORT] {
        [
            W::kernel::<7, VECTORS, MODE>(),
            W::kernel::<8, VECTORS, MODE>(),
            W::kernel::<9, VECTORS, MODE>(),
            W::kernel::<10, VECTORS, MODE>(),
            W::kernel::<11, VECTORS, MODE>(),
            W::kernel::<12, VECTORS, MODE>(),
            W::kernel::<13, VECTORS, MODE>(),
            W::kernel::<14, VECTORS, MODE>(),
        ]
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { compute::<W, ROWS, VECTORS, MODE>(tile) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn avx512<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { compute::<W, ROWS, VECTORS, MODE>(tile) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
    unsafe fn vnni<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { compute::<W, ROWS, VECTORS, MODE>(tile) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn bf16<W: Compiled, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { compute::<W, ROWS, VECTORS, MODE>(tile) }
    }

    impl Compiled for Avx2F32 {
        fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
            avx2::<Self, ROWS, VECTORS, MODE>
        }
    }

    impl Compiled for Avx2Pairs {
        fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
            avx2::<Self, ROWS, VECTORS, MODE>
        }
    }

    impl Compiled for Avx512<words_x86::F32> {
        fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
            avx512::<Self, ROWS, VECTORS, MODE>
        }
        fn tall<const VECTORS: usize, const MODE: u8>() -> [Kernel; MOST_ROWS - SHORT] {
            tall_of::<Self, VECTORS, MODE>()
        }
    }

    impl Compiled for Avx512<words_x86::Bytes> {
        fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
            vnni::<Self, ROWS, VECTORS, MODE>
        }
        fn tall<const VECTORS: usize, const MODE: u8>() -> [Kernel; MOST_ROWS - SHORT] {
            tall_of::<Self, VECTORS, MODE>()
        }
    }

    impl Compiled for Avx512<words_x86::Bf16> {
        fn kernel<const ROWS: usize, const VECTORS: usize, const MODE: u8>() -> Kernel {
            bf16::<Self, ROWS, VECTORS, MODE>
        }
        fn tall<const VECTORS: usize, const MODE: u8>() -> [Kernel; MOST_ROWS - SHORT] {
            tall_of::<Self, VECTORS, MODE>()
        }
    }
}
