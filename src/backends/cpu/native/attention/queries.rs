//! The answers of a tile's width of queries.

use super::Extents;
use super::online::{MASKED, Online, Scale, ScaleAll, Update};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::native::gemm::{
    CHUNK, Engine, Finish, Lines, Matrix, Panel, SIDE, Tile, To, Transpose, parts, words_mut,
};
use crate::ops::Attention;
use std::marker::PhantomData;
use std::ops::Range;

/// One head's keys and values, and how they are used.
pub(super) struct Head<'a, T> {
    pub(super) engine: &'a Engine,
    pub(super) op: &'a Attention,
    pub(super) extents: &'a Extents,
    /// `[key][depth]`.
    pub(super) k: &'a [T],
    /// `[key][width]`.
    pub(super) v: &'a [T],
}

/// Buffers of one thread; a row of queries is as long as a tile is wide.
pub(super) struct Room<'a> {
    /// The keys of a head as lines of the tile.
    k: &'a mut [f32],
    /// The values of a head in f32, where they are not.
    v: &'a mut [f32],
    /// Scaled queries `[depth][query]`.
    q: &'a mut [f32],
    /// A block of scores `[key][query]`.
    scores: &'a mut [f32],
    /// Answers `[width][query]`, rows up to a whole block of a transposition.
    o: &'a mut [f32],
    online: Online<'a>,
    /// The same `[query][width]`, both up to whole blocks.
    turned: &'a mut [f32],
}

impl<'a> Room<'a> {
    /// Cuts up the scratch of a thread.
    pub(super) fn new(
        [k, v, tiles, online, turned]: [&'a mut [f32]; 5],
        engine: &Engine,
        extents: &Extents,
    ) -> Self {
        let columns = engine.kernels.columns;
        let (q, rest) = tiles.split_at_mut(extents.depth * columns);
        let (scores, o) = rest.split_at_mut(extents.block * columns);
        let (max, rest) = online.split_at_mut(columns);
        let (sum, factor) = rest.split_at_mut(columns);
        Self { k, v, q, scores, o, online: Online { max, sum, factor }, turned }
    }
}

impl<T: Float + To<f32>> Head<'_, T> {
    /// Lays out the head's keys, and widens its values where they are narrow.
    pub(super) fn prepare(&self, room: &mut Room) {
        let Extents { keys, depth, .. } = *self.extents;
        let (a, to) = (Matrix::new(self.k, [depth, 1]), words_mut(room.k));
        self.engine.isa.run(Lines { a, rows: 0..keys, depths: 0..depth, to, lane: PhantomData::<f32> });
        for (to, from) in room.v.iter_mut().zip(self.v) {
            *to = from.to_f32();
        }
    }

    /// Answers the queries `q`, of which the first is number `first` of the head.
    pub(super) fn answer(
        &self,
        first: usize,
        q: &[T],
        room: &mut Room,
        (o, log_sums): (&mut [T], Option<&mut [f32]>),
    ) {
        let Extents { queries, keys, depth, block, .. } = *self.extents;
        let count = q.len() / depth;
        self.turn_queries(q, room);
        room.online.max.fill(MASKED);
        room.online.sum.fill(0.0);
        // Query r sees keys up to r + keys - queries.
        let seen = if self.op.causal { first + count + keys - queries } else { keys };
        for (turn, keys) in parts(seen, block).enumerate() {
            self.scores(&keys, room);
            if self.op.causal {
                self.hide(first, &keys, room);
            }
            let scores = &mut room.scores[..keys.len() * self.engine.kernels.columns];
            let moved = self.engine.isa.run(Update { scores, online: &mut room.online });
            if moved && turn > 0 {
                let rows = &mut room.o[..self.extents.width * self.engine.kernels.columns];
                self.engine.isa.run(Scale { rows, factors: room.online.factor });
            }
            self.add_values(&keys, turn == 0, room);
        }
        if let Some(log_sums) = log_sums {
            for ((to, max), sum) in log_sums.iter_mut().zip(&*room.online.max).zip(&*room.online.sum) {
                *to = max + sum.ln();
            }
        }
        self.turn_answers(o, room);
    }

