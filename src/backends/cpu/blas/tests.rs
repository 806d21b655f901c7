use super::*;
use crate::backends::testing::{is_present, single, squares};
use crate::ops::{Gemm, GemmI8, Op};
use crate::tensor::DType;
use std::path::{Path, PathBuf};
use std::process::Command;

fn lane(threads: usize) -> Lane {
    Lane { threads, packing: Packing::Plain }
}

#[test]
fn a_library_says_who_it_is_and_uses_the_threads_of_its_lane() {
    for family in [&OPENBLAS, &BLIS, &MKL] {
        if !is_present(family) {
            continue;
        }
        for threads in [1, 2] {
            let identity = family.open(family.id, &lane(threads)).unwrap().identity();
            assert_eq!((identity.name.as_str(), identity.threads), (family.name, threads));
            assert!(!identity.version.is_empty() && identity.hash.len() == 16, "{identity:?}");
            let folders = ["/.peers", "/usr", "/home"];
            assert!(
                !folders.iter().any(|folder| format!("{identity:?}").contains(folder)),
                "a path: {identity:?}"
            );
        }
    }
}

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
fn names_tell_the_width_of_the_integers() {
    let folder = tempfile::tempdir().unwrap();
    for (function, wide) in [("cblas_sgemm", false), ("scipy_cblas_sgemm64_", true), ("cblas_sgemm_64", true)]
    {
        let source = format!("void {function}(void) {{}}");
        let Some(file) = compiled(folder.path(), &format!("lib{function}.so"), &source) else { return };
        assert_eq!(matches!(open(&file).unwrap().functions, Functions::Wide(_)), wide, "{function}");
    }
}

#[test]
fn every_named_file_is_a_backend_of_its_own() {
    let files = || ["a/libx.so", "b/liby.so", "c/libx.so"].map(Location::given).to_vec();
    let family = Cblas { libraries: files, ..USER };
    let names: Vec<String> = family.devices().into_iter().map(|found| found.backend).collect();
    assert_eq!(names, ["cpu/blas/libx.so", "cpu/blas/liby.so", "cpu/blas/libx.so~2"]);
    assert_eq!(family.location("cpu/blas/libx.so~2").unwrap().path, Path::new("c/libx.so"));
}

#[test]
fn what_no_blas_computes_is_refused_before_any_is_opened() {
    let gemm = |output| Op::Gemm(Gemm::plain(output));
    let far = GemmI8 { zero_a: 200, ..GemmI8::default() };
    for (op, dtypes) in [
        (gemm(DType::Bf16), [DType::F32; 2]),
        (gemm(DType::F32), [DType::F64; 2]),
        (Op::GemmI8(GemmI8::default()), [DType::I8; 2]),
        (Op::GemmI8(far), [DType::U8, DType::I8]),
    ] {
        let program = single(op, &squares(&dtypes), &[]);
        assert!(MKL.supports(&lane(1), &program.steps[0], &program).is_err(), "{:?}", program.steps[0].op);
    }
}
