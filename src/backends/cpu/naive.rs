//! Plain loops on one thread: the weak baseline that headlines are made from.

use crate::backends::*;

/// The family.
pub struct Naive;

impl Family for Naive {
    fn id(&self) -> &'static str {
        "cpu/naive"
    }
    fn devices(&self) -> Vec<Found> {
        vec![]
    }
    fn supports(&self, _: &Lane, _: &Step, _: &Program) -> Result<(), Unsupported> {
        Err(Unsupported("not yet".into()))
    }
    fn open(&self, _: &str, _: &Lane) -> Result<Box<dyn Device>, Unsupported> {
        Err(Unsupported("not yet".into()))
    }
}
