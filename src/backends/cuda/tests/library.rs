//! cuBLAS and cuBLASLt by plain loops on the fake device's memory: the products that are asked for are the
//! ones that the op means.

use super::*;
use crate::backends::cuda::blas::{
    Algorithm, Blas, BlasEngine, BlasError, BlasLt, Described, LtEngine, Operands, Product, Stored,
};
use crate::backends::cuda::driver::Address;
use crate::backends::cuda::gpu::Stream;
use std::cell::RefCell;

/// Products of f32 by the definition of column-major matrices.
#[derive(Default)]
pub(super) struct FakeBlas {
    /// Labels of algorithms in the order in which they ran.
    ran: Rc<RefCell<Vec<String>>>,
    /// The algorithms that do not work.
    broken: Vec<usize>,
}

fn element(at: Address, index: u64) -> f32 {
    // SAFETY: addresses are those of live buffers, and the products read only what the layouts say.
    unsafe { std::ptr::with_exposed_provenance::<f32>(at as usize).add(index as usize).read() }
}

/// Element (row, column) of op(stored) in product `batch` of a batch.
fn of(stored: &Stored, at: Address, batch: u64, row: u64, column: u64) -> f32 {
    let (row, column) = if stored.transposed { (column, row) } else { (row, column) };
    assert!(row < stored.rows && column < stored.columns, "outside the matrix");
    element(at, batch * stored.stride as u64 + column * stored.rows + row)
}

fn scalar(bytes: [u8; 8]) -> f32 {
    f32::from_le_bytes(bytes[..4].try_into().unwrap())
}

fn multiply(product: &Product, operands: Operands) {
    let Product { left, right, out, k, .. } = product;
    for batch in 0..product.batch {
        for (row, column) in (0..out.rows).flat_map(|row| (0..out.columns).map(move |column| (row, column))) {
            let terms = (0..*k)
                .map(|p| of(left, operands.b, batch, row, p) * of(right, operands.a, batch, p, column));
            let mut sum = scalar(product.alpha.0) * terms.sum::<f32>();
            if product.adds {
                sum += scalar(product.beta.0) * of(out, operands.c, batch, row, column);
            }
            let index = batch * out.stride as u64 + column * out.rows + row;
            let to = std::ptr::with_exposed_provenance_mut::<f32>(operands.d as usize);
            // SAFETY: as above.
            unsafe { to.add(index as usize).write(sum) };
        }
    }
}

impl Blas for FakeBlas {
    fn version(&self) -> String {
        "13.0.0".to_string()
    }
    fn gemm(&self, product: &Product, operands: Operands, _: &Stream) -> Result<(), BlasError> {
        // cuBLAS adds to what D holds.
        multiply(product, Operands { c: operands.d, ..operands });
        Ok(())
    }
}

impl BlasLt for FakeBlas {
    fn version(&self) -> String {
        "13.0.0".to_string()
    }
    fn describe(&self, product: &Product, workspace: usize) -> Result<Box<dyn Described>, BlasError> {
        assert!(workspace >= 1 << 20);
        let algorithm =
            |number: u64| Algorithm { data: [number; 8], workspace: 0, label: format!("algorithm {number}") };
        let (ran, broken) = (self.ran.clone(), self.broken.clone());
        let algorithms = (0..3).map(algorithm).collect();
        Ok(Box::new(FakePlan { product: product.clone(), algorithms, ran, broken }))
    }
}

struct FakePlan {
    product: Product,
    algorithms: Vec<Algorithm>,
    ran: Rc<RefCell<Vec<String>>>,
    broken: Vec<usize>,
}

impl Described for FakePlan {
    fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }
    fn run(
        &self,
        algorithm: &Algorithm,
        operands: Operands,
        _: Address,
        stream: &Stream,
    ) -> Result<(), BlasError> {
        if self.broken.contains(&(algorithm.data[0] as usize)) {
            return Err(BlasError { call: "cublasLtMatmul", status: 15 });
        }
        self.ran.borrow_mut().push(algorithm.label.clone());
        // The later ones are slower: their time is that of copies on the fake's clock, whose failures the library
        // does not tell.
        for _ in 0..algorithm.data[0] {
            let _ = stream.gpu().driver().copy_within(operands.d, operands.d, 4, stream.id);
        }
        multiply(&self.product, operands);
        Ok(())
    }
}

