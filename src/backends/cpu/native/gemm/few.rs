//! Products of a few rows by a B that lies in rows.
//!
//! A tile reads its columns of B from the first row to the last: of a B with long rows a cache line of every page, which
//! no processor fetches ahead by itself, and of rows that lie a multiple of 4096 bytes apart all lines fall on a few sets
//! of every cache. Where A has few rows, nothing hides that. Here B is read as it lies instead, some of its rows at a
//! time from left to right, and each adds to sums of many columns that stay near: an update of rank 4 or 8, for which the
//! sums are read and written once.
//!
//! It is for registers of eight words, where a tile's row of B is one cache line. On a Zen 3 (second cache of 512 KiB),
//! one core, 8 rows by 1024 x 1024 take 0.36 ms and by tiles 0.48 (0.30 with B laid out before), and 8 by 1024 x 4096,
//! which is in no cache, 1.9 ms and by tiles 4.7 (1.4). By 3072 x 768, from the last cache, tiles were a fifth faster on
//! one core, and slower by as much on two.

use super::blocks::WORD;
use super::lanes::{Lane, To};
use super::multiply::{Engine, Scratch};
use super::pack::Matrix;
use super::target::Target;
use super::tile::fetch_near;
use super::words::{Arithmetic, Finish, Place, Words};
use crate::backends::cpu::isa::Isa;

/// Most rows of A.
const MOST_ROWS: usize = 16;
/// Rows up to which this is better wherever tiles would read B twice.
const FEW_ROWS: usize = 8;
/// Rows of a tile of eight words' registers.
const TILE_ROWS: usize = 6;
/// Rows of A whose sums are in registers at once: with two registers of columns, eight chains.
const PART: usize = 4;
/// Columns that are computed at once: those of a tile.
const COLUMNS: usize = 16;
/// Sums that are held: 32 KiB. Half of that, which would stay in the first cache, was slower where B came from memory.
const SUMS: usize = 8192;
/// Words between rows of sums, so that they do not share a set of the first cache.
const BETWEEN: usize = 16;
/// Fewer columns or words of depth are not worth a pass over the sums.
const LEAST: usize = 64;
/// Words of depth of an update where B comes from a cache.
const NEAR_DEPTH: usize = 8;
/// Words of depth of an update where B comes from memory: the next ones are fetched meanwhile, and more rows than these,
/// a multiple of 4096 bytes apart, would push each other out of the first cache.
const FAR_DEPTH: usize = 4;

/// How a product is done.
#[derive(Clone, Copy)]
pub(super) struct Few {
    kernels: Kernels,
    /// Parts of the rows, and the rows of each; the last may be filled up with zeros.
    parts: usize,
    part: usize,
    /// Words of depth of an update.
    depth: usize,
}

/// Kernels for a number of rows a part.
#[derive(Clone, Copy)]
struct Kernels {
    /// [`NEAR_DEPTH`] words, [`FAR_DEPTH`], and one.
    near: Kernel,
    far: Kernel,
    one: Kernel,
    write: unsafe fn(&Finished),
}

/// # Safety
/// The processor has the kernel's instructions, and every pointer heads what its field says.
type Kernel = unsafe fn(&Update);

/// Words of depth to be added to sums.
struct Update {
    parts: usize,
    /// A: `[part][word of depth][row]`, parts `a_step` words apart.
    a: *const u32,
    a_step: usize,
    /// B: rows `b_step` words apart.
    b: *const u32,
    b_step: usize,
    /// Sums: rows of all parts `sums_step` words apart.
    sums: *mut u32,
    sums_step: usize,
    /// A multiple of [`COLUMNS`].
    columns: usize,
}

/// Sums that are all there.
struct Finished {
    rows: usize,
    columns: usize,
    sums: *const u32,
    sums_step: usize,
    finish: Finish,
    zeros: *const u32,
    init: *const u32,
    init_steps: [usize; 2],
    d: *mut u32,
    d_step: usize,
}

impl Few {
    /// Words of scratch for A and for B. A product of more rows goes without, though a thread's share of it may be few.
    pub(super) fn scratch_lens(isa: Isa, [rows, depth]: [usize; 2]) -> [usize; 2] {
        let may_be = rows <= MOST_ROWS && kernels(isa, Arithmetic::F32, 1).is_some();
        if may_be { [rows.next_multiple_of(PART) * depth, SUMS + MOST_ROWS * BETWEEN] } else { [0; 2] }
    }

