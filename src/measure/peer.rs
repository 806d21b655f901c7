//! One worker as its parent sees it, and whoever starts workers.

use super::crash::Crash;
use super::protocol::{Ask, Reply};
use crate::backends::Identity;
use crate::plan::Contender;
use crate::program::ValueId;
use crate::tensor::HostArray;
use std::ops::Range;
use std::time::Duration;

/// A live worker. Tests put a scripted one in its place.
pub trait Peer {
    /// Sends a request and waits for its answer, at most `limit`. A fault of its device is a crash here.
    fn ask(&mut self, ask: &Ask, limit: Duration) -> Result<Reply, Crash>;
    /// Elements of a value of the loaded program.
    fn read(&mut self, value: ValueId, set: usize, range: Range<usize>) -> Result<HostArray, Crash>;
    /// Stops its processes, so that idle threads take no core.
    fn pause(&mut self) -> Result<(), Crash>;
    /// Lets them go on.
    fn resume(&mut self) -> Result<(), Crash>;
    /// Who computes.
    fn identity(&self) -> &Identity;
    /// Smallest difference of two readings of its clock that is not zero, in nanoseconds.
    fn clock_precision_ns(&self) -> f64;
}

/// Whoever starts workers.
pub trait Hire {
    /// A fresh worker of `contender` that has opened its device.
    fn hire(&self, contender: &Contender, limit: Duration) -> Result<Box<dyn Peer>, Crash>;
    /// A fresh worker that serves probes.
    fn hire_prober(&self, limit: Duration) -> Result<Box<dyn Peer>, Crash>;
}
