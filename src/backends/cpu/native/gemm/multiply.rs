//! A product on one thread: blocks, packing, tiles.

use super::blocks::{Blocks, WORD, parts_in};
use super::factors::{Left, Panels, Right};
use super::families::Kernels;
use super::few::Few;
use super::lanes::{Lane, To};
use super::pack::{Columns, LINE, Lines, Matrix, Panel};
use super::target::Target;
use super::tile::{CHUNK, GROUP, Kernel, Tile};
use super::turned::Turned;
use super::words::{Arithmetic, Finish};
use crate::backends::cpu::isa::Isa;
use std::marker::PhantomData;
use std::ops::Range;

/// Rows that B is fetched ahead of use where every panel is used once.
const STREAM_AHEAD: usize = 24;

/// What a thread needs to multiply.
#[derive(Clone, Copy)]
pub(in super::super) struct Engine {
    pub(in super::super) isa: Isa,
    pub(in super::super) kernels: Kernels,
    pub(in super::super) blocks: Blocks,
}

/// D is taken to be in the second cache where it is no more than this part of it. Asking for it there costs tile registers
/// an eighth of a product of 256^3 bytes, and gains 3 to 30 in a hundred of one of 1024^3.
const D_IS_FAR: usize = 8;
/// Most columns of a product that do not pay for a copy of A in tile registers' own order.
const COLUMNS_IN_PLACE: usize = 1024;
/// Most words of depth where B's rows share few sets of the caches and a panel takes but one line of each: the rows that
/// are fetched for the next panel push each other out of the second cache. On a Zen 3 with 512 KiB, against a depth of
/// 1024: 1.1 to 1.4 times as fast with 16 or 32 rows by 1024 x 4096, from memory; by 1024 x 1024, from the last cache, 1.0
/// to 1.1 times.
const ALIASED_DEPTH: usize = 256;
/// Most rows of A where that pays: with 2048, which use each panel often, products by 2048 x 2048 took a tenth longer.
const ALIASED_ROWS: usize = 256;

/// Buffers of a thread, in words.
pub(in super::super) struct Scratch<'a> {
    pub(in super::super) a: &'a mut [u32],
    pub(in super::super) b: &'a mut [u32],
    /// Zeros as long as a tile is wide, a line of ones in every lane, and column sums of the panels that are kept.
    pub(in super::super) rows: &'a mut [u32],
}

impl Engine {
    /// Words of scratch for products of at most these `extents` (rows, columns, words of depth).
    pub(in super::super) fn scratch_lens(&self, [rows, columns, depth]: [usize; 3]) -> [usize; 3] {
        let few = Few::scratch_lens(self.isa, [rows, depth]);
        let Blocks { rows: most_rows, columns: most_columns, .. } = self.blocks;
        let width = self.kernels.columns;
        let depth = self.blocks.most_depth(depth);
        let kept = if self.keeps(rows) { columns.min(most_columns).next_multiple_of(width) } else { width };
        // A whole grain of rows may be read where the last is not full.
        let beyond = (self.kernels.row_grain - 1) * CHUNK;
        [few[0].max(rows.min(most_rows) * depth + beyond), few[1].max(kept * depth), width + CHUNK + kept]
    }

    /// Whether panels are used more than once, with others in between, so that all of a block are kept.
    fn keeps(&self, rows: usize) -> bool {
        rows > if self.by_rows() { self.kernels.most_rows } else { self.blocks.rows }
    }

    /// Whether a tile's rows go along the panels before the next tile's: tile registers take a panel in so little time that
    /// it comes from the second cache in either order, and one after another they are fetched ahead as they lie. On a Xeon
    /// with AMX beside a busy neighbour, two threads, packed: 1024^3 of bytes 1.7 instead of 1.4 Top/s, of bf16 0.9 instead
    /// of 0.7 TFLOP/s; 512^3 of bytes 1.7 instead of 1.55.
    pub(super) fn by_rows(&self) -> bool {
        self.kernels.registers.is_some()
    }

    /// Words of depth that so many elements are laid out in.
    pub(super) fn words<L: Lane>(&self, depth: usize) -> usize {
        depth.div_ceil(L::PER_WORD).next_multiple_of(self.kernels.depth_grain)
    }

