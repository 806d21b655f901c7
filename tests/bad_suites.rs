//! What a suite may get wrong: each mistake is refused with its line and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use cutgpu::suite::{self, MAX_POINTS};

const HEAD: &str = "schema = 1\nname = \"s\"\nabout = \"a suite\"\n";
/// The first line of the case is line 4.
const CASE: &str = "[[case]]\nname = \"c\"\nworkload = \"gemm\"\nwhy = \"to see\"\n";
const SWEEP: &str = "sweep = { m = 64, n = 64, k = 64 }\n";

/// The error's line and message.
fn refused(text: &str) -> (usize, String) {
    let error = suite::parse(text, "bad.toml").expect_err(text);
    assert_eq!(error.file, "bad.toml");
    assert!(error.to_string().starts_with(&format!("bad.toml:{}: ", error.line)), "{error}");
    (error.line, error.message)
}

fn check(text: &str, line: usize, says: &str) {
    let (at, message) = refused(text);
    assert!(message.contains(says), "{message}\nwanted: {says}\n{text}");
    assert_eq!(at, line, "{message}\n{text}");
}

#[test]
fn a_case_that_is_right_is_read() {
    let text = format!("{HEAD}{CASE}{SWEEP}backends = [\"cpu/naive\"]\nthreads = [1, \"2\", \"all\"]\n");
    let suite = suite::parse(&text, "good.toml").unwrap();
    assert_eq!((suite.cases.len(), suite.cases[0].line), (1, 4));
}

#[test]
fn mistakes_in_keys_and_names_have_the_nearest_one() {
    for (line, line_of_text, says) in [
        (8, "prioriti = 3", "unknown key `prioriti` in [[case]]; did you mean `priority`?"),
        (8, "quantum = 3", "unknown key `quantum` in [[case]]"),
        (8, "backends = [\"cpu/naiv\"]", "no backend is called `cpu/naiv`; did you mean `cpu/naive`?"),
        (8, "backends = [\"gpu/*\"]", "no backend is called `gpu/*`"),
        (8, "scopes = [\"residant\"]", "`residant` is unknown; did you mean `resident`?"),
        (8, "sync = \"never\"", "it may be each, batch"),
        (8, "packing = [\"plain\", \"plain\"]", "listed twice"),
        (8, "threads = [0]", "from 1 to 4096"),
        (8, "threads = [-1]", "from 1 to 4096"),
        (8, "threads = [\"some\"]", "from 1 to 4096"),
        (8, "threads = []", "must not be empty"),
        (8, "limit = \"60\"", "no duration"),
        (8, "limit = 60", "a string in quotes is wanted"),
        (8, "max_memory = \"2 gigs\"", "no size"),
        (8, "twin = \"yes\"", "true or false"),
        (8, "priority = nan", "a whole number is wanted, and `nan` is a float"),
        (8, "priority = inf", "a whole number is wanted"),
        (8, "priority = 99999999999999999999", "does not fit"),
        (8, "where = [\"m * n <= big\"]", "no number called `big`"),
        (8, "where = [\"dtype <= 3\"]", "no number called `dtype`"),
        (8, "where = [\"m\"]", "compares nothing"),
        (8, "why = \"again\"", "not TOML"),
    ] {
        check(&format!("{HEAD}{CASE}{SWEEP}{line_of_text}\n"), line + 1, says);
    }
}

#[test]
fn mistakes_in_the_sweep_have_their_reason() {
    for (sweep, says) in [
        ("m = 64, n = 64", "needs the parameter `k` (columns of A)"),
        ("m = 64, n = 64, kk = 64", "no such parameter"),
        ("m = 64, n = 64, k = 64, bach = 2", "did you mean `batch`?"),
        ("m = 0, n = 64, k = 64", "a size of zero"),
        ("m = -4, n = 64, k = 64", "-4 is negative"),
        ("m = 64.0, n = 64, k = 64", "a whole number is wanted"),
        ("m = nan, n = 64, k = 64", "a whole number is wanted, and `nan` is a float"),
        ("m = -inf, n = 64, k = 64", "a whole number is wanted"),
        ("m = \"0..64+8\", n = 64, k = 64", "a size of zero"),
        ("m = \"64..512\", n = 64, k = 64", "has no step"),
        ("m = \"64..32*2\", n = 64, k = 64", "is empty"),
        ("m = \"many\", n = 64, k = 64", "is not a whole number"),
        ("m = [], n = 64, k = 64", "must not be empty"),
        ("m = 9000000000000000000, n = 64, k = 64", "too large"),
        (
            "m = 64, n = 64, k = 64, dtype = \"fp16\"",
            "one of f32, bf16, f16, tf32, f8e4m3 is wanted; did you mean `f16`?",
        ),
        ("m = 64, n = \"=q\", k = 64", "tied to `q`, which has no value here"),
        ("m = 64, n = \"=k\", k = \"=m\"", "no number of its own"),
        ("m = \"=m\", n = 64, k = 64", "no number of its own"),
        ("m = \"L1\", n = \"L2\", k = 64", "only one parameter may be a size of memory"),
        ("m = \"-1*L1\", n = 64, k = 64", "above 0"),
    ] {
        check(&format!("{HEAD}{CASE}sweep = {{ {sweep} }}\n"), 8, says);
    }
}

