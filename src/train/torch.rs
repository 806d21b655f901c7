//! Beside PyTorch: its own model from the same parameters on the same batch.

use super::agree::{difference, of_fills, worse};
use super::checks::{COMPARED, Measured};
use super::diagnose::first_not_finite;
use super::{Course, Inputs, Settings, Start, TrainError, Trainer, exchange};
use crate::backends::peer;
use crate::program::{Phase, Program};
use crate::tensor::HostArray;
use std::io::Write;
use std::process::Stdio;

/// The largest relative difference of the losses, the largest 1 - cosine of a gradient, and the largest distance of a
/// parameter over the way that it has gone. All steps take one batch.
pub(super) fn beside(settings: &Settings, model: &str, program: Program, start: Start) -> Measured {
    let mut course = of_fills(program, start, settings.seed);
    let one = (course.batch)(0);
    course.batch = Box::new(move |_| one.clone());
    let command = peer::TORCH.script(peer::TORCH_CHECK, settings.threads)?;
    let theirs = ask(command, model, &course)?;
    let ours = follow(settings, &course)?;
    compare(&course, &ours, &theirs)
}

/// What PyTorch says: `losses`, and `NAME.grad` and `NAME'` of each parameter.
fn ask(mut command: std::process::Command, model: &str, course: &Course) -> Result<Inputs, TrainError> {
    let update = course.program.steps.iter().find(|step| step.phase == Phase::Update);
    let update = update.map(|step| serde_json::json!(step.op).to_string()).unwrap_or_default();
    let mut inputs = course.initial.clone();
    inputs.extend((course.batch)(0));
    let sent = exchange::pack(&course.program, &inputs)?;
    let failed = |error: std::io::Error| TrainError::Failed(format!("Python: {error}"));
    command.args([model, &update, &COMPARED.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // It reads everything before it says anything. One that ends early says why.
    let written = child.stdin.take().map(|mut pipe| pipe.write_all(&sent));
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = said.lines().last().unwrap_or_default();
        return Err(TrainError::Failed(format!("PyTorch's side ended with {}: {last}", output.status)));
    }
    written.transpose().map_err(failed)?;
    exchange::unpack(&output.stdout)
}

/// The same of our side.
fn follow(settings: &Settings, course: &Course) -> Result<Inputs, TrainError> {
    let mut trainer = course.start(settings, true)?;
    let (mut ours, mut losses) = (Inputs::new(), vec![]);
    for step in 0..COMPARED {
        course.step(&mut trainer, step)?;
        let loss = trainer.mean_output()?;
        if !loss.is_finite() {
            return Err(first_not_finite(course, settings, step)?.into());
        }
        losses.push(loss as f32);
        if step == 0 {
            add(&mut trainer, &mut ours, ".grad")?;
        }
    }
    add(&mut trainer, &mut ours, "'")?;
    ours.insert("losses".to_string(), HostArray::F32(losses));
    Ok(ours)
}

/// Adds the values whose names are those of parameters with this ending.
fn add(trainer: &mut Trainer, to: &mut Inputs, ending: &str) -> Result<(), TrainError> {
    for parameter in trainer.parameters() {
        let name = format!("{parameter}{ending}");
        let elements = trainer.read(&name)?;
        to.insert(name, elements);
    }
    Ok(())
}

fn elements(of: &Inputs, name: &str) -> Result<Vec<f64>, TrainError> {
    let array = of.get(name).ok_or_else(|| TrainError::Failed(format!("{name} did not come back")))?;
    Ok(array.to_f64(0..array.len()))
}

fn compare(course: &Course, ours: &Inputs, theirs: &Inputs) -> Measured {
    let both = |name: &str| -> Result<[Vec<f64>; 2], TrainError> {
        let both = [elements(ours, name)?, elements(theirs, name)?];
        if both[0].len() == both[1].len() {
            return Ok(both);
        }
        Err(TrainError::Failed(format!(
            "{name} has {} elements, and PyTorch's {}",
            both[0].len(),
            both[1].len()
        )))
    };
    let [own, other] = both("losses")?;
    let losses = difference(&own, &other)?;
    let (mut gradients, mut parameters) = (0.0f64, 0.0f64);
    for name in course.initial.keys().filter(|name| ours.contains_key(&format!("{name}'"))) {
        let [own, other] = both(&format!("{name}.grad"))?;
        gradients = worse(gradients, 1.0 - cosine(&own, &other));
        let [own, other] = both(&format!("{name}'"))?;
        let counted = counted(name, own.len());
        parameters = worse(parameters, way_off(&elements(&course.initial, name)?, &own, &other, counted));
    }
    Ok(vec![losses, gradients, parameters])
}

/// Which elements of a parameter are compared. The bias of the keys shifts all scores of a query alike, so that no loss
/// depends on it: its gradient is rounding, of which AdamW makes steps as long as any.
fn counted(name: &str, elements: usize) -> impl Fn(usize) -> bool {
    let keys = if name.ends_with(".qkv.bias") { elements / 3..2 * elements / 3 } else { 0..0 };
    move |at| !keys.contains(&at)
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let sizes = dot(a, a).sqrt() * dot(b, b).sqrt();
    // Two that vanish agree.
    if sizes == 0.0 && a.iter().chain(b).all(|x| *x == 0.0) { 1.0 } else { dot(a, b) / sizes }
}

/// |own - other| / |other - start|, over the elements that are counted.
fn way_off(start: &[f64], own: &[f64], other: &[f64], counted: impl Fn(usize) -> bool) -> f64 {
    let (mut off, mut way) = (0.0, 0.0);
    for at in (0..start.len()).filter(|&at| counted(at)) {
        off += (own[at] - other[at]).powi(2);
        way += (other[at] - start[at]).powi(2);
    }
    if off == 0.0 { 0.0 } else { (off / way).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_measured_and_what_is_no_number_is_worst() {
        assert_eq!(cosine(&[0.0, 0.0], &[0.0, 0.0]), 1.0);
        assert!(cosine(&[1.0, 0.0], &[0.0, 0.0]).is_nan());
        assert!((cosine(&[1.0, 1.0], &[1.0, 0.0]) - 0.5f64.sqrt()).abs() < 1e-15);
        let all = |_| true;
        assert_eq!(way_off(&[0.0, 0.0], &[1.0, 1.0], &[1.0, 1.0], all), 0.0);
        assert_eq!(way_off(&[0.0, 0.0], &[1.0, 1.5], &[1.0, 1.0], all), 0.125f64.sqrt());
        assert!(way_off(&[0.0], &[1.0], &[0.0], all).is_infinite());
        let keys = counted("layer0.attention.qkv.bias", 6);
        let kept: Vec<usize> = (0..6).filter(|&at| keys(at)).collect();
        assert_eq!(kept, [0, 1, 4, 5]);
    }
}