    /// Multiplies `extents` (rows, columns, elements of depth).
    pub(in super::super) fn multiply<LA: Lane, LB: Lane, A: To<LA>, B: To<LB>>(
        &self,
        a: Matrix<A>,
        b: &Right<B>,
        [rows, columns, depth]: [usize; 3],
        target: Target,
        scratch: &mut Scratch,
    ) {
        self.multiply_from::<LA, LB, A, B>(&Left::Plain(a), b, [rows, columns, depth], target, scratch);
    }

    /// [`Self::multiply`] of an A that need not lie in memory.
    pub(in super::super) fn multiply_from<LA: Lane, LB: Lane, A: To<LA>, B: To<LB>>(
        &self,
        a: &Left<A>,
        b: &Right<B>,
        [rows, columns, depth]: [usize; 3],
        target: Target,
        scratch: &mut Scratch,
    ) {
        scratch.rows[..self.kernels.columns].fill(0);
        let mut done = 0;
        if let (Left::Plain(a), Right::Plain(b)) = (a, b)
            && let Some(few) = Few::of::<LB, B>(self, b, [rows, columns, depth], scratch)
        {
            done = few.multiply::<LA, A, B>(a, b, [rows, columns, depth], target, scratch);
        }
        if done < columns {
            let (b, target) = (b.from(done), target.from(done));
            self.by_tiles::<LA, LB, A, B>(a, &b, [rows, columns - done, depth], target, scratch);
        }
    }

    /// The same by the register tile; the first words of `scratch.rows` are zeros.
    fn by_tiles<LA: Lane, LB: Lane, A: To<LA>, B: To<LB>>(
        &self,
        a: &Left<A>,
        b: &Right<B>,
        [rows, columns, depth]: [usize; 3],
        target: Target,
        scratch: &mut Scratch,
    ) {
        let _session = self.kernels.session();
        let words = self.words::<LA>(depth);
        let (zeros, ones) = scratch.rows.split_at_mut(self.kernels.columns);
        ones[..CHUNK].fill(0x0101_0101);
        let sums = ones[CHUNK..].as_mut_ptr();
        let mut walk = Walk::<LA, LB, A, B> {
            engine: self,
            a,
            rows,
            columns,
            b,
            depth,
            keep: self.keeps(rows),
            d_is_far: WORD * rows * columns > self.blocks.second / D_IS_FAR,
            target,
            a_pack: scratch.a,
            b_pack: scratch.b,
            zeros: zeros.as_ptr(),
            ones: ones.as_ptr(),
            sums,
            lanes: PhantomData,
        };
        let blocks = self.blocks_of(a, b, rows);
        for across in parts_of(columns, blocks.columns, self.kernels.columns) {
            for depths in blocks.depths(words) {
                for down in parts_in(rows, self.blocks.rows, self.kernels.row_grain) {
                    walk.block(&down, &across, &depths);
                }
            }
        }
    }

    /// Blocks for factors that lie so. What is laid out before is so by blocks of the usual depth.
    fn blocks_of<A, B>(&self, a: &Left<A>, b: &Right<B>, rows: usize) -> Blocks {
        let is_line = size_of::<B>() == WORD && self.kernels.columns * WORD == LINE;
        match (a, b) {
            (Left::Plain(_) | Left::Made(..), Right::Plain(b))
                if rows <= ALIASED_ROWS && is_line && b.is_aliased() =>
            {
                Blocks { depth: self.blocks.depth.min(ALIASED_DEPTH), ..self.blocks }
            }
            _ => self.blocks,
        }
    }

    /// Words of `rows` rows of A, `words` long each, as [`Left::Packed`].
    pub(in super::super) fn left_len(&self, rows: usize, words: usize) -> usize {
        rows * words.next_multiple_of(CHUNK)
    }

    /// Lays out rows `rows` of A for products by all of them: block by block, tile by tile.
    pub(in super::super) fn pack_left<L: Lane, T: To<L>>(
        &self,
        a: Matrix<T>,
        rows: &Range<usize>,
        depth: usize,
        to: &mut [u32],
    ) {
        let Kernels { most_rows, row_grain, .. } = self.kernels;
        for depths in self.blocks.depths(self.words::<L>(depth)) {
            let elements = depths.start * L::PER_WORD..(depths.end * L::PER_WORD).min(depth);
            for down in parts_in(rows.len(), self.blocks.rows, row_grain) {
                let to = &mut to[packed_block(rows.len(), &down, &depths)];
                for part in parts_in(down.len(), most_rows, row_grain) {
                    let padded = depths.len().next_multiple_of(CHUNK);
                    let to = &mut to[part.start * padded..part.end * padded];
                    let first = rows.start + down.start;
                    self.pack_rows::<L, T>(a, first + part.start..first + part.end, &elements, to);
                }
            }
        }
    }

