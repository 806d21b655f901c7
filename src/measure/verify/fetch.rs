//! The elements that a step's units read and write, in few and long readings.

use super::Values;
use crate::program::{Program, Step, ValueId};
use std::ops::Range;
use std::sync::Arc;

/// Elements read at once where one unit's follow another's.
const AHEAD: usize = 1 << 20;

/// Elements held at once, beside those that every unit reads.
const HELD: usize = 1 << 23;

/// Consecutive elements of a value, in f64.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) first: usize,
    pub(super) data: Vec<f64>,
}

impl Piece {
    fn holds(&self, range: &Range<usize>) -> bool {
        self.first <= range.start && range.end <= self.first + self.data.len()
    }

    /// Elements `range`, numbered as in the whole value.
    pub(super) fn at(&self, range: Range<usize>) -> &[f64] {
        &self.data[range.start - self.first..range.end - self.first]
    }
}

/// One unit with all that it takes to check it.
pub(super) struct Pieces {
    pub(super) unit: usize,
    pub(super) args: Vec<Arc<Piece>>,
    pub(super) outputs: Vec<(Range<usize>, Arc<Piece>)>,
}

/// Units that are checked together.
pub(super) struct Batch {
    /// Position of the first of them among all chosen units.
    pub(super) first: usize,
    pub(super) units: Vec<Pieces>,
}

/// One value that the units of a step read or write.
struct Column {
    value: ValueId,
    ranges: Vec<Range<usize>>,
    last: Option<Arc<Piece>>,
}

/// Reads what the chosen units of a step need, in order.
pub(super) struct Reader<'a> {
    program: &'a Program,
    seed: u64,
    set: usize,
    units: &'a [usize],
    next: usize,
    args: Vec<Column>,
    outputs: Vec<Column>,
}

impl<'a> Reader<'a> {
    /// Without `with_args`, only outputs are read.
    pub(super) fn new(
        program: &'a Program,
        step: &Step,
        seed: u64,
        set: usize,
        units: &'a [usize],
        with_args: bool,
    ) -> Self {
        let (op, specs) = (step.op.operation(), program.specs(&step.args));
        let args = if with_args { &step.args[..] } else { &[] };
        Self {
            program,
            seed,
            set,
            units,
            next: 0,
            args: columns(args, units.iter().map(|&unit| op.reads(&specs, unit))),
            outputs: columns(&step.outs, units.iter().map(|&unit| op.writes(&specs, unit))),
        }
    }

    /// The next units; none after the last.
    pub(super) fn next<V: Values>(&mut self, values: &mut V) -> Result<Option<Batch>, V::Error> {
        let mut batch = Batch { first: self.next, units: vec![] };
        let mut held = 0;
        while self.next < self.units.len() && held < HELD {
            let index = self.next;
            let mut fetch = |column: &mut Column| -> Result<Arc<Piece>, V::Error> {
                if let Some(piece) = column.last.as_ref().filter(|piece| piece.holds(&column.ranges[index])) {
                    return Ok(Arc::clone(piece));
                }
                let range = ahead(&column.ranges[index..]);
                held += range.len();
                let data = read(self.program, column.value, self.seed, self.set, range.clone(), values)?;
                let piece = Arc::new(Piece { first: range.start, data });
                column.last = Some(Arc::clone(&piece));
                Ok(piece)
            };
            let args = self.args.iter_mut().map(&mut fetch).collect::<Result<_, _>>()?;
            let mut outputs = vec![];
            for column in &mut self.outputs {
                outputs.push((column.ranges[index].clone(), fetch(column)?));
            }
            batch.units.push(Pieces { unit: self.units[index], args, outputs });
            self.next += 1;
        }
        Ok((!batch.units.is_empty()).then_some(batch))
    }
}

/// Elements of a value in f64: an input's made again from the seed, any other's read.
pub(super) fn read<V: Values>(
    program: &Program,
    value: ValueId,
    seed: u64,
    set: usize,
    range: Range<usize>,
    values: &mut V,
) -> Result<Vec<f64>, V::Error> {
    let wanted = range.len();
    let array = match program.values[value].input {
        Some(_) => program.input_range(value, seed, set, range),
        None => values.read(value, set, range)?,
    };
    let mut data = array.to_f64(0..array.len());
    // What a foreign worker leaves out counts as not written.
    data.resize(wanted, f64::NAN);
    Ok(data)
}

fn columns(ids: &[ValueId], units: impl Iterator<Item = Vec<Range<usize>>>) -> Vec<Column> {
    let mut columns: Vec<Column> =
        ids.iter().map(|&value| Column { value, ranges: vec![], last: None }).collect();
    for ranges in units {
        columns.iter_mut().zip(ranges).for_each(|(column, range)| column.ranges.push(range));
    }
    columns
}

/// The first range, and what follows it without a gap.
fn ahead(ranges: &[Range<usize>]) -> Range<usize> {
    let mut all = ranges[0].clone();
    for next in &ranges[1..] {
        if next.start < all.start || next.start > all.end || next.end - all.start > AHEAD {
            break;
        }
        all.end = all.end.max(next.end);
    }
    all
}
