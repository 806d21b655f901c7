//! How a model is used: which parameters are trained, and how a step is cut up.

use crate::ops::{Adamw, Op, SgdMomentum, Triad};
use crate::tensor::DType;
use crate::workloads::{Axis, Default, ParamError, Params, dtype, int, text};

/// Which parameters are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// None: the answer is what is wanted.
    Infer,
    /// None: the next token of sequences whose keys and values are there already.
    Decode,
    /// All of them.
    Train,
    /// Those of the last layers, and of all that stands above them.
    Last(usize),
    /// Those of the last layer that makes the answer.
    Head,
    /// The same, with what goes into it computed beforehand.
    Features,
    /// Two products of this rank beside the frozen projections to queries and values (Hu and others, "LoRA:
    /// Low-Rank Adaptation of Large Language Models", 2021, with alpha = rank), and the layer that makes the answer.
    Lora(usize),
}

/// Where in a model a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before all layers.
    Below,
    /// In a layer, counted from the input, of so many.
    Layer(usize, usize),
    /// Above all layers, before the one that makes the answer.
    Above,
    /// In the layer that makes the answer.
    Head,
}

/// The rule of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Optimizer {
    /// Two moments for each parameter.
    Adamw,
    /// One.
    Momentum,
    /// None.
    Sgd,
}

/// How a model is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Regime {
    /// What is trained.
    pub(super) mode: Mode,
    /// By which rule.
    pub(super) optimizer: Optimizer,
    /// Parts of the batch, one after another, whose gradients are added up.
    pub(super) parts: usize,
    /// A layer's insides are computed once more in the backward pass instead of being kept.
    pub(super) recompute: bool,
    /// Type of activations and of what products take; parameters, their gradients and moments are f32.
    pub(super) dtype: DType,
}

pub(super) const BATCH: Axis = Axis { name: "batch", about: "examples of a step", default: None };
pub(super) const LAST: Axis = Axis {
    name: "last",
    about: "layers that mode=last trains, counted from the answer",
    default: Some(Default::Int(1)),
};
pub(super) const RANK: Axis = Axis {
    name: "rank",
    about: "rank of the products that mode=lora trains",
    default: Some(Default::Int(8)),
};
pub(super) const OPTIMIZER: Axis = Axis {
    name: "optimizer",
    about: "rule of the update",
    default: Some(Default::OneOf(&["adamw", "momentum", "sgd"])),
};
pub(super) const PARTS: Axis = Axis {
    name: "parts",
    about: "parts of the batch, one after another, whose gradients are added up",
    default: Some(Default::Int(1)),
};
pub(super) const RECOMPUTE: Axis = Axis {
    name: "recompute",
    about: "compute a layer once more in the backward pass instead of keeping its insides",
    default: Some(Default::OneOf(&["no", "yes"])),
};

pub(super) const PRECISION: Axis = Axis {
    name: "dtype",
    about: "type of activations and of what products take; parameters, gradients and moments are f32",
    default: Some(Default::OneOf(&["f32", "bf16"])),
};

/// The axis `mode` with those that a model has.
pub(super) const fn mode_axis(modes: &'static [&'static str]) -> Axis {
    Axis {
        name: "mode",
        about: "infer; decode the next token; train all, the last layers, the head (live or on cached features), or low-rank adapters",
        default: Some(Default::OneOf(modes)),
    }
}

/// Most parts of a batch: each is a copy of the model's steps in the program.
const PARTS_LIMIT: usize = 64;

impl Regime {
    /// What `params` ask of a model with so many layers, of this width.
    pub(super) fn of(params: &Params, layers: usize, width: usize) -> Result<Self, ParamError> {
        let unusable = |axis: &str, why: String| Err(ParamError::unusable(params, axis, why));
        let [last, rank, parts, batch] = ["last", "rank", "parts", "batch"].map(|axis| int(params, axis));
        let mode = match text(params, "mode") {
            "train" => Mode::Train,
            "decode" if parts > 1 => {
                return unusable("parts", "sequences that go on are one batch".to_string());
            }
            "decode" => Mode::Decode,
            "last" if last > layers => {
                return unusable("last", format!("this model has {layers} layers"));
            }
            "last" => Mode::Last(last),
            "head" => Mode::Head,
            "features" => Mode::Features,
            "lora" if rank > width => {
                return unusable("rank", format!("a rank above the width of {width} saves nothing"));
            }
            "lora" => Mode::Lora(rank),
            _ => Mode::Infer,
        };
        let optimizer = match text(params, "optimizer") {
            "momentum" => Optimizer::Momentum,
            "sgd" => Optimizer::Sgd,
            _ => Optimizer::Adamw,
        };
        if u32::try_from(batch).is_err() {
            return unusable("batch", "so many examples are larger than the address space".to_string());
        }
        if parts > PARTS_LIMIT {
            return unusable("parts", format!("at most {PARTS_LIMIT} are supported"));
        }
        if !batch.is_multiple_of(parts) {
            return unusable("parts", format!("a batch of {batch} cannot be cut into so many equal ones"));
        }
        Ok(Self {
            mode,
            optimizer,
            parts,
            recompute: text(params, "recompute") == "yes",
            dtype: dtype(params),
        })
    }

    /// Whether a parameter at this place is trained.
    pub(super) fn trains(&self, place: Place) -> bool {
        match (self.mode, place) {
            (Mode::Infer | Mode::Decode, _) => false,
            (Mode::Train, _) | (_, Place::Head) => true,
            (Mode::Last(last), Place::Layer(number, layers)) => number + last >= layers,
            (Mode::Last(_), Place::Above) => true,
            _ => false,
        }
    }

    /// Whether the answer is what is wanted, and nothing is trained.
    pub(super) fn only_answers(&self) -> bool {
        matches!(self.mode, Mode::Infer | Mode::Decode)
    }

    /// Rank of the adapters; none where there are none.
    pub(super) fn rank(&self) -> Option<usize> {
        if let Mode::Lora(rank) = self.mode { Some(rank) } else { None }
    }
}

impl Optimizer {
    /// One update of one parameter.
    pub(super) fn op(self) -> Op {
        match self {
            Self::Adamw => Op::Adamw(Adamw::default()),
            Self::Momentum => Op::SgdMomentum(SgdMomentum::default()),
            // p' = p - rate g.
            Self::Sgd => Op::Triad(Triad { scale: -SgdMomentum::default().rate }),
        }
    }
}
