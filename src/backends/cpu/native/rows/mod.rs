//! Ops over rows: each thread takes a run of rows. A row is read from memory once and stays in a cache
//! until it is done; meanwhile the next one is fetched.

mod add_layer_norm;
mod blocks;
mod column_sum;
mod cross_entropy;
mod dequantize;
mod embedding;
mod layer_norm;
mod layer_norm_grad;
mod moments;
mod put_rows;
mod quantize;
mod rearrange;
mod softmax;
mod softmax_grad;

pub(super) use add_layer_norm::add_layer_norm;
pub(super) use column_sum::{channel_sum, column_sum};
pub(super) use cross_entropy::{cross_entropy, cross_entropy_grad};
pub(super) use dequantize::dequantize;
pub(super) use embedding::{embedding, embedding_grad};
pub(super) use layer_norm::layer_norm;
pub(super) use layer_norm_grad::{layer_norm_grad, layer_norm_param_grad};
pub(super) use put_rows::put_rows;
pub(super) use quantize::quantize;
pub(super) use rearrange::rearrange;
pub(super) use softmax::{powers, softmax};
pub(super) use softmax_grad::{dot, softmax_grad};

use super::Team;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::vector::{MOST_LANES, Vector};
use crate::backends::{Fault, Unsupported};
use crate::tensor::ValueSpec;

/// What a row is folded with. Not closures: one that is not inlined would be compiled without the
/// instructions.
trait Fold<V: Vector> {
    /// What chains start with: any number of it changes nothing.
    const START: f32;
    /// A prepared element that changes nothing.
    const REST: f32;
    /// What happens to elements first.
    fn prepare(&self, x: V) -> V;
    /// A partial result with prepared elements from place `at` on.
    fn each(&mut self, chain: V, x: V, at: usize) -> V;
    /// Two partial results in one.
    fn join(a: V, b: V) -> V;
}

/// Folds a row in several chains, which hide the latency of an operation.
#[inline(always)]
fn fold<V: Vector, T: Float, F: Fold<V>>(x: &[T], mut f: F) -> V {
    let mut chains = [V::splat(F::START); CHAINS];
    let blocks = x.chunks_exact(CHAINS * V::LANES);
    let (rest, mut at) = (blocks.remainder(), 0);
    for block in blocks {
        for (chain, x) in chains.iter_mut().zip(block.chunks_exact(V::LANES)) {
            *chain = f.each(*chain, f.prepare(T::load(x)), at);
            at += V::LANES;
        }
    }
    let [mut a, mut b, c, d] = chains;
    let rest = rest.chunks_exact(V::LANES);
    let last = rest.remainder();
    for x in rest {
        a = f.each(a, f.prepare(T::load(x)), at);
        at += V::LANES;
    }
    if !last.is_empty() {
        let x = f.prepare(T::load_first(last)).with_rest(last.len(), F::REST);
        b = f.each(b, x, at);
    }
    F::join(F::join(a, b), F::join(c, d))
}

/// Chains of a [`fold`].
const CHAINS: usize = 4;

/// Elements from `at` on in a register; zeros where the slice ends.
#[inline(always)]
fn load<V: Vector, T: Float>(x: &[T], at: usize) -> V {
    let x = &x[at..];
    if x.len() >= V::LANES { T::load(x) } else { T::load_first(x) }
}

/// Writes as many lanes from `at` on as the slice has room for.
#[inline(always)]
fn store<V: Vector, T: Float>(value: V, to: &mut [T], at: usize) {
    let to = &mut to[at..];
    if to.len() >= V::LANES { T::store(value, to) } else { T::store_first(value, to) }
}

type Run<O> = fn(&Rows<O>, &[View], &mut [ViewMut]);

struct Rows<O> {
    team: Team,
    op: O,
    /// Rows of one matrix, and columns.
    matrix: [usize; 2],
    /// The answer goes past the caches.
    past: bool,
    /// Rows for each thread, in whole registers.
    scratch: SharedScratch,
    run: Run<O>,
}

impl<O> Rows<O> {
    /// An op on a first argument of `spec`, with as large an answer, and with `N` rows of scratch.
    fn boxed<const N: usize>(
        team: &Team,
        op: O,
        spec: &ValueSpec,
        scratch: [usize; N],
        run: Run<O>,
    ) -> Result<Box<dyn Kernel>, Unsupported>
    where
        O: 'static,
    {
        let rows = if spec.shape.len() >= 2 { spec.shape[spec.shape.len() - 2] } else { 1 };
        let scratch = team.scratch(&scratch.map(|len| len.next_multiple_of(MOST_LANES)));
        let past = team.exceeds_caches(spec.bytes().saturating_mul(2));
        let matrix = [rows, spec.columns()];
        Ok(Box::new(Self { team: team.clone(), op, matrix, past, scratch, run }))
    }
}

impl<O> Kernel for Rows<O> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.scratch.bytes()
    }
}
