//! `cutgpu import` and prices from outside, on the built program: other machines' runs, other tools' files, bad rows.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn cutgpu(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutgpu")).args(arguments).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results/2026-11-23-amd-epyc-2c")
}

fn foreign(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(file).display().to_string()
}

/// The recorded run as another machine would send it.
fn packed(at: &Path, name: &str) -> String {
    let path = at.join(name);
    let file =
        flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(file);
    archive.append_dir_all("runs/quick", recorded()).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    path.display().to_string()
}

#[test]
fn an_archive_is_read_wherever_a_run_is() {
    let at = tempfile::tempdir().unwrap();
    let archive = packed(at.path(), "seven.tar.gz");
    let output = cutgpu(&["import", &archive, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["run"], "seven");
    assert!(rows[0]["processor"].as_str().unwrap().contains("EPYC"), "{rows}");
    let whole = cutgpu(&["import", &recorded().display().to_string(), "--json"]);
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(rows[0]["cells"], whole[0]["cells"]);
    let csv = |run: &str| cutgpu(&["export", run, "--format", "csv"]).stdout;
    assert_eq!(csv(&archive), csv(&recorded().display().to_string()));
    let compared = cutgpu(&["compare", &recorded().display().to_string(), &archive, "--json"]);
    assert!(said(&compared.stdout).contains("\"cells\""), "{}", said(&compared.stderr));
}

#[test]
fn a_damaged_run_does_not_hide_the_others_and_a_copy_counts_once() {
    let at = tempfile::tempdir().unwrap();
    let archive = packed(at.path(), "seven.tar.gz");
    let bytes = std::fs::read(&archive).unwrap();
    let half = at.path().join("half.tar.gz");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let run = recorded().display().to_string();
    let output = cutgpu(&["import", &half.display().to_string(), &run, &archive]);
    let errors = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("half.tar.gz") && errors.contains("copy it again"), "{errors}");
    assert!(errors.contains("and count once"), "{errors}");
    assert!(said(&output.stdout).contains("EPYC"));
    assert_eq!(cutgpu(&["import", &at.path().join("none").display().to_string()]).status.code(), Some(1));
}

#[test]
fn files_of_other_tools_are_shown_with_the_tool_that_wrote_them() {
    for (format, file, rows) in [
        ("llama-bench", "llama-bench.json", 4),
        ("pytorch", "pytorch.json", 6),
        ("nvbench", "nvbench.json", 3),
    ] {
        let output = cutgpu(&["import", &foreign(file), "--format", format, "--json"]);
        let read: Value = serde_json::from_slice(&output.stdout).unwrap();
        let read = read.as_array().unwrap();
        assert!(read.len() == rows && read.iter().all(|row| row["tool"] == format), "{format}: {read:?}");
        let wrong = cutgpu(&["import", &foreign("skypilot-verda.csv"), "--format", format]);
        let errors = said(&wrong.stderr);
        assert!(wrong.status.code() == Some(1) && errors.contains("skypilot-verda.csv"), "{errors}");
    }
}

#[test]
fn public_price_tables_are_judged_and_say_how_old_they_are() {
    let import = |file: &str, cloud: &str, date: &str| {
        let arguments = ["import", &foreign(file), "--format", "skypilot", "--source", cloud, "--date", date];
        let output = cutgpu(&arguments);
        (output.status.code(), said(&output.stdout), said(&output.stderr))
    };
    let (code, table, errors) = import("skypilot-runpod.csv", "runpod", "2025-11");
    assert_eq!(code, Some(1));
    assert!(errors.contains("total or one device?") && errors.contains("spot is not below"), "{errors}");
    assert!(errors.contains("4 of 4 prices are stale: they are of 2025-11"), "{errors}");
    assert!(table.contains("a100-pcie-80gb"), "{table}");
    let (code, _, errors) = import("skypilot-verda.csv", "verda", "2099-01-01");
    assert!(code == Some(1) && errors.contains("the date lies in the future"), "{errors}");
    let (_, _, errors) = import("skypilot-verda.csv", "verda", "2026-11-20");
    assert!(errors.contains("line 6, is left out: `H100` may be"), "{errors}");
}

#[test]
fn a_wrong_price_of_the_users_is_left_out_and_said() {
    let at = tempfile::tempdir().unwrap();
    let file = at.path().join("mine.toml").display().to_string();
    let price = |amount: &str, currency: &str, date: &str| {
        format!(
            "[[price]]\ndevice = \"b200-180gb\"\namount = {amount}\ncurrency = \"{currency}\"\n\
             kind = \"cloud_reserved\"\ncovers = \"node_share\"\nper = \"hour\"\nregion = \"EU\"\nvat = \"excluded\"\n\
             date = \"{date}\"\nmethod = \"list\"\nconfidence = \"high\"\nsource = \"a shop\"\n"
        )
    };
    let list = |rows: &[String]| {
        std::fs::write(&file, format!("schema = 1\n{}", rows.concat())).unwrap();
        let output = cutgpu(&["prices", "list", "--prices", &file, "--json"]);
        assert!(output.status.success(), "{}", said(&output.stderr));
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mine = all.as_array().unwrap().iter().filter(|row| row["source"] == "a shop").count();
        (mine, said(&output.stderr))
    };
    for (amount, date, why) in [
        ("-3.0", "2026-11", "is no price"),
        ("0", "2026-11", "is no price"),
        ("nan", "2026-11", "is no price"),
        ("0.01", "2026-11", "a placeholder?"),
        ("3.0", "2099-01-01", "lies in the future"),
    ] {
        let (mine, errors) = list(&[price(amount, "USD", date)]);
        assert!(mine == 0 && errors.starts_with("left out: b200-180gb") && errors.contains(why), "{errors}");
    }
    let (mine, errors) = list(&[price("3.0", "USD", "2025-10"), price("2.5", "EUR", "2025-10")]);
    assert!(mine == 2 && errors.is_empty(), "a price of each currency, old as they are: {mine} {errors}");
}
