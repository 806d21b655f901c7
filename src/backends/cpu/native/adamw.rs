//! The AdamW step, in place: four streams read, three written.

use super::Team;
use crate::backends::cpu::buffer::{View, ViewMut};
use crate::backends::cpu::float::Float;
use crate::backends::cpu::functions::{ADAMW_IN_PLACE, AdamwFactors};
use crate::backends::cpu::isa::Loops;
use crate::backends::cpu::loaded::Kernel;
use crate::backends::cpu::parts::{Parts, TeamScratch};
use crate::backends::cpu::pool::share;
use crate::backends::cpu::streaming::{Same, Walk};
use crate::backends::cpu::vector::Vector;
use crate::backends::{Fault, Unsupported};
use crate::ops::Adamw;
use crate::tensor::{DType, ValueSpec};
use half::{bf16, f16};

/// Elements that a thread's run is a multiple of.
const GRAIN: usize = 64;

struct Step<'a, G> {
    factors: AdamwFactors,
    p: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    g: &'a [G],
}

impl<G: Float> Loops for Step<'_, G> {
    type Output = ();
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { factors, p, m, v, g } = self;
        let (p, m, v) = (&mut p[..g.len()], &mut m[..g.len()], &mut v[..g.len()]);
        let whole = g.len() / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            let [new_p, new_m, new_v] =
                factors.updated(V::load(&p[at..]), G::load(&g[at..]), V::load(&m[at..]), V::load(&v[at..]));
            new_p.store(&mut p[at..]);
            new_m.store(&mut m[at..]);
            new_v.store(&mut v[at..]);
        }
        let (p, m, v, g) = (&mut p[whole..], &mut m[whole..], &mut v[whole..], &g[whole..]);
        let [new_p, new_m, new_v] =
            factors.updated(V::load_first(p), G::load_first(g), V::load_first(m), V::load_first(v));
        new_p.store_first(p);
        new_m.store_first(m);
        new_v.store_first(v);
    }
}

struct Update {
    team: Team,
    factors: AdamwFactors,
    /// What extra work updates: the real values may change once only.
    decoys: TeamScratch,
    run: fn(&Update, &[View], &mut [ViewMut]),
}

pub(super) fn prepare(team: &Team, op: &Adamw, args: &[ValueSpec]) -> Result<Box<dyn Kernel>, Unsupported> {
    let run = match (args[0].dtype, args[1].dtype) {
        (DType::F32, DType::F32) => update::<f32>,
        (DType::F32, DType::Bf16) => update::<bf16>,
        (DType::F32, DType::F16) => update::<f16>,
        (p, g) => {
            return Err(Unsupported(format!("cpu/native has no adamw of {} by {}", p.name(), g.name())));
        }
    };
    let largest_share = share(args[0].elements(), GRAIN, 0, team.pool.threads()).len() + GRAIN;
    let decoys = team.scratch(&[team.extra.of(largest_share); 3])?;
    Ok(Box::new(Update { team: team.clone(), factors: AdamwFactors::new(op), decoys, run }))
}

fn update<G: Float>(update: &Update, args: &[View], outs: &mut [ViewMut]) {
    let g = args[1].slice::<G>();
    let [p, m, v, p16 @ ..] = outs else { return };
    let [p, m, v] = [p, m, v].map(|out| Parts::new(out.slice::<f32>()));
    let p16 = p16.first_mut().map(|p16| Parts::new(p16.slice::<bf16>()));
    let (isa, factors, extra, decoys) = (update.team.isa, update.factors, update.team.extra, &update.decoys);
    update.team.pool.run(&|me| {
        let range = me.share(g.len(), GRAIN);
        let again = range.start..range.start + extra.of(range.len());
        // SAFETY: the shares of a team are disjoint.
        let [p, m, v] = [&p, &m, &v].map(|whole| unsafe { whole.part(range.clone()) });
        isa.run(Step { factors, p, m, v, g: &g[range.clone()] });
        if let Some(p16) = &p16 {
            // SAFETY: as above.
            isa.run(Walk { z: unsafe { p16.part(range) }, x: [&*p], f: Same, past: false });
        }
        // SAFETY: the pool gives each thread its own number.
        let [p, m, v] = unsafe { decoys.of(me.id) };
        isa.run(Step { factors, p, m, v, g: &g[again] });
    });
}

impl Kernel for Update {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        (self.run)(self, args, outs);
        Ok(())
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        ADAMW_IN_PLACE
    }

    fn workspace(&self) -> u64 {
        self.decoys.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::cpu::isa::Isa;

    #[test]
    fn every_level_makes_the_step_of_single_numbers_for_any_length() {
        let factors = AdamwFactors::new(&Adamw::default());
        for isa in Isa::here() {
            for len in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 127] {
                let of = |scale: f32| (0..len).map(|i| scale * (i * 37 % 19) as f32).collect::<Vec<f32>>();
                let (p, g, m, v) = (of(0.1), of(-0.2), of(0.3), of(0.01));
                let (mut new_p, mut new_m, mut new_v) = (p.clone(), m.clone(), v.clone());
                isa.run(Step { factors, p: &mut new_p, m: &mut new_m, v: &mut new_v, g: &g });
                for i in 0..len {
                    let (want_p, want_m, want_v) = factors.updated_one(p[i], g[i], m[i], v[i]);
                    for (got, want) in [(new_p[i], want_p), (new_m[i], want_m), (new_v[i], want_v)] {
                        assert!((got - want).abs() <= 1e-6 * want.abs() + 1e-9, "{isa:?} {len} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn extremes_make_no_nan_of_numbers() {
        let factors = AdamwFactors::new(&Adamw::default());
        for isa in Isa::here() {
            // No gradient yet; a root of infinity; denormal moments; a gradient that is none.
            let g = [0.0, 1e30, 1e-40, f32::NAN];
            let (mut p, mut m, mut v) = ([1.0; 4], [0.0, 1.0, 1e-40, 0.0], [0.0, f32::INFINITY, 1e-40, 0.0]);
            isa.run(Step { factors, p: &mut p, m: &mut m, v: &mut v, g: &g });
            assert!(p[..3].iter().all(|p| (p - 1.0).abs() < 0.02), "{isa:?} {p:?}");
            assert!(p[3].is_nan() && m[3].is_nan() && v[3].is_nan(), "{isa:?}");
        }
    }
}
