//! Mutated suites, records and prices: any text gets an answer or an error, never a panic.
//!
//! Ten thousand inputs of each kind by default; `CUTGPU_FUZZ=1000000` for more. The mutations are a
//! function of the input's number, so that a failure can be repeated by its number alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use cutgpu::{catalog, exchange, random, record, suite};
use std::panic;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pieces that are likelier than random bytes to reach deep into a parser.
const TOKENS: &[&str] = &[
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "18446744073709551616",
    "64..1000000000",
    "1..2*1",
    "\"\"",
    "[[case]]",
    "[",
    "]",
    "{",
    "}",
    "=",
    "null",
    "true",
    "\u{0}",
    "\u{202e}",
    "4*LLC",
    "m * n * k <= 1e10",
    "\\u0000",
    "9999-99-99",
];

struct Source {
    seed: u64,
    at: u64,
}

impl Source {
    fn below(&mut self, bound: usize) -> usize {
        self.at += 1;
        (random::bits(self.seed, 0, self.at) % bound.max(1) as u64) as usize
    }
}

/// Input number `number`: a seed text after one to eight mutations.
fn mutated(seeds: &[String], number: u64) -> String {
    let mut source = Source { seed: number, at: 0 };
    let mut text = seeds[source.below(seeds.len())].clone().into_bytes();
    for _ in 0..=source.below(8) {
        let at = source.below(text.len() + 1);
        let end = (at + 1 + source.below(40)).min(text.len());
        match source.below(6) {
            0 if at < text.len() => text[at] = source.below(256) as u8,
            1 if at < end => drop(text.drain(at..end)),
            2 if at < end => {
                let piece = text[at..end].to_vec();
                let to = source.below(text.len());
                text.splice(to..to, piece);
            }
            3 => text.truncate(at),
            _ => {
                let token = TOKENS[source.below(TOKENS.len())].bytes();
                text.splice(at..at, token);
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Feeds `count` inputs to `read`, which says whether it took the input; returns how many were taken.
fn feed(kind: &str, seeds: &[String], read: fn(&str) -> bool) -> u64 {
    let count: u64 = std::env::var("CUTGPU_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (panics, accepted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (panics, accepted) = (&panics, &accepted);
            scope.spawn(move || {
                for number in (thread..count).step_by(threads as usize) {
                    let text = mutated(seeds, number);
                    match panic::catch_unwind(|| read(&text)) {
                        Ok(taken) => drop(accepted.fetch_add(u64::from(taken), Ordering::Relaxed)),
                        Err(_) => {
                            panics.fetch_add(1, Ordering::Relaxed);
                            eprintln!("{kind} input {number} panicked:\n{text}");
                        }
                    }
                }
            });
        }
    });
    let (panics, accepted) = (panics.into_inner(), accepted.into_inner());
    println!("fuzz {kind}: {count} inputs, {accepted} accepted, {panics} panics");
    assert_eq!(panics, 0);
    accepted
}

#[test]
fn suites() {
    let seeds: Vec<String> = suite::names().filter_map(suite::embedded).map(short).collect();
    let accepted = feed("suites", &seeds, |text| suite::parse(text, "fuzz.toml").is_ok());
    assert!(accepted > 0, "inputs that are all refused early reach nothing");
}

#[test]
fn records() {
    let seeds = recorded();
    let accepted = feed("records", &seeds, |text| {
        record::read_lines(text.as_bytes(), Path::new("run.jsonl"))
            .is_ok_and(|(records, _)| !record::fold(records).is_empty())
    });
    assert!(accepted > 0);
}

#[test]
fn prices() {
    let seeds = [include_str!("../catalog/prices.toml"), include_str!("../catalog/devices.toml")].map(short);
    let accepted = feed("prices", &seeds, |text| {
        let mut catalog = catalog::Catalog::default();
        let devices = catalog.add_devices(text, "fuzz.toml").is_ok();
        let prices = catalog.add_prices(text, "fuzz.toml").is_ok();
        catalog::check(&catalog, cutgpu::date::Date::parse("2026-11-23").unwrap());
        devices || prices
    });
    assert!(accepted > 0);
}

/// The devices that imported prices name.
static DEVICES: LazyLock<catalog::Catalog> = LazyLock::new(|| catalog::Catalog {
    devices: catalog::Catalog::embedded().unwrap().devices,
    prices: Vec::new(),
});

#[test]
fn foreign() {
    type Read = fn(&str) -> bool;
    let formats: [(&str, &[&str], Read); 4] = [
        ("llama-bench", &[include_str!("foreign/llama-bench.json")], |text| {
            exchange::llama_bench(text).is_ok()
        }),
        ("pytorch", &[include_str!("foreign/pytorch.json")], |text| exchange::pytorch(text).is_ok()),
        ("nvbench", &[include_str!("foreign/nvbench.json")], |text| exchange::nvbench(text).is_ok()),
        (
            "skypilot",
            &[
                include_str!("foreign/skypilot-lambda.csv"),
                include_str!("foreign/skypilot-runpod.csv"),
                include_str!("foreign/skypilot-verda.csv"),
            ],
            |text| {
                let day = cutgpu::date::Date::parse("2026-11-23").unwrap();
                exchange::skypilot(text, "a cloud", day).is_ok_and(|offers| {
                    let mut catalog = DEVICES.clone();
                    catalog.prices = offers.prices;
                    catalog::leave_out_wrong(&mut catalog, (0, 0), day);
                    true
                })
            },
        ),
    ];
    for (kind, seeds, read) in formats {
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        assert!(feed(kind, &seeds, read) > 0, "{kind}: inputs that are all refused reach nothing");
    }
}

/// The first lines of every recorded run.
fn recorded() -> Vec<String> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let runs = std::fs::read_dir(results).expect("results/ is part of the repository").flatten();
    let texts = runs.filter_map(|run| std::fs::read_to_string(run.path().join("run.jsonl")).ok());
    texts.map(|text| text.lines().take(3).collect::<Vec<_>>().join("\n")).collect()
}

/// The head of a long file, cut between tables: mutations of it reach as many branches in less time.
fn short(text: &str) -> String {
    let cut = text.match_indices("\n[[").map(|(at, _)| at).nth(4).unwrap_or(text.len());
    text[..cut].to_string()
}
