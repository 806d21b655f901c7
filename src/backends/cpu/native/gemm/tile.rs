//! The register tile: the inner loop of every product.
//!
//! D = finish(A B) for up to 14 rows and two registers of columns (AVX-512; 6 rows elsewhere): 28 sums, two
//! registers of B and a broadcast word of A are 31 of 32 registers, and 28 multiply-adds go with 16 loads.
//! The wide family has 8 rows and three registers of columns: 24 multiply-adds with 11 loads, all words of A
//! for one step side by side. It takes fewer instructions and loads for a multiply-add, 1.5 and 0.46 instead of 1.6
//! and 0.57, and so leaves more room to whoever shares the core's ports; but its A has to be transposed, which a
//! product of few rows does not pay for.
//! At least 8 independent chains are needed to hide a latency of 4 in two units. A family has one kernel
//! for each number of rows, so that the rows of a product are cut into nearly equal parts instead of
//! whole tiles and a thin rest; C beyond the last column is masked off.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::words::{Arithmetic, Finish, Place, PortableF32, PortablePairs, Words};
#[cfg(target_arch = "x86_64")]
use super::words_x86::{self, Avx2F32, Avx2Pairs, Avx512};
use crate::backends::cpu::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::backends::cpu::isa::Level;

/// Words of depth that lie together for one row of packed A: one cache line.
pub(in super::super) const CHUNK: usize = 16;
/// Rows of the tallest family of vector registers.
const MOST_ROWS: usize = 14;
/// Rows of the wide family.
pub(super) const WIDE_ROWS: usize = 8;
/// Words of depth between two looks at what is to be fetched.
pub(super) const GROUP: usize = 4;

/// Everything that one call works on. Steps and strides are in words.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Tile {
    /// Rows of A and D.
    pub(in super::super) rows: usize,
    /// Words of depth, a multiple of the family's grain.
    pub(in super::super) depth: usize,
    /// A by lines: `[chunk of 16 words][row][16]`, chunks `a_step` apart; packing it copies whole cache
    /// lines and transposes nothing. By columns: `[word of depth][row]`, columns `a_step` apart.
    pub(in super::super) a: *const u32,
    pub(in super::super) a_step: usize,
    /// Words between rows of A by lines, for tile registers; the others read rows of lines only.
    pub(in super::super) a_stride: usize,
    /// B: a row of the tile's width for each word of depth, `b_step` apart.
    pub(in super::super) b: *const u32,
    pub(in super::super) b_step: usize,
    pub(in super::super) finish: Finish,
    /// Added to every row, where `finish` says so.
    pub(in super::super) row: *const u32,
    /// Added row by row, where `finish` says so; a stride of 0 repeats one row.
    pub(in super::super) init: *const u32,
    pub(in super::super) init_stride: usize,
    pub(in super::super) d: *mut u32,
    pub(in super::super) d_stride: usize,
    /// Columns that are wanted, 1 to the tile's width.
    pub(in super::super) columns: usize,
    /// What is fetched meanwhile: `ahead_rows` rows of the tile's width, `ahead_step` bytes apart, `ahead_pace`
    /// of them with every [`GROUP`] words of depth. They need not exist.
    pub(in super::super) ahead: *const u8,
    pub(in super::super) ahead_step: usize,
    pub(in super::super) ahead_rows: usize,
    pub(in super::super) ahead_pace: usize,
    /// Where copying kernels store the rows of B that they read, one after another.
    pub(in super::super) copy: *mut u32,
}

impl Tile {
    /// A tile whose B and D are whole rows of its own width, one right behind the other, with nothing added
    /// and nothing fetched ahead; rows, depth, A, B and D are to be set.
    pub(in super::super) fn between_rows_of(width: usize) -> Self {
        Self {
            rows: 0,
            depth: 0,
            a: std::ptr::null(),
            a_step: 0,
            a_stride: CHUNK,
            b: std::ptr::null(),
            b_step: width,
            finish: Finish::Store,
            row: std::ptr::null(),
            init: std::ptr::null(),
            init_stride: width,
            d: std::ptr::null_mut(),
            d_stride: width,
            columns: width,
            ahead: std::ptr::null(),
            ahead_step: 0,
            ahead_rows: 0,
            ahead_pace: 1,
            copy: std::ptr::null_mut(),
        }
    }
}

