//! Every parameter of every model against fourth-order central differences of the loss, in f64.

use super::*;

/// What came of the coordinates of a model.
#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    /// A rectifier or a pool changed sides between the points of the difference.
    kinks: usize,
    /// Largest |gradient - difference| / max(|gradient|, 1e-3 of the tensor's largest).
    worst: f64,
}

/// A parameter that is moved.
struct Moved<'a> {
    model: &'a mut Evaluated,
    parameter: ValueId,
    /// Steps of the forward pass that depend on it.
    steps: Vec<usize>,
}

impl<'a> Moved<'a> {
    fn new(model: &'a mut Evaluated, parameter: ValueId) -> Self {
        let mut depends = vec![false; model.program.values.len()];
        depends[parameter] = true;
        let mut steps = vec![];
        for (number, step) in model.program.steps.iter().enumerate() {
            if step.phase == Phase::Forward && step.args.iter().any(|&id| depends[id]) {
                step.outs.iter().for_each(|&id| depends[id] = true);
                steps.push(number);
            }
        }
        Self { model, parameter, steps }
    }

    fn loss_at(&mut self, at: usize, by: f64) -> f64 {
        let before = self.model.values[self.parameter][at];
        self.model.values[self.parameter][at] = before + by;
        self.steps.iter().for_each(|&step| self.model.execute(step));
        self.model.values[self.parameter][at] = before;
        self.model.loss()
    }

    fn difference(&mut self, at: usize, step: f64) -> f64 {
        let mut over = |step: f64| self.loss_at(at, step) - self.loss_at(at, -step);
        (8.0 * over(step) - over(2.0 * step)) / (12.0 * step)
    }

    fn check(&mut self, gradient: &[f64], what: &str, tally: &mut Tally) {
        let size = |data: &[f64]| data.iter().fold(0.0f64, |max, x| max.max(x.abs()));
        let largest = size(gradient);
        let step = size(&self.model.values[self.parameter]) / 2048.0;
        assert_eq!(gradient.len(), self.model.values[self.parameter].len(), "{what}");
        for (at, &got) in gradient.iter().enumerate() {
            let scale = got.abs().max(1e-3 * largest);
            let wide = self.difference(at, step);
            let mut off = (got - wide).abs();
            if off > 1e-6 * scale {
                // Two steps agree but where one of them crosses a kink.
                let narrow = self.difference(at, step / 64.0);
                if (wide - narrow).abs() > 1e-6 * scale && (got - narrow).abs() > 1e-6 * scale {
                    tally.kinks += 1;
                    continue;
                }
                off = off.min((got - narrow).abs());
            }
            assert!(off <= 1e-6 * scale, "{what}[{at}] is {got}, and {wide} was wanted");
            tally.compared += 1;
            tally.worst = tally.worst.max(if scale > 0.0 { off / scale } else { 0.0 });
        }
        // Back to where it was.
        self.steps.iter().for_each(|&step| self.model.execute(step));
    }
}

/// Compares every gradient that a program makes.
fn check(name: &str, program: Program) -> Tally {
    // Adapters that are nearly 0 have gradients that nearly vanish, and differences are of no use.
    let data = |value: &Value| match value.name.ends_with(".b") {
        true => data(value).iter().map(|x| 50.0 * x).collect(),
        false => data(value),
    };
    let mut model = Evaluated::new(program, false, data);
    let gradients: BTreeMap<String, Vec<f64>> =
        model.gradients().into_iter().map(|(name, data)| (name.to_string(), data.to_vec())).collect();
    let mut tally = Tally::default();
    for (parameter, gradient) in gradients {
        let id = model.find(&parameter).unwrap();
        assert!(gradient.iter().any(|x| *x != 0.0), "{name}: nothing depends on {parameter}");
        Moved::new(&mut model, id).check(&gradient, &format!("{name} {parameter}"), &mut tally);
    }
    assert!(tally.kinks * 100 <= tally.compared + tally.kinks, "{name}: {tally:?}");
    println!("{name:28} {tally:?}");
    tally
}

#[test]
fn every_parameter_of_every_model() {
    let mut sum = Tally::default();
    for (name, _) in SMALL {
        let program = small(name, &TRAIN);
        let all = parameters(&program);
        assert_eq!(trained(&program), all, "{name}");
        let tally = check(name, program);
        assert_eq!(tally.compared + tally.kinks, all, "{name}");
        sum.compared += tally.compared;
        sum.kinks += tally.kinks;
        sum.worst = sum.worst.max(tally.worst);
    }
    println!("gradients, worst: {}", sum.worst);
    println!("gradients, kinks skipped, per cent: {}", 100.0 * sum.kinks as f64 / sum.compared as f64);
}

#[test]
fn adapters_recomputation_and_parts() {
    for (name, _) in SMALL {
        let again = Regime { recompute: true, ..TRAIN };
        check(&format!("{name} recomputed"), small(name, &again));
        check(&format!("{name} in parts"), small(name, &Regime { parts: 2, ..TRAIN }));
        if ["bert", "gpt2", "vit"].contains(name) {
            check(&format!("{name} adapted"), small(name, &regime(Mode::Lora(2))));
            let mixed = Regime { dtype: DType::Bf16, ..TRAIN };
            check(&format!("{name} in bf16"), small(name, &mixed));
        }
    }
}
