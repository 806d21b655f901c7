//! wgpu as a user meets it: machines without a driver, a driver that crashes, adapters that do not exist.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::path::Path;
use std::process::{Command, Output};

/// The program with a cache of its own.
fn cutgpu(folder: &Path, drivers: &str, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutgpu"));
    command.env("XDG_CACHE_HOME", folder).env("VK_DRIVER_FILES", drivers).args(words);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', " ");
    text(&output.stdout) + &text(&output.stderr)
}

const LIST: [&str; 4] = ["list", "gemm", "m=8,n=8,k=8", "--backend=wgpu"];

#[test]
fn without_a_driver_nothing_is_found_and_nothing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = cutgpu(folder.path(), "/nowhere.json", &["worker", "--adapters"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "[]");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    let output = cutgpu(folder.path(), "/nowhere.json", &LIST);
    let said = said(&output);
    // Without a loader there is none to be asked for drivers.
    assert!(said.contains("no Vulkan driver") || said.contains("no Vulkan loader"), "{said}");
}

/// A driver that dies when the loader asks it anything.
const CRASHES: &str = r#"
__attribute__((constructor)) static void die(void) { __builtin_trap(); }
void *vk_icdGetInstanceProcAddr(void *instance, const char *name) { return 0; }
"#;

#[test]
fn a_driver_that_crashes_is_left_out_by_name() {
    if !Path::new("/usr/lib/x86_64-linux-gnu/libvulkan.so.1").exists() {
        return println!("left out: there is no Vulkan loader here");
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("crash.c"), folder.path().join("libcrash.so"));
    std::fs::write(&source, CRASHES).unwrap();
    match Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => return println!("left out: cc cannot be run ({error})"),
    }
    let manifest = folder.path().join("crash.json");
    let icd = serde_json::json!({ "library_path": library, "api_version": "1.3.0" });
    let text = serde_json::json!({ "file_format_version": "1.0.0", "ICD": icd }).to_string();
    std::fs::write(&manifest, text).unwrap();
    let output = cutgpu(folder.path(), manifest.to_str().unwrap(), &LIST);
    let said = said(&output);
    assert!(said.contains("left out") && said.contains("crashed"), "{said}");
    // A good driver beside it is still used.
    let good = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
    if Path::new(good).exists() {
        let both = format!("{}:{good}", manifest.display());
        let output = cutgpu(folder.path(), &both, &LIST);
        assert!(String::from_utf8_lossy(&output.stdout).contains("wgpu/llvmpipe"), "{output:?}");
    }
}

#[test]
fn an_adapter_that_is_not_here_is_named() {
    let error = cutgpu::backends::open(
        "wgpu/nothing-of-the-kind",
        &cutgpu::backends::Lane { threads: 1, packing: cutgpu::backends::Packing::Plain },
    );
    let why = error.err().expect("no adapter is called so").0;
    assert!(why.contains("wgpu"), "{why}");
}
