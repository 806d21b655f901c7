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

use super::words::{Finish, Place, Words};

/// Words of depth that lie together for one row of packed A: one cache line.
pub(in super::super) const CHUNK: usize = 16;
/// Rows of the tallest family of vector registers.
pub(super) const MOST_ROWS: usize = 14;
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
    /// D is farther than the second cache: tile registers, which need it late, ask for it.
    pub(in super::super) d_is_far: bool,
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
            d_is_far: false,
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
pub(super) const LINES: u8 = 0;
/// A by columns.
pub(super) const COLUMNS: u8 = 1;
/// A by lines, and the rows of B are stored on the way: two stores in the shadow of 28 multiply-adds make
/// packing B free where B is read row by row.
pub(super) const COPYING: u8 = 2;
/// The same with A by columns.
pub(super) const COPYING_BY_COLUMNS: u8 = 3;

pub(super) const fn copies(mode: u8) -> bool {
    matches!(mode, COPYING | COPYING_BY_COLUMNS)
}

const fn is_by_columns(mode: u8) -> bool {
    matches!(mode, COLUMNS | COPYING_BY_COLUMNS)
}

/// Whether a kernel tells rows of B that lie one right behind the other, as in a panel, from others: their distance is
/// known where it is compiled then, and a multiply-add takes 1.75 instructions instead of 1.9. That counts where two
/// threads of a core take turns: on a Zen 3 with a busy neighbour the tile is 5 % faster. Registers of AVX-512 have 28
/// multiply-adds a row, not 12.
const fn tells_following<W: Words, const VECTORS: usize>(mode: u8) -> bool {
    mode == LINES && VECTORS == 2 && W::LANES <= 8
}

/// A few rows are too few sums to hide the latency of an addition: they get several, of every 4th or 2nd
/// word of depth each, which are added at the end. They also wait for B, whose lines the processor fetches
/// by itself: asking for them too costs a quarter where B is in the third cache.
#[inline(always)]
pub(super) unsafe fn in_chains<W: Words, const ROWS: usize, const VECTORS: usize, const MODE: u8>(
    tile: &Tile,
) {
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
    let follows = tells_following::<W, VECTORS>(MODE) && tile.b_step == VECTORS * W::LANES;
    let mut left = tile.depth;
    while left > 0 {
        let steps = left.min(stretch);
        let groups = steps / GROUP;
        if follows && groups == CHUNK / GROUP {
            // SAFETY: by the contract of `Kernel`, which has `depth` rows of B and words of A.
            unsafe { cursor.chunk::<W, ROWS, VECTORS, CHAINS>(tile, &mut sums) };
        } else {
            for _ in 0..groups {
                if CHAINS == 1 {
                    cursor.fetch::<W, VECTORS>(tile);
                }
                for number in 0..GROUP {
                    // SAFETY: as above.
                    unsafe { cursor.step::<W, ROWS, VECTORS, MODE>(tile, &mut sums[number % CHAINS]) };
                }
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
    /// Asks for the next rows of what lies ahead, all of their cache lines: where they are used within this tile into
    /// the first cache, else into the second, because the first is full of A and B.
    #[inline(always)]
    fn fetch<W: Words, const VECTORS: usize>(&mut self, tile: &Tile) {
        if self.ahead_left == 0 {
            return;
        }
        for _ in 0..tile.ahead_pace {
            for line in 0..(4 * VECTORS * W::LANES).div_ceil(64) {
                let at = self.ahead.wrapping_add(64 * line);
                if tile.ahead_pace == GROUP { fetch_near(at) } else { fetch_far(at) }
            }
            self.ahead = self.ahead.wrapping_add(tile.ahead_step);
        }
        self.ahead_left = self.ahead_left.saturating_sub(tile.ahead_pace);
    }

    /// A chunk of A by lines times as many rows of B, one right behind the other.
    ///
    /// # Safety
    /// As [`Kernel`]; another chunk of words of A and rows of B are there.
    #[inline(always)]
    unsafe fn chunk<W: Words, const ROWS: usize, const VECTORS: usize, const CHAINS: usize>(
        &mut self,
        tile: &Tile,
        sums: &mut [[[W::Sum; VECTORS]; ROWS]; CHAINS],
    ) {
        if CHAINS == 1 {
            for _ in 0..CHUNK / GROUP {
                self.fetch::<W, VECTORS>(tile);
            }
        }
        let end = self.a.wrapping_add(CHUNK);
        while self.a != end {
            for number in 0..GROUP {
                // SAFETY: by this function's contract.
                unsafe {
                    let b = self.b.add(number * VECTORS * W::LANES);
                    let mut row_of_b = [W::load(b); VECTORS];
                    for (vector, words) in row_of_b.iter_mut().enumerate().skip(1) {
                        *words = W::load(b.add(vector * W::LANES));
                    }
                    for (row, sums) in sums[number % CHAINS].iter_mut().enumerate() {
                        let word = W::splat(self.a.add(row * CHUNK + number));
                        for (sum, words) in sums.iter_mut().zip(row_of_b) {
                            *sum = word.dot(words, *sum);
                        }
                    }
                }
            }
            self.a = self.a.wrapping_add(GROUP);
            self.b = self.b.wrapping_add(GROUP * VECTORS * W::LANES);
        }
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
