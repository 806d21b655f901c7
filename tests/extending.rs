//! docs/extending.md says how many files an addition takes; here they are counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

/// Files under `folder` that contain `text` outside their tests.
fn naming(folder: &str, text: &str) -> Vec<String> {
    let outside_tests = |path: &PathBuf| {
        let whole = fs::read_to_string(path).unwrap();
        whole.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().contains(text)
    };
    let files = rust_files(&root().join(folder)).into_iter().filter(outside_tests);
    let mut names: Vec<String> =
        files.map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Numbers of new and of changed files that the page states for an addition.
fn stated(addition: &str) -> (usize, usize) {
    let page = fs::read_to_string(root().join("docs/extending.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with(&format!("| {addition} |"))).unwrap();
    let number = |cell: &str| cell.trim().split([' ', ':']).next().unwrap().parse().unwrap();
    let cells: Vec<&str> = row.split('|').collect();
    (number(cells[2]), number(cells[3]))
}

#[test]
fn an_op_is_one_file_and_one_list() {
    for op in ["LayerNorm", "Adamw", "GemmI8"] {
        let lists = naming("src", &format!("Self::{op}(op) => op"));
        assert_eq!(lists, ["src/ops/mod.rs"]);
        let defined = naming("src", &format!("impl Operation for {op} {{"));
        assert_eq!((defined.len(), lists.len()), stated("an op"), "{defined:?}");
    }
}

#[test]
fn nothing_between_ops_and_backends_knows_an_op() {
    for layer in
        ["src/plan", "src/suite", "src/record", "src/run", "src/compare", "src/cost", "src/claims", "src/cli"]
    {
        assert_eq!(naming(layer, "Op::Gemm"), Vec::<String>::new(), "{layer} must not know ops");
    }
}

#[test]
fn a_backend_is_one_row() {
    let rows = naming("src", "FAMILIES: &[&dyn Family]");
    assert_eq!(rows, ["src/backends/mod.rs"]);
    assert_eq!(stated("a backend"), (1, rows.len()));
}

#[test]
fn an_embedded_suite_is_one_row() {
    let rows = naming("src", "include_str!(\"../../suites/matmul.toml\")");
    assert_eq!((1, rows.len()), stated("a suite that every build carries"));
}

#[test]
fn a_workload_is_one_row() {
    assert_eq!(naming("src", "WORKLOADS: &[Workload]"), ["src/workloads/mod.rs"]);
    assert_eq!(stated("a workload from existing ops"), (0, 2));
}

#[test]
fn a_claim_is_one_row() {
    let rows = naming("src", "CLAIMS: &[Claim]");
    assert_eq!(rows, ["src/claims/table.rs"]);
    assert_eq!((0, rows.len()), stated("a claim"));
}

#[test]
fn the_suite_on_the_page_is_read() {
    let page = fs::read_to_string(root().join("docs/extending.md")).unwrap();
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let suite = cutgpu::suite::parse(text, "docs/extending.md").unwrap();
    assert_eq!(suite.cases.len(), 1);
}
