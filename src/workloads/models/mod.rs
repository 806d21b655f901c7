//! Whole models, and what training makes of them: forward pass, loss, backward pass and update as one straight line
//! of steps.
//!
//! A model is a list of layers. Each layer appends its forward steps and says how to go back; going back is
//! written out by hand, op by op. What is trained is decided where a parameter is declared, and from there every
//! value knows whether it depends on one that is: no gradient of a frozen parameter, none of a value below which
//! nothing is trained, and nothing kept that nobody reads. Adding a model is a file here and its row in
//! [`super::WORKLOADS`].

mod attend;
mod bert;
mod conv;
mod dense;
mod gpt2;
mod layer;
mod mlp;
mod net;
mod regime;
mod small;
#[cfg(test)]
mod tests;
mod transformer;
mod vgg;
mod vit;

pub(super) use bert::BERT;
pub(super) use gpt2::GPT2;
pub(super) use mlp::MLP;
pub use small::small;
pub(super) use vgg::VGG16;
pub(super) use vit::VIT;

use super::{ParamError, Params, Yield, int, text};
use crate::program::Program;
use crate::random::Fill;

/// Tokens of all sequences; the new ones where sequences go on.
fn of_tokens(params: &Params, _: &Program) -> Yield {
    let each = if text(params, "mode") == "decode" { 1 } else { int(params, "length") };
    let amount = int(params, "batch") as f64 * each as f64;
    Yield { unit: "token".to_string(), amount }
}

/// Images.
fn of_images(params: &Params, _: &Program) -> Yield {
    Yield { unit: "image".to_string(), amount: int(params, "batch") as f64 }
}

/// A sequence has no more tokens than the table has positions.
fn check_length(params: &Params, positions: usize) -> Result<(), ParamError> {
    if int(params, "length") <= positions {
        return Ok(());
    }
    Err(ParamError::unusable(params, "length", format!("the model has {positions} positions")))
}

/// Classes are no more than a label can name.
fn check_classes(params: &Params) -> Result<(), ParamError> {
    if i32::try_from(int(params, "classes")).is_ok() {
        return Ok(());
    }
    Err(ParamError::unusable(params, "classes", "a label of 32 bits cannot name so many".to_string()))
}

/// Positions of the tokens of sequences, one after another, after `before` others.
fn sequence(before: usize, length: usize) -> Fill {
    Fill::Places { first: before as u32, run: length as u32, stride: 0 }
}
