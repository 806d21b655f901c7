//! Products as steps.

use super::{Algorithm, Blas, BlasLt, Described, Operands, Product};
use crate::backends::cuda::clock;
use crate::backends::cuda::driver::Address;
use crate::backends::cuda::engine::{Call, Engine, Recipe};
use crate::backends::cuda::gpu::Stream;
use crate::backends::{Fault, Identity};
use crate::ops::Op;
use crate::tensor::ValueSpec;
use std::rc::Rc;

/// The operands of a step's addresses.
fn operands(args: &[Address], outs: &[Address]) -> Operands {
    let at = |list: &[Address], number: usize| list.get(number).copied().unwrap_or(0);
    let d = at(outs, 0);
    Operands { a: at(args, 0), b: at(args, 1), c: args.get(2).copied().unwrap_or(d), d }
}

/// cuBLAS as an engine.
pub(in crate::backends::cuda) struct BlasEngine {
    /// The library.
    pub(in crate::backends::cuda) blas: Rc<dyn Blas>,
    /// Name of the family.
    pub(in crate::backends::cuda) id: &'static str,
    /// Where the library came from.
    pub(in crate::backends::cuda) origin: String,
}

impl Engine for BlasEngine {
    fn introduce(&self, identity: &mut Identity) {
        identity.version = format!("cuBLAS {}, {}", self.blas.version(), identity.version);
        identity.origin = self.origin.clone();
        // cuBLAS chooses by itself and does not say what.
        identity.notes.insert("algorithm".to_string(), "cuBLAS's own choice".to_string());
    }

    fn prepare(&mut self, op: &Op, args: &[ValueSpec], _: &[ValueSpec]) -> Result<Box<dyn Recipe>, Fault> {
        let product = Product::new(self.id, op, args)?;
        Ok(Box::new(BlasRecipe { blas: self.blas.clone(), product }))
    }
}

struct BlasRecipe {
    blas: Rc<dyn Blas>,
    product: Product,
}

impl Recipe for BlasRecipe {
    fn bind(
        &self,
        args: &[Address],
        outs: &[Address],
        _: &[Address],
        _: &Stream,
    ) -> Result<Vec<Box<dyn Call>>, Fault> {
        let (blas, product) = (self.blas.clone(), self.product.clone());
        Ok(vec![Box::new(BlasCall { blas, product, operands: operands(args, outs) })])
    }

    fn note(&self) -> Option<String> {
        self.product.note().map(str::to_string)
    }
}

struct BlasCall {
    blas: Rc<dyn Blas>,
    product: Product,
    operands: Operands,
}

impl Call for BlasCall {
    fn queue(&mut self, stream: &Stream) -> Result<(), Fault> {
        let Operands { c, d, .. } = self.operands;
        if self.product.adds {
            // cuBLAS adds to D where it lies.
            stream.gpu().driver().copy_within(d, c, self.product.bytes_out(), stream.id)?;
        }
        Ok(self.blas.gemm(&self.product, self.operands, stream)?)
    }
}

/// cuBLASLt as an engine.
pub(in crate::backends::cuda) struct LtEngine {
    /// The library.
    pub(in crate::backends::cuda) blas: Rc<dyn BlasLt>,
    /// Name of the family.
    pub(in crate::backends::cuda) id: &'static str,
    /// Where the library came from.
    pub(in crate::backends::cuda) origin: String,
}

/// Scratch memory that algorithms may ask for: what NVIDIA recommends for Hopper, 32 MiB (cuBLAS
/// documentation, "cublasSetWorkspace").
const WORKSPACE: u64 = 32 << 20;

impl Engine for LtEngine {
    fn introduce(&self, identity: &mut Identity) {
        identity.version = format!("cuBLASLt {}, {}", self.blas.version(), identity.version);
        identity.origin = self.origin.clone();
    }

    fn prepare(&mut self, op: &Op, args: &[ValueSpec], _: &[ValueSpec]) -> Result<Box<dyn Recipe>, Fault> {
        let product = Product::new(self.id, op, args)?;
        let described: Rc<dyn Described> = self.blas.describe(&product, WORKSPACE as usize)?.into();
        Ok(Box::new(LtRecipe { described, note: product.note(), chosen: std::cell::OnceCell::new() }))
    }
}

struct LtRecipe {
    described: Rc<dyn Described>,
    /// What is said of the product, whatever computes it.
    note: Option<&'static str>,
    /// What was measured on the first addresses that the recipe was bound to.
    chosen: std::cell::OnceCell<Algorithm>,
}

impl LtRecipe {
    /// The fastest of the algorithms that work, by the device's clock, on the buffers that it will have.
    fn choose(&self, operands: Operands, workspace: Address, stream: &Stream) -> Result<Algorithm, Fault> {
        const TRIALS: usize = 3;
        let (mut best, mut refusal): (Option<(f64, &Algorithm)>, _) = (None, None);
        for algorithm in self.described.algorithms() {
            let run = || self.described.run(algorithm, operands, workspace, stream);
            if let Err(error) = run() {
                refusal = Some(error);
                continue;
            }
            let ns = clock::time(stream, || Ok((0..TRIALS).try_for_each(|_| run())?))?;
            if best.is_none_or(|(fastest, _)| ns < fastest) {
                best = Some((ns, algorithm));
            }
        }
        match (best, refusal) {
            (Some((_, algorithm)), _) => Ok(algorithm.clone()),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Err(Fault::Unsupported("cuBLASLt proposes no algorithm".to_string())),
        }
    }
}

impl Recipe for LtRecipe {
    fn scratch(&self) -> &[u64] {
        &[WORKSPACE]
    }

    fn bind(
        &self,
        args: &[Address],
        outs: &[Address],
        scratch: &[Address],
        stream: &Stream,
    ) -> Result<Vec<Box<dyn Call>>, Fault> {
        let (operands, workspace) = (operands(args, outs), scratch.first().copied().unwrap_or(0));
        let algorithm = match self.chosen.get() {
            Some(algorithm) => algorithm.clone(),
            None => {
                let algorithm = self.choose(operands, workspace, stream)?;
                self.chosen.get_or_init(|| algorithm).clone()
            }
        };
        Ok(vec![Box::new(LtCall { described: self.described.clone(), algorithm, operands, workspace })])
    }

    fn note(&self) -> Option<String> {
        let count = self.described.algorithms().len();
        let also = self.note.map(|note| format!(", {note}")).unwrap_or_default();
        self.chosen.get().map(|algorithm| format!("{} (fastest of {count} tried){also}", algorithm.label))
    }
}

struct LtCall {
    described: Rc<dyn Described>,
    algorithm: Algorithm,
    operands: Operands,
    workspace: Address,
}

impl Call for LtCall {
    fn queue(&mut self, stream: &Stream) -> Result<(), Fault> {
        Ok(self.described.run(&self.algorithm, self.operands, self.workspace, stream)?)
    }
}
