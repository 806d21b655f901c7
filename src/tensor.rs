//! Dense host arrays in row-major order, and what a value looks like without its data.

use crate::float8::F8e4m3;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::ops::Range;

/// Element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DType {
    /// IEEE binary64.
    F64,
    /// IEEE binary32.
    F32,
    /// bfloat16: binary32 with 8 bits of significand.
    Bf16,
    /// IEEE binary16.
    F16,
    /// OCP's 8 bits with 4 of exponent and 3 of significand.
    F8e4m3,
    /// Two's complement, 32 bits.
    I32,
    /// Two's complement, 8 bits.
    I8,
    /// Unsigned, 8 bits.
    U8,
}

impl DType {
    /// Every type, in the order of the enum.
    pub const ALL: [Self; 8] =
        [Self::F64, Self::F32, Self::Bf16, Self::F16, Self::F8e4m3, Self::I32, Self::I8, Self::U8];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::Bf16 | Self::F16 => 2,
            Self::F8e4m3 | Self::I8 | Self::U8 => 1,
        }
    }

    /// Name used in suites and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::F8e4m3 => "f8e4m3",
            Self::I32 => "i32",
            Self::I8 => "i8",
            Self::U8 => "u8",
        }
    }

    /// Whether it holds floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::Bf16 | Self::F16 | Self::F8e4m3)
    }

    /// Absolute error of a result next to zero: the smallest normal number, because hardware may flush
    /// what is smaller; for f16 and those of 8 bits, whose subnormals are kept everywhere, half their spacing. 0 for
    /// integers.
    pub fn tiny(self) -> f64 {
        match self {
            Self::F64 => f64::MIN_POSITIVE,
            Self::F32 | Self::Bf16 => f64::from(f32::MIN_POSITIVE),
            Self::F16 => 2f64.powi(-25),
            Self::F8e4m3 => 2f64.powi(-10),
            Self::I32 | Self::I8 | Self::U8 => 0.0,
        }
    }

    /// Unit roundoff u: the largest relative error of rounding to this type. 0 for integers.
    pub fn roundoff(self) -> f64 {
        match self {
            Self::F64 => 2f64.powi(-53),
            Self::F32 => 2f64.powi(-24),
            Self::Bf16 => 2f64.powi(-8),
            Self::F16 => 2f64.powi(-11),
            Self::F8e4m3 => 2f64.powi(-4),
            Self::I32 | Self::I8 | Self::U8 => 0.0,
        }
    }
}

/// Extents, outermost first. A program has thousands of values, and asks for their shapes over and over: those of up
/// to four axes need no allocation.
pub type Shape = SmallVec<[usize; 4]>;

/// Shape and element type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValueSpec {
    /// Extents, outermost first. Empty for a scalar.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

/// Specs of what a step reads or writes.
pub type Specs = SmallVec<[ValueSpec; 4]>;

impl ValueSpec {
    /// A value of `shape` and `dtype`.
    pub fn new(shape: &[usize], dtype: DType) -> Self {
        Self { shape: shape.into(), dtype }
    }
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Bytes of the whole value.
    pub fn bytes(&self) -> u64 {
        self.shape
            .iter()
            .fold(self.dtype.size() as u64, |product, &extent| product.saturating_mul(extent as u64))
    }
    /// Whether the value's bytes can be counted by `isize`, as an allocation needs.
    pub fn is_addressable(&self) -> bool {
        let bytes =
            self.shape.iter().try_fold(self.dtype.size(), |product, &extent| product.checked_mul(extent));
        bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok())
    }
    /// Extent of the last axis; 1 for a scalar.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
    /// Product of all extents but the last: how many rows the value has.
    pub fn rows(&self) -> usize {
        self.shape.split_last().map_or(1, |(_, rest)| rest.iter().product())
    }
}

/// Elements in host memory, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum HostArray {
    /// binary64 elements.
    F64(Vec<f64>),
    /// binary32 elements.
    F32(Vec<f32>),
    /// bfloat16 elements.
    Bf16(Vec<bf16>),
    /// binary16 elements.
    F16(Vec<f16>),
    /// 8-bit floating-point elements.
    F8e4m3(Vec<F8e4m3>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Unsigned bytes.
    U8(Vec<u8>),
}

impl HostArray {
    /// `len` zeros.
    pub fn zeros(dtype: DType, len: usize) -> Self {
        Self::from_f64(dtype, std::iter::repeat_n(0.0, len))
    }