#[test]
fn a_sweep_is_counted_before_it_is_made() {
    let sweep = "m = \"1..1000+1\", n = \"1..1000+1\", k = \"1..1000+1\"";
    let text = format!("{HEAD}{CASE}sweep = {{ {sweep} }}\n");
    check(&text, 8, "the sweep has 1000000000 points (m 1000 x n 1000 x k 1000");
    let text = format!("{HEAD}{CASE}sweep = {{ m = \"1..9000000000+1\", n = 1, k = 1 }}\n");
    check(&text, 8, "has 9000000000 values");
    let exactly = format!("{HEAD}{CASE}sweep = {{ m = \"1..{MAX_POINTS}+1\", n = 1, k = 1 }}\n");
    assert_eq!(suite::parse(&exactly, "x").unwrap().cases[0].sweep.count(), MAX_POINTS);
}

#[test]
fn mistakes_in_points_have_their_line() {
    let points =
        |row: &str| format!("{HEAD}{CASE}points = [\n  {{ m = 1, n = 2, k = 3 }},\n  {{ {row} }},\n]\n");
    for (row, line, says) in [
        ("m = 1, n = 2, k = 3, q = 4", 10, "no such parameter"),
        ("m = 1, n = 2, k = 3, label = \"\"", 10, "must not be empty"),
        ("m = \"1..8*2\", n = 2, k = 3", 10, "one value is wanted here, not 4"),
        // A whole row is judged against the whole sweep, so the error stands where the rows begin.
        ("m = 1, n = 2", 8, "needs the parameter `k`"),
    ] {
        check(&points(row), line, says);
    }
    let twice = format!("{HEAD}{CASE}points = [{{ m = 1, n = 2, k = 3 }}]\nsweep = {{ m = 4 }}\n");
    check(&twice, 9, "`m` is set both in `sweep` and in `points`");
}

#[test]
fn mistakes_in_the_head_and_in_the_file() {
    let case = format!("{CASE}{SWEEP}");
    for (text, line, says) in [
        (String::new(), 1, "the suite has no `schema`"),
        ("schema = 2\n".to_string(), 1, "this program reads schema 1"),
        ("schema = 1\nname = \"s\"\nabout = \"x\"\n".to_string(), 1, "the suite has no `case`"),
        (
            format!("schema = 1\nname = \"../s\"\nabout = \"x\"\n{case}"),
            2,
            "a name has 1 to 40 small letters",
        ),
        (format!("schema = 1\nname = \"s\"\nabout = \" \"\n{case}"), 3, "must not be empty"),
        (format!("schema = 1\nname = \"s\"\nabout = \"x\"\nbudget = \"forever\"\n{case}"), 4, "no duration"),
        (format!("{HEAD}cases = []\n{case}"), 4, "unknown key `cases` in the suite; did you mean `case`?"),
        (format!("{HEAD}{case}{case}"), 10, "two cases are called `c`"),
        (format!("{HEAD}[case]\nname = \"c\"\n"), 4, "[[case]] has no `workload`"),
        (format!("{HEAD}[[case]]\nname = \"c\"\nworkload = \"gem\"\n"), 6, "did you mean `gemm`?"),
        (format!("{HEAD}[[case]]\nname = \"c\"\nworkload = \"gemm\"\n{SWEEP}"), 4, "[[case]] has no `why`"),
        (format!("{HEAD}[[case]]\nname = \"c\"\nworkload = \"gemm\"\nwhy = \"\"\n"), 7, "must not be empty"),
        (format!("{HEAD}[[case]\n"), 4, "not TOML"),
        ("\u{0}".to_string(), 1, "not TOML"),
    ] {
        check(&text, line, says);
    }
}

#[test]
fn deep_and_long_texts_end_in_an_error_and_not_on_the_stack() {
    for text in [
        format!("schema = {}1", "[".repeat(100_000)),
        format!("{HEAD}{CASE}{SWEEP}where = [\"{}m <= 1\"]", "(".repeat(100_000)),
        format!("{HEAD}{CASE}{SWEEP}where = [\"m{} <= 1\"]", "+m".repeat(100_000)),
        format!("{}=1", "a.".repeat(100_000)),
        "x".repeat(1 << 20),
    ] {
        assert!(suite::parse(&text, "deep.toml").is_err());
    }
}

#[test]
fn the_page_about_the_format_holds_a_suite_that_is_right() {
    let page = include_str!("../docs/suites.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let suite = suite::parse(example, "docs/suites.md").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(suite.cases[0].sweep.points().len(), 4);
    // Every key that a case may have is shown: one that is not known lists them by its nearest.
    let keys = example.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key.trim());
    let shown: std::collections::BTreeSet<&str> = keys.filter(|key| !key.starts_with('{')).collect();
    assert_eq!(shown.len(), 5 + 18 - 1, "{shown:?}");
}
