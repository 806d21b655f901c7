//! Wrong answers that a check must catch.

use super::Kind;
use crate::backends::LoadOptions;
use crate::backends::answers::{Answers, Precision};
use crate::program::{Program, ValueId};
use crate::tensor::HostArray;
use std::ops::Range;

/// Which elements are asked for.
pub(super) struct Context<'a> {
    pub(super) program: &'a Program,
    pub(super) options: &'a LoadOptions,
    pub(super) value: ValueId,
    pub(super) set: usize,
}

/// What a backend with the fault `kind` would have returned instead of `right`, elements `range`.
pub(super) fn instead_of(right: HostArray, kind: Kind, context: &Context, range: Range<usize>) -> HostArray {
    let spec = &context.program.values[context.value].spec;
    match kind {
        Kind::WrongElement => {
            let wrong = spec.elements() / 2;
            changed(&right, |index, x| if range.start + index == wrong { off(x) } else { x })
        }
        Kind::SkippedRow => {
            let written = spec.elements() - spec.columns();
            let nothing = if spec.dtype.is_float() { f64::NAN } else { f64::MIN };
            changed(&right, |index, x| if range.start + index >= written { nothing } else { x })
        }
        Kind::LowPrecision => {
            let mut answers = Answers::new(context.program, context.options.seed, Precision::Tf32);
            answers.read(context.value, context.set, 1, range)
        }
        _ => right,
    }
}

fn changed(array: &HostArray, change: impl Fn(usize, f64) -> f64) -> HostArray {
    let values = array.to_f64(0..array.len());
    HostArray::from_f64(array.dtype(), values.into_iter().enumerate().map(|(index, x)| change(index, x)))
}

/// A number near `x` that no rounding explains, in every type.
fn off(x: f64) -> f64 {
    if x >= 127.0 { x - 1.0 } else { x + 1.0 + x.abs() / 64.0 }
}
