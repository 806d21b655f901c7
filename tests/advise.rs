//! `cutgpu advise` and `cutgpu predict` as a buyer starts them, on the recorded runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DAY: &str = "2026-11-23";

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results").join(name)
}

fn cutgpu(arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_cutgpu")).args(arguments).current_dir(nowhere.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The answer to these words on the recorded training run, as JSON.
fn answer(words: &[&str]) -> Value {
    let run = recorded("2026-11-26-intel-xeon-2c-training");
    let run = run.to_str().unwrap();
    let all = [&["advise"], words, &["--run", run, "--as-of", DAY, "--json"]].concat();
    let output = cutgpu(&all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Low, centre and high of an interval.
fn ends(interval: &Value) -> [f64; 3] {
    ["low", "centre", "high"].map(|end| number(&interval[end]))
}

#[test]
fn sentences_a_day_are_answered_with_intervals_and_what_flips_them() {
    let answer = answer(&[
        "bert-base",
        "--volume",
        "10 million sentences a day",
        "--months",
        "24",
        "--machine-price",
        "0.09/h",
    ]);
    let candidates = answer["candidates"].as_array().unwrap();
    assert!(candidates.len() > 20, "{}", candidates.len());
    let totals: Vec<f64> = candidates.iter().map(|one| ends(&one["cost"]["total"])[1]).collect();
    assert!(totals.is_sorted());
    for one in candidates {
        let ([low, centre, high], holds) = (ends(&one["seconds"]), number(&one["holds"]));
        assert!(low < centre && centre < high && number(&one["needs"]) <= holds, "{one}");
        assert!(!one["assumed"].as_array().unwrap().is_empty());
    }
    let here = candidates.iter().find(|one| one["device"] == "this-machine").unwrap();
    assert_eq!(here["price"]["basis"], "user");
    assert!(
        candidates.iter().filter(|one| *one != here).all(|one| one["time"] == "estimated from datasheets")
    );
    let duel = &answer["processor_or_card"];
    assert!(
        ends(&duel["worth"])[0] <= ends(&duel["worth"])[2] && !duel["bars"].as_array().unwrap().is_empty()
    );
}

#[test]
fn a_job_that_was_measured_is_measured() {
    let answer = answer(&[
        "bert-base",
        "--mode",
        "train",
        "--batch",
        "8",
        "--volume",
        "100k examples a week",
        "--machine-price",
        "0.09/h",
    ]);
    let candidates = answer["candidates"].as_array().unwrap();
    let here = candidates.iter().find(|one| one["device"] == "this-machine").unwrap();
    assert_eq!(here["time"], "measured");
    assert!((1.5..4.0).contains(&ends(&here["seconds"])[1]), "{here}");
    // An example is an eighth of an execution, and a week is 168 of the 730 hours of a month.
    assert_eq!(number(&here["offer"]["pace"]["units"]), 8.0);
    assert!((number(&answer["units_a_month"]) / (1e5 * 730.0 / 168.0) - 1.0).abs() < 1e-9);
}

#[test]
fn what_makes_no_sense_is_a_usage_error_with_a_sentence() {
    let job = ["advise", "bert-base", "--volume", "1/day", "--as-of", DAY];
    for (words, says) in [
        (&["advise", "bert-bsae", "--volume", "1/day"][..], "did you mean `bert-base`?"),
        (&["advise", "bert-base", "--volume", "lots"], "is no volume"),
        (&["advise", "bert-base", "--volume", "-1/day"], "volume"),
        (&["advise", "bert-base", "--volume", "1 banana a day"], "count tokens or examples"),
        (&["advise", "bert-base", "--volume", "1/day", "--mode", "trian"], "train"),
        (&["advise", "bert-base", "--volume", "1/day", "--utilisation", "0"], "0 is no utilisation"),
        (&["advise", "bert-base", "--volume", "1/day", "--utilisation", "1.5"], "1.5 is no utilisation"),
        (&["advise", "bert-base", "--volume", "1/day", "--kwh=-1"], "price of a kWh"),
        (&["advise", "bert-base", "--volume", "1/day", "--months", "0"], "no number of months"),
        (&["advise", "bert-base", "--volume", "1/day", "--device", "h100"], "no device has the id `h100`"),
        (&["advise", "bert-base", "--volume", "1/day", "--currency", "YEN"], "USD, EUR or GBP"),
        (&["advise", "bert-base", "--volume", "1/day", "--machine-price", "0"], "is no price"),
    ] {
        let output = cutgpu(words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
    }
    assert!(cutgpu(&job).status.success());
}

#[test]
fn edges_are_answered_in_words() {
    for (words, says) in [
        (&["bert-base", "--volume", "0/day"][..], "no work is wanted"),
        (&["bert-base", "--volume", "1e18/day"], "nobody has prices for so many"),
        (
            &["gpt2-xl", "--mode", "train", "--volume", "1/day", "--device", "t4,l4"],
            "it fits on none of these devices",
        ),
        (&["bert-base", "--volume", "1/day", "--latency", "1ms", "--device", "t4"], "is too slow"),
        (&["bert-base", "--volume", "1/day", "--device", "radeon-rx-9060-xt-16gb"], "cannot tell"),
        (&["bert-base", "--volume", "1/day", "--device", "this-machine"], "nobody says what it costs"),
        (&["bert-base", "--volume", "1/day", "--currency", "eur"], "prices in USD are left out"),
        (&["bert-base", "--volume", "1/day", "--budget", "0"], "over the budget"),
    ] {
        let run = recorded("2026-11-26-intel-xeon-2c-training");
        let all = [&["advise"], words, &["--run", run.to_str().unwrap(), "--as-of", DAY]].concat();
        let output = cutgpu(&all);
        let said = text(&output.stdout);
        assert!(output.status.success() && said.contains(says), "{words:?}: {said}{}", text(&output.stderr));
        assert!(!said.contains("NaN") && !said.contains("inf "), "{said}");
    }
}

#[test]
fn planted_prices_and_hostile_words_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let row = |amount: &str, currency: &str, date: &str| {
        format!(
            "[[price]]\ndevice = \"b200-180gb\"\namount = {amount}\ncurrency = \"{currency}\"\nkind = \"cloud_on_demand\"\n\
             covers = \"node_share\"\nper = \"hour\"\nregion = \"US\"\nvat = \"unstated\"\ndate = \"{date}\"\n\
             method = \"planted\"\nconfidence = \"low\"\nsource = \"\\u001b[31m<script>\"\n"
        )
    };
    let rows = [
        row("0.01", "USD", "2026-03-01"),
        row("-3", "USD", "2026-03-02"),
        row("4", "EUR", "2026-03-03"),
        row("4", "USD", "2029-01-01"),
    ];
    std::fs::write(&file, format!("schema = 1\n{}", rows.concat())).unwrap();
    let output = cutgpu(&[
        "advise",
        "bert-base",
        "--volume",
        "10M/day",
        "--as-of",
        DAY,
        "--prices",
        file.to_str().unwrap(),
        "--device",
        "b200-180gb",
    ]);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    for words in [
        "below 0.05 for any GPU",
        "-3 is no price",
        "1 prices in EUR are left out",
        "the date lies in the future",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert!(!said.contains('\u{1b}'), "{said}");
    let name = cutgpu(&["advise", "\u{1b}[31mbert\u{202e}", "--volume", "1/day"]);
    assert!(!text(&name.stderr).contains('\u{1b}') && !text(&name.stderr).contains('\u{202e}'));
}

#[test]
fn predictions_stand_beside_a_constant() {
    let runs = ["2026-11-23-amd-epyc-2c", "2026-11-26-intel-xeon-2c-training"].map(recorded);
    let output = cutgpu(&["predict", runs[0].to_str().unwrap(), runs[1].to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let splits = said["splits"].as_array().unwrap();
    assert_eq!((said["machines"].as_u64(), splits.len()), (Some(2), 3));
    for split in splits {
        assert!(number(&split["median"]) <= number(&split["p90"]));
        assert_eq!(split["absent"], split["split"] == "machine");
        assert!(split["cells"].as_array().unwrap().iter().all(|held| number(&held["predicted"]) > 0.0));
    }
    let none = cutgpu(&["predict"]);
    assert!(!none.status.success() && text(&none.stderr).contains("make bench"));
}
