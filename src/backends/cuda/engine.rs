//! What computes steps on an open GPU: this program's kernels, or a library of NVIDIA's.

use super::driver::Address;
use super::gpu::Stream;
use crate::backends::{Ceiling, Fault, Identity};
use crate::ops::Op;
use crate::tensor::ValueSpec;

/// A way of computing steps.
pub(super) trait Engine {
    /// Adds who computes to what is known of the device.
    fn introduce(&self, identity: &mut Identity);

    /// Pairs (output, argument) that `op` may compute in one memory.
    fn in_place(&self, op: &Op) -> &'static [(usize, usize)] {
        let _ = op;
        &[]
    }

    /// What the device can do at best, by kernels of this engine; none where it has none for that.
    fn ceilings(&mut self) -> Result<Vec<Ceiling>, Fault> {
        Ok(Vec::new())
    }

    /// A way of computing a step, or why there is none.
    fn prepare(&mut self, op: &Op, args: &[ValueSpec], outs: &[ValueSpec]) -> Result<Box<dyn Recipe>, Fault>;
}

/// A step without addresses.
pub(super) trait Recipe {
    /// Bytes of each scratch buffer that it wants.
    fn scratch(&self) -> &[u64] {
        &[]
    }

    /// The step on these addresses, in the op's order; arguments hold their elements, outputs hold nothing
    /// yet, so that algorithms can be tried. An argument may be the output's memory where
    /// [`Engine::in_place`] says so.
    fn bind(
        &self,
        args: &[Address],
        outs: &[Address],
        scratch: &[Address],
        stream: &Stream,
    ) -> Result<Vec<Box<dyn Call>>, Fault>;

    /// What was chosen while it was bound, for the record.
    fn note(&self) -> Option<String> {
        None
    }
}

/// One launch, ready to be queued any number of times.
pub(super) trait Call {
    /// Queues it; allocates nothing.
    fn queue(&mut self, stream: &Stream) -> Result<(), Fault>;
}