    /// Rows of A that are contiguous, for one tile.
    fn pack_rows<L: Lane, T: To<L>>(
        &self,
        a: Matrix<T>,
        rows: Range<usize>,
        elements: &Range<usize>,
        to: &mut [u32],
    ) {
        let (depths, lane) = (elements.clone(), PhantomData::<L>);
        if self.kernels.by_columns_only {
            self.isa.run(Columns { a, rows, depths, to, lane });
        } else {
            self.isa.run(Lines { a, rows, depths, to, lane });
        }
    }
}

/// Where a block of packed A stands.
fn packed_block(rows: usize, down: &Range<usize>, depths: &Range<usize>) -> Range<usize> {
    let padded = depths.len().next_multiple_of(CHUNK);
    let start = depths.start * rows + down.start * padded;
    start..start + down.len() * padded
}

/// `len` in parts of at most `most`, whole multiples of `grain` but for the last.
fn parts_of(len: usize, most: usize, grain: usize) -> impl Iterator<Item = Range<usize>> {
    let step = len.div_ceil(len.div_ceil(most).max(1)).next_multiple_of(grain).max(grain);
    (0..len).step_by(step).map(move |start| start..(start + step).min(len))
}

/// A product under way.
struct Walk<'a, LA, LB, A, B> {
    engine: &'a Engine,
    a: &'a Left<'a, A>,
    rows: usize,
    columns: usize,
    b: &'a Right<'a, B>,
    /// Elements.
    depth: usize,
    /// More than one block of rows uses each panel, so all of a block are kept.
    keep: bool,
    /// D is too large to be found in the second cache.
    d_is_far: bool,
    target: Target,
    a_pack: &'a mut [u32],
    b_pack: &'a mut [u32],
    zeros: *const u32,
    ones: *const u32,
    sums: *mut u32,
    lanes: PhantomData<(LA, LB)>,
}

/// Where tiles find a block of A.
#[derive(Clone, Copy)]
struct Lined {
    start: *const u32,
    /// Words between rows of an A that is read where it lies.
    in_place: Option<usize>,
}

impl Lined {
    fn packed(start: *const u32) -> Self {
        Self { start, in_place: None }
    }
}

/// Where a tile finds B.
#[derive(Clone, Copy)]
struct Source {
    panel: *const u32,
    /// B as it lies with its row distance, for the first tile that reads it.
    raw: Option<(*const u32, usize)>,
    /// The next panel lies right behind this one.
    followed: bool,
    /// Where among the column sums of the panels that are kept its own are.
    sums: usize,
}

/// A panel that tiles are computed by, and what they begin with.
struct Column {
    source: Source,
    columns: Range<usize>,
    /// Words of depth.
    here: usize,
    row: *const u32,
    init: (*const u32, [usize; 2], Finish),
    /// What its tiles fetch, each its share, and the bytes between rows of it; a step of 0 is nothing.
    ahead: *const u8,
    ahead_step: usize,
    /// Tiles one after another.
    count: usize,
}