    /// Rounds each value to `dtype`: to nearest even, narrower types by way of f32; integers drop the
    /// fraction, and they and types of 8 bits saturate.
    pub fn from_f64(dtype: DType, values: impl Iterator<Item = f64>) -> Self {
        match dtype {
            DType::F64 => Self::F64(values.collect()),
            DType::F32 => Self::F32(values.map(|x| x as f32).collect()),
            DType::Bf16 => Self::Bf16(values.map(|x| bf16::from_f32(x as f32)).collect()),
            DType::F16 => Self::F16(values.map(|x| f16::from_f32(x as f32)).collect()),
            DType::F8e4m3 => Self::F8e4m3(values.map(|x| F8e4m3::from_f32(x as f32)).collect()),
            DType::I32 => Self::I32(values.map(|x| x as i32).collect()),
            DType::I8 => Self::I8(values.map(|x| x as i8).collect()),
            DType::U8 => Self::U8(values.map(|x| x as u8).collect()),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F64(_) => DType::F64,
            Self::F32(_) => DType::F32,
            Self::Bf16(_) => DType::Bf16,
            Self::F16(_) => DType::F16,
            Self::F8e4m3(_) => DType::F8e4m3,
            Self::I32(_) => DType::I32,
            Self::I8(_) => DType::I8,
            Self::U8(_) => DType::U8,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::Bf16(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::F8e4m3(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U8(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of `range`, each exactly representable in f64.
    pub fn to_f64(&self, range: Range<usize>) -> Vec<f64> {
        match self {
            Self::F64(v) => v[range].to_vec(),
            Self::F32(v) => v[range].iter().map(|&x| f64::from(x)).collect(),
            Self::Bf16(v) => v[range].iter().map(|x| x.to_f64()).collect(),
            Self::F16(v) => v[range].iter().map(|x| x.to_f64()).collect(),
            Self::F8e4m3(v) => v[range].iter().map(|x| f64::from(x.to_f32())).collect(),
            Self::I32(v) => v[range].iter().map(|&x| f64::from(x)).collect(),
            Self::I8(v) => v[range].iter().map(|&x| f64::from(x)).collect(),
            Self::U8(v) => v[range].iter().map(|&x| f64::from(x)).collect(),
        }
    }

    /// Little-endian bytes, as they cross from a worker to its parent.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Bf16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F8e4m3(v) => v.iter().map(|x| x.to_bits()).collect(),
            Self::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::I8(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::U8(v) => v.clone(),
        }
    }

    /// The inverse of [`Self::to_le_bytes`]; trailing bytes short of an element are ignored.
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Self {
        match dtype {
            DType::F64 => Self::F64(words(bytes).map(f64::from_le_bytes).collect()),
            DType::F32 => Self::F32(words(bytes).map(f32::from_le_bytes).collect()),
            DType::Bf16 => Self::Bf16(words(bytes).map(bf16::from_le_bytes).collect()),
            DType::F16 => Self::F16(words(bytes).map(f16::from_le_bytes).collect()),
            DType::F8e4m3 => Self::F8e4m3(bytes.iter().map(|&bits| F8e4m3::from_bits(bits)).collect()),
            DType::I32 => Self::I32(words(bytes).map(i32::from_le_bytes).collect()),
            DType::I8 => Self::I8(words(bytes).map(i8::from_le_bytes).collect()),
            DType::U8 => Self::U8(bytes.to_vec()),
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_crossing_in_every_type() {
        for dtype in DType::ALL {
            let array = HostArray::from_f64(dtype, [0.0, 1.0, 3.0, 112.0].into_iter());
            let back = HostArray::from_le_bytes(dtype, &array.to_le_bytes());
            assert_eq!(back, array);
            assert_eq!(array.to_le_bytes().len(), 4 * dtype.size());
            assert_eq!(back.to_f64(1..4), [1.0, 3.0, 112.0]);
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_and_integers_saturate() {
        for (dtype, value, want) in [
            // Half a unit above 1, and a little more: a tie goes to even.
            (DType::Bf16, 1.0 + 2f64.powi(-8), 1.0),
            (DType::Bf16, 1.0 + 2f64.powi(-8) + 2f64.powi(-20), 1.0 + 2f64.powi(-7)),
            (DType::F16, 1.0 + 2f64.powi(-11), 1.0),
            (DType::F16, 1.0 + 2f64.powi(-11) + 2f64.powi(-22), 1.0 + 2f64.powi(-10)),
            (DType::F16, 65520.0, f64::INFINITY),
            (DType::F8e4m3, 1.0 + 2f64.powi(-4), 1.0),
            (DType::F8e4m3, 1.0 + 2f64.powi(-4) + 2f64.powi(-20), 1.0 + 2f64.powi(-3)),
            (DType::F8e4m3, -1000.0, -448.0),
            (DType::F32, 1.0 + 2f64.powi(-24), 1.0),
            (DType::I8, 200.0, 127.0),
            (DType::I8, -200.5, -128.0),
            (DType::U8, -3.0, 0.0),
            (DType::I32, 2.9, 2.0),
        ] {
            assert_eq!(HostArray::from_f64(dtype, [value].into_iter()).to_f64(0..1), [want], "{dtype:?}");
        }
    }

    #[test]
    fn roundoff_is_half_the_distance_to_the_next_number() {
        for dtype in DType::ALL.into_iter().filter(|dtype| dtype.is_float() && *dtype != DType::F64) {
            let round = |x: f64| HostArray::from_f64(dtype, [x].into_iter()).to_f64(0..1)[0];
            let u = dtype.roundoff();
            assert_eq!((round(1.0 + u), round(1.0 + 1.5 * u)), (1.0, 1.0 + 2.0 * u), "{dtype:?}");
            assert!((round(dtype.tiny() * 0.3) - dtype.tiny() * 0.3).abs() <= dtype.tiny());
        }
    }

    #[test]
    fn rows_and_columns_of_every_rank() {
        for (shape, rows, columns) in
            [(vec![], 1, 1), (vec![5], 1, 5), (vec![2, 3], 2, 3), (vec![2, 3, 4], 6, 4)]
        {
            let spec = ValueSpec::new(&shape, DType::Bf16);
            assert_eq!((spec.rows(), spec.columns()), (rows, columns));
            assert_eq!(spec.bytes(), 2 * spec.elements() as u64);
        }
    }

    #[test]
    fn a_size_beyond_the_address_space_saturates() {
        assert_eq!(ValueSpec::new(&[usize::MAX, 2], DType::F32).bytes(), u64::MAX);
    }
}