/// Computes a tile.
///
/// # Safety
/// The processor has the instruction set of the kernel, and every pointer of the tile heads what its
/// field says; those of D are the caller's alone.
pub(in super::super) type Kernel = unsafe fn(&Tile);

/// A by lines.
const LINES: u8 = 0;
/// A by columns.
const COLUMNS: u8 = 1;
/// A by lines, and the rows of B are stored on the way: two stores in the shadow of 28 multiply-adds make
/// packing B free where B is read row by row.
const COPYING: u8 = 2;
/// The same with A by columns.
const COPYING_BY_COLUMNS: u8 = 3;

const fn copies(mode: u8) -> bool {
    matches!(mode, COPYING | COPYING_BY_COLUMNS)
}

const fn is_by_columns(mode: u8) -> bool {
    matches!(mode, COLUMNS | COPYING_BY_COLUMNS)
}

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

/// A few rows are too few sums to hide the latency of an addition: they get several, of every 4th or 2nd
/// word of depth each, which are added at the end. They also wait for B, whose lines the processor fetches
/// by itself: asking for them too costs a quarter where B is in the third cache.
#[inline(always)]
unsafe fn in_chains<W: Words, const ROWS: usize, const VECTORS: usize, const MODE: u8>(tile: &Tile) {
    // SAFETY: by the contract of `Kernel`.
    unsafe {
        match ROWS {
            1 => run::<W, ROWS, VECTORS, MODE, 4>(tile),
            2 | 3 => run::<W, ROWS, VECTORS, MODE, 2>(tile),
            _ => run::<W, ROWS, VECTORS, MODE, 1>(tile),
        }
    }
}

#[inline(always)]
unsafe fn run<W: Words, const ROWS: usize, const VECTORS: usize, const MODE: u8, const CHAINS: usize>(
    tile: &Tile,
) {
    // D is wanted at the end. Into the second cache only: rows a power of two apart would push each other
    // out of the first before then.
    for row in 0..ROWS {
        for vector in 0..VECTORS {
            fetch_far(tile.d.wrapping_add(row * tile.d_stride + vector * W::LANES).cast());
        }
    }
    // SAFETY: by the contract of `Kernel`.
    let mut sums = unsafe { [[[W::zero(); VECTORS]; ROWS]; CHAINS] };
    let Tile { a, b, ahead, ahead_rows, copy, .. } = *tile;
    let mut cursor = Cursor { a, b, ahead, ahead_left: ahead_rows, copy };
    let stretch = if is_by_columns(MODE) { tile.depth } else { CHUNK };
    let mut left = tile.depth;
    while left > 0 {
        let steps = left.min(stretch);
        for _ in 0..steps / GROUP {
            if CHAINS == 1 {
                cursor.fetch::<VECTORS>(tile);
            }
            for number in 0..GROUP {
                // SAFETY: by the contract of `Kernel`, which has `depth` rows of B and words of A.
                unsafe { cursor.step::<W, ROWS, VECTORS, MODE>(tile, &mut sums[number % CHAINS]) };
            }
        }
        for _ in 0..steps % GROUP {
            // SAFETY: as above.
            unsafe { cursor.step::<W, ROWS, VECTORS, MODE>(tile, &mut sums[0]) };
        }
        // From the end of a row's line to the next chunk; by columns nothing is left to read.
        cursor.a = cursor.a.wrapping_add(tile.a_step.wrapping_sub(CHUNK));
        left -= steps;
    }
    // SAFETY: by the contract of `Kernel`. The choice is made here, so that no store has to make it.
    unsafe {
        let sums = joined::<W, ROWS, VECTORS, CHAINS>(sums);
        match tile.finish {
            Finish::Store => write::<W, ROWS, VECTORS>(tile, sums, Finish::Store),
            Finish::Add => write::<W, ROWS, VECTORS>(tile, sums, Finish::Add),
            general @ Finish::General { .. } => write::<W, ROWS, VECTORS>(tile, sums, general),
        }
    }
}

