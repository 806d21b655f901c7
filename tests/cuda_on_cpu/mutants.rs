//! What the proof is worth: each barrier, wait and bounds check of the kernels is removed in turn, and then a
//! case must go wrong. What survives is listed with the reason why nothing could.

use crate::child;
use crate::toolchain::{Edit, build};
use cutgpu::backends::cuda::kernels::{HEADERS, SOURCES, Source};
use std::sync::Mutex;

/// One removal.
pub(crate) struct Mutant {
    pub(crate) file: &'static str,
    /// Line, from 1, and its text.
    pub(crate) line: usize,
    pub(crate) of: String,
    /// Which of the removals in that line, from 1.
    pub(crate) number: usize,
    text: String,
}

/// A removal that changes no answer, and why.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Equivalent {
    file: String,
    of: String,
    number: usize,
    pub(crate) why: String,
}

#[derive(serde::Deserialize)]
struct List {
    #[serde(default)]
    equivalent: Vec<Equivalent>,
}

pub(crate) fn equivalents() -> Vec<Equivalent> {
    toml::from_str::<List>(include_str!("equivalent.toml")).unwrap().equivalent
}

impl Equivalent {
    pub(crate) fn is(&self, mutant: &Mutant) -> bool {
        (&*self.file, &*self.of, self.number) == (mutant.file, &*mutant.of, mutant.number)
    }
}

/// Calls that may be removed.
const CALLS: [&str; 6] =
    ["__syncthreads(", "__syncwarp(", "copies_wait<", "products_wait<", "barrier_wait(", "inside("];
/// Files that the emulator replaces.
const REPLACED: [&str; 2] = ["ptx.cuh", "hopper.cuh"];

/// What stands where a call was. A check lets so many more through that no thread of a block meets it: without
/// any a loop would never end, and a compiler may leave out what a loop without an end would have touched.
fn stand_in(call: &str) -> String {
    let check = call.strip_suffix(')').filter(|call| call.starts_with("inside("));
    check.map_or("(void)0".to_string(), |check| format!("{check} + 4096)"))
}

/// Every removal from every file but those that the emulator replaces.
pub(crate) fn mutants() -> Vec<Mutant> {
    let own = SOURCES.iter().map(|source| (source.file, source.text));
    let mut files: Vec<_> = HEADERS.iter().copied().chain(own).collect();
    files.sort_unstable();
    files.dedup();
    files
        .into_iter()
        .filter(|(file, _)| !REPLACED.contains(file))
        .flat_map(|(file, text)| of_file(file, text))
        .collect()
}

fn of_file(file: &'static str, text: &'static str) -> Vec<Mutant> {
    let (mut mutants, mut before) = (vec![], 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let mut number = 0;
        for at in 0..line.len() {
            if !CALLS.iter().any(|call| line[at..].starts_with(call)) || !is_call(line, at) {
                continue;
            }
            number += 1;
            let (start, end) = (before + at, before + at + length(&line[at..]));
            mutants.push(Mutant {
                file,
                line: index + 1,
                of: line.trim().to_string(),
                number,
                text: [&text[..start], &stand_in(&text[start..end]), &text[end..]].concat(),
            });
        }
        before += line.len();
    }
    mutants
}

/// Neither a part of a longer word, nor a definition, nor a comment.
fn is_call(line: &str, at: usize) -> bool {
    let word_before = line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    !word_before && !line.starts_with("DEVICE") && !line.trim_start().starts_with("//")
}

/// Length of a call up to its last parenthesis.
fn length(call: &str) -> usize {
    let mut depth = 0;
    for (at, c) in call.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if c == ')' && depth == 0 {
            return at + 1;
        }
    }
    call.len()
}

impl std::fmt::Debug for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{} number {}: {}", self.file, self.line, self.number, self.of)
    }
}

impl Mutant {
    /// Units that contain the file, each file once.
    fn users(&self) -> Vec<&'static Source> {
        let mut met = vec![];
        let contains = |source: &&&Source| source.file == self.file || source.headers().contains(&self.file);
        let users = SOURCES.iter().filter(contains).copied();
        users
            .filter(|source| {
                !met.contains(&source.file) && {
                    met.push(source.file);
                    true
                }
            })
            .collect()
    }

    /// Whether a unit that contains it goes wrong.
    fn is_killed(&self) -> bool {
        self.users().into_iter().any(|source| {
            let folder = tempfile::tempdir().unwrap();
            let edit = Edit { file: self.file, text: &self.text };
            build(source, Some(&edit), folder.path()).unwrap_or_else(|what| panic!("{self:?}: {what}"));
            child(source, folder.path()).is_err()
        })
    }
}

/// Those of `mutants` that survive, tried two at a time.
pub(crate) fn survivors(mutants: Vec<Mutant>) -> Vec<Mutant> {
    let (left, survived) = (Mutex::new(mutants.into_iter()), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(mutant) = left.lock().unwrap().next() else { return };
                    if !mutant.is_killed() {
                        println!(
                            "survived: {} line {} number {}: {}",
                            mutant.file, mutant.line, mutant.number, mutant.of
                        );
                        survived.lock().unwrap().push(mutant);
                    }
                }
            });
        }
    });
    survived.into_inner().unwrap()
}
