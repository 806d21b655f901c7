//! oneDNN's objects, each given back when it is dropped.

use super::api::{Api, ExecArg, Handle, Status};
use crate::backends::Fault;
use crate::tensor::DType;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::rc::Rc;

/// Numbers of a primitive's arguments.
pub(super) const SOURCE: c_int = 1;
pub(super) const DESTINATION: c_int = 17;
pub(super) const WEIGHTS: c_int = 33;
pub(super) const BIAS: c_int = 41;
/// Added to an argument's number: its zero point.
pub(super) const ZERO_POINT: c_int = 8192;

const ANY_LAYOUT: c_int = 1;
const QUERY_WEIGHTS: c_int = 131;
const ELTWISE_LINEAR: c_int = 0x26;
/// A pass that keeps nothing for a backward one.
const FORWARD_INFERENCE: c_int = 96;
/// Direct or Winograd's, whichever the library likes better.
const ANY_ALGORITHM: c_int = 3;
/// Tells `dnnl_memory_create` to allocate.
const ALLOCATE: *mut c_void = usize::MAX as *mut c_void;
const OUT_OF_MEMORY: Status = 1;
const UNIMPLEMENTED: Status = 3;

/// Extents and strides of an operand, in elements, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) dtype: DType,
    pub(super) extents: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// The library's number of an element type; binary64 and 8-bit floating point have none here.
fn data_type(dtype: DType) -> c_int {
    match dtype {
        DType::F64 | DType::F8e4m3 => 0,
        DType::F16 => 1,
        DType::Bf16 => 2,
        DType::F32 => 3,
        DType::I32 => 4,
        DType::I8 => 5,
        DType::U8 => 6,
    }
}

/// What a call's status means.
fn checked(status: Status, what: &str) -> Result<(), Fault> {
    match status {
        0 => Ok(()),
        OUT_OF_MEMORY => Err(Fault::OutOfMemory(format!("oneDNN has no memory to {what}"))),
        UNIMPLEMENTED => Err(Fault::Unsupported(format!("oneDNN cannot {what} on this processor"))),
        other => Err(Fault::Library(format!("oneDNN could not {what} (status {other})"))),
    }
}

/// An object of the library's.
pub(super) struct Owned {
    handle: Handle,
    destroy: unsafe extern "C" fn(Handle) -> Status,
}

impl Owned {
    /// What `create` writes; `destroy` is what gives it back.
    ///
    /// # Safety
    /// `create` writes a handle where it returns 0, and `destroy` belongs to it.
    unsafe fn new(
        what: &str,
        destroy: unsafe extern "C" fn(Handle) -> Status,
        create: impl FnOnce(*mut Handle) -> Status,
    ) -> Result<Self, Fault> {
        let mut handle = null_mut();
        checked(create(&mut handle), what)?;
        Ok(Self { handle, destroy })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: `destroy` belongs to the handle, which is used no more.
        unsafe { (self.destroy)(self.handle) };
    }
}

/// What is done to a product before it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extras {
    /// Factor of the product; 1 for none.
    pub(super) alpha: f32,
    /// Factor of what the destination held; 0 for none.
    pub(super) beta: f32,
    /// Whether the source and the weights have zero points.
    pub(super) zero_points: [bool; 2],
}

impl Api {
    /// An operand where it lies.
    pub(super) fn strided(&self, layout: &Layout) -> Result<Owned, Fault> {
        let (rank, extents, strides) =
            (layout.extents.len() as c_int, layout.extents.as_ptr(), layout.strides.as_ptr());
        let dtype = data_type(layout.dtype);
        // SAFETY: both arrays have `rank` numbers, which the library copies.
        unsafe {
            Owned::new("describe an operand", self.destroy_description, |to| {
                (self.describe_strided)(to, rank, extents, dtype, strides)
            })
        }
    }

