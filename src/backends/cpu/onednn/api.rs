//! The part of oneDNN's C interface, version 3, that products and convolutions need. Names and numbers follow
//! `dnnl.h` and `dnnl_types.h` (oneDNN 3.2); a function returns 0 where it went well.

use crate::backends::Unsupported;
use crate::backends::cpu::dylib::SharedLibrary;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::rc::Rc;

/// An object of the library.
pub(super) type Handle = *mut c_void;
/// 0 where a call went well.
pub(super) type Status = c_int;
type Destroy = unsafe extern "C" fn(Handle) -> Status;

const CPU: c_int = 1;
const DEFAULT_STREAM: c_uint = 1;

/// An argument of an execution.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ExecArg {
    pub(super) arg: c_int,
    pub(super) memory: Handle,
}

/// `dnnl_convolution_forward_primitive_desc_create`: result, engine, kind of pass, algorithm, source, weights, bias,
/// destination, strides, dilations, padding before and after, attributes.
type DescribeConvolution = unsafe extern "C" fn(
    *mut Handle,
    Handle,
    c_int,
    c_int,
    Handle,
    Handle,
    Handle,
    Handle,
    *const i64,
    *const i64,
    *const i64,
    *const i64,
    Handle,
) -> Status;

/// `dnnl_version_t`.
#[repr(C)]
struct Version {
    major: c_int,
    minor: c_int,
    patch: c_int,
    hash: *const c_char,
    cpu_runtime: c_uint,
    gpu_runtime: c_uint,
}

/// Pointers to the functions, an engine and a stream. Both live as long as the process.
pub(super) struct Api {
    pub(super) engine: Handle,
    pub(super) stream: Handle,
    pub(super) version: [c_int; 3],
    pub(super) describe_strided:
        unsafe extern "C" fn(*mut Handle, c_int, *const i64, c_int, *const i64) -> Status,
    pub(super) describe_tagged: unsafe extern "C" fn(*mut Handle, c_int, *const i64, c_int, c_int) -> Status,
    pub(super) description_size: unsafe extern "C" fn(Handle) -> usize,
    pub(super) are_equal: unsafe extern "C" fn(Handle, Handle) -> c_int,
    pub(super) destroy_description: Destroy,
    pub(super) create_memory: unsafe extern "C" fn(*mut Handle, Handle, Handle, *mut c_void) -> Status,
    pub(super) set_address: unsafe extern "C" fn(Handle, *mut c_void) -> Status,
    pub(super) destroy_memory: Destroy,
    pub(super) create_attributes: unsafe extern "C" fn(*mut Handle) -> Status,
    pub(super) set_zero_points: unsafe extern "C" fn(Handle, c_int, c_int) -> Status,
    pub(super) set_post_ops: unsafe extern "C" fn(Handle, Handle) -> Status,
    pub(super) destroy_attributes: Destroy,
    pub(super) create_post_ops: unsafe extern "C" fn(*mut Handle) -> Status,
    pub(super) append_eltwise: unsafe extern "C" fn(Handle, c_int, f32, f32) -> Status,
    pub(super) append_sum: unsafe extern "C" fn(Handle, f32, i32, c_int) -> Status,
    pub(super) destroy_post_ops: Destroy,
    pub(super) describe_matmul:
        unsafe extern "C" fn(*mut Handle, Handle, Handle, Handle, Handle, Handle, Handle) -> Status,
    pub(super) describe_convolution: DescribeConvolution,
    pub(super) describe_reorder:
        unsafe extern "C" fn(*mut Handle, Handle, Handle, Handle, Handle, Handle) -> Status,
    pub(super) query: unsafe extern "C" fn(Handle, c_int, c_int) -> Handle,
    pub(super) destroy_primitive_description: Destroy,
    pub(super) create_primitive: unsafe extern "C" fn(*mut Handle, Handle) -> Status,
    pub(super) destroy_primitive: Destroy,
    pub(super) execute: unsafe extern "C" fn(Handle, Handle, c_int, *const ExecArg) -> Status,
    pub(super) wait: unsafe extern "C" fn(Handle) -> Status,
}

/// # Safety
/// `F` is the signature of the function `name`.
unsafe fn get<F: Copy>(library: &SharedLibrary, name: &str) -> Result<F, Unsupported> {
    // SAFETY: by this function's contract.
    unsafe { library.function(name) }.ok_or_else(|| {
        Unsupported(format!(
            "{} lacks the function {name}, which oneDNN 3 has; give that one",
            library.name()
        ))
    })
}

