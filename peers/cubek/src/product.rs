//! One product and its memory on the adapter.

use crate::Client;
use cubecl::prelude::{CubePrimitive, TensorBinding};
use cubecl::server::Handle;
use cubecl::wgpu::WgpuRuntime;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::std::InputBinding;
use cutgpu::backends::{Fault, LoadOptions, Loaded};
use cutgpu::ops::{Gemm, Op};
use cutgpu::program::{Program, State, ValueId};
use cutgpu::tensor::{DType, HostArray};
use std::collections::BTreeMap;
use std::ops::Range;

/// A product's operands and result, of one input set.
struct Set {
    a: Handle,
    b: Handle,
    d: Handle,
}

/// A loaded product.
pub struct Product {
    client: Client,
    op: Gemm,
    program: Program,
    /// Rows of A, columns of B, columns of A.
    extents: [usize; 3],
    sets: Vec<Set>,
    seed: u64,
}

fn refused<T>(why: &str) -> Result<T, Fault> {
    Err(Fault::Unsupported(format!("cubek {why}")))
}

impl Product {
    /// Fills the operands of every set.
    pub fn new(client: &Client, program: &Program, options: &LoadOptions) -> Result<Self, Fault> {
        let [step] = &program.steps[..] else { return refused("computes one step") };
        let Op::Gemm(op) = &step.op else { return refused("computes products of matrices") };
        let specs = program.specs(&step.args);
        if op.alpha != 1.0 || op.beta != 0.0 || specs.iter().any(|spec| spec.dtype != DType::F32) {
            return refused("computes plain products of f32");
        }
        let dims = op.dims(&specs).map_err(|error| Fault::Library(error.to_string()))?;
        if specs.iter().any(|spec| spec.shape.len() != 2) {
            return refused("computes one product, of two matrices");
        }
        let made = |id: ValueId, set| {
            client.create_from_slice(&program.input_data(id, options.seed, set).to_le_bytes())
        };
        let sets = (0..options.sets.max(1)).map(|set| Set {
            a: made(step.args[0], set),
            b: made(step.args[1], set),
            d: sentinel(client, dims.m * dims.n),
        });
        let sets = sets.collect();
        let extents = [dims.m, dims.n, dims.k];
        Ok(Self {
            client: client.clone(),
            op: op.clone(),
            program: program.clone(),
            extents,
            sets,
            seed: options.seed,
        })
    }

    fn synchronise(&self) -> Result<(), Fault> {
        cubecl::future::block_on(self.client.sync()).map_err(|error| Fault::Library(format!("{error:?}")))
    }
}

/// NaN everywhere, so that what nobody writes shows.
fn sentinel(client: &Client, elements: usize) -> Handle {
    client.create_from_slice(&f32::NAN.to_le_bytes().repeat(elements))
}

/// A matrix of `rows` x `columns`, which may be stored transposed.
fn matrix(handle: &Handle, rows: usize, columns: usize, transposed: bool) -> TensorBinding<WgpuRuntime> {
    let strides = if transposed { [1, rows] } else { [columns, 1] };
    // SAFETY: the handle was made for rows * columns elements of four bytes, which both orders cover.
    unsafe { TensorBinding::from_raw_parts(handle.clone(), strides.into(), [rows, columns].into()) }
}

impl Loaded for Product {
    fn reset(&mut self) -> Result<(), Fault> {
        let [m, n, _] = self.extents;
        for set in &mut self.sets {
            set.d = sentinel(&self.client, m * n);
        }
        self.synchronise()
    }

    fn enqueue(&mut self, set: usize) -> Result<(), Fault> {
        let [m, n, k] = self.extents;
        let Set { a, b, d } = &self.sets[set];
        let f32 = f32::as_type_native_unchecked().storage_type();
        let (a, b) = (matrix(a, m, k, self.op.trans_a), matrix(b, k, n, self.op.trans_b));
        let d = matrix(d, m, n, false);
        let mut types = MatmulElems::from_globals(&MatmulGlobalElems { lhs: f32, rhs: f32, out: f32 });
        let (a, b) = (InputBinding::Normal(a, f32), InputBinding::Normal(b, f32));
        launch_ref(&Strategy::Auto, &self.client, a, b, d, &mut types)
            .map_err(|error| Fault::Library(format!("cubek does not multiply these: {error:?}")))
    }

    fn wait(&mut self) -> Result<(), Fault> {
        self.synchronise()
    }

    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Fault> {
        let step = &self.program.steps[0];
        if value != step.outs[0] {
            return Ok(self.program.input_range(value, self.seed, set, range));
        }
        let bytes = self.client.read_one(self.sets[set].d.clone());
        let bytes = bytes.map_err(|error| Fault::Library(format!("{error:?}")))?;
        Ok(HostArray::from_le_bytes(DType::F32, &bytes[range.start * 4..range.end * 4]))
    }

    fn memory(&self) -> BTreeMap<State, u64> {
        let mut bytes = BTreeMap::new();
        for value in &self.program.values {
            *bytes.entry(value.state).or_default() += value.spec.bytes() * self.sets.len() as u64;
        }
        bytes
    }

    fn is_host_memory(&self) -> bool {
        false
    }
}