    /// The way to do a product of `extents` (rows, columns, words of depth) where this is the better one and there is
    /// scratch for it.
    pub(super) fn of<L: Lane, T: To<L>>(
        engine: &Engine,
        b: &Matrix<T>,
        [rows, columns, depth]: [usize; 3],
        scratch: &Scratch,
    ) -> Option<Self> {
        let is_words = T::SAME_BUT == Some(0) && size_of::<T>() == WORD && b.is_by_rows();
        if !is_words
            || engine.kernels.columns != COLUMNS
            || rows > MOST_ROWS
            || columns < LEAST
            || depth < LEAST
        {
            return None;
        }
        let is_far = WORD * columns * depth > engine.blocks.last / 2;
        let pays = if rows <= TILE_ROWS {
            is_far || b.is_aliased()
        } else {
            rows <= FEW_ROWS || is_far && b.is_aliased()
        };
        let parts = rows.div_ceil(PART);
        let part = rows.div_ceil(parts);
        let fits = scratch.a.len() >= parts * part * depth && scratch.b.len() >= SUMS + MOST_ROWS * BETWEEN;
        let kernels = kernels(engine.isa, L::ARITHMETIC, part).filter(|_| pays && fits)?;
        Some(Self { kernels, parts, part, depth: if is_far { FAR_DEPTH } else { NEAR_DEPTH } })
    }

    /// Multiplies `extents` (rows, columns, words of depth), columns in whole [`COLUMNS`]; how many those are.
    pub(super) fn multiply<LA: Lane, A: To<LA>, B: Copy>(
        &self,
        a: &Matrix<A>,
        b: &Matrix<B>,
        [rows, columns, depth]: [usize; 3],
        target: Target,
        scratch: &mut Scratch,
    ) -> usize {
        let (zeros, padded) = (scratch.rows.as_ptr(), self.parts * self.part);
        self.lay_out::<LA, A>(a, [rows, depth], scratch.a);
        let (whole, step) = (columns / COLUMNS * COLUMNS, SUMS / padded / COLUMNS * COLUMNS);
        let (init, init_steps, finish) = target.begin(zeros, zeros);
        for start in (0..whole).step_by(step) {
            let columns = step.min(whole - start);
            let sums_step = columns + BETWEEN;
            let sums = &mut scratch.b[..padded * sums_step];
            sums.fill(0);
            let sums = sums.as_mut_ptr();
            self.add(scratch.a, b.from(0, start), depth, (sums, sums_step), columns);
            let finished = Finished {
                rows,
                columns,
                sums,
                sums_step,
                finish,
                zeros,
                init: init.wrapping_add(start * init_steps[1]),
                init_steps,
                d: target.start.wrapping_add(start),
                d_step: target.stride,
            };
            // SAFETY: the sums are whole; D and init hold the rows and columns of the target, of which these are some.
            unsafe { (self.kernels.write)(&finished) };
        }
        whole
    }

    /// Adds a strip of B, `columns` wide and `depth` words deep.
    fn add<B: Copy>(&self, a: &[u32], b: Matrix<B>, depth: usize, sums: (*mut u32, usize), columns: usize) {
        let Kernels { near, far, one, .. } = self.kernels;
        let whole = if self.depth == FAR_DEPTH { far } else { near };
        let mut done = 0;
        while done < depth {
            let (kernel, step) = if done + self.depth <= depth { (whole, self.depth) } else { (one, 1) };
            let update = Update {
                parts: self.parts,
                a: a[done * self.part..].as_ptr(),
                a_step: self.part * depth,
                b: b.from(done, 0).data.as_ptr().cast(),
                b_step: b.strides[0],
                sums: sums.0,
                sums_step: sums.1,
                columns,
            };
            // SAFETY: `of` found kernels for this processor and words in B, whose rows hold the strip's columns; A was
            // laid out, and the sums are those of the strip.
            unsafe { kernel(&update) };
            done += step;
        }
    }