impl Api {
    /// Looks up every function and makes an engine and a stream.
    pub(super) fn new(library: &SharedLibrary) -> Result<Rc<Self>, Unsupported> {
        let version = version(library)?;
        let (engine, stream) = engine(library)?;
        // SAFETY: each field has the signature of its function in dnnl.h, version 3.
        let api = unsafe {
            Self {
                engine,
                stream,
                version,
                describe_strided: get(library, "dnnl_memory_desc_create_with_strides")?,
                describe_tagged: get(library, "dnnl_memory_desc_create_with_tag")?,
                description_size: get(library, "dnnl_memory_desc_get_size")?,
                are_equal: get(library, "dnnl_memory_desc_equal")?,
                destroy_description: get(library, "dnnl_memory_desc_destroy")?,
                create_memory: get(library, "dnnl_memory_create")?,
                set_address: get(library, "dnnl_memory_set_data_handle")?,
                destroy_memory: get(library, "dnnl_memory_destroy")?,
                create_attributes: get(library, "dnnl_primitive_attr_create")?,
                set_zero_points: get(library, "dnnl_primitive_attr_set_zero_points_mask")?,
                set_post_ops: get(library, "dnnl_primitive_attr_set_post_ops")?,
                destroy_attributes: get(library, "dnnl_primitive_attr_destroy")?,
                create_post_ops: get(library, "dnnl_post_ops_create")?,
                append_eltwise: get(library, "dnnl_post_ops_append_eltwise")?,
                append_sum: get(library, "dnnl_post_ops_append_sum")?,
                destroy_post_ops: get(library, "dnnl_post_ops_destroy")?,
                describe_matmul: get(library, "dnnl_matmul_primitive_desc_create")?,
                describe_convolution: get(library, "dnnl_convolution_forward_primitive_desc_create")?,
                describe_reorder: get(library, "dnnl_reorder_primitive_desc_create")?,
                query: get(library, "dnnl_primitive_desc_query_md")?,
                destroy_primitive_description: get(library, "dnnl_primitive_desc_destroy")?,
                create_primitive: get(library, "dnnl_primitive_create")?,
                destroy_primitive: get(library, "dnnl_primitive_destroy")?,
                execute: get(library, "dnnl_primitive_execute")?,
                wait: get(library, "dnnl_stream_wait")?,
            }
        };
        Ok(Rc::new(api))
    }
}

/// Major, minor and patch, of which the first must be 3.
fn version(library: &SharedLibrary) -> Result<[c_int; 3], Unsupported> {
    // SAFETY: `const dnnl_version_t *dnnl_version(void)`, in every version.
    let found: unsafe extern "C" fn() -> *const Version = unsafe { get(library, "dnnl_version") }?;
    // SAFETY: it returns a structure of the library's own, which starts with three ints.
    let [major, minor, patch] =
        unsafe { found().as_ref() }.map(|v| [v.major, v.minor, v.patch]).unwrap_or_default();
    if major != 3 {
        let name = library.name();
        return Err(Unsupported(format!("{name} is oneDNN {major}.{minor}, and version 3 is called here")));
    }
    Ok([major, minor, patch])
}

/// The engine of this processor and a stream on it.
fn engine(library: &SharedLibrary) -> Result<(Handle, Handle), Unsupported> {
    type CreateEngine = unsafe extern "C" fn(*mut Handle, c_int, usize) -> Status;
    type CreateStream = unsafe extern "C" fn(*mut Handle, Handle, c_uint) -> Status;
    // SAFETY: signatures from dnnl.h.
    let create_engine: CreateEngine = unsafe { get(library, "dnnl_engine_create") }?;
    // SAFETY: as above.
    let create_stream: CreateStream = unsafe { get(library, "dnnl_stream_create") }?;
    let (mut engine, mut stream) = (null_mut(), null_mut());
    // SAFETY: each writes one handle; the stream gets an engine that was made.
    let made = unsafe {
        create_engine(&mut engine, CPU, 0) == 0 && create_stream(&mut stream, engine, DEFAULT_STREAM) == 0
    };
    if !made {
        return Err(Unsupported(format!("{} made no engine for this processor", library.name())));
    }
    Ok((engine, stream))
}
