//! What may be written into a loaded program from outside.

use super::Fault;
use crate::program::{Program, ValueId};
use crate::tensor::HostArray;

/// Whether `elements` may become those of `value` from `start` on, so that no kernel reads what it must not.
pub(super) fn check(
    program: &Program,
    value: ValueId,
    start: usize,
    elements: &HostArray,
) -> Result<(), Fault> {
    let Some(written) = program.values.get(value).filter(|value| value.input.is_some()) else {
        return Err(Fault::Library(format!("value {value} is no input, so nothing can be written into it")));
    };
    let (spec, name) = (&written.spec, &written.name);
    if elements.dtype() != spec.dtype {
        let (given, wanted) = (elements.dtype().name(), spec.dtype.name());
        return Err(Fault::Library(format!("{name} holds {wanted}, not {given}")));
    }
    if start.checked_add(elements.len()).is_none_or(|end| end > spec.elements()) {
        let (last, given) = (spec.elements(), elements.len());
        return Err(Fault::Library(format!(
            "{name} has {last} elements, and none for {given} from {start} on"
        )));
    }
    let Some([least, most]) = places(program, value) else { return Ok(()) };
    let inside = |&number: &f64| least as f64 <= number && number <= most as f64;
    match elements.to_f64(0..elements.len()).iter().find(|number| !inside(number)) {
        Some(number) => {
            Err(Fault::Library(format!("{name} names places from {least} to {most}, not {number}")))
        }
        None => Ok(()),
    }
}

/// The refusal of a parameter that kernels have a copy of in another layout.
pub(super) fn packed(program: &Program, value: ValueId) -> Fault {
    let name = &program.values[value].name;
    Fault::Unsupported(format!("{name} was laid out anew at load: load it in a plain lane to write it"))
}

/// The least and the greatest number that every step allows which takes `value` as places.
fn places(program: &Program, value: ValueId) -> Option<[i64; 2]> {
    let mut both: Option<[i64; 2]> = None;
    for step in program.steps.iter().filter(|step| step.args.contains(&value)) {
        let specs = program.specs(&step.args);
        for arg in (0..step.args.len()).filter(|&arg| step.args[arg] == value) {
            let Some([low, high]) = step.op.operation().indices(&specs, arg) else { continue };
            let [least, most] = both.unwrap_or([low, high]);
            both = Some([least.max(low), most.min(high)]);
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{self, Param};

    #[test]
    fn only_what_every_kernel_can_read_is_written() {
        let point =
            [("size", Param::Text("tiny".into())), ("batch", Param::Int(2)), ("length", Param::Int(3))];
        let point = point.into_iter().map(|(axis, value)| (axis.to_string(), value)).collect();
        let program = workloads::find("bert").unwrap().program(&point).unwrap();
        let id = |name: &str| program.values.iter().position(|value| value.name == name).unwrap();
        let words = |words: &[i32]| HostArray::I32(words.to_vec());
        let said = |value, start, elements: &HostArray| check(&program, value, start, elements).unwrap_err();
        check(&program, id("words"), 2, &words(&[0, 30521, 7, 7])).unwrap();
        check(&program, id("classifier.bias"), 0, &HostArray::F32(vec![1e30, f32::NAN])).unwrap();
        for (value, start, elements, why) in [
            (id("logits"), 0, HostArray::F32(vec![0.0]), "is no input"),
            (program.values.len(), 0, HostArray::F32(vec![0.0]), "is no input"),
            (id("classifier.bias"), 0, words(&[1]), "holds f32, not i32"),
            (id("classifier.bias"), 1, HostArray::F32(vec![0.0; 2]), "has 2 elements"),
            (id("words"), usize::MAX, words(&[1]), "has 6 elements"),
            (id("words"), 0, words(&[30522]), "from 0 to 30521, not 30522"),
            (id("words"), 0, words(&[-1]), "from 0 to 30521, not -1"),
        ] {
            let said = said(value, start, &elements).to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
