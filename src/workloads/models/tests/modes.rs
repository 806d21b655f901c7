//! What a mode leaves out changes nothing of what it keeps.

use super::*;

fn largest(data: &[f64]) -> f64 {
    data.iter().fold(0.0, |max, x| max.max(x.abs()))
}

#[test]
fn fewer_trained_layers_have_the_gradients_of_a_full_run() {
    for (name, _) in SMALL {
        let whole = Evaluated::exact(small(name, &TRAIN));
        let mut modes = vec![Mode::Last(1), Mode::Last(2)];
        if *name != "gpt2" {
            modes.push(Mode::Head);
        }
        for mode in modes {
            let part = Evaluated::exact(small(name, &regime(mode)));
            assert_eq!(part.loss(), whole.loss(), "{name} {mode:?}");
            let gradients = part.gradients();
            assert!(!gradients.is_empty() && gradients.len() <= whole.gradients().len());
            for (parameter, gradient) in gradients {
                assert_eq!(gradient, whole.gradients()[parameter], "{name} {mode:?} {parameter}");
            }
        }
    }
}

#[test]
fn only_what_is_trained_has_gradients_moments_and_backward_steps() {
    for (name, _) in SMALL {
        let program = small(name, &regime(Mode::Last(1)));
        let names: Vec<&str> = program.values.iter().map(|value| &value.name[..]).collect();
        let frozen =
            ["layer0", "embedding", "words", "positions", "conv", "fc4", "patches", "class.", "first"];
        for parameter in names.iter().filter_map(|name| name.strip_suffix(".grad")) {
            assert!(!frozen.iter().any(|start| parameter.starts_with(start)), "{name}: {parameter}");
            assert!(names.contains(&&*format!("{parameter}.m")));
        }
        let updates = program.steps.iter().filter(|step| step.phase == Phase::Update).count();
        assert_eq!(3 * updates, program.carries.len());
        let backward = flops(&program, Some(Phase::Backward), &[]);
        assert!(backward < flops(&small(name, &TRAIN), Some(Phase::Backward), &[]), "{name}");
    }
}

#[test]
fn every_step_has_a_reader() {
    let modes = [Mode::Infer, Mode::Train, Mode::Last(1), Mode::Lora(2)];
    for (name, _) in SMALL {
        for mode in modes {
            let program = small(name, &Regime { recompute: true, ..regime(mode) });
            for step in &program.steps {
                let read = |id: &ValueId| {
                    program.is_kept(*id) || program.steps.iter().any(|step| step.args.contains(id))
                };
                assert!(step.outs.iter().any(read), "{name} {mode:?}: {:?}", step.op);
            }
        }
    }
}

#[test]
fn inference_answers_what_training_judges() {
    for (name, _) in SMALL.iter().filter(|(name, _)| !name.contains("dropout") && *name != "gpt2") {
        let (infer, train) = (small(name, &regime(Mode::Infer)), small(name, &TRAIN));
        assert!(infer.steps.iter().all(|step| step.phase == Phase::Forward));
        assert!(infer.carries.is_empty());
        let (infer, train) = (Evaluated::exact(infer), Evaluated::exact(train));
        let judged = train.program.steps.iter().find(|step| step.op.operation().name() == "cross_entropy");
        assert_eq!(infer.named("logits"), train.values[judged.unwrap().args[0]], "{name}");
    }
}

/// Keys and values that the tokens before left, of sequences of 3 whose last token is new.
#[test]
fn a_token_after_others_is_answered_as_in_one_piece() {
    let whole = Evaluated::exact(small("gpt2", &regime(Mode::Infer)));
    let of_layer = |layer: usize, what: &str| {
        let steps = whole.program.steps.iter().filter(|step| step.op.operation().name() == "attention");
        let step = steps.clone().nth(layer).unwrap();
        let mut kept = whole.values[step.args[if what == "keys" { 1 } else { 2 }]].clone();
        // Rows of the new tokens hold what nothing should read.
        for (row, elements) in kept.chunks_exact_mut(2).enumerate() {
            if row % 3 == 2 {
                elements.fill(1e6);
            }
        }
        kept
    };
    let fed = |value: &Value| match value.name.split('.').collect::<Vec<_>>()[..] {
        [layer, "attention", what @ ("keys" | "values")] => {
            of_layer(layer.trim_start_matches("layer").parse().unwrap(), what)
        }
        ["tokens"] => whole.named("tokens").iter().skip(2).step_by(3).copied().collect(),
        _ => data(value),
    };
    let one = Evaluated::new(small("gpt2", &regime(Mode::Decode)), false, fed);
    assert_eq!(one.program.carries.len(), 4);
    assert_eq!(one.named("places"), [2.0; 4]);
    for (got, want) in one.named("logits").iter().zip(whole.named("logits")) {
        assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} {want}");
    }
    assert_eq!(one.named("logits").len(), 4 * 7);
}

#[test]
fn adapters_that_are_zero_change_no_bit_of_the_answer() {
    for name in ["bert", "gpt2", "vit"] {
        let zero_b = |value: &Value| {
            let elements = data(value);
            if value.name.ends_with(".b") { vec![0.0; elements.len()] } else { elements }
        };
        let losses = |program: Program| {
            let evaluated = Evaluated::new(program, true, zero_b);
            evaluated.named("losses").to_vec()
        };
        assert_eq!(losses(small(name, &regime(Mode::Lora(2)))), losses(small(name, &TRAIN)), "{name}");
    }
}

