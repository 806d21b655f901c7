//! `cutgpu train-check` on the built program, with few steps, and with nothing that has to be fetched.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use serde_json::Value;
use std::process::{Command, Output};

/// The command where neither Python nor digits are found.
fn check(arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutgpu"));
    command.arg("train-check").args(arguments).current_dir(nowhere.path());
    command.env("PATH", nowhere.path()).env("CUTGPU_PEERS", nowhere.path()).env_remove("CUTGPU_PYTHON");
    command.output().unwrap()
}

#[test]
fn losses_agree_what_is_missing_is_left_out_and_too_few_steps_are_short() {
    let output = check(&["--steps", "2", "--json", "--threads", "1"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let checks: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    for name in ["mlp_losses", "tiny_losses"] {
        assert_eq!(of(name)["verdict"], "ok", "{said}");
    }
    for name in ["mlp_torch_loss", "tiny_torch_gradients", "digits_accuracy"] {
        assert_eq!(of(name)["verdict"], "left_out", "{said}");
        assert!(of(name)["measured"].is_null());
    }
    assert!(of("digits_accuracy")["reason"].as_str().unwrap().contains("make peers"), "{said}");
    assert_eq!(of("tiny_accuracy")["verdict"], "short", "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_request_that_makes_no_sense_says_why() {
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--backend", "cpu/nothing"], 2, "no backend is called `cpu/nothing`"),
        (&["--backend", "peer/torch"], 1, "process of its own"),
        (&["--steps", "0"], 2, "0 is not in 1.."),
        (&["--threads", "none"], 2, "`all`"),
    ];
    for (arguments, code, text) in cases {
        let output = check(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}
