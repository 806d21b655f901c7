//! Products with weights of 8 bits in blocks that share a scale (ggml's Q8_0).
//!
//! A few rows of A read each weight once or twice, where it lies: [`rows`] in f32, [`blocks_x86`] exactly in
//! integers where A is in blocks too. In f32 an AVX-512 register of 16 weights costs a widening, a conversion
//! and a multiply-add, a third of a read's rate from the second cache; with VNNI blocks take one instruction for 64.
//! More rows share the work of widening: [`panel`] makes f32 of the weights as the register tile reads them.

#[cfg(target_arch = "x86_64")]
mod blocks_x86;
mod panel;
mod rows;

use super::Team;
use super::gemm::{Arithmetic, Engine, Left, Matrix, Right, Scratch, Target, portion, words_mut};
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::isa::Isa;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::{Fault, Unsupported};
use crate::ops::{BLOCK, GemmDims, GemmQ8};
use crate::tensor::{DType, ValueSpec};
#[cfg(target_arch = "x86_64")]
use blocks_x86::Row;
use half::f16;
use panel::Weights;
use rows::{Dots, Widen};
use std::ops::Range;

/// Rows of A from which on widening the weights first is less work.
const MANY: usize = 8;
/// Rows of A that are widened together: so many share one widening of the weights.
const ROWS: usize = 128;
/// Columns that a thread's share is a multiple of: a cache line of D.
const GRAIN: usize = 16;

/// The product as a step.
struct Product {
    team: Team,
    dims: GemmDims,
    engine: Engine,
    /// For each thread: rows of A in f32, the same as the engine reads them, and what the engine needs.
    scratch: SharedScratch,
    /// For each thread, where blocks are multiplied as they are.
    #[cfg(target_arch = "x86_64")]
    rows: Vec<Row>,
}

/// D = A B^T, weights and perhaps A in blocks.
pub(super) fn prepare(team: &Team, op: &GemmQ8, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let dims = op.dims(args).map_err(|error| Unsupported(error.to_string()))?;
    let GemmDims { m, n, k, .. } = dims;
    let engine = team.engine(Arithmetic::F32)?;
    let rows = m.min(ROWS);
    let [_, b, rest] = engine.scratch_lens([rows, n, k]);
    let lens = if m < MANY { [k, 0, 0, 0] } else { [rows * k, engine.left_len(rows, k), b, rest] };
    let (scratch, team) = (team.scratch(&lens), team.clone());
    #[cfg(target_arch = "x86_64")]
    let rows = {
        let is_exact = op.quantized_a && m < MANY && Row::is_for(team.isa);
        (0..if is_exact { team.pool.threads() } else { 0 }).map(|_| Row::new(team.isa, k)).collect()
    };
    Ok(Box::new(Product {
        team,
        dims,
        engine,
        scratch,
        #[cfg(target_arch = "x86_64")]
        rows,
    }))
}

/// A as it is stored.
#[derive(Clone, Copy)]
enum Stored<'a> {
    Plain(&'a [f32]),
    Half(&'a [i8], &'a [f16]),
    Single(&'a [i8], &'a [f32]),
}

impl<'a> Stored<'a> {
    fn of(args: &'a [View]) -> Self {
        match args {
            [x, _, _] => Self::Plain(x.slice()),
            [bits, scales, ..] if scales.dtype() == DType::F16 => Self::Half(bits.slice(), scales.slice()),
            [bits, scales, ..] => Self::Single(bits.slice(), scales.slice()),
            _ => Self::Plain(&[]),
        }
    }

    /// Elements `range`, whole blocks, in f32.
    fn widen(self, isa: Isa, range: Range<usize>, to: &mut [f32]) {
        let blocks = range.start / BLOCK..range.end / BLOCK;
        match self {
            Self::Plain(x) => to.copy_from_slice(&x[range]),
            Self::Half(bits, scales) => isa.run(Widen { bits: &bits[range], scales: &scales[blocks], to }),
            Self::Single(bits, scales) => isa.run(Widen { bits: &bits[range], scales: &scales[blocks], to }),
        }
    }
}

