//! The claims of the article "Cut GPU from machine learning", one row each. Adding a claim is adding a row.
//!
//! `source` says what the cited work really measured, as far as it could be found; what no source confirmed is
//! called unconfirmed. A row of the table holds no result: results come from records and prices.

use super::cells::Quantity;
use super::finding::Promise;
use super::who::{GPU, NAIVE, Same, TUNED, Threads, Who};
use crate::suite::Scope;

/// Which cell speaks for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The best: the claim says "up to".
    Best,
    /// The middle one.
    Usual,
}

/// How a claim is tested.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// A quantity of baselines over that of the subjects.
    Ratio {
        /// What is compared.
        quantity: Quantity,
        /// What the claim is about.
        subject: Who,
        /// The claim's own baseline.
        own: Who,
        /// What a user would have instead.
        honest: Who,
        /// What a baseline has in common with its subject.
        same: Same,
        /// Which cell counts.
        reach: Reach,
    },
    /// Exponent of the peak bytes over the length, of two workloads.
    Growth {
        /// The claim's own.
        own: &'static str,
        /// What a user would have instead.
        honest: &'static str,
    },
    /// Share of the peak that batch and parameters are, over cells of this mode.
    Held {
        /// Value of the parameter `mode`.
        mode: &'static str,
    },
    /// GPU memory over system memory, by the catalogue's prices.
    Prices,
    /// Nothing here tests it, for this reason.
    None(&'static str),
}

/// One claim.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Short name: `A2`.
    pub id: &'static str,
    /// What the article says.
    pub sentence: &'static str,
    /// What its source really measured.
    pub source: &'static str,
    /// What it promises.
    pub promise: Promise,
    /// The claim's own baseline, in words.
    pub own: &'static str,
    /// An honest one, in words.
    pub honest: &'static str,
    /// How it is tested.
    pub test: Test,
    /// What to run for cells that test it.
    pub run: &'static str,
}

/// Operations on vectors and matrices, one at a time.
pub(super) const VECTORS: &[&str] = &[
    "gemm",
    "gemm_i8",
    "conv3x3",
    "copy",
    "triad",
    "add",
    "adamw",
    "bias_add",
    "gelu",
    "softmax",
    "layer_norm",
    "add_layer_norm",
    "attention",
    "mlp_block",
];

/// The same work in whatever type of numbers.
pub(super) const ANY_PRECISION: Same = Same::Except(&["dtype", "out", "accumulate", "b", "p16"]);

/// Models and blocks of layers that ONNX Runtime runs as a whole.
const MODELS: &[&str] = &["bert", "mlp_block", "vgg16", "gpt2", "vit"];

const ORT: Who = Who { workloads: MODELS, backends: &["peer/ort*"], ..TUNED };

/// Products and layers in f32.
const WIDE: Who =
    Who { workloads: &["gemm", "linear"], params: &[("dtype", "f32")], threads: Threads::Same, ..TUNED };

/// The same in 8 bits.
const BYTES: Who = Who { workloads: &["gemm_i8", "linear_i8"], ..TUNED };

const TRAIN: Who = Who { workloads: &["bert", "vgg16", "vit"], params: &[("mode", "train")], ..TUNED };

const HEAD: Who = Who { params: &[("mode", "head")], ..TRAIN };

/// BERT-base, which DistilBERT learnt from, and a model of DistilBERT's six layers.
const TEACHER: Who = Who { workloads: &["bert"], params: &[("mode", "infer"), ("size", "base")], ..TUNED };
const STUDENT: Who =
    Who { params: &[("mode", "infer"), ("size", "6-layer")], threads: Threads::All, ..TEACHER };

