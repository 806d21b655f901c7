//! Steps of optimizers, in place: AdamW reads four streams and writes three, momentum three and two.

use super::Team;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::{ADAMW_IN_PLACE, AdamwFactors, SGD_IN_PLACE, SgdFactors};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::native::scratch::SharedScratch;
use crate::backends::cpu::parts::Parts;
use crate::backends::cpu::pool::share;
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Adamw, SgdMomentum};
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Elements that a thread's run is a multiple of.
const GRAIN: usize = 64;
/// Elements between what is asked for and what is read, 2 KiB of f32. Four streams, three of them written too, are more
/// than the processor's own fetching keeps up with: in trials of such a loop alone, on two threads of a busy Xeon, AdamW ran
/// at 52.8 GB/s instead of 48.8, and half the distance or twice gave less.
const AHEAD: usize = 512;

/// What a step makes of a gradient and `N` streams of state, the parameters first.
trait Rule<const N: usize>: Copy + Sync + 'static {
    /// The new state, lane by lane.
    fn updated<V: Vector>(&self, state: [V; N], g: V) -> [V; N];
}

impl Rule<3> for AdamwFactors {
    #[inline(always)]
    fn updated<V: Vector>(&self, [p, m, v]: [V; 3], g: V) -> [V; 3] {
        Self::updated(self, p, g, m, v)
    }
}

impl Rule<2> for SgdFactors {
    #[inline(always)]
    fn updated<V: Vector>(&self, [p, v]: [V; 2], g: V) -> [V; 2] {
        Self::updated(self, p, g, v)
    }
}

struct Step<'a, R, G, const N: usize> {
    rule: R,
    state: [&'a mut [f32]; N],
    g: &'a [G],
    /// The new parameters once more, or nothing.
    p16: &'a mut [bf16],
}

impl<R: Rule<N>, G: Float, const N: usize> Loops for Step<'_, R, G, N> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        if self.p16.is_empty() { self.of::<V, false>() } else { self.of::<V, true>() }
    }
}

impl<R: Rule<N>, G: Float, const N: usize> Step<'_, R, G, N> {
    // Loops, because a closure that is not inlined would be compiled without the instructions.
    #[inline(always)]
    fn of<V: Vector, const NARROW: bool>(self) {
        let Self { rule, state, g, p16 } = self;
        let mut streams = state.map(|stream| &mut stream[..g.len()]);
        let whole = g.len() / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            let mut state = [V::splat(0.0); N];
            for (value, stream) in state.iter_mut().zip(&streams) {
                V::prefetch(stream.as_ptr().wrapping_add(at + AHEAD));
                *value = V::load(&stream[at..]);
            }
            V::prefetch(g.as_ptr().wrapping_add(at + AHEAD));
            let state = rule.updated(state, G::load(&g[at..]));
            for (value, stream) in state.into_iter().zip(&mut streams) {
                value.store(&mut stream[at..]);
            }
            if NARROW {
                bf16::store(state[0], &mut p16[at..]);
            }
        }
        Step { rule, state: streams, g, p16 }.last::<V>(whole);
    }

    /// The elements from `at` on, fewer than a register has.
    #[inline(always)]
    fn last<V: Vector>(self, at: usize) {
        let mut state = [V::splat(0.0); N];
        for (value, stream) in state.iter_mut().zip(&self.state) {
            *value = V::load_first(&stream[at..]);
        }
        let state = self.rule.updated(state, G::load_first(&self.g[at..]));
        for (value, stream) in state.into_iter().zip(self.state) {
            value.store_first(&mut stream[at..]);
        }
        let narrow = at.min(self.p16.len());
        bf16::store_first(state[0], &mut self.p16[narrow..]);
    }
}

struct Update<R, const N: usize> {
    team: Team,
    rule: R,
    in_place: &'static [(usize, usize)],
    /// What extra work updates: the real values may change once only.
    decoys: SharedScratch,
    run: fn(&Self, &[View], &mut [ViewMut]),
}

/// AdamW.
pub(super) fn adamw(team: &Team, op: &Adamw, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    prepare(team, ("adamw", AdamwFactors::new(op), ADAMW_IN_PLACE), args)
}

/// Gradient descent with momentum.
pub(super) fn sgd_momentum(
    team: &Team,
    op: &SgdMomentum,
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    prepare(team, ("sgd_momentum", SgdFactors::new(op), SGD_IN_PLACE), args)
}

fn prepare<R: Rule<N>, const N: usize>(
    team: &Team,
    (name, rule, in_place): (&str, R, &'static [(usize, usize)]),
    args: &[ValueSpec],
) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (args[0].dtype, args[1].dtype) {
        (DType::F32, DType::F32) => update::<R, f32, N>,
        (DType::F32, DType::Bf16) => update::<R, bf16, N>,
        (DType::F32, DType::F16) => update::<R, f16, N>,
        (p, g) => {
            return Err(Unsupported(format!("cpu/native has no {name} of {} by {}", p.name(), g.name())));
        }
    };
    let largest_share = share(args[0].elements(), GRAIN, 0, team.pool.threads()).len() + GRAIN;
    let decoys = team.scratch(&[team.extra.of(largest_share); N]);
    Ok(Box::new(Update { team: team.clone(), rule, in_place, decoys, run }))
}