    /// A as the kernels read it.
    fn lay_out<L: Lane, T: To<L>>(&self, a: &Matrix<T>, [rows, depth]: [usize; 2], to: &mut [u32]) {
        for (part, to) in to.chunks_exact_mut(self.part * depth).take(self.parts).enumerate() {
            for (word, to) in to.chunks_exact_mut(self.part).enumerate() {
                for (row, to) in (part * self.part..).zip(to) {
                    let at = row * a.strides[0] + word * a.strides[1];
                    *to = if row < rows { a.data[at].lane(a.zero).bits() } else { 0 };
                }
            }
        }
    }
}

/// The kernels for `part` rows, if there are any.
fn kernels(isa: Isa, arithmetic: Arithmetic, part: usize) -> Option<Kernels> {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == crate::backends::cpu::isa::Level::Avx2 && arithmetic == Arithmetic::F32 {
        return Some(x86::kernels(part));
    }
    let _ = (isa, arithmetic, part);
    None
}

/// Adds `DEPTH` words of depth; `AHEAD` asks for as many more.
///
/// # Safety
/// As [`Kernel`].
#[inline(always)]
unsafe fn update<W: Words, const ROWS: usize, const DEPTH: usize, const AHEAD: bool>(update: &Update) {
    let Update { parts, a, a_step, b, b_step, sums, sums_step, columns } = *update;
    for column in (0..columns).step_by(2 * W::LANES) {
        let b = b.wrapping_add(column);
        if AHEAD {
            (DEPTH..2 * DEPTH).for_each(|word| fetch_near(b.wrapping_add(word * b_step).cast()));
        }
        for part in 0..parts {
            let (a, first) = (a.wrapping_add(part * a_step), part * ROWS * sums_step + column);
            let at = |row: usize, vector: usize| first + row * sums_step + vector * W::LANES;
            // SAFETY: by the contract of `Kernel`.
            unsafe {
                let load = |row: usize| std::array::from_fn(|vector| W::sum(sums.add(at(row, vector))));
                let mut part: [[W::Sum; 2]; ROWS] = std::array::from_fn(load);
                for word in 0..DEPTH {
                    let b = b.add(word * b_step);
                    let row_of_b = [W::load(b), W::load(b.add(W::LANES))];
                    for (row, part) in part.iter_mut().enumerate() {
                        let a = W::splat(a.add(word * ROWS + row));
                        *part = [a.dot(row_of_b[0], part[0]), a.dot(row_of_b[1], part[1])];
                    }
                }
                for (row, part) in part.into_iter().enumerate() {
                    for (vector, sum) in part.into_iter().enumerate() {
                        let d = sums.add(at(row, vector));
                        W::finish(sum, Finish::Store, Place { row: d, init: d, d, columns: W::LANES });
                    }
                }
            }
        }
    }
}

/// Writes sums where they belong.
///
/// # Safety
/// As [`Kernel`].
#[inline(always)]
unsafe fn write<W: Words>(finished: &Finished) {
    let Finished { rows, columns, sums, sums_step, finish, zeros, init, init_steps, d, d_step } = *finished;
    for row in 0..rows {
        for column in (0..columns).step_by(W::LANES) {
            // One row of init may be repeated every so many columns.
            let within = column % COLUMNS;
            let init = init.wrapping_add(row * init_steps[0] + (column - within) * init_steps[1] + within);
            let d = d.wrapping_add(row * d_step + column);
            let place = Place { row: zeros.wrapping_add(within), init, d, columns: W::LANES };
            // SAFETY: by the contract of `Kernel`.
            unsafe { W::finish(W::sum(sums.add(row * sums_step + column)), finish, place) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::words_x86::Avx2F32;
    use super::*;

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const ROWS: usize, const DEPTH: usize, const AHEAD: bool>(of: &Update) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { update::<Avx2F32, ROWS, DEPTH, AHEAD>(of) }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn write_avx2(of: &Finished) {
        // SAFETY: by the contract of `Kernel`.
        unsafe { write::<Avx2F32>(of) }
    }

    fn of<const ROWS: usize>() -> Kernels {
        let (near, far) = (avx2::<ROWS, NEAR_DEPTH, false>, avx2::<ROWS, FAR_DEPTH, true>);
        Kernels { near, far, one: avx2::<ROWS, 1, false>, write: write_avx2 }
    }

    pub(super) fn kernels(part: usize) -> Kernels {
        [of::<1>, of::<2>, of::<3>, of::<PART>][part - 1]()
    }
}
