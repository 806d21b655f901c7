//! Where a run stands: a bar on a terminal, a line a group elsewhere.

use crate::host::plain;
use crate::measure::evidence::Outcome;
use crate::plan::{Group, Plan};
use crate::record::Record;
use crate::run::{Visit, Watcher};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows progress on stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    total: usize,
    state: RefCell<State>,
}

struct State {
    /// Expected time of everything that is left, as the plan sees it.
    left: Duration,
    /// Expected and real time of what was measured.
    expected: Duration,
    real: Duration,
    /// Visits so far.
    number: usize,
    begin: Instant,
}

impl Progress {
    /// Of these visits to groups of `plan`.
    pub(super) fn new(plan: &Plan, visits: &[(usize, Visit)]) -> Self {
        let total = visits.len();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            // A template that does not parse leaves the plain style, which is no reason to stop.
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {prefix} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        let state = State {
            left: visits.iter().map(|(place, visit)| plan.groups[*place].estimate_of(visit.number)).sum(),
            expected: Duration::ZERO,
            real: Duration::ZERO,
            number: 0,
            begin: Instant::now(),
        };
        Self { bar, total, state: RefCell::new(state) }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        // Whoever reads this may have gone; the run goes on.
        let write = || drop(writeln!(std::io::stderr(), "{}", plain(line)));
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl State {
    /// The plan's estimate of what is left, corrected by how wrong it has been so far.
    fn remaining(&self) -> Duration {
        if self.expected.is_zero() {
            return self.left;
        }
        self.left.mul_f64((self.real.as_secs_f64() / self.expected.as_secs_f64()).clamp(0.01, 100.0))
    }
}

impl Watcher for Progress {
    fn begins(&self, group: &Group, visit: Visit) {
        let mut state = self.state.borrow_mut();
        state.begin = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_position(state.number as u64);
            let (left, id) = (roughly(state.remaining()), plain(&group.id));
            bar.set_prefix(format!(
                "about {left} left: {id}, visit {} of {}",
                visit.number + 1,
                group.visits()
            ));
        }
    }

    fn stands(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(plain(what));
        }
    }

    fn ended(&self, group: &Group, visit: Visit, records: &[Record]) {
        let mut state = self.state.borrow_mut();
        let took = state.begin.elapsed();
        let expected = group.estimate_of(visit.number);
        state.left = state.left.saturating_sub(expected);
        state.expected += expected;
        state.real += took;
        state.number += 1;
        let number = state.number;
        let left = roughly(state.remaining());
        drop(state);
        for record in records {
            if let Some(trouble) = trouble(record) {
                self.say(&format!("{} {}: {trouble}", record.group, record.contender));
            }
        }
        if self.bar.is_none() {
            let (total, id, seconds) = (self.total, &group.id, took.as_secs_f64());
            let measured = records.iter().filter(|record| record.outcome == Outcome::Measured).count();
            self.say(&format!(
                "[{number}/{total}] {id}: {measured} of {} measured in {seconds:.1} s, about {left} left",
                records.len()
            ));
        }
    }
}

/// What a person must know of a cell that has no numbers.
fn trouble(record: &Record) -> Option<String> {
    match &record.outcome {
        Outcome::Measured | Outcome::Skipped { .. } => None,
        Outcome::Failed { kind, message } => Some(format!("failed ({kind}): {message}")),
        Outcome::Wrong { message } => Some(format!("wrong answer: {message}")),
    }
}

/// A duration to a person's precision.
fn roughly(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{} s", seconds.max(1)),
        seconds @ 120..7200 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h", (seconds + 1800) / 3600),
    }
}
