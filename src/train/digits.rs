//! Two layers on real digits.

use super::{Course, Inputs, Settings, Start, TrainError, Trainer, initial, run};
use crate::accuracy::{Digits, fetched, split};
use crate::program::Program;
use crate::random;
use crate::tensor::HostArray;
use crate::workloads::{self, Param, Params};

/// Images of a step.
const BATCH: usize = 50;
/// Steps: ten times over 4,000 images.
const STEPS: usize = 800;

/// Share of the digits set aside that two layers name right, after training on the others with momentum.
pub(super) fn accuracy(settings: &Settings) -> Result<f64, TrainError> {
    let [training, tested] = split(&fetched()?, settings.seed);
    let steps = settings.steps.unwrap_or(STEPS);
    let course = course(&training, settings.seed)?;
    let mut learned = run(&course, settings, steps)?.trainer;
    let mut asked = Trainer::new(settings, &program("infer", tested.len())?, false)?;
    asked.take_parameters(&mut learned)?;
    asked.write("pixels", &HostArray::F32(tested.pixels.clone()))?;
    asked.execute()?;
    Ok(super::checks::right(&asked.read("logits")?, &tested.labels))
}

fn program(mode: &str, batch: usize) -> Result<Program, TrainError> {
    let params = [
        ("mode", Param::Text(mode.to_string())),
        ("optimizer", Param::Text("momentum".to_string())),
        ("batch", Param::Int(batch as u64)),
    ];
    let params: Params = params.map(|(axis, value)| (axis.to_string(), value)).into();
    match workloads::find("mlp") {
        Some(mlp) => Ok(mlp.program(&params)?),
        None => Err(TrainError::Absent("this build has no workload called mlp".to_string())),
    }
}

/// Minibatches of all images, in another order each time over.
fn course(training: &Digits, seed: u64) -> Result<Course<'_>, TrainError> {
    let program = program("train", BATCH)?;
    let batch = move |step: usize| {
        let batches = (training.len() / BATCH).max(1);
        let (epoch, number) = (step / batches, step % batches);
        let mut order: Vec<usize> = (0..training.len()).collect();
        order.sort_by_key(|&image| random::bits(seed, 1 + epoch as u64, image as u64));
        let images = order.iter().cycle().skip(number * BATCH).take(BATCH);
        let pixels = images.clone().flat_map(|&image| training.image(image).iter().copied()).collect();
        let labels = images.map(|&image| training.labels[image] as i32).collect();
        Inputs::from([
            ("pixels".to_string(), HostArray::F32(pixels)),
            ("labels".to_string(), HostArray::I32(labels)),
        ])
    };
    Ok(Course { initial: initial(&program, Start::He, seed), program, batch: Box::new(batch) })
}
