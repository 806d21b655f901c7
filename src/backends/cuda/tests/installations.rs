//! Libraries that are broken in one way each, built by the C compiler and opened as the real ones are.

use super::*;
use crate::backends::cpu::dylib::Location;
use crate::backends::cuda::compiler::{NVRTC, Nvrtc};
use crate::backends::cuda::driver::real::{DRIVER, RealDriver};
use crate::backends::cuda::libraries::{Opened, Wanted};
use std::path::Path;
use std::process::Command;

/// Names that a source looks up.
fn names(source: &'static str) -> Vec<&'static str> {
    let after = source.split("library.function(\"").skip(1);
    after.filter_map(|rest| rest.split('"').next()).collect()
}

/// A library of functions that return 0, less `without`, and those of `text`; none where there is no compiler.
fn library(folder: &Path, names: &[&str], without: &str, text: &str, wanted: &Wanted) -> Option<Opened> {
    let missing = |name: &&&str| **name != without && !text.contains(**name);
    let plain: String =
        names.iter().filter(missing).map(|name| format!("int {name}(void) {{ return 0; }}\n")).collect();
    let number = std::fs::read_dir(folder).unwrap().count();
    let (source, file) = (folder.join(format!("toy{number}.c")), folder.join(format!("libtoy{number}.so")));
    std::fs::write(&source, plain + text).unwrap();
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&file, &source]).status();
    match status {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            eprintln!("skipped: cc cannot be run ({error})");
            return None;
        }
    }
    Some(Opened::at(Location::given(file), wanted).unwrap())
}

#[test]
fn each_broken_driver_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let names = names(include_str!("../driver/real.rs"));
    assert!(names.len() > 30, "{names:?}");
    let version = |number: i32| format!("int cuDriverGetVersion(int *v) {{ *v = {number}; return 0; }}\n");
    let init = |code: i32| format!("int cuInit(unsigned f) {{ return {code}; }}\n") + &version(13_000);
    for (without, text, says) in [
        ("cuLaunchKernel", version(13_000), "has no function cuLaunchKernel: it is damaged or too old"),
        ("cuInit", version(13_000), "has no function cuInit"),
        ("", init(34), "cuInit gave CUDA error 34, libcuda.so.1 is the stub"),
        ("", init(100), "cuInit gave CUDA error 100, no device answers"),
        ("", init(803), "restart the machine after an update"),
        ("", version(11_040), "is of CUDA 11.4, and 12.0 is the oldest"),
    ] {
        let Some(library) = library(folder.path(), &names, without, &text, &DRIVER) else { return };
        let said = RealDriver::start(library).map(drop).unwrap_err().0;
        assert!(said.contains(says) && !said.contains('\n'), "{said}");
    }
    // What only some cards can do may be missing.
    let whole = library(folder.path(), &names, "cuTensorMapEncodeTiled", &init(0), &DRIVER).unwrap();
    let driver = RealDriver::start(whole).unwrap();
    assert_eq!(crate::backends::cuda::driver::Driver::version(&driver), Ok(13_000));
}

#[test]
fn each_broken_compiler_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let names = names(include_str!("../compiler.rs"));
    assert_eq!(names.len(), 8, "{names:?}");
    let version = "int nvrtcVersion(int *a, int *b) { *a = 11; *b = 2; return 0; }\n";
    let without = library(folder.path(), &names, "nvrtcGetCUBIN", version, &NVRTC);
    let Some(without) = without else { return };
    let said = Nvrtc::start(without).map(drop).unwrap_err().0;
    assert!(said.contains("has no function nvrtcGetCUBIN"), "{said}");
    for (code, says) in [
        (7, "NVRTC 11.2 does not find its libnvrtc-builtins.so"),
        (5, "NVRTC 11.2 does not know sm_90"),
        (6, "NVRTC 11.2 cannot compile copy for sm_90 (error 6)"),
    ] {
        let compile = format!("int nvrtcCompileProgram(void) {{ return {code}; }}\n{version}");
        let library = library(folder.path(), &names, "", &compile, &NVRTC).unwrap();
        let said =
            Nvrtc::start(library).unwrap().compile(&super::super::kernels::COPY, "sm_90").unwrap_err().0;
        assert!(said.contains(says) && !said.contains('\n'), "{said}");
    }
}
