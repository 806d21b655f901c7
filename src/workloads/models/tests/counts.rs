//! Published counts of parameters and operations.

use super::*;
use crate::workloads::find;
use crate::workloads::tests::params;

fn program(workload: &str, point: &str) -> Program {
    let program = find(workload).unwrap().program(&params(point)).unwrap();
    program.validate().unwrap();
    program
}

/// Layer by layer as published; each counted without the classifier where the publication has none.
#[test]
fn parameters_are_those_of_the_publications() {
    let mut differ = vec![];
    // A classifier of two classes on each width.
    let classifier = |width: usize| 2 * width + 2;
    for (size, width, published) in [
        ("tiny", 128, 4_385_920),
        ("mini", 256, 11_170_560),
        ("small", 512, 28_763_648),
        ("medium", 512, 41_373_184),
        ("base", 768, 109_482_240),
        ("large", 1024, 335_141_888),
        ("3-layer", 768, 45_691_392),
        // DistilBERT's layers (66,362,880 parameters) with the pooler and the two kinds of token that it leaves out.
        ("6-layer", 768, 66_362_880 + 768 * 768 + 768 + 2 * 768),
    ] {
        for mode in ["infer", "train"] {
            let program = program("bert", &format!("size={size},mode={mode},batch=1,length=8"));
            if parameters(&program) != published + classifier(width) {
                differ.push(format!("bert {size} {mode}: {}", parameters(&program)));
            }
        }
    }
    for (workload, point, published) in [
        ("gpt2", "mode=train,batch=1,length=8", 124_439_808),
        ("gpt2", "mode=infer,batch=1,length=8", 124_439_808),
        ("gpt2", "mode=infer,batch=1,length=8,layers=24,width=1024", 354_823_168),
        ("gpt2", "mode=infer,batch=1,length=8,layers=36,width=1280", 774_030_080),
        ("gpt2", "mode=infer,batch=1,length=8,layers=48,width=1600", 1_557_611_200),
        ("vgg16", "mode=train,batch=1", 138_357_544),
        ("vgg16", "mode=infer,batch=1", 138_357_544),
        ("vit", "mode=train,batch=1", 86_567_656),
        ("vit", "mode=infer,batch=1", 86_567_656),
        ("mlp", "mode=train,batch=1", 784 * 128 + 128 + 1280 + 10),
    ] {
        let program = program(workload, point);
        if parameters(&program) != published || (point.contains("train") && trained(&program) != published) {
            differ.push(format!("{workload} {point}: {} {}", parameters(&program), trained(&program)));
        }
    }
    println!("parameter counts that differ: {}", differ.len());
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn modes_train_as_many_parameters_as_they_should() {
    let base = |mode: &str| trained(&program("bert", &format!("size=base,batch=1,length=8,{mode}")));
    let head = 768 * 2 + 2;
    assert_eq!(base("mode=head"), head);
    assert_eq!(base("mode=features"), head);
    assert_eq!(base("mode=lora,rank=8"), 294_912 + head);
    assert_eq!(base("mode=last,last=2"), 2 * 7_087_872 + 768 * 768 + 768 + head);
    assert_eq!(base("mode=infer"), 0);
    let vgg = |mode: &str| trained(&program("vgg16", &format!("batch=1,{mode}")));
    assert_eq!(vgg("mode=head"), 4_097_000);
    assert_eq!(vgg("mode=last,last=3"), 4_097_000 + 16_781_312 + 102_764_544);
    assert_eq!(trained(&program("gpt2", "mode=lora,rank=4,batch=1,length=8")), 294_912 / 2);
}

#[test]
fn operations_are_those_of_the_publications() {
    let vgg = program("vgg16", "batch=1");
    assert_eq!(flops(&vgg, None, &["conv2d", "gemm"]), 2 * 15_470_264_320);
    for (size, length, gigaflop) in
        [("tiny", 128, 0.117), ("base", 128, 22.35), ("base", 512, 96.64), ("large", 512, 335.0)]
    {
        let bert = program("bert", &format!("size={size},batch=1,length={length}"));
        // The pooler and the classifier are not in the published number.
        let counted = flops(&bert, None, &["gemm", "attention"]) as f64 / 1e9;
        assert!((counted / gigaflop - 1.0).abs() < 0.01, "{size} {length}: {counted}");
    }
}

#[test]
fn a_step_is_three_times_its_forward_pass_and_a_head_costs_a_third() {
    let all = |mode: &str| {
        let program = program("bert", &format!("size=base,batch=8,length=128,{mode}"));
        flops(&program, None, &["gemm", "attention", "attention_grad"]) as f64
    };
    let forward = all("mode=infer");
    // The gradient of attention computes its scores once more.
    let near = |ratio: f64, wanted: f64| assert!((ratio - wanted).abs() < 0.03, "{ratio} {wanted}");
    near(all("mode=train") / forward, 3.0);
    near(all("mode=train,recompute=yes") / forward, 4.0);
    near(all("mode=head") / forward, 1.0);
    near(all("mode=last,last=6") / forward, 2.0);
    assert!(all("mode=features") / forward < 1e-4);
}

#[test]
fn states_hold_what_arithmetic_says() {
    let step = program("bert", "size=base,mode=train,batch=8,length=128").liveness();
    let all = 4 * (109_482_240 + 1538);
    assert_eq!(step.resident[&State::Parameter], all);
    assert_eq!(step.resident[&State::Optimizer], 2 * all);
    let head = program("bert", "size=base,mode=head,batch=8,length=128").liveness();
    assert_eq!(head.resident[&State::Optimizer], 2 * 4 * 1538);
    let infer = program("bert", "size=base,mode=infer,batch=8,length=128").liveness();
    let kept = |liveness: &crate::program::Liveness| liveness.transient[&State::Activation];
    // Nothing is kept for a way back that is not there.
    assert!(kept(&head) <= kept(&infer) + kept(&infer) / 100);
    assert!(kept(&step) > 20 * kept(&infer), "{} {}", kept(&step), kept(&infer));
    let again = program("bert", "size=base,mode=train,batch=8,length=128,recompute=yes").liveness();
    assert!(4 * kept(&again) < kept(&step), "{} {}", kept(&again), kept(&step));
    let momentum = program("bert", "size=base,mode=train,optimizer=momentum,batch=1,length=8").liveness();
    assert_eq!(momentum.resident[&State::Optimizer], all);
    let plain = program("bert", "size=base,mode=train,optimizer=sgd,batch=1,length=8").liveness();
    assert!(!plain.resident.contains_key(&State::Optimizer));
}

#[test]
fn what_a_user_may_get_wrong_is_said_before_anything_is_allocated() {
    for (workload, point, sentence) in [
        ("bert", "size=tiny,batch=1,length=513", "`length` is 513: the model has 512 positions"),
        ("gpt2", "batch=1,length=1025", "the model has 1024 positions"),
        ("bert", "size=tiny,batch=0,length=8", "`batch` is 0"),
        ("bert", "size=tiny,mode=lora,rank=0,batch=1,length=8", "`rank` is 0"),
        ("bert", "size=tiny,mode=lora,rank=129,batch=1,length=8", "above the width of 128"),
        ("bert", "size=tiny,mode=last,last=3,batch=1,length=8", "this model has 2 layers"),
        ("vgg16", "mode=last,last=17,batch=1", "this model has 16 layers"),
        ("vgg16", "image=100,batch=1", "multiple of 32"),
        ("vgg16", "image=4294967296,batch=1", "1024 is the most"),
        ("vit", "classes=4294967296,batch=1", "cannot name so many"),
        ("gpt2", "width=100,batch=1,length=8", "multiple of 64"),
        ("gpt2", "layers=257,batch=1,length=8", "at most 256"),
        ("gpt2", "mode=decode,batch=2,parts=2,length=8", "one batch"),
        ("gpt2", "mode=head,batch=1,length=8", "one of infer, decode, train, last, lora is wanted"),
        ("bert", "size=huge,batch=1,length=8", "one of base, tiny"),
        ("bert", "size=tiny,mode=train,batch=3,parts=2,length=8", "cannot be cut"),
        ("mlp", "mode=train,batch=128,parts=128", "at most 64"),
        ("bert", "size=tiny,batch=18446744073709551615,length=512", "larger than the address space"),
        ("bert", "size=tiny,batch=36028797018963967,length=512", "larger than the address space"),
        ("vgg16", "batch=18446744073709551615", "larger than the address space"),
        ("vit", "batch=18446744073709551615", "larger than the address space"),
        ("mlp", "batch=18446744073709551615", "larger than the address space"),
        ("mlp", "batch=1,hidden=18446744073709551615", "larger than the address space"),
    ] {
        let error = find(workload).unwrap().program(&params(point)).unwrap_err().to_string();
        assert!(error.contains(sentence), "{workload} {point}: {error}");
    }
}
