//! Every command of the README does what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Command lines in the README's shell blocks, without their comments.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines =
        blocks.flat_map(|block| block.lines().map(|line| line.split('#').next().unwrap().trim().to_string()));
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_make_target_exists() {
    let texts = ["Makefile", "mk/libs.mk", "mk/peers.mk", "mk/gpu.mk", "mk/parquet.mk", "mk/predict.mk"]
        .map(|file| std::fs::read_to_string(root().join(file)).unwrap());
    let targets: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    let made: Vec<String> = commands().into_iter().filter(|line| line.starts_with("make ")).collect();
    assert!(made.len() >= 2);
    for line in made {
        let target = line.trim_start_matches("make ");
        assert!(targets.contains(target), "README names `{line}`");
    }
}

#[test]
fn every_cutgpu_command_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run: Vec<String> = commands().into_iter().filter(|line| line.starts_with("cutgpu ")).collect();
    assert!(run.len() >= 3);
    for line in run {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_cutgpu"))
            .args(&words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // `doctor` may find a blocker, such as this unoptimised build: 3 is an answer too.
        let fine = output.status.success() || (words[0] == "doctor" && output.status.code() == Some(3));
        assert!(fine, "`{line}` ended with {}: {said}", output.status);
        assert!(!output.stdout.is_empty(), "`{line}` printed nothing");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join(link).exists(), "README links to {link}");
    }
}