    fn turn_queries(&self, q: &[T], room: &mut Room) {
        let Extents { depth, .. } = *self.extents;
        let width = self.engine.kernels.columns;
        // The rows of q are the columns of its transpose.
        let (b, columns) = (Matrix::new(q, [1, depth]), 0..q.len() / depth);
        let to = words_mut(room.q);
        self.engine.isa.run(Panel { b, columns, depths: 0..depth, width, to, lane: PhantomData::<f32> });
        self.engine.isa.run(ScaleAll(room.q, self.op.scale as f32));
    }

    fn scores(&self, keys: &Range<usize>, room: &mut Room) {
        let (kernels, Extents { keys: all, depth, .. }) = (&self.engine.kernels, *self.extents);
        let width = kernels.columns;
        for part in parts(keys.len(), kernels.most_rows) {
            let d = &mut room.scores[part.start * width..part.end * width];
            let tile = Tile {
                rows: part.len(),
                depth,
                a: room.k[(keys.start + part.start) * CHUNK..].as_ptr().cast(),
                a_step: all * CHUNK,
                b: room.q.as_ptr().cast(),
                d: d.as_mut_ptr().cast(),
                ..Tile::between_rows_of(width)
            };
            // SAFETY: the engine's family is compiled for instructions that `isa` proved; the keys lie in
            // lines with `a_step` words from chunk to chunk, q has `depth` rows and the scores a row for
            // each key.
            unsafe { (kernels.lines)(part.len())(&tile) };
        }
    }

    /// Masks the keys that come after each query.
    fn hide(&self, first: usize, keys: &Range<usize>, room: &mut Room) {
        let Extents { queries, keys: all, .. } = *self.extents;
        let columns = self.engine.kernels.columns;
        // The first query sees keys up to its own place.
        let own = first + all - queries;
        for key in keys.start.max(own + 1)..keys.end {
            let row = &mut room.scores[(key - keys.start) * columns..][..columns];
            row[..(key - own).min(columns)].fill(MASKED);
        }
    }

    /// Adds the values of a block, each times its weight.
    fn add_values(&self, keys: &Range<usize>, is_first: bool, room: &mut Room) {
        let (kernels, Extents { width, .. }) = (&self.engine.kernels, *self.extents);
        let columns = kernels.columns;
        let v = T::as_f32(self.v).unwrap_or(room.v);
        for part in parts(width, kernels.most_rows) {
            let d: *mut u32 = room.o[part.start * columns..part.end * columns].as_mut_ptr().cast();
            let tile = Tile {
                rows: part.len(),
                depth: keys.len(),
                a: v[keys.start * width + part.start..].as_ptr().cast(),
                a_step: width,
                b: room.scores.as_ptr().cast(),
                finish: if is_first { Finish::Store } else { Finish::Add },
                init: d,
                d,
                ..Tile::between_rows_of(columns)
            };
            // SAFETY: as in `scores`; v has a row of `width` numbers for each key, and the answers a row for
            // each of these.
            unsafe { (kernels.by_columns)(part.len())(&tile) };
        }
    }

    /// Answers over their sums, as rows.
    fn turn_answers(&self, o: &mut [T], room: &mut Room) {
        let (isa, columns, width) = (self.engine.isa, self.engine.kernels.columns, self.extents.width);
        let (factor, sum) = (&mut *room.online.factor, &*room.online.sum);
        factor.iter_mut().zip(sum).for_each(|(factor, sum)| *factor = 1.0 / sum);
        isa.run(Scale { rows: &mut room.o[..width * columns], factors: factor });
        let stride = width.next_multiple_of(SIDE);
        if columns.is_multiple_of(SIDE) {
            for row in (0..width).step_by(SIDE) {
                for column in (0..columns).step_by(SIDE) {
                    let from = &words_mut(room.o)[row * columns + column..];
                    let to = &mut words_mut(room.turned)[column * stride + row..];
                    isa.run(Transpose { from, from_stride: columns, to, to_stride: stride });
                }
            }
        } else {
            for (row, from) in room.o.chunks_exact(columns).take(width).enumerate() {
                from.iter().enumerate().for_each(|(column, x)| room.turned[column * stride + row] = *x);
            }
        }
        for (to, from) in o.chunks_exact_mut(width).zip(room.turned.chunks_exact(stride)) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = T::from_f32(*from));
        }
    }
}
