//! What a whole execution left, compared with what another one of the same load or program left.

use super::tally::Tally;
use super::{Failure, Values, Wrong, stretches, ulps};
use crate::ops::Expected;
use crate::program::{Program, ValueId};
use crate::random;
use std::ops::Range;

/// Elements that are compared at most, of all kept values together: where each has more than its share,
/// it is sampled by units of its step.
const ELEMENTS: usize = 1 << 22;

/// Elements of the kept values after a reset and one execution.
#[derive(Clone, Debug)]
pub struct Answer {
    set: usize,
    parts: Vec<(ValueId, Vec<Part>)>,
}

/// Elements of one unit.
#[derive(Clone, Debug)]
struct Part {
    range: Range<usize>,
    data: Vec<f64>,
}

impl Answer {
    /// What `values` hold in `set`: 4 million elements at most, samples that hold both ends.
    pub fn of<V: Values>(program: &Program, set: usize, values: &mut V) -> Result<Self, V::Error> {
        let mut parts = vec![];
        let kept = program.kept();
        for &id in &kept {
            parts.push((id, read(values, id, set, &sample(program, id, kept.len()))?));
        }
        Ok(Self { set, parts })
    }

    /// Whether `values`, after a reset and one execution of the same program, hold the same in the same
    /// set: to 64 units of the last place of the largest element of each unit in f32, to 4 in 16-bit
    /// types, to 1 in those of 8, or as far as the op that made it leaves open; exactly in integers.
    pub fn check<V: Values>(&self, program: &Program, values: &mut V) -> Result<(), Failure<V::Error>> {
        for (id, parts) in &self.parts {
            let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
            let again = read(values, *id, self.set, &ranges).map_err(Failure::Unreadable)?;
            let dtype = program.values[*id].spec.dtype;
            let maker = program.steps.iter().find(|step| step.outs.contains(id));
            let leeway = maker.map_or(0.0, |step| step.op.operation().leeway(&program.specs(&step.args)));
            let mut tally = Tally::default();
            for (before, now) in parts.iter().zip(again) {
                let largest = before.data.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
                // A unit of the last place is two roundoffs.
                let allow = (ulps(dtype) * 2.0 * dtype.roundoff()).max(leeway) * largest + dtype.tiny();
                let wanted: Vec<Expected> =
                    before.data.iter().map(|&value| Expected { value, allow, scale: largest }).collect();
                tally.compare(before.range.start, &now.data, &wanted);
            }
            tally.judge(&program.values[*id])?;
        }
        Ok(())
    }
}

/// Whether the kept values of `set` hold finite numbers, whatever has been executed: 4 million elements at
/// most, samples that hold both ends.
pub fn check_finite<V: Values>(
    program: &Program,
    set: usize,
    values: &mut V,
) -> Result<(), Failure<V::Error>> {
    let kept = program.kept();
    for &id in &kept {
        let value = &program.values[id];
        if !value.spec.dtype.is_float() {
            continue;
        }
        let (mut first, mut wrong, mut compared) = (None, 0, 0);
        for part in read(values, id, set, &sample(program, id, kept.len())).map_err(Failure::Unreadable)? {
            compared += part.data.len() as u64;
            for (index, &got) in part.range.zip(&part.data).filter(|(_, got)| !got.is_finite()) {
                wrong += 1;
                first.get_or_insert((index, got));
            }
        }
        if let Some((index, got)) = first {
            return Err(Wrong {
                value: value.name.clone(),
                index,
                got,
                wanted: 0.0,
                allowed: f64::MAX,
                wrong,
                compared,
                remark: " in the state that timing left",
                fell_back_precision: false,
            }
            .into());
        }
    }
    Ok(())
}

/// Elements of units of the step that makes `id`, which is one of `kept` values.
fn sample(program: &Program, id: ValueId, kept: usize) -> Vec<Range<usize>> {
    let (elements, most) = (program.values[id].spec.elements(), ELEMENTS / kept);
    let maker =
        program.steps.iter().find_map(|step| Some((step, step.outs.iter().position(|&out| out == id)?)));
    let Some((step, output)) = maker else { return std::iter::once(0..elements.min(most)).collect() };
    let (op, specs) = (step.op.operation(), program.specs(&step.args));
    let units = op.units(&specs);
    let chosen: Vec<usize> = if elements <= most {
        (0..units).collect()
    } else {
        let wanted = most / (elements / units).max(1);
        stretches(units, wanted.clamp(16, 1024), |stretch| random::bits(0, id as u64, stretch))
    };
    chosen.into_iter().map(|unit| op.writes(&specs, unit)[output].clone()).collect()
}

/// Reads ranges in order, those that follow one another at once.
fn read<V: Values>(
    values: &mut V,
    id: ValueId,
    set: usize,
    ranges: &[Range<usize>],
) -> Result<Vec<Part>, V::Error> {
    let mut parts = vec![];
    let mut rest = ranges;
    while let Some(first) = rest.first() {
        let joined = 1 + rest.windows(2).take_while(|pair| pair[0].end == pair[1].start).count();
        let (now, later) = rest.split_at(joined);
        let all = first.start..now[joined - 1].end;
        let data = values.read(id, set, all.clone())?;
        let cut = |range: &Range<usize>| {
            let end = (range.end - all.start).min(data.len());
            let start = (range.start - all.start).min(end);
            Part { range: range.clone(), data: data.to_f64(start..end) }
        };
        parts.extend(now.iter().map(cut));
        rest = later;
    }
    Ok(parts)
}
