//! f32 products by a function that takes addresses and strides, as crates offer them.

use super::buffer::{View, ViewMut};
use super::layout::Layout;
use super::loaded::Kernel;
use crate::backends::{Fault, Unsupported};
use crate::ops::{Gemm, GemmDims, Op};
use crate::program::{Program, Step};
use crate::tensor::DType;

/// One product, D = alpha A B + beta D. All elements that the strides reach exist, and nobody else uses
/// those of D.
pub(super) struct Problem {
    /// Rows of A and D, columns of B and D, columns of A.
    pub(super) extents: [usize; 3],
    /// Factor of the product.
    pub(super) alpha: f32,
    /// Factor of what D holds; 0 where it holds nothing.
    pub(super) beta: f32,
    /// First element of A, with the strides along its columns and rows.
    pub(super) a: (*const f32, [isize; 2]),
    /// The same of B.
    pub(super) b: (*const f32, [isize; 2]),
    /// The same of D.
    pub(super) d: (*mut f32, [isize; 2]),
}

/// A step as calls of `multiply`, one a batch.
pub(super) struct Strided<F> {
    op: Gemm,
    layout: Layout,
    multiply: F,
}

/// The kernel for `step`, if it is a product of f32. `owner` is the backend's name.
pub(super) fn prepare<F: FnMut(&Problem) + 'static>(
    owner: &str,
    step: &Step,
    program: &Program,
    multiply: F,
) -> Result<Box<dyn Kernel>, Unsupported> {
    let Op::Gemm(op) = &step.op else {
        return Err(Unsupported(format!(
            "{owner} computes products of f32 only, no {}",
            step.op.operation().name()
        )));
    };
    let args = program.specs(&step.args);
    let dims = op.dims(&args).map_err(|error| Unsupported(error.to_string()))?;
    if [args[0].dtype, op.accumulate, op.output].iter().any(|&dtype| dtype != DType::F32) {
        return Err(Unsupported(format!("{owner} multiplies f32 only")));
    }
    let layout = Layout::new(dims, op.trans_a, op.trans_b);
    Ok(Box::new(Strided { op: op.clone(), layout, multiply }))
}

impl<F: FnMut(&Problem)> Kernel for Strided<F> {
    fn run(&mut self, _: usize, args: &[View], outs: &mut [ViewMut]) -> Result<(), Fault> {
        let GemmDims { batch, m, n, k, .. } = self.layout.dims;
        if let Some(c) = args.get(2) {
            outs[0].copy_from(c);
        }
        let (a, b, d) = (args[0].slice::<f32>(), args[1].slice::<f32>(), outs[0].slice::<f32>());
        let signed = |strides: [usize; 2]| strides.map(|stride| stride as isize);
        for i in 0..batch {
            (self.multiply)(&Problem {
                extents: [m, n, k],
                alpha: self.op.alpha as f32,
                beta: self.op.beta as f32,
                a: (a[self.layout.a_start(i)..].as_ptr(), signed(self.layout.a)),
                b: (b[self.layout.b_start(i)..].as_ptr(), signed(self.layout.b)),
                d: (d[self.layout.d_start(i)..].as_mut_ptr(), signed([n, 1])),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::backends::{Family, Lane, Packing};

    /// The version of a crate that this build contains.
    fn locked(name: &str) -> String {
        let lock = include_str!("../../../Cargo.lock");
        let (_, entry) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
        entry.split_once('"').unwrap().0.to_string()
    }

    #[test]
    fn the_named_versions_are_those_that_were_compiled() {
        assert_eq!(super::super::matrixmultiply::VERSION, locked("matrixmultiply"));
        let lane = Lane { threads: 1, packing: Packing::Plain };
        let device = super::super::gemm::GemmCrate.open("cpu/gemm", &lane).unwrap();
        assert_eq!(device.identity().version, locked("gemm-f32"));
    }
}
