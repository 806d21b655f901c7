//! Named arrays as safetensors: eight bytes of length, a header in JSON, raw elements.

use super::{Inputs, TrainError};
use crate::program::Program;
use crate::tensor::{DType, HostArray};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

/// `inputs` with the shapes that `program` gives them; f32 and i32.
pub(super) fn pack(program: &Program, inputs: &Inputs) -> Result<Vec<u8>, TrainError> {
    let bytes: Vec<Vec<u8>> = inputs.values().map(HostArray::to_le_bytes).collect();
    let mut views = vec![];
    for ((name, elements), bytes) in inputs.iter().zip(&bytes) {
        let value = program.values.iter().find(|value| value.name == *name);
        let shape = value.ok_or_else(|| TrainError::NoValue(name.clone()))?.spec.shape.clone();
        let dtype = match elements.dtype() {
            DType::F32 => Dtype::F32,
            DType::I32 => Dtype::I32,
            other => {
                return Err(TrainError::Failed(format!(
                    "{name} is {}: f32 and i32 are exchanged",
                    other.name()
                )));
            }
        };
        views.push((name, TensorView::new(dtype, shape.into_vec(), bytes).map_err(broken)?));
    }
    serialize(views, &None).map_err(broken)
}

/// Arrays by name; f32 only.
pub(super) fn unpack(bytes: &[u8]) -> Result<Inputs, TrainError> {
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let array = |(name, view): (String, TensorView)| match view.dtype() {
        Dtype::F32 => Ok((name, HostArray::from_le_bytes(DType::F32, view.data()))),
        other => Err(TrainError::Failed(format!("{name} came back as {other:?}, not as F32"))),
    };
    file.tensors().into_iter().map(array).collect()
}

fn broken(error: safetensors::SafeTensorError) -> TrainError {
    TrainError::Failed(format!("these are no safetensors: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::small;

    #[test]
    fn arrays_come_back_with_their_bits_and_wrong_files_are_refused() {
        let program = small("mlp").unwrap().unwrap();
        let bias = HostArray::F32(vec![1.0, -0.0, f32::MIN_POSITIVE / 2.0, 3e38]);
        let mut inputs = Inputs::from([("second.bias".to_string(), bias)]);
        let packed = pack(&program, &inputs).unwrap();
        let header = String::from_utf8_lossy(&packed[8..]).into_owned();
        assert!(header.contains(r#""second.bias":{"dtype":"F32","shape":[4]"#), "{header}");
        assert_eq!(unpack(&packed).unwrap(), inputs);
        for wrong in [&packed[..7], &packed[..packed.len() - 1], b"\xff\xff\xff\xff\xff\xff\xff\xff{}"] {
            assert!(unpack(wrong).is_err());
        }
        inputs.insert("labels".to_string(), HostArray::I32(vec![1; 8]));
        assert!(unpack(&pack(&program, &inputs).unwrap()).unwrap_err().to_string().contains("I32"));
        inputs.insert("nothing".to_string(), HostArray::I32(vec![1]));
        assert!(pack(&program, &inputs).unwrap_err().to_string().contains("nothing"));
    }
}
