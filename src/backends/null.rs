//! Scripted answers on a scripted clock, for tests of everything above a device.

use crate::backends::*;

/// The family.
pub struct Null;

impl Family for Null {
    fn id(&self) -> &'static str {
        "null"
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
