//! The host's side on an adapter, where there is one: what is too large, what does not compile, what writes where it
//! must not.

use super::adapters;
use super::family::Wgpu;
use super::gpu::{self, Gpu};
use super::kernels::{self, Source};
use super::launch::{Binding, Launch, Number};
use super::loaded::GpuLoaded;
use crate::backends::testing::{is_present, single};
use crate::backends::*;
use crate::ops::{Copied, Op};
use crate::tensor::{DType, ValueSpec};
use std::rc::Rc;

fn opened() -> Option<Rc<Gpu>> {
    if !is_present(&Wgpu) {
        return None;
    }
    let adapter = adapters::here().unwrap().adapters.into_iter().next()?;
    Some(Gpu::open(&adapters::opened(&adapter).unwrap(), &adapter, None).unwrap())
}

fn copied(elements: usize) -> Program {
    single(Op::Copy(Copied {}), &[ValueSpec::new(&[elements], DType::F32)], &[])
}

const OPTIONS: LoadOptions = LoadOptions { seed: 1, sets: 1, keep_all: false };

#[test]
fn a_value_beyond_a_binding_is_refused_with_both_sizes() {
    let Some(gpu) = opened() else { return };
    let most = gpu.limits.max_storage_buffer_binding_size;
    let program = copied(most as usize / 4 + 1);
    let fault = GpuLoaded::new(&gpu, &program, &OPTIONS).err().unwrap();
    let said = fault.to_string();
    assert!(matches!(fault, Fault::Unsupported(_)), "{said}");
    assert!(said.contains(&most.to_string()) && said.contains(&(most + 4).to_string()), "{said}");
}

#[test]
fn memory_is_counted_and_given_back() {
    let Some(gpu) = opened() else { return };
    let before = gpu.held(true).now;
    let loaded = GpuLoaded::new(&gpu, &copied(1000), &OPTIONS).unwrap();
    assert!(gpu.held(false).now >= before + 8000);
    drop(loaded);
    assert_eq!(gpu.held(false).now, before);
    assert!(gpu.held(false).peak >= before + 8000);
}

#[test]
fn a_kernel_that_does_not_compile_shows_its_log() {
    let Some(gpu) = opened() else { return };
    static BROKEN: Source = Source { name: "broken", text: "\nfn broken( {" };
    let fault = gpu.pipeline(&Launch::new(&BROKEN, "broken", 1)).err().unwrap();
    let said = fault.to_string();
    assert!(matches!(fault, Fault::Library(_)) && said.contains("broken"), "{said}");
    assert!(said.contains("did not compile") && said.contains("fn broken( {"), "{said}");
    // The adapter still works.
    let mut loaded = GpuLoaded::new(&gpu, &copied(4), &OPTIONS).unwrap();
    loaded.enqueue(0).unwrap();
    loaded.wait().unwrap();
    loaded.intact().unwrap();
}

#[test]
fn a_device_that_is_lost_in_the_middle_is_an_error_and_no_panic() {
    let Some(gpu) = opened() else { return };
    let mut loaded = GpuLoaded::new(&gpu, &copied(1000), &OPTIONS).unwrap();
    loaded.enqueue(0).unwrap();
    gpu.device.destroy();
    let ran = loaded.enqueue(0).and_then(|()| loaded.wait());
    let read = loaded.read(1, 0, 0..1);
    assert!(ran.is_err() && read.is_err(), "{ran:?} {read:?}");
    assert!(GpuLoaded::new(&gpu, &copied(4), &OPTIONS).is_err());
}

#[test]
fn memory_that_runs_out_is_told_as_that() {
    let error = ::wgpu::Error::OutOfMemory { source: "no more".into() };
    assert!(matches!(gpu::fault(&error), Fault::OutOfMemory(_)));
}

#[test]
fn an_adapters_clock_is_held_against_the_hosts() {
    let Some(gpu) = opened() else { return };
    let Some(seen) = gpu.clock() else { return };
    let seen = seen.unwrap();
    assert!(seen.quantum_ns > 0.0 && seen.batch_ns > 1e7, "{seen:?}");
    // A batch cannot last longer than the host waited for it.
    assert!(seen.share > 0.0 && seen.share < 1.03, "{seen:?}");
    println!("{seen:?}, {:?}", seen.doubt());
}

#[test]
fn executions_are_timed_by_the_adapter_and_carried_to_the_host() {
    let Some(gpu) = opened() else { return };
    let mut loaded = GpuLoaded::new(&gpu, &copied(1 << 20), &OPTIONS).unwrap();
    loaded.use_device_clock(true);
    loaded.upload(0).unwrap();
    (0..300).for_each(|_| loaded.enqueue(0).unwrap());
    loaded.download(0).unwrap();
    loaded.wait().unwrap();
    if gpu.tick.is_some() {
        assert!(loaded.device_time().unwrap() > 0.0);
        assert_eq!(loaded.device_time(), None);
        assert!(loaded.steps(0).unwrap()[0] > 0.0);
    }
    let (x, y) = (loaded.read(0, 0, 0..5).unwrap(), loaded.read(1, 0, 0..5).unwrap());
    assert_eq!(x, y);
}

#[test]
fn a_kernel_text_begins_with_what_its_launch_defines() {
    let launch = Launch::new(&kernels::COPY, "copy", 3).constant("GROUP", 64).give(vec![Number::U32(1)]);
    let text = kernels::text(&launch.bind(vec![Binding::Input(0)]));
    assert!(text.contains("const GROUP: u32 = 64u;") && !text.contains("const GROUP: u32 = 256u;"), "{text}");
}
