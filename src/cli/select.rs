//! What to measure and on what: the arguments that `list`, `run` and `verify` share.

use crate::plan::{self, Available, Options, PlanError, Rates};
use crate::suite::{self, Effort, Suite, Threads};
use crate::workloads;
use anyhow::Context;
use rayon::prelude::*;
use std::str::FromStr;

/// What to measure and on what.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Selection {
    /// Suites by name or file, or one workload and its point: gemm m=512,n=512,k=512.
    #[arg(value_name = "SUITE | WORKLOAD POINT")]
    pub what: Vec<String>,
    /// Backends instead of those that the suite names; `cpu/*` is every one that starts so.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub backend: Vec<String>,
    /// Thread counts instead of those that the suite names: 1,all.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', value_parser = threads)]
    pub threads: Vec<Threads>,
    /// Only groups with this text in their name.
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Drop groups by priority until the rest takes about this many minutes.
    #[arg(long, value_name = "N")]
    pub minutes: Option<f64>,
    /// Take every n-th group, beginning with the i-th.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// Spend less time on each cell, for wider intervals.
    #[arg(long)]
    pub quick: bool,
}

/// A suite with the text that it was read from.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// Its cases.
    pub suite: Suite,
    /// Its text.
    pub text: String,
}

impl Selection {
    /// The suites that were asked for; `default` where none was.
    pub(super) fn suites(&self, default: &[&str]) -> anyhow::Result<Vec<Selected>> {
        let named: Vec<String>;
        let mut words = self.what.as_slice();
        if words.is_empty() {
            named = default.iter().map(|name| name.to_string()).collect();
            words = &named;
        }
        let mut wanted = Vec::new();
        while let Some((word, rest)) = words.split_first() {
            let takes_point = suite::embedded(word).is_none() && workloads::find(word).is_some();
            let (point, rest) = match rest.split_first() {
                Some((point, rest)) if takes_point && point.contains('=') => (point.as_str(), rest),
                _ => ("", rest),
            };
            wanted.push((word, point));
            words = rest;
        }
        // Read side by side; of several errors the first word's is told.
        let read: Vec<_> = wanted.par_iter().map(|(word, point)| one(word, point)).collect();
        read.into_iter().collect()
    }

    /// These arguments as a plan takes them.
    pub(super) fn options(&self, available: Available, rates: Rates) -> Options {
        Options {
            backends: Some(self.backend.clone()).filter(|names| !names.is_empty()),
            threads: Some(self.threads.clone()).filter(|counts| !counts.is_empty()),
            only: self.only.clone(),
            effort: self.quick.then_some(Effort::Quick),
            minutes: self.minutes,
            shard: self.shard,
            twins: true,
            available,
            rates,
        }
    }
}

fn one(word: &str, point: &str) -> anyhow::Result<Selected> {
    let (file, text) = match suite::embedded(word) {
        Some(text) => (format!("suites/{word}.toml"), text.to_string()),
        None if word.ends_with(".toml") => {
            let text =
                std::fs::read_to_string(word).with_context(|| format!("cannot read the suite {word}"))?;
            (word.to_string(), text)
        }
        None => {
            let text = plan::ad_hoc_text(word, point)?;
            let suite = plan::ad_hoc(word, point)?;
            return Ok(Selected { suite, text });
        }
    };
    Ok(Selected { suite: suite::parse(&text, &file)?, text })
}

pub(super) fn threads(text: &str) -> Result<Threads, String> {
    match (text, usize::from_str(text)) {
        ("all", _) => Ok(Threads::All),
        (_, Ok(count @ 1..=4096)) => Ok(Threads::Count(count)),
        _ => Err("give a number from 1 to 4096, or `all`".to_string()),
    }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let numbers =
        text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    numbers
        .filter(|(part, parts)| (1..=*parts).contains(part))
        .ok_or_else(|| format!("`{text}` is no part of a run: write 1/3, 2/3 or 3/3 for the parts of three"))
}

/// Whether an error is the request's fault and not the machine's.
pub(super) fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<PlanError>() || error.is::<suite::SuiteError>()
}
