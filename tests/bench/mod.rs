//! Runs of the built program on scripted backends, for tests of whole runs.
#![allow(dead_code, reason = "each test file uses its own part")]

use cutgpu::record::{self, Record};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A folder with a suite, and the environment that commands on it get.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Bench {
    /// A suite of these cases: each line `key = value` of one case follows its name.
    pub(crate) fn new(cases: &str) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), environment: vec![] };
        let head = "schema = 1\nname = \"tiny\"\nabout = \"Tests.\"\neffort = \"quick\"\n";
        std::fs::write(bench.suite(), format!("{head}{cases}")).unwrap();
        bench
    }

    /// Small products of `sizes` on `backends`.
    pub(crate) fn products(sizes: &str, backends: &str, more: &str) -> Self {
        Self::new(&format!(
            "[[case]]\nname = \"small\"\nworkload = \"gemm\"\nwhy = \"tests\"\nthreads = [1]\n\
             backends = {backends}\nsweep = {{ m = {sizes}, n = 6, k = 5 }}\n{more}\n"
        ))
    }

    /// Sets a variable of every command.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_string(), value.to_string()));
        self
    }

    /// The script of the null backends.
    pub(crate) fn script(self, script: serde_json::Value) -> Self {
        self.with("CUTGPU_NULL", script)
    }

    pub(crate) fn suite(&self) -> PathBuf {
        self.folder.path().join("tiny.toml")
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// `cutgpu` with these arguments; `SUITE` and `RUN` stand for the suite and the run's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutgpu"));
        let place = |argument: &&str| match *argument {
            "SUITE" => self.suite().into_os_string(),
            "RUN" => self.run_folder().into_os_string(),
            other => other.into(),
        };
        command.args(arguments.iter().map(place));
        command.current_dir(self.folder.path());
        command.env("XDG_CACHE_HOME", self.folder.path().join("cache")).env_remove("CUTGPU_FAULT");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn cutgpu(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A run of the suite, or what went wrong.
    pub(crate) fn measure(&self) -> Output {
        self.cutgpu(&["run", "SUITE", "--out", "RUN"])
    }

    /// One record a cell.
    pub(crate) fn records(&self) -> Vec<Record> {
        record::read(&self.run_folder()).unwrap().records
    }

    /// One record a cell and visit.
    pub(crate) fn visits(&self) -> Vec<Record> {
        record::read_visits(&self.run_folder()).unwrap().records
    }
}

/// Exit code and all that was said.
pub(crate) fn said(output: &Output) -> (i32, String) {
    let text = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    (output.status.code().unwrap_or(-1), text.concat())
}

/// What names each record, in order.
pub(crate) fn names(records: &[Record]) -> Vec<String> {
    let name =
        |record: &Record| format!("{} {} {} {}", record.group, record.contender, record.repeat, record.visit);
    let mut names: Vec<String> = records.iter().map(name).collect();
    names.sort();
    names
}

/// Every name once.
pub(crate) fn assert_no_duplicates(records: &[Record]) {
    let names = names(records);
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

/// Live workers of the process `parent`.
pub(crate) fn workers_of(parent: u32) -> Vec<u32> {
    let wanted = format!("--parent\0{parent}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line =
            std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&wanted)
    })
    .collect()
}

/// Waits until `is_so`, at most `limit`; whether it came.
pub(crate) fn within(limit: Duration, is_so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < limit {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    is_so()
}