fn update<R: Rule<N>, G: Float, const N: usize>(update: &Update<R, N>, args: &[View], outs: &mut [ViewMut]) {
    let g = args[1].slice::<G>();
    let Some((state, p16)) = outs.split_first_chunk_mut::<N>() else { return };
    let state = state.each_mut().map(|out| Parts::new(out.slice::<f32>()));
    let p16 = p16.first_mut().map(|p16| Parts::new(p16.slice::<bf16>()));
    let Update { team, rule, decoys, .. } = update;
    let (isa, extra, rule) = (team.isa, team.extra, *rule);
    team.pool.run(&|me| {
        let range = me.share(g.len(), GRAIN);
        let again = range.start..range.start + extra.of(range.len());
        isa.run(Step {
            rule,
            // SAFETY: the shares of a team are disjoint.
            state: state.each_ref().map(|stream| unsafe { stream.part(range.clone()) }),
            g: &g[range.clone()],
            // SAFETY: as above.
            p16: p16.as_ref().map_or(&mut [][..], |p16| unsafe { p16.part(range) }),
        });
        // SAFETY: the pool gives each thread its own number.
        let state = unsafe { decoys.of(me.id) };
        isa.run(Step { rule, state, g: &g[again], p16: &mut [] });
    });
}

impl<R: Rule<N>, const N: usize> Kernel for Update<R, N> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        self.in_place
    }

    fn workspace(&self) -> Result<u64, Fault> {
        self.decoys.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    const LENGTHS: [usize; 14] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 127];

    fn numbers(len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|i| scale * (i * 37 % 19) as f32).collect()
    }

    fn is_near(got: f32, want: f32) -> bool {
        (got - want).abs() <= 1e-6 * want.abs() + 1e-9
    }

    #[test]
    fn every_level_makes_adams_step_of_single_numbers_for_any_length() {
        let rule = AdamwFactors::new(&Adamw::default());
        for (isa, len) in Isa::here().flat_map(|isa| LENGTHS.map(|len| (isa, len))) {
            let [p, g, m, v] = [0.1, -0.2, 0.3, 0.01].map(|scale| numbers(len, scale));
            let (mut new_p, mut new_m, mut new_v) = (p.clone(), m.clone(), v.clone());
            let mut p16 = vec![bf16::ZERO; len];
            isa.run(Step { rule, state: [&mut new_p, &mut new_m, &mut new_v], g: &g, p16: &mut p16 });
            for i in 0..len {
                let (want_p, want_m, want_v) = rule.updated_one(p[i], g[i], m[i], v[i]);
                for (got, want) in [(new_p[i], want_p), (new_m[i], want_m), (new_v[i], want_v)] {
                    assert!(is_near(got, want), "{isa:?} {len} {i}: {got} {want}");
                }
                assert_eq!(p16[i], bf16::from_f32(new_p[i]), "{isa:?} {len} {i}");
            }
        }
    }

    #[test]
    fn every_level_makes_the_step_with_momentum_for_any_length() {
        let op = SgdMomentum { rate: 0.5, momentum: 0.75, weight_decay: 0.25, p16: false };
        for (isa, len) in Isa::here().flat_map(|isa| LENGTHS.map(|len| (isa, len))) {
            let [p, g, v] = [0.1, -0.2, 0.3].map(|scale| numbers(len, scale));
            let (mut new_p, mut new_v) = (p.clone(), v.clone());
            let rule = SgdFactors::new(&op);
            isa.run(Step { rule, state: [&mut new_p, &mut new_v], g: &g, p16: &mut [] });
            for i in 0..len {
                let want_v = 0.75 * v[i] + (g[i] + 0.25 * p[i]);
                assert!(is_near(new_v[i], want_v), "{isa:?} {len} {i}: {} {want_v}", new_v[i]);
                assert!(is_near(new_p[i], p[i] - 0.5 * want_v), "{isa:?} {len} {i}: {}", new_p[i]);
            }
        }
    }

    #[test]
    fn extremes_make_no_nan_of_numbers() {
        let rule = AdamwFactors::new(&Adamw::default());
        for isa in Isa::here() {
            // No gradient yet; a root of infinity; denormal moments; a gradient that is none.
            let g = [0.0, 1e30, 1e-40, f32::NAN];
            let (mut p, mut m, mut v) = ([1.0; 4], [0.0, 1.0, 1e-40, 0.0], [0.0, f32::INFINITY, 1e-40, 0.0]);
            isa.run(Step { rule, state: [&mut p, &mut m, &mut v], g: &g, p16: &mut [] });
            assert!(p[..3].iter().all(|p| (p - 1.0).abs() < 0.02), "{isa:?} {p:?}");
            assert!(p[3].is_nan() && m[3].is_nan() && v[3].is_nan(), "{isa:?}");
        }
    }
}
