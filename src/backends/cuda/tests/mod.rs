//! The host side on a driver without a device: what is launched and with what, what is freed whatever fails,
//! what a broken installation is told.

mod broken;
mod ceilings;
mod failures;
mod installations;
mod library;
mod loaded;
mod plans;

use super::compiler::Compile;
use super::cubins::Cubins;
use super::driver::fake::{FakeDriver, FakeKernel, Script};
use super::engine::{Engine, Recipe};
use super::family::{CUBLAS, CUBLASLT, GpuDevice, NATIVE};
use super::gpu::Gpu;
use super::kernels::Source;
use super::launch::{Argument, Launch, Plan};
use super::native::Native;
use crate::backends::testing::single;
use crate::backends::*;
use crate::ops::{Gemm, Op};
use crate::program::{Phase, State};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use std::ffi::c_void;
use std::rc::Rc;

/// Compiles everything to its name.
pub(super) struct Pretend;

impl Compile for Pretend {
    fn version(&self) -> String {
        "pretended".to_string()
    }
    fn origin(&self) -> &str {
        "a test"
    }
    fn compile(&self, source: &Source, target: &str) -> Result<Vec<u8>, Unsupported> {
        Ok(format!("{} {target}", source.name).into_bytes())
    }
}

fn pretended() -> Cubins {
    Cubins::new(Ok(Box::new(Pretend)), None, None)
}

/// Parameter `number` of a launch, as the kernel would read it.
fn parameter<T: Copy>(parameters: &[*mut c_void], number: usize) -> T {
    // SAFETY: tests ask for the types that the plan has.
    unsafe { parameters[number].cast::<T>().read() }
}

/// `copy_bytes(x, y, bytes)`.
fn copy_bytes(parameters: &[*mut c_void]) {
    let (from, to) = (parameter::<*const u8>(parameters, 0), parameter::<*mut u8>(parameters, 1));
    // SAFETY: the plan's addresses are those of buffers of that many bytes.
    unsafe { std::ptr::copy(from, to, parameter::<i64>(parameters, 2) as usize) };
}

/// `increment(x, y, elements)`: y = x + 1.
fn increment(parameters: &[*mut c_void]) {
    let (from, to) = (parameter::<*const f32>(parameters, 0), parameter::<*mut f32>(parameters, 1));
    for index in 0..parameter::<i64>(parameters, 2) as usize {
        // SAFETY: as above.
        unsafe { to.add(index).write(from.add(index).read() + 1.0) };
    }
}

fn script() -> Script {
    let copy = ("copy_bytes".to_string(), Rc::new(copy_bytes) as FakeKernel);
    let add = ("increment".to_string(), Rc::new(increment) as FakeKernel);
    Script { kernels: [copy, add].into(), ..Script::default() }
}

static INCREMENT: Source =
    Source { name: "increment", file: "increment.cu", text: "// arch: sm_75\n", defines: &[] };

/// Stands in for every op: adds 1 to the second argument, `launches` times over, in place if it may.
struct Increment {
    native: Native,
    launches: usize,
    in_place: &'static [(usize, usize)],
}

impl Engine for Increment {
    fn introduce(&self, identity: &mut Identity) {
        self.native.introduce(identity);
    }
    fn in_place(&self, _: &Op) -> &'static [(usize, usize)] {
        self.in_place
    }
    fn prepare(&mut self, _: &Op, _: &[ValueSpec], outs: &[ValueSpec]) -> Result<Box<dyn Recipe>, Fault> {
        let elements = outs[0].elements() as i64;
        let launch = || Launch {
            source: &INCREMENT,
            kernel: "increment".to_string(),
            grid: [3, 2, 1],
            block: [32, 4, 2],
            shared_bytes: 50_000,
            arguments: vec![
                Argument::Input(1),
                Argument::Output(0),
                Argument::I64(elements),
                Argument::Scratch(1),
            ],
        };
        let launches = (0..self.launches).map(|_| launch()).collect();
        self.native.recipe(Plan { launches, scratch: vec![100, 300] })
    }
}

/// A device whose steps are `launches` increments.
fn incrementing(
    driver: &Rc<FakeDriver>,
    launches: usize,
    in_place: &'static [(usize, usize)],
) -> Result<GpuDevice, Unsupported> {
    let start = |_: &'static str, gpu: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
        Ok(Box::new(Increment { native: Native::new(gpu, pretended()), launches, in_place }))
    };
    NATIVE.open_on("cuda/native/0", driver.clone(), "fake", start)
}

/// A device with this program's own plans.
fn native(driver: &Rc<FakeDriver>, backend: &str) -> Result<GpuDevice, Unsupported> {
    let start = |_: &'static str, gpu: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
        Ok(Box::new(Native::new(gpu, pretended())))
    };
    NATIVE.open_on(backend, driver.clone(), "fake", start)
}

/// p' = f(x, p), carried; the op is only a shape.
fn carried() -> Program {
    let mut program = Program::default();
    let spec = || ValueSpec::new(&[3, 3], DType::F32);
    let x = program.input("x", spec(), State::Batch, Fill::UNIT);
    let p = program.input("p", spec(), State::Parameter, Fill::UNIT);
    let out =
        program.push(Op::Gemm(Gemm::plain(DType::F32)), &[x, p], Phase::Update, State::Parameter).unwrap();
    program.carry(out[0], p);
    program.outputs = out;
    program
}

/// y = x of `elements`.
fn copied(elements: usize) -> Program {
    single(Op::Copy(crate::ops::Copied {}), &[ValueSpec::new(&[elements], DType::F32)], &[])
}

fn options(sets: usize, keep_all: bool) -> LoadOptions {
    LoadOptions { seed: 1, sets, keep_all }
}