    /// An operand in whatever layout the library likes best.
    pub(super) fn any(&self, layout: &Layout) -> Result<Owned, Fault> {
        let (rank, extents) = (layout.extents.len() as c_int, layout.extents.as_ptr());
        // SAFETY: the array has `rank` numbers, which the library copies.
        unsafe {
            Owned::new("describe an operand", self.destroy_description, |to| {
                (self.describe_tagged)(to, rank, extents, data_type(layout.dtype), ANY_LAYOUT)
            })
        }
    }

    /// Memory of a description; its address is set later.
    pub(super) fn memory(&self, description: &Owned) -> Result<Owned, Fault> {
        self.memory_at(description.handle, null_mut())
    }

    fn memory_at(&self, description: Handle, address: *mut c_void) -> Result<Owned, Fault> {
        // SAFETY: the description and the engine live; the library copies the former.
        unsafe {
            Owned::new("hold an operand", self.destroy_memory, |to| {
                (self.create_memory)(to, description, self.engine, address)
            })
        }
    }

    /// Memory of one 32-bit integer, which must outlive it.
    pub(super) fn integer(&self, value: &i32) -> Result<Owned, Fault> {
        let layout = Layout { dtype: DType::I32, extents: vec![1], strides: vec![1] };
        self.memory_at(self.strided(&layout)?.handle, std::ptr::from_ref(value).cast_mut().cast())
    }

    /// Lets a memory point to `address`.
    pub(super) fn point(&self, memory: &Owned, address: *const u8) -> Result<(), Fault> {
        // SAFETY: the memory lives; an argument that is only read is passed as mutable, as in C.
        checked(unsafe { (self.set_address)(memory.handle, address.cast_mut().cast()) }, "take an address")
    }

    fn attributes(&self, extras: Extras) -> Result<Owned, Fault> {
        // SAFETY: it writes one handle.
        let attributes = unsafe {
            Owned::new("hold attributes", self.destroy_attributes, |to| (self.create_attributes)(to))
        }?;
        // SAFETY: as above.
        let after = unsafe {
            Owned::new("hold what follows", self.destroy_post_ops, |to| (self.create_post_ops)(to))
        }?;
        if extras.alpha != 1.0 {
            // SAFETY: the handle lives; x becomes alpha x + 0.
            let status = unsafe { (self.append_eltwise)(after.handle, ELTWISE_LINEAR, extras.alpha, 0.0) };
            checked(status, "scale a product")?;
        }
        if extras.beta != 0.0 {
            // SAFETY: the handle lives; type 0 means the destination's own.
            checked(unsafe { (self.append_sum)(after.handle, extras.beta, 0, 0) }, "add to a product")?;
        }
        // SAFETY: both handles live, and the library copies the second.
        checked(unsafe { (self.set_post_ops)(attributes.handle, after.handle) }, "keep what follows")?;
        for (argument, _) in [SOURCE, WEIGHTS].into_iter().zip(extras.zero_points).filter(|(_, has)| *has) {
            const ONE_FOR_ALL: c_int = 0;
            // SAFETY: the handle lives.
            let status = unsafe { (self.set_zero_points)(attributes.handle, argument, ONE_FOR_ALL) };
            checked(status, "take a zero point")?;
        }
        Ok(attributes)
    }

    /// A matrix product, and the layout that it wants its weights in.
    pub(super) fn matmul(
        self: &Rc<Self>,
        [source, weights, destination]: [&Owned; 3],
        extras: Extras,
    ) -> Result<Primitive, Fault> {
        let attributes = self.attributes(extras)?;
        self.primitive("multiply matrices of these types and layouts", |to| {
            let (source, weights, destination) = (source.handle, weights.handle, destination.handle);
            // SAFETY: all handles live; there is no bias.
            unsafe {
                let none = null_mut();
                let attributes = attributes.handle;
                (self.describe_matmul)(to, self.engine, source, weights, none, destination, attributes)
            }
        })
    }

