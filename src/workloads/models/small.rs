//! Models of some hundred parameters, for whoever executes every thread of a kernel by hand.

use super::regime::{Mode, Optimizer, Regime};
use super::transformer::{Order, Style};
use super::{bert, mlp};
use crate::ops::GeluForm;
use crate::program::Program;
use crate::tensor::DType;
use crate::workloads::ParamError;

/// A training step of a model by AdamW in its smallest form that has every op: `mlp` or `bert`; none for another.
pub fn small(model: &str) -> Option<Result<Program, ParamError>> {
    let regime = Regime {
        mode: Mode::Train,
        optimizer: Optimizer::Adamw,
        parts: 1,
        recompute: false,
        dtype: DType::F32,
    };
    match model {
        "mlp" => Some(mlp::program([20, 16, 4], 8, &regime)),
        "bert" => Some(bert::program(&BERT, [4, 5], &regime)),
        _ => None,
    }
}

const BERT: bert::Config = bert::Config {
    style: Style { layers: 2, hidden: 32, form: GeluForm::Erf, eps: 1e-12, order: Order::Post },
    heads: 2,
    width: 16,
    vocabulary: 11,
    positions: 6,
    kinds: 2,
    classes: 2,
};