impl<LA: Lane, LB: Lane, A: To<LA>, B: To<LB>> Walk<'_, LA, LB, A, B> {
    /// Rows `down` and columns `across` for the words `depths`.
    fn block(&mut self, down: &Range<usize>, across: &Range<usize>, depths: &Range<usize>) {
        let a = self.lines(down, depths);
        if self.engine.by_rows() {
            return self.by_rows(a, down, across, depths);
        }
        let width = self.engine.kernels.columns;
        let count = self.parts(down.len()).len();
        for (number, start) in across.clone().step_by(width).enumerate() {
            let columns = start..(start + width).min(across.end);
            let source = self.source(number, &columns, depths, down.start == 0);
            let column = self.column(source, columns, depths, count, true);
            for (number, part) in self.parts(down.len()).enumerate() {
                self.tile(a, &column, down.start, &part, number);
            }
        }
    }

    /// A block, tile after tile along as many panels as stay in the second cache.
    fn by_rows(&mut self, a: Lined, down: &Range<usize>, across: &Range<usize>, depths: &Range<usize>) {
        let width = self.engine.kernels.columns;
        let step = self.engine.blocks.group(depths.len(), width);
        for group in across.clone().step_by(step).map(|start| start..(start + step).min(across.end)) {
            for part in self.parts(down.len()) {
                for start in group.clone().step_by(width) {
                    let columns = start..(start + width).min(group.end);
                    let number = (start - across.start) / width;
                    let source = self.source(number, &columns, depths, down.start + part.start == 0);
                    let column = self.column(source, columns, depths, 1, part.start == 0);
                    self.tile(a, &column, down.start, &part, 0);
                }
            }
        }
    }

    /// The rows of each tile of a block.
    fn parts(&self, rows: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<LA, LB, A, B> {
        let Kernels { most_rows, row_grain, .. } = self.engine.kernels;
        parts_in(rows, most_rows, row_grain)
    }

    /// A lies in lines for the tile.
    fn by_lines(&self) -> bool {
        !self.engine.kernels.by_columns_only
    }

    fn elements(&self, depths: &Range<usize>) -> Range<usize> {
        depths.start * LA::PER_WORD..(depths.end * LA::PER_WORD).min(self.depth)
    }

    /// A block of A as the tile reads it, laid out now unless it is already.
    fn lines(&mut self, down: &Range<usize>, depths: &Range<usize>) -> Lined {
        match self.a {
            Left::Packed(words) => {
                return Lined::packed(words[packed_block(self.rows, down, depths)].as_ptr());
            }
            Left::Plain(a) if self.is_in_place(a) => {
                let start = a.data[down.start * a.strides[0] + depths.start * LA::PER_WORD..].as_ptr().cast();
                return Lined { start, in_place: Some(a.strides[0] / LA::PER_WORD) };
            }
            Left::Plain(a) => self.pack_a(a, down, depths),
            Left::Made(made, first) => {
                debug_assert!(self.by_lines(), "what is made are lines");
                let padded = depths.len().next_multiple_of(CHUNK);
                for part in self.parts(down.len()) {
                    let first = first + down.start;
                    let to = &mut self.a_pack[part.start * padded..part.end * padded];
                    made.make(first + part.start..first + part.end, depths.clone(), to);
                }
            }
        }
        Lined::packed(self.a_pack.as_ptr())
    }

    /// Whether tile registers read A where it lies: its elements are lanes, its rows whole cache lines, and there
    /// are rows for whole registers. A copy pays where many columns use it, or where rows a power of two apart
    /// would fight for a set of the first cache.
    fn is_in_place(&self, a: &Matrix<A>) -> bool {
        let Kernels { registers, row_grain, .. } = self.engine.kernels;
        let stride = a.strides[0] * size_of::<A>();
        registers.is_some()
            && A::SAME_BUT == Some(0)
            && a.is_by_rows()
            && stride.is_multiple_of(size_of::<u32>())
            && self.depth.is_multiple_of(CHUNK * LA::PER_WORD)
            && self.rows.is_multiple_of(row_grain)
            && self.columns <= COLUMNS_IN_PLACE
            && !a.is_aliased()
    }

    fn pack_a(&mut self, a: &Matrix<A>, down: &Range<usize>, depths: &Range<usize>) {
        let padded = depths.len().next_multiple_of(CHUNK);
        let (elements, lane) = (self.elements(depths), PhantomData::<LA>);
        if !a.is_by_rows() {
            let Kernels { most_rows, row_grain, .. } = self.engine.kernels;
            let (a, rows, tile, by_lines) = (*a, down.clone(), [most_rows, row_grain], self.by_lines());
            let to = &mut self.a_pack[..down.len() * padded];
            return self.engine.isa.run(Turned { a, rows, depths: elements, tile, by_lines, to, lane });
        }
        for part in self.parts(down.len()) {
            let rows = down.start + part.start..down.start + part.end;
            let to = &mut self.a_pack[part.start * padded..part.end * padded];
            self.engine.pack_rows::<LA, A>(*a, rows, &elements, to);
        }
    }

    /// Finds the panel of `columns`, or makes it.
    fn source(
        &mut self,
        number: usize,
        columns: &Range<usize>,
        depths: &Range<usize>,
        is_first: bool,
    ) -> Source {
        let width = self.engine.kernels.columns;
        match self.b {
            Right::Packed(Panels { words, columns: all, first, .. }) => {
                debug_assert!(first.is_multiple_of(width), "a packed B from within a panel");
                let at = depths.start * all + (first + columns.start) * depths.len();
                Source { panel: words[at..].as_ptr(), raw: None, followed: true, sums: 0 }
            }
            Right::Plain(b) => {
                let sums = if self.keep { number * width } else { 0 };
                let at = sums * depths.len();
                let elements = self.elements(depths);
                let to = &mut self.b_pack[at..at + width * depths.len()];
                let panel = to.as_mut_ptr();
                let followed = self.keep && !is_first;
                let is_whole = columns.len() == width;
                if !is_first {
                    return Source { panel, raw: None, followed, sums };
                }
                if LB::PER_WORD == 1 && size_of::<B>() == size_of::<u32>() && b.is_by_rows() && is_whole {
                    let first = b.data[depths.start * b.strides[0] + columns.start..].as_ptr();
                    return Source { panel, raw: Some((first.cast(), b.strides[0])), followed, sums };
                }
                let (b, columns, depths) = (*b, columns.clone(), elements);
                self.engine.isa.run(Panel { b, columns, depths, width, to, lane: PhantomData::<LB> });
                Source { panel, raw: None, followed, sums }
            }
            Right::Made(made, first) => {
                let sums = if self.keep { number * width } else { 0 };
                let at = sums * depths.len();
                let to = &mut self.b_pack[at..at + width * depths.len()];
                if is_first {
                    made.make(first + columns.start..first + columns.end, depths.clone(), to);
                }
                Source { panel: to.as_ptr(), raw: None, followed: self.keep && !is_first, sums }
            }
        }
    }

    /// What the zero point of A adds to every row of these columns.
    fn row(
        &self,
        source: Source,
        columns: &Range<usize>,
        depths: &Range<usize>,
        is_first: bool,
    ) -> *const u32 {
        if LA::ARITHMETIC != Arithmetic::Bytes || self.target.zero == 0 {
            return self.zeros;
        }
        match self.b {
            Right::Packed(Panels { shifts, first, .. }) if depths.start == 0 => {
                shifts[first + columns.start..].as_ptr()
            }
            Right::Packed(_) => self.zeros,
            Right::Plain(_) | Right::Made(..) => self.shifts(source, depths, is_first),
        }
    }

    /// The zero point of A times the sums of a panel's columns, as the product by a row of ones:
    /// sum (a - z) b = sum a b - z sum b. Made where the first tiles of a block of A meet the panel.
    fn shifts(&self, source: Source, depths: &Range<usize>, is_first: bool) -> *const u32 {
        let (width, start) = (self.engine.kernels.columns, self.sums.wrapping_add(source.sums));
        if is_first {
            column_sums(&self.engine.kernels, self.ones, source.panel, depths.len(), start);
            // SAFETY: the buffer holds a row of a tile's width for each panel that is kept.
            let sums = unsafe { std::slice::from_raw_parts_mut(start, width) };
            sums.iter_mut().for_each(|sum| *sum = shift(*sum, self.target.zero));
        }
        start
    }

    /// A panel for `count` tiles one after another; `is_first` if a block's rows meet it only now, so that it is fetched.
    fn column(
        &self,
        source: Source,
        columns: Range<usize>,
        depths: &Range<usize>,
        count: usize,
        is_first: bool,
    ) -> Column {
        let row = self.row(source, &columns, depths, is_first);
        let here = depths.len();
        let (ahead, ahead_step) =
            if is_first { self.ahead(source, here, count) } else { (std::ptr::null(), 0) };
        Column { source, columns, here, row, init: self.init(row, depths), ahead, ahead_step, count }
    }

    /// The rows `part` of a block that begins with row `first` by a panel, as the tile `number` of its.
    fn tile(&self, a: Lined, column: &Column, first: usize, part: &Range<usize>, number: usize) {
        let Column { source, here, row, ahead, ahead_step, count, .. } = *column;
        let (init, [init_stride, init_step], finish) = column.init;
        let (first, width) = (first + part.start, self.engine.kernels.columns);
        let start = part.start * here.next_multiple_of(CHUNK);
        let (a, a_step, a_stride) = match a.in_place {
            Some(stride) => (a.start.wrapping_add(part.start * stride), CHUNK, stride),
            None if self.by_lines() => (a.start.wrapping_add(start), part.len() * CHUNK, CHUNK),
            None => (a.start.wrapping_add(start), part.len(), 1),
        };
        let rows_before = |number| if ahead_step == 0 { 0 } else { number * here / count };
        let tile = Tile {
            rows: part.len(),
            depth: here,
            a,
            a_step,
            a_stride,
            b: source.panel,
            b_step: width,
            finish,
            row,
            init: init.wrapping_add(first * init_stride + column.columns.start * init_step),
            init_stride,
            d: self.target.start.wrapping_add(first * self.target.stride + column.columns.start),
            d_stride: self.target.stride,
            d_is_far: self.d_is_far,
            columns: column.columns.len(),
            ahead: ahead.wrapping_add(rows_before(number) * ahead_step),
            ahead_step,
            ahead_rows: rows_before(number + 1) - rows_before(number),
            ahead_pace: GROUP.div_ceil(count),
            copy: source.panel.cast_mut(),
        };
        let (kernel, tile) = self.with_raw(tile, source, number, count);
        // SAFETY: the engine's family is compiled for instructions that `isa` proved; A and B were
        // packed above to the extents of the tile, or are read where `source` found whole rows of
        // them; D and init hold the rows and columns of the target; the rest is as long as a tile is
        // wide.
        unsafe { kernel(&tile) };
    }

    /// The tile with B as it lies, if it is the first to read it: packed on the way for those after it.
    fn with_raw(&self, tile: Tile, source: Source, number: usize, count: usize) -> (Kernel, Tile) {
        let kernels = &self.engine.kernels;
        let plain = if self.by_lines() { kernels.lines } else { kernels.by_columns };
        let Some((raw, stride)) = source.raw else { return (plain(tile.rows), tile) };
        if number > 0 {
            return (plain(tile.rows), tile);
        }
        let is_last_use = count == 1 && !self.keep;
        let kernel = if is_last_use { plain } else { kernels.copying }(tile.rows);
        (kernel, Tile { b: raw, b_step: stride, ..tile })
    }

    /// What is fetched while the `count` tiles of a panel are computed, each its share of `depth` rows, and how
    /// many bytes these lie apart: the next panel, as it lies or as it was packed; where there is one tile only,
    /// B streams and is fetched a fixed distance ahead.
    fn ahead(&self, source: Source, depth: usize, count: usize) -> (*const u8, usize) {
        let width = self.engine.kernels.columns;
        let (start, stride, next) = match source.raw {
            Some((raw, stride)) => (raw, stride, width),
            None => (source.panel, width, width * depth),
        };
        if source.raw.is_none() && !source.followed {
            return (start.cast(), 0);
        }
        let distance = if count == 1 { STREAM_AHEAD * stride } else { next };
        (start.wrapping_add(distance).cast(), size_of::<u32>() * stride)
    }

    /// What D begins with, in the first block of depth what the caller adds and later what is there; the
    /// distances of its rows and columns; and what becomes of the sums with it.
    fn init(&self, row: *const u32, depths: &Range<usize>) -> (*const u32, [usize; 2], Finish) {
        let Target { start, stride, alpha, .. } = self.target;
        if depths.start == 0 {
            return self.target.begin(row, self.zeros);
        }
        let is_plain = alpha == 1.0 && std::ptr::eq(row, self.zeros);
        let finish = if is_plain { Finish::Add } else { Finish::General { alpha, beta: 1.0 } };
        (start, [stride, 1], finish)
    }
}

/// Sums of the columns of a panel of bytes.
pub(super) fn column_sums(
    kernels: &Kernels,
    ones: *const u32,
    panel: *const u32,
    depth: usize,
    to: *mut u32,
) {
    let rows = Tile::between_rows_of(kernels.columns);
    let tile = Tile { rows: 1, depth, a: ones, b: panel, d: to, ..rows };
    // SAFETY: the panel holds `depth` rows of a tile's width, `ones` a line that every chunk of the one row
    // of A reads again, and the others a tile's width each.
    unsafe { (kernels.lines)(1)(&tile) };
}

/// What a zero point of A adds to a column with this sum.
pub(super) fn shift(column_sum: u32, zero: i32) -> u32 {
    column_sum.wrapping_mul(zero.wrapping_neg() as u32)
}