/// Where a tile reads next.
struct Cursor {
    a: *const u32,
    b: *const u32,
    ahead: *const u8,
    ahead_left: usize,
    copy: *mut u32,
}

impl Cursor {
    /// Asks for the next rows of what lies ahead, a cache line for each register: where they are used within
    /// this tile into the first cache, else into the second, because the first is full of A and B.
    #[inline(always)]
    fn fetch<const LINES_A_ROW: usize>(&mut self, tile: &Tile) {
        if self.ahead_left == 0 {
            return;
        }
        for _ in 0..tile.ahead_pace {
            for line in 0..LINES_A_ROW {
                let at = self.ahead.wrapping_add(64 * line);
                if tile.ahead_pace == GROUP { fetch_near(at) } else { fetch_far(at) }
            }
            self.ahead = self.ahead.wrapping_add(tile.ahead_step);
        }
        self.ahead_left = self.ahead_left.saturating_sub(tile.ahead_pace);
    }

    /// A word of each row of A times a row of B.
    ///
    /// # Safety
    /// As [`Kernel`]; another row of B and word of A are there.
    #[inline(always)]
    unsafe fn step<W: Words, const ROWS: usize, const VECTORS: usize, const MODE: u8>(
        &mut self,
        tile: &Tile,
        sums: &mut [[W::Sum; VECTORS]; ROWS],
    ) {
        let (row_step, depth_step) = if is_by_columns(MODE) { (1, tile.a_step) } else { (CHUNK, 1) };
        // SAFETY: by this function's contract.
        unsafe {
            let mut row_of_b = [W::load(self.b); VECTORS];
            for (vector, words) in row_of_b.iter_mut().enumerate().skip(1) {
                *words = W::load(self.b.add(vector * W::LANES));
            }
            if copies(MODE) {
                for (vector, words) in row_of_b.iter().enumerate() {
                    words.store(self.copy.add(vector * W::LANES));
                }
                self.copy = self.copy.add(VECTORS * W::LANES);
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let word = W::splat(self.a.add(row * row_step));
                for (sum, words) in sums.iter_mut().zip(row_of_b) {
                    *sum = word.dot(words, *sum);
                }
            }
        }
        self.a = self.a.wrapping_add(depth_step);
        self.b = self.b.wrapping_add(tile.b_step);
    }
}

/// The sums of all chains.
///
/// # Safety
/// As [`Words`].
#[inline(always)]
unsafe fn joined<W: Words, const ROWS: usize, const VECTORS: usize, const CHAINS: usize>(
    chains: [[[W::Sum; VECTORS]; ROWS]; CHAINS],
) -> [[W::Sum; VECTORS]; ROWS] {
    let mut joined = chains[0];
    for chain in &chains[1..] {
        for (joined, sums) in joined.iter_mut().zip(chain) {
            for (joined, sum) in joined.iter_mut().zip(sums) {
                // SAFETY: by this function's contract.
                *joined = unsafe { W::add(*joined, *sum) };
            }
        }
    }
    joined
}

#[inline(always)]
unsafe fn write<W: Words, const ROWS: usize, const VECTORS: usize>(
    tile: &Tile,
    sums: [[W::Sum; VECTORS]; ROWS],
    how: Finish,
) {
    for (row, sums) in sums.into_iter().enumerate() {
        for (vector, sum) in sums.into_iter().enumerate() {
            let at = vector * W::LANES;
            let place = Place {
                row: tile.row.wrapping_add(at),
                init: tile.init.wrapping_add(row * tile.init_stride + at),
                d: tile.d.wrapping_add(row * tile.d_stride + at),
                columns: tile.columns.saturating_sub(at),
            };
            // SAFETY: by the contract of `Kernel`; `finish` keeps to the columns that are wanted.
            unsafe { W::finish(sum, how, place) };
        }
    }
}

/// Asks for a cache line that is read soon.
#[inline(always)]
pub(in super::super) fn fetch_near(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch touches nothing, wherever it points.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks for a cache line that is read later.
#[inline(always)]
pub(in super::super) fn fetch_far(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch touches nothing, wherever it points.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
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