    /// A convolution, and the layout that it wants its weights in.
    pub(super) fn convolution(
        self: &Rc<Self>,
        [source, weights, destination]: [&Owned; 3],
        bias: Option<&Owned>,
        walk: Walk,
    ) -> Result<Primitive, Fault> {
        let bias = bias.map_or(null_mut(), |bias| bias.handle);
        let (source, weights, destination) = (source.handle, weights.handle, destination.handle);
        let (strides, padding, dilations) = (walk.stride.as_ptr(), walk.padding.as_ptr(), [0; 2]);
        self.primitive("convolve images of these layouts", |to| {
            // SAFETY: all handles live; strides, dilations and paddings are two numbers each, which the library
            // copies; there are no attributes.
            unsafe {
                (self.describe_convolution)(
                    to,
                    self.engine,
                    FORWARD_INFERENCE,
                    ANY_ALGORITHM,
                    source,
                    weights,
                    bias,
                    destination,
                    strides,
                    dilations.as_ptr(),
                    padding,
                    padding,
                    null_mut(),
                )
            }
        })
    }

    /// What `describe` describes, ready to run.
    fn primitive(
        self: &Rc<Self>,
        what: &str,
        describe: impl FnOnce(*mut Handle) -> Status,
    ) -> Result<Primitive, Fault> {
        // SAFETY: the caller's `describe` writes a primitive's description where it returns 0.
        let description = unsafe { Owned::new(what, self.destroy_primitive_description, describe) }?;
        // SAFETY: the description lives.
        let primitive = unsafe {
            Owned::new(what, self.destroy_primitive, |to| (self.create_primitive)(to, description.handle))
        }?;
        Ok(Primitive { api: Rc::clone(self), primitive, description })
    }

    fn run(&self, primitive: &Owned, args: &[ExecArg]) -> Result<(), Fault> {
        // SAFETY: primitive and stream live, and each argument's memory points to as many elements as its
        // description says.
        let status =
            unsafe { (self.execute)(primitive.handle, self.stream, args.len() as c_int, args.as_ptr()) };
        checked(status, "execute")?;
        // SAFETY: the stream lives.
        checked(unsafe { (self.wait)(self.stream) }, "finish")
    }
}

/// How a kernel walks over images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Walk {
    /// Rows and columns between neighbouring places.
    pub(super) stride: [i64; 2],
    /// Rows and columns of zeros on each side.
    pub(super) padding: [i64; 2],
}

/// A product or a convolution ready to run.
pub(super) struct Primitive {
    api: Rc<Api>,
    primitive: Owned,
    description: Owned,
}

impl Primitive {
    /// Computes; every memory points to its operand.
    pub(super) fn run(&self, args: &[ExecArg]) -> Result<(), Fault> {
        self.api.run(&self.primitive, args)
    }

    /// A copy of `weights`, described by `plain`, in the layout that it wants, and its bytes;
    /// none where that is the plain one.
    pub(super) fn packed(&self, plain: &Owned, weights: *const u8) -> Result<Option<(Owned, u64)>, Fault> {
        let api = &self.api;
        // SAFETY: the description lives and owns what is returned.
        let wanted = unsafe { (api.query)(self.description.handle, QUERY_WEIGHTS, 0) };
        // SAFETY: both descriptions live.
        if unsafe { (api.are_equal)(wanted, plain.handle) } != 0 {
            return Ok(None);
        }
        let from = api.memory(plain)?;
        api.point(&from, weights)?;
        let to = api.memory_at(wanted, ALLOCATE)?;
        // SAFETY: all handles live; there are no attributes.
        let description = unsafe {
            Owned::new("lay out weights", api.destroy_primitive_description, |made| {
                (api.describe_reorder)(made, plain.handle, api.engine, wanted, api.engine, null_mut())
            })
        }?;
        // SAFETY: the description lives.
        let reorder = unsafe {
            Owned::new("lay out weights", api.destroy_primitive, |made| {
                (api.create_primitive)(made, description.handle)
            })
        }?;
        api.run(&reorder, &[argument(SOURCE, &from), argument(DESTINATION, &to)])?;
        // SAFETY: the description lives.
        let bytes = unsafe { (api.description_size)(wanted) };
        Ok(Some((to, bytes as u64)))
    }
}

/// A memory as an argument of an execution.
pub(super) fn argument(arg: c_int, memory: &Owned) -> ExecArg {
    ExecArg { arg, memory: memory.handle }
}
