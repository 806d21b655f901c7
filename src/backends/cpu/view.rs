//! Values as kernels see them: a start, a length and a type.

use crate::float8::F8e4m3;
use crate::tensor::{DType, HostArray};
use half::{bf16, f16};
use std::ptr::NonNull;

/// A number that values are made of.
pub trait Element: Copy + Send + Sync + 'static {
    /// Its type as data.
    const DTYPE: DType;
}

impl Element for f64 {
    const DTYPE: DType = DType::F64;
}
impl Element for f32 {
    const DTYPE: DType = DType::F32;
}
impl Element for bf16 {
    const DTYPE: DType = DType::Bf16;
}
impl Element for f16 {
    const DTYPE: DType = DType::F16;
}
impl Element for F8e4m3 {
    const DTYPE: DType = DType::F8e4m3;
}
impl Element for i32 {
    const DTYPE: DType = DType::I32;
}
impl Element for i8 {
    const DTYPE: DType = DType::I8;
}
impl Element for u8 {
    const DTYPE: DType = DType::U8;
}

/// A value that a kernel reads.
#[derive(Debug)]
pub struct View {
    pub(super) start: NonNull<u8>,
    pub(super) elements: usize,
    pub(super) dtype: DType,
}

impl View {
    /// Nothing: stands where an argument is given in the output that is computed in place.
    pub(super) fn empty(dtype: DType) -> Self {
        // Aligned for every type; none of its elements belongs to the view.
        static NOTHING: u64 = 0;
        Self { start: NonNull::from(&NOTHING).cast(), elements: 0, dtype }
    }

    /// `elements` of it from element `offset` on: a value in memory that holds others too.
    pub(super) fn part(self, offset: usize, elements: usize) -> Self {
        assert!(offset + elements <= self.elements, "{elements} at {offset} of {}", self.elements);
        // SAFETY: the assertion keeps the part within what this view may reach.
        let start = unsafe { self.start.byte_add(offset * self.dtype.size()) };
        Self { start, elements, ..self }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// First byte, for libraries that take an address.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// All elements.
    ///
    /// # Panics
    /// When `T` is not the view's type: a kernel was prepared for other values.
    pub fn slice<T: Element>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype, "a kernel reads a value as another type");
        // SAFETY: `start` is aligned and heads `elements` initialised elements of the arena, which
        // outlives every call of a kernel; no output of the same call overlaps them (see `loaded`).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.elements) }
    }
}

/// A value that a kernel writes.
#[derive(Debug)]
pub struct ViewMut(pub(super) View);

impl ViewMut {
    /// As [`View::part`].
    pub(super) fn part(self, offset: usize, elements: usize) -> Self {
        Self(self.0.part(offset, elements))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.elements
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.elements == 0
    }

    /// Type of the elements.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// First byte, for libraries that take an address.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.start.as_ptr()
    }

    /// All elements.
    ///
    /// # Panics
    /// When `T` is not the view's type: a kernel was prepared for other values.
    pub fn slice<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.0.dtype, "a kernel writes a value as another type");
        // SAFETY: as in `View::slice`; the exclusive borrow of this view is the only way to its
        // elements during a call, since no two views of a call overlap.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr().cast(), self.0.elements) }
    }

    /// Copies `from`, a view of the same spec.
    pub(super) fn copy_from(&mut self, from: &View) {
        let bytes = self.0.elements.min(from.elements) * self.0.dtype.size();
        // SAFETY: both head at least `bytes` bytes of the arena, and two views never overlap in part.
        unsafe { std::ptr::copy(from.as_ptr(), self.as_mut_ptr(), bytes) }
    }
}

impl ViewMut {
    /// Copies all elements from `array`, of this type and length.
    pub(super) fn write(&mut self, array: &HostArray) {
        match array {
            HostArray::F64(v) => self.slice().copy_from_slice(v),
            HostArray::F32(v) => self.slice().copy_from_slice(v),
            HostArray::Bf16(v) => self.slice().copy_from_slice(v),
            HostArray::F16(v) => self.slice().copy_from_slice(v),
            HostArray::F8e4m3(v) => self.slice().copy_from_slice(v),
            HostArray::I32(v) => self.slice().copy_from_slice(v),
            HostArray::I8(v) => self.slice().copy_from_slice(v),
            HostArray::U8(v) => self.slice().copy_from_slice(v),
        }
    }

    /// Fills with NaN, or the smallest value of an integer type.
    pub(super) fn spoil(&mut self) {
        match self.dtype() {
            DType::F64 => self.slice().fill(f64::NAN),
            DType::F32 => self.slice().fill(f32::NAN),
            DType::Bf16 => self.slice().fill(bf16::NAN),
            DType::F16 => self.slice().fill(f16::NAN),
            DType::F8e4m3 => self.slice().fill(F8e4m3::NAN),
            DType::I32 => self.slice().fill(i32::MIN),
            DType::I8 => self.slice().fill(i8::MIN),
            DType::U8 => self.slice().fill(u8::MIN),
        }
    }
}
