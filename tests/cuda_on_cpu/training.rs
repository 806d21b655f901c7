//! Ten steps of training by the CUDA kernels, beside the processor's backends: losses agree step by step.

use crate::device::{Emulated, Order};
use crate::{on_every, toolchain};
use cutgpu::backends::cuda::kernels::Source;
use cutgpu::backends::cuda::launch::{Arch, Plan, launches};
use cutgpu::ops::{Arg, Op};
use cutgpu::program::{Program, whole_reference};
use cutgpu::tensor::HostArray;
use cutgpu::train::{Course, Settings, Start, difference, of_fills, run};
use cutgpu::workloads::small;
use std::collections::BTreeMap;
use std::path::Path;

const STEPS: usize = 10;
const ORDER: Order = Order { seed: 3, copies: 0 };
/// Products in f32 on plain threads: tensor cores would round their factors.
const ARCH: Arch = Arch(75);
/// Means of a few f32 losses, each of sums of at most 32 rounded products, after steps so short that what differs adds
/// up and does not multiply: 100 u.
const TOLERANCE: f64 = 6e-6;

/// The plan of each step; none where the op only moves elements and has no kernel.
fn plans(program: &Program) -> Vec<Option<Plan>> {
    let plan = |step: &cutgpu::program::Step| {
        let plan = launches(&step.op, &program.specs(&step.args), &program.specs(&step.outs), ARCH);
        assert!(plan.is_ok() || matches!(step.op, Op::Rearrange(_)), "{:?}", step.op);
        plan.ok()
    };
    program.steps.iter().map(plan).collect()
}

/// A program in the emulator's hands.
struct Executed<'a> {
    course: &'a Course<'static>,
    plans: Vec<Option<Plan>>,
    values: Vec<HostArray>,
    emulated: Emulated,
    folder: &'a Path,
}

impl Executed<'_> {
    fn write(&mut self, inputs: &cutgpu::train::Inputs) {
        for (name, elements) in inputs {
            let id = self.course.program.values.iter().position(|value| value.name == *name).unwrap();
            self.values[id] = elements.clone();
        }
    }

    /// One step of training; the mean loss.
    fn step(&mut self, number: usize) -> f64 {
        self.write(&(self.course.batch)(number));
        let program = &self.course.program;
        for (step, plan) in program.steps.iter().zip(&self.plans) {
            let inputs: Vec<HostArray> = step.args.iter().map(|&id| self.values[id].clone()).collect();
            let outs = program.specs(&step.outs);
            let answers = match plan {
                Some(plan) => self.emulated.run(self.folder, plan, &inputs, &outs, ORDER).unwrap(),
                None => moved(&step.op, &program.specs(&step.args), &inputs),
            };
            step.outs.iter().zip(answers).for_each(|(&id, answer)| self.values[id] = answer);
        }
        for carry in &program.carries {
            self.values[carry.input] = self.values[carry.produced].clone();
        }
        let losses = &self.values[program.outputs[0]];
        losses.to_f64(0..losses.len()).iter().sum::<f64>() / losses.len() as f64
    }
}

/// The answer of an op that rounds nothing.
fn moved(op: &Op, specs: &[cutgpu::tensor::ValueSpec], inputs: &[HostArray]) -> Vec<HostArray> {
    let data: Vec<Vec<f64>> = inputs.iter().map(|input| input.to_f64(0..input.len())).collect();
    let args: Vec<Arg> = specs.iter().zip(&data).map(|(spec, data)| Arg::whole(spec, data)).collect();
    let answers = whole_reference(op.operation(), &args);
    answers.into_iter().map(|answer| HostArray::from_f64(specs[0].dtype, answer.into_iter())).collect()
}

fn emulated(course: &Course<'static>, folder: &Path) -> Vec<f64> {
    let values = course.program.values.iter();
    let values = values.map(|value| HostArray::zeros(value.spec.dtype, value.spec.elements())).collect();
    let plans = plans(&course.program);
    let mut executed = Executed { course, plans, values, emulated: Emulated::default(), folder };
    executed.write(&course.initial);
    (0..STEPS).map(|step| executed.step(step)).collect()
}

#[test]
fn losses_of_emulated_cuda_are_those_of_the_processor() {
    if !toolchain::is_here() {
        return;
    }
    let clock = std::time::Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let courses =
        ["mlp", "bert"].map(|model| of_fills(small(model).unwrap().unwrap(), Start::Deviation(0.2), 5));
    let plans: Vec<Plan> = courses.iter().flat_map(|course| plans(&course.program)).flatten().collect();
    let launches = plans.iter().flat_map(|plan| &plan.launches);
    let units: BTreeMap<&str, &'static Source> =
        launches.map(|launch| (launch.source.name, launch.source)).collect();
    let failed =
        on_every(units.into_values().collect(), |source| toolchain::build(source, None, folder.path()));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for course in &courses {
        let losses = emulated(course, folder.path());
        for backend in ["cpu/naive", "cpu/native"] {
            let settings = Settings { backend: backend.to_string(), threads: 1, steps: None, seed: 5 };
            let wanted = run(course, &settings, STEPS).unwrap().losses;
            let off = difference(&losses, &wanted).unwrap();
            println!("losses of emulated CUDA beside {backend}: {off:.1e}");
            assert!(off <= TOLERANCE, "{backend}: {off}: {losses:?} {wanted:?}");
        }
    }
    println!("training on emulated CUDA, seconds: {:.1}", clock.elapsed().as_secs_f64());
}