/// What all threads read.
#[derive(Clone, Copy)]
struct Operands<'a> {
    a: Stored<'a>,
    weights: &'a [i8],
    scales: &'a [f16],
}

impl Product {
    /// A row of A after another, each with all columns of a thread.
    fn few(&mut self, of: Operands, d: &Parts<f32>) {
        let GemmDims { m, n, k, .. } = self.dims;
        let (isa, scratch, blocks) = (self.team.isa, &self.scratch, k / BLOCK);
        // Half of the last cache: the rest is not the weights' alone.
        let is_far = self.team.exceeds_caches(2 * of.weights.len() as u64);
        #[cfg(target_arch = "x86_64")]
        let prepared = (!self.rows.is_empty()).then(|| Parts::new(&mut self.rows));
        self.team.pool.run(&|me| {
            let columns = me.share(n, GRAIN);
            let (weights, scales) = (&of.weights[columns.start * k..], &of.scales[columns.start * blocks..]);
            // SAFETY: the pool gives each thread its own number.
            let [x] = unsafe { scratch.of(me.id) };
            for row in 0..m {
                // SAFETY: the threads' columns are disjoint.
                let y = unsafe { d.part(row * n + columns.start..row * n + columns.end) };
                #[cfg(target_arch = "x86_64")]
                if let Some(prepared) = &prepared {
                    // SAFETY: the pool gives each thread its own number.
                    let ready = unsafe { &mut prepared.part(me.id..me.id + 1)[0] };
                    match of.a {
                        Stored::Half(bits, scales) => {
                            ready.set(&bits[row * k..][..k], &scales[row * blocks..][..blocks])
                        }
                        Stored::Single(bits, scales) => {
                            ready.set(&bits[row * k..][..k], &scales[row * blocks..][..blocks])
                        }
                        Stored::Plain(_) => {}
                    }
                    ready.times(k, weights, scales, y, is_far);
                    continue;
                }
                of.a.widen(isa, row * k..(row + 1) * k, x);
                isa.run(Dots { x: &*x, weights, scales, y, is_far });
            }
        });
    }

    /// The register tile multiplies, and asks for weights in f32 where it needs them.
    fn many(&mut self, of: Operands, d: &Parts<f32>) {
        let GemmDims { n, k, .. } = self.dims;
        let (engine, isa, scratch, dims) = (self.engine, self.team.isa, &self.scratch, self.dims);
        let weights = Weights { isa, bits: of.weights, scales: of.scales, k, width: engine.kernels.columns };
        self.team.pool.run(&|me| {
            let (_, rows, columns) = portion(dims, engine.kernels.grains(), me.id, me.count);
            // SAFETY: the pool gives each thread its own number.
            let [x, a, b, rest] = unsafe { scratch.of(me.id) };
            for first in rows.clone().step_by(ROWS) {
                let count = ROWS.min(rows.end - first);
                let x = &mut x[..count * k];
                of.a.widen(isa, first * k..(first + count) * k, x);
                let a = words_mut(a);
                engine.pack_left::<f32, f32>(Matrix::new(&*x, [k, 1]), &(0..count), k, a);
                let (left, right) = (Left::Packed(a), Right::Made(&weights, columns.start));
                let target = Target::plain(d.start().wrapping_add(first * n + columns.start), n, 1.0);
                let mut scratch = Scratch { a: &mut [], b: words_mut(b), rows: words_mut(rest) };
                let extents = [count, columns.len(), k];
                engine.multiply_from::<f32, f32, f32, f32>(&left, &right, extents, target, &mut scratch);
            }
        });
    }
}

impl Kernel for Product {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let (weights, scales) = (&args[args.len() - 2], &args[args.len() - 1]);
        let of = Operands { a: Stored::of(args), weights: weights.slice(), scales: scales.slice() };
        let d = Parts::new(outs[0].slice());
        if self.dims.m < MANY {
            self.few(of, &d)
        } else {
            self.many(of, &d)
        }
        Ok(())
    }

    #[cfg(target_arch = "x86_64")]
    fn workspace(&self) -> Result<u64, Fault> {
        Ok(self.scratch.bytes()? + self.rows.iter().map(Row::bytes).sum::<u64>())
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