#[test]
fn the_head_learns_the_same_from_cached_features() {
    for name in ["mlp", "bert", "vgg16", "vit"] {
        let live = Evaluated::exact(small(name, &regime(Mode::Head)));
        let cached = small(name, &regime(Mode::Features));
        // The live features are what the gradient of the head's weight is a product with.
        let of_weight = live.program.steps.iter().find(|step| {
            step.phase == Phase::Backward && {
                let name = &live.program.values[step.outs[0]].name;
                name.ends_with("weight.grad")
            }
        });
        let features = &live.values[of_weight.unwrap().args[0]];
        let given = |value: &Value| if value.name == "features" { features.clone() } else { data(value) };
        let cached = Evaluated::new(cached, false, given);
        assert_eq!(cached.gradients().len(), 2, "{name}");
        for (parameter, gradient) in cached.gradients() {
            let wanted = live.gradients()[parameter];
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * largest(wanted);
            assert!(gradient.iter().zip(wanted).all(near), "{name} {parameter}");
        }
        assert!(flops(&cached.program, None, &[]) < flops(&live.program, None, &[]));
    }
}

#[test]
fn gradients_of_parts_add_up_to_those_of_the_batch() {
    for (name, _) in SMALL.iter().filter(|(name, _)| !name.contains("dropout")) {
        let parts = Evaluated::exact(small(name, &Regime { parts: 2, ..TRAIN }));
        let joined = |value: &Value| {
            let pieces = [0, 1].map(|part| parts.find(&format!("{}.{part}", value.name)));
            match pieces {
                [Some(first), Some(second)] if is_random(value) => {
                    [first, second].map(|id| parts.values[id].clone()).concat()
                }
                _ => data(value),
            }
        };
        let whole = Evaluated::new(small(name, &TRAIN), false, joined);
        assert!((parts.loss() - whole.loss()).abs() < 1e-12, "{name}");
        for (parameter, gradient) in parts.gradients() {
            let wanted = whole.gradients()[parameter];
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * largest(wanted);
            assert!(gradient.iter().zip(wanted).all(near), "{name} {parameter}");
        }
    }
}

#[test]
fn what_is_computed_once_more_is_the_same_and_is_not_kept() {
    for (name, _) in SMALL {
        let again = small(name, &Regime { recompute: true, ..TRAIN });
        let kept = small(name, &TRAIN);
        if *name != "mlp" {
            assert!(flops(&again, None, &[]) > flops(&kept, None, &[]), "{name}");
        }
        let (again, kept) = (Evaluated::new(again, true, data), Evaluated::new(kept, true, data));
        assert_eq!(again.gradients(), kept.gradients(), "{name}");
        assert_eq!(again.named("losses"), kept.named("losses"));
    }
}

#[test]
fn mixed_precision_keeps_parameters_gradients_and_moments_in_f32() {
    for name in ["bert", "gpt2", "vit"] {
        for mode in [Mode::Train, Mode::Lora(2), Mode::Last(1), Mode::Infer] {
            let program = small(name, &Regime { dtype: DType::Bf16, recompute: true, ..regime(mode) });
            let of = |state: State| program.values.iter().filter(move |value| value.state == state);
            let wide = |value: &Value| value.spec.dtype == DType::F32;
            assert!(of(State::Parameter).chain(of(State::Optimizer)).all(wide), "{name} {mode:?}");
            assert!(of(State::Gradient).filter(|value| value.name.ends_with(".grad")).all(wide));
            let narrow = of(State::Activation).filter(|value| !wide(value)).count();
            assert!(2 * narrow > of(State::Activation).count(), "{name} {mode:?}");
            // Rows of a table are cast, not the table; GPT-2 multiplies by its own.
            let reads = |op: fn(&Op) -> bool| -> Vec<ValueId> {
                program.steps.iter().filter(|step| op(&step.op)).map(|step| step.args[0]).collect()
            };
            let mut tables = reads(|op| matches!(op, Op::Embedding(_)));
            tables.retain(|table| program.values[*table].input.is_some());
            let cast = reads(|op| matches!(op, Op::Cast(_)));
            assert!(name == "gpt2" || tables.iter().all(|table| !cast.contains(table)), "{name} {mode:?}");
        }
    }
}

#[test]
fn an_update_goes_down_the_gradient() {
    for (name, _) in SMALL {
        let optimizer = Optimizer::Sgd;
        let program = small(name, &Regime { optimizer, ..TRAIN });
        let first = Evaluated::exact(program.clone());
        for (parameter, gradient) in first.gradients() {
            let pair = first.named(parameter).iter().zip(first.named(&format!("{parameter}'")));
            let down = |((p, new), g): ((&f64, &f64), &f64)| (new - (p - 0.1 * g)).abs() < 1e-12;
            assert!(pair.zip(gradient).all(down), "{name} {parameter}");
        }
        // A hundredth of the way, where the slope is what it was.
        let nearby = |value: &Value| {
            let updated = first.find(&format!("{}'", value.name)).map(|id| &first.values[id]);
            let moved = |(p, new): (f64, &f64)| p + 0.01 * (new - p);
            updated.map_or_else(|| data(value), |new| data(value).into_iter().zip(new).map(moved).collect())
        };
        let second = Evaluated::new(program, false, nearby);
        assert!(second.loss() < first.loss(), "{name}: {} then {}", first.loss(), second.loss());
    }
}