/// Every claim, in the article's order.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "A1",
        sentence: "GPU memory \"currently costs 10x the price per GB of memory compared to system RAM\"",
        source: "No source is cited. It is no constant: it moves with the segment and with the month.",
        promise: Promise::factor(10.0, "times RAM per GB"),
        own: "consumer cards over desktop memory",
        honest: "all segments over the memory that their computers take",
        test: Test::Prices,
        run: "cutgpu prices list --claim",
    },
    Claim {
        id: "A2",
        sentence: "vector computations are \"up to 200x quicker on a GPU\"",
        source: "\"GPU Performance Analysis\": no such page was found. Lee et al. (ISCA 2010) give 2.5x on average \
                 when both sides are optimised.",
        promise: Promise::factor(200.0, "times as fast"),
        own: "plain loops on one thread",
        honest: "the best library on all cores",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: Who { workloads: VECTORS, ..GPU },
            own: NAIVE,
            honest: Who { threads: Threads::All, ..TUNED },
            same: ANY_PRECISION,
            reach: Reach::Best,
        },
        run: "cutgpu run gpu",
    },
    Claim {
        id: "A3",
        sentence: "inference needs \"just the batch and parameters\" and a final activation",
        source: "Arithmetic, which can be checked exactly.",
        promise: Promise::factor(1.0, "of the peak held by batch and parameters"),
        own: "the peak above the process without the model",
        honest: "the peak of the whole process",
        test: Test::Held { mode: "infer" },
        run: "cutgpu run train",
    },
    Claim {
        id: "A4",
        sentence: "fine-tuning only the final layers is cheap in time",
        source: "Arithmetic: a forward pass is a third of a step, so that three times is what theory allows.",
        promise: Promise::factor(3.0, "times as fast as a full step"),
        own: "a full step by the same library in the same lane",
        honest: "the fastest full step of any library",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: HEAD,
            own: Who { backends: &["="], threads: Threads::Same, ..TRAIN },
            honest: TRAIN,
            same: Same::Except(&["mode"]),
            reach: Reach::Usual,
        },
        run: "cutgpu run finetune",
    },
    Claim {
        id: "A4-memory",
        sentence: "fine-tuning only the final layers is cheap in memory",
        source: "Arithmetic: AdamW in f32 holds 16 bytes a trained parameter and 4 a frozen one.",
        promise: Promise::factor(4.0, "times less memory than a full step"),
        own: "a full step by the same library in the same lane",
        honest: "the smallest full step of any library",
        test: Test::Ratio {
            quantity: Quantity::Peak,
            subject: HEAD,
            own: Who { backends: &["="], threads: Threads::Same, ..TRAIN },
            honest: TRAIN,
            same: Same::Except(&["mode"]),
            reach: Reach::Usual,
        },
        run: "cutgpu run finetune",
    },
    Claim {
        id: "A5",
        sentence: "BERT is the state of the art in 11 tasks, and VGG16 reaches 92.7 % top-5",
        source: "The README of BERT says \"a wide array\" of tasks; torchvision's VGG16 reaches 90.382 % on single \
                 crops. The 92.7 % of several crops is unconfirmed.",
        promise: Promise::factor(1.0, "times the accuracy claimed"),
        own: "the models of their time",
        honest: "the models of today",
        test: Test::None("it is an accuracy on data sets that this program does not carry, not a speed"),
        run: "",
    },
    Claim {
        id: "A6",
        sentence: "attention takes O(L^2) of memory, which approximations mend",
        source: "True where the scores are stored. Exact attention without them takes O(L) (FlashAttention, 2022), as \
                 Reformer's own paper says.",
        promise: Promise::factor(2.0, "as the exponent of memory over length"),
        own: "attention that stores its scores",
        honest: "exact attention that does not",
        test: Test::Growth { own: "attention_materialised", honest: "attention" },
        run: "cutgpu run attention",
    },
    Claim {
        id: "A6b",
        sentence: "SLIDE is among the attention approximations by hashing",
        source: "A confusion: SLIDE (MLSys 2020) selects neurons of a wide softmax by hashing; it holds no attention.",
        promise: Promise::factor(3.5, "times as fast as a GPU"),
        own: "its released TensorFlow script, which feeds dense one-hot labels",
        honest: "a dense step with sparse labels",
        test: Test::None("there is no suite of wide softmax layers yet"),
        run: "",
    },
    Claim {
        id: "A7",
        sentence: "ZeRO-Offload trains as if \"reserving 10x more GPU memory\"",
        source: "A misquotation: the paper trains a model ten times as large on one V100 (13 against 1.4 billion \
                 parameters); the GPU's model states shrink eightfold.",
        promise: Promise::factor(10.0, "times as large a model"),
        own: "all states on the GPU",
        honest: "ZeRO-3, or training adapters alone",
        test: Test::None("no backend here spreads a step over two devices yet"),
        run: "",
    },
    Claim {
        id: "A8",
        sentence: "ONNX Runtime runs models at \"up to 17x their original speeds\"",
        source: "One BERT of three layers on a CPU, against an original that used a few per cent of 20 cores.",
        promise: Promise::factor(17.0, "times as fast"),
        own: "plain loops on one thread",
        honest: "the best other library on all cores",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: ORT,
            own: NAIVE,
            honest: Who { backends: &["*", "-cpu/naive", "-peer/ort*"], threads: Threads::All, ..TUNED },
            same: Same::Except(&[]),
            reach: Reach::Best,
        },
        run: "cutgpu run peers",
    },
    Claim {
        id: "A9",
        sentence: "int8 is 4x as fast \"because of faster integer arithmetic\"",
        source: "I-BERT: 4.00 is the best of 16 cells on a T4, against f32 with naive kernels between its products; \
                 their mean is 3.08 for the base model and 3.56 for the large one.",
        promise: Promise::factor(4.0, "times as fast as f32"),
        own: "f32 by the same library in the same lane",
        honest: "the fastest f32 of any library in the same lane",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: BYTES,
            own: Who { backends: &["="], ..WIDE },
            honest: WIDE,
            same: Same::Only(&["m", "n", "k"]),
            reach: Reach::Usual,
        },
        run: "cutgpu run int8",
    },
    Claim {
        id: "A9-size",
        sentence: "int8 makes a model 75 % smaller",
        source: "I-BERT: exact for weights that were f32, but for their scales.",
        promise: Promise::factor(4.0, "times smaller than f32"),
        own: "the same parameters in f32",
        honest: "the smallest f32 form of any library",
        test: Test::Ratio {
            quantity: Quantity::Parameters,
            subject: BYTES,
            own: Who { backends: &["="], ..WIDE },
            honest: WIDE,
            same: Same::Only(&["m", "n", "k"]),
            reach: Reach::Usual,
        },
        run: "cutgpu run int8",
    },
    Claim {
        id: "A10",
        sentence: "pruning and distillation shrink models",
        source: "No source is cited. DistilBERT has 2.0 times fewer operations and is 1.6 times as fast; 2:4 sparsity \
                 gives 1.2 to 1.3 times where hardware has it.",
        promise: Promise::factor(1.6, "times as fast as the teacher"),
        own: "the teacher by the same library",
        honest: "the teacher by the best library",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: STUDENT,
            own: Who { backends: &["="], threads: Threads::Same, ..TEACHER },
            honest: Who { threads: Threads::All, ..TEACHER },
            same: Same::Except(&["size"]),
            reach: Reach::Usual,
        },
        run: "cutgpu run train",
    },
    Claim {
        id: "A11",
        sentence: "ONNX Runtime makes inference on a CPU \"in some cases even faster than GPU\"",
        source: "No source is cited. Small models at batch 1 are where launches and transfers may cost more than they \
                 save.",
        promise: Promise { factor: 1.0, enough: 1.0, unit: "times as fast as a GPU" },
        own: "the GPU with its transfers",
        honest: "the GPU with the data already there",
        test: Test::Ratio {
            quantity: Quantity::Time,
            subject: ORT,
            own: Who { scope: Some(Scope::EndToEnd), ..GPU },
            honest: Who { scope: Some(Scope::Resident), ..GPU },
            same: Same::Except(&[]),
            reach: Reach::Best,
        },
        run: "cutgpu run gpu",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::find;

    #[test]
    fn every_claim_of_the_article_has_a_row_with_everything_said() {
        for number in 1..=11 {
            let id = format!("A{number}");
            assert!(CLAIMS.iter().any(|claim| claim.id == id), "{id}");
        }
        for claim in CLAIMS {
            assert!(claim.promise.factor > 0.0 && claim.promise.enough > 0.0, "{}", claim.id);
            let words = [claim.sentence, claim.source, claim.own, claim.honest, claim.promise.unit];
            assert!(words.iter().all(|text| text.len() > 5), "{}", claim.id);
            assert_eq!(claim.run.is_empty(), matches!(claim.test, Test::None(_)), "{}", claim.id);
            assert_eq!(CLAIMS.iter().filter(|other| other.id == claim.id).count(), 1, "{}", claim.id);
        }
    }

    #[test]
    fn every_workload_that_a_row_names_exists() {
        let known = |name: &&str| assert!(find(name).is_some(), "{name}");
        for claim in CLAIMS {
            match claim.test {
                Test::Ratio { subject, own, honest, .. } => {
                    [subject, own, honest].iter().flat_map(|who| who.workloads).for_each(known);
                }
                Test::Growth { own, honest } => [own, honest].iter().for_each(known),
                Test::Held { .. } | Test::Prices | Test::None(_) => {}
            }
        }
    }
}
