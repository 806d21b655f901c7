use super::*;
use crate::backends::cpu::conformance::{check, integer_products, is_present, products, single};
use crate::ops::Op;
use crate::tensor::{DType, ValueSpec};
use std::path::{Path, PathBuf};
use std::process::Command;

fn lane(threads: usize) -> Lane {
    Lane { threads, packing: Packing::Plain }
}

/// Every product of a library that is here, on one thread and on two.
fn conforms(family: &'static Cblas) {
    if !is_present(family) {
        return;
    }
    for threads in [1, 2] {
        let mut device = family.open(family.id, &lane(threads)).unwrap();
        let identity = device.identity();
        assert!(!identity.version.is_empty() && identity.hash.len() == 16, "{identity:?}");
        assert_eq!(identity.threads, threads);
        assert!(!format!("{identity:?}").contains("/.peers"), "a path: {identity:?}");
        for (op, args) in products(DType::F32, DType::F32) {
            check(&mut *device, &single(op, &args, &[]));
        }
        for dtype in [DType::Bf16, DType::F16] {
            served(family, &mut *device, products(dtype, DType::F32));
        }
        served(family, &mut *device, integer_products(DType::U8, &[(0, 0), (128, 0), (7, -3)]));
    }
}

/// Checks those products that the family says it has; a load may refuse none of them.
fn served(family: &Cblas, device: &mut dyn Device, products: Vec<(Op, Vec<ValueSpec>)>) {
    for (op, args) in products {
        let program = single(op, &args, &[]);
        match family.supports(&lane(1), &program.steps[0], &program) {
            Ok(()) => check(device, &program),
            Err(reason) => {
                let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
                assert!(device.load(&program, &options).is_err(), "{reason}");
            }
        }
    }
}

#[test]
fn openblas_conforms() {
    conforms(&OPENBLAS);
}

#[test]
fn blis_conforms() {
    conforms(&BLIS);
}

#[test]
fn mkl_conforms() {
    conforms(&MKL);
}

/// A CBLAS of plain loops with 64-bit integers and the decoration `scipy_` .. `64_`, counting its calls.
const TOY: &str = r#"
typedef long I;
int toy_calls;
void scipy_cblas_sgemm64_(int order, int ta, int tb, I m, I n, I k, float alpha, const float *a, I lda,
                          const float *b, I ldb, float beta, float *c, I ldc) {
    toy_calls++;
    for (I i = 0; i < m; i++)
        for (I j = 0; j < n; j++) {
            double sum = 0;
            for (I p = 0; p < k; p++)
                sum += (double)(ta == 112 ? a[p * lda + i] : a[i * lda + p]) *
                       (tb == 112 ? b[j * ldb + p] : b[p * ldb + j]);
            c[i * ldc + j] = order == 101 ? alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]) : -1;
        }
}
"#;

/// A shared library of `source` in `folder`; none where there is no C compiler.
fn compiled(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (from, to) = (folder.join("source.c"), folder.join(name));
    std::fs::write(&from, source).unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&to, &from]).status();
    match done {
        Ok(status) => {
            assert!(status.success(), "cc failed");
            Some(to)
        }
        Err(_) => {
            eprintln!("skipped: no C compiler called cc");
            None
        }
    }
}

fn open(file: &Path) -> Result<Opened, Unsupported> {
    USER.opened(Location::given(file), 1)
}

#[test]
fn a_named_library_is_used_whatever_its_names_and_integers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(file) = compiled(folder.path(), "libtoy.so", TOY) else { return };
    let opened = open(&file).unwrap();
    assert!(matches!(opened.functions, Functions::Wide(_)));
    let identity = opened.identity();
    assert_eq!((identity.origin.as_str(), identity.hash.len()), ("user:libtoy.so", 16));
    assert_eq!(identity.notes["names"], "scipy_cblas_sgemm64_");
    assert!(!format!("{identity:?}").contains('/'), "a path: {identity:?}");
    let mut device = CpuDevice(opened);
    for (op, args) in products(DType::F32, DType::F32) {
        check(&mut device, &single(op, &args, &[]));
    }
    let (op, args) = products(DType::Bf16, DType::F32).remove(0);
    let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
    let refused = device.load(&single(op, &args, &[]), &options).err().unwrap().to_string();
    assert!(refused.contains("libtoy.so has no cblas_sbgemm"), "{refused}");
}

#[test]
fn a_file_that_is_no_blas_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a library").unwrap();
    let mut foreign = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    foreign[18..20].copy_from_slice(&[183, 0]);
    let other = folder.path().join("libarm.so");
    std::fs::write(&other, foreign).unwrap();
    let mut cases = vec![
        (folder.path().join("absent.so"), "absent.so cannot be read"),
        (text, "notes.txt is no library"),
        (other, "libarm.so is built for aarch64"),
    ];
    let lacking = compiled(folder.path(), "libother.so", "void cblas_dgemm(void) {}");
    cases.extend(lacking.map(|file| (file, "libother.so lacks the function cblas_sgemm")));
    let broken = "void nowhere(void); void cblas_sgemm(void) { nowhere(); }";
    let unresolved = compiled(folder.path(), "libbroken.so", broken);
    cases.extend(
        unresolved.map(|file| (file, "libbroken.so cannot be loaded: libbroken.so: undefined symbol")),
    );
    for (file, words) in cases {
        let said = open(&file).err().unwrap().0;
        assert!(said.contains(words), "{said}");
        assert!(!said.contains(&*folder.path().to_string_lossy()), "a path: {said}");
    }
}

#[test]
fn an_absent_library_is_said_with_what_to_do() {
    let said = USER.open("cpu/blas/no-such-file.so", &lane(1)).err().unwrap().0;
    assert!(said.contains("--blas PATH"), "{said}");
    let packed = Lane { threads: 1, packing: Packing::Packed };
    assert!(OPENBLAS.open("cpu/openblas", &packed).is_err());
}

#[test]
fn what_no_blas_computes_is_refused_before_any_is_opened() {
    let mut refused = products(DType::F32, DType::Bf16);
    refused.extend(products(DType::F64, DType::F32));
    refused.extend(integer_products(DType::I8, &[(0, 0)]));
    refused.extend(integer_products(DType::U8, &[(200, 0)]));
    for (op, args) in refused {
        let program = single(op, &args, &[]);
        assert!(MKL.supports(&lane(1), &program.steps[0], &program).is_err(), "{:?}", program.steps[0].op);
    }
}