fn device(library: &'static str, driver: &Rc<FakeDriver>, fake: FakeBlas) -> GpuDevice {
    let fake = Rc::new(fake);
    let origin = || "fake".to_string();
    if library == "cuda/cublas" {
        let start = |id, _: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
            Ok(Box::new(BlasEngine { blas: fake.clone(), id, origin: origin() }))
        };
        return CUBLAS.open_on("cuda/cublas/0", driver.clone(), "fake", start).unwrap();
    }
    let start = |id, _: &Rc<Gpu>| -> Result<Box<dyn Engine>, Unsupported> {
        Ok(Box::new(LtEngine { blas: fake.clone(), id, origin: origin() }))
    };
    CUBLASLT.open_on("cuda/cublaslt/0", driver.clone(), "fake", start).unwrap()
}

#[test]
fn every_transpose_batch_and_scale_is_the_ops_product() {
    let turned =
        |extents: [usize; 2], transposed: bool| if transposed { [extents[1], extents[0]] } else { extents };
    for number in 0..32 {
        let bit = |place: usize| number >> place & 1 == 1;
        let (trans_a, trans_b, batched, shared, adds) = (bit(0), bit(1), bit(2), bit(3), bit(4));
        let lead = |own: bool| if batched && own { vec![3] } else { vec![] };
        let spec = |lead: Vec<usize>, extents: [usize; 2]| {
            ValueSpec::new(&[lead, extents.to_vec()].concat(), DType::F32)
        };
        let mut args =
            vec![spec(lead(true), turned([5, 7], trans_a)), spec(lead(!shared), turned([7, 4], trans_b))];
        args.extend(adds.then(|| spec(lead(true), [5, 4])));
        let beta = if adds { -0.5 } else { 0.0 };
        let op = Gemm { trans_a, trans_b, alpha: 1.5, beta, ..Gemm::plain(DType::F32) };
        let program = single(Op::Gemm(op), &args, &[]);
        let out = program.outputs[0];
        let elements = program.values[out].spec.elements();
        let want = program.interpret(1).swap_remove(out);
        for library in ["cuda/cublas", "cuda/cublaslt"] {
            let driver = FakeDriver::new(script());
            let mut device = device(library, &driver, FakeBlas::default());
            let mut loaded = device.load(&program, &options(1, false)).unwrap();
            let all = |loaded: &mut dyn Loaded| loaded.read(out, 0, 0..elements).unwrap().to_f64(0..elements);
            // Trying algorithms leaves no answer behind.
            assert!(all(&mut *loaded).iter().all(|x| x.is_nan()));
            for _ in 0..2 {
                loaded.enqueue(0).unwrap();
                loaded.wait().unwrap();
                for (got, want) in all(&mut *loaded).iter().zip(&want) {
                    assert!((got - want).abs() < 1e-5, "{library} {number}: {got} for {want}");
                }
            }
            loaded.intact().unwrap();
        }
    }
}

#[test]
fn the_fastest_algorithm_that_works_is_chosen_and_recorded() {
    for (broken, chosen) in [(vec![], "algorithm 0"), (vec![0], "algorithm 1"), (vec![0, 1], "algorithm 2")] {
        let driver = FakeDriver::new(script());
        let fake = FakeBlas { broken, ..FakeBlas::default() };
        let mut device = device("cuda/cublaslt", &driver, fake);
        let loaded = device.load(&carried(), &options(2, false)).unwrap();
        let note = loaded.notes()["gemm 0"].clone();
        assert!(note.starts_with(chosen) && note.contains("of 3"), "{note}");
    }
    let driver = FakeDriver::new(script());
    let none = FakeBlas { broken: vec![0, 1, 2], ..FakeBlas::default() };
    let fault = device("cuda/cublaslt", &driver, none).load(&carried(), &options(1, false)).map(drop);
    assert!(matches!(&fault, Err(Fault::Unsupported(said)) if said.contains("no algorithm")), "{fault:?}");
}

#[test]
fn who_computed_is_in_the_record() {
    let driver = FakeDriver::new(script());
    let identity = device("cuda/cublaslt", &driver, FakeBlas::default()).identity();
    assert_eq!(identity.name, "Fake 0");
    assert_eq!(identity.version, "cuBLASLt 13.0.0, driver of CUDA 13.0");
    assert_eq!(identity.notes["compute_capability"], "9.0");
}
