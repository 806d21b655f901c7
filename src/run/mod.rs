//! Executes a plan and keeps its records in a folder that survives whatever happens to the process.

mod deadline;
mod execute;
mod folder;
mod host;
mod request;
mod resume;
mod row;
mod schedule;

pub use execute::{Context, Summary, Watcher, execute};
pub use folder::{Folder, Scratch};
pub use host::Host;
pub use request::{Choices, Request, SuiteText};
pub use resume::{Finished, Visit, sort_out};

use crate::record::RecordError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a run cannot begin or go on. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file system refused.
    #[error("{path}: {source}; {advice}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The records could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another process has the folder.
    #[error("{path} is in use by another cutgpu (process {holder}); wait for it, or name another folder")]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Its process id, or `unknown`.
        holder: String,
    },
    /// A new run was to begin in the folder of an old one.
    #[error("{0} already holds a run; go on with it by `cutgpu run --resume {0}`, or name another folder")]
    Occupied(PathBuf),
    /// Resuming what is no run.
    #[error("{0} holds no run that could go on: it has no readable plan.json ({1}); start a new run")]
    NoRun(PathBuf, String),
    /// Resuming with another suite.
    #[error("{path} is a run of `{found}`, not of `{wanted}`; leave the suite out, or start a new run")]
    OtherSuite {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Resuming on another machine.
    #[error(
        "{0} was measured on another machine, or on this one before its processor, memory, kernel or limits \
         changed; start a new run: reports and `cutgpu compare` take several"
    )]
    OtherMachine(PathBuf),
    /// Resuming with another build.
    #[error(
        "{path} was measured by another build of cutgpu ({found}; this is {this}), and times of two builds \
         are not comparable; start a new run, or give --mix to go on all the same"
    )]
    OtherBuild {
        /// The folder.
        path: PathBuf,
        /// Hash of the build that began it.
        found: String,
        /// Hash of this build.
        this: String,
    },
}

impl RunError {
    fn io(path: &Path, source: io::Error, advice: &'static str) -> Self {
        Self::Io { path: path.to_path_buf(), source, advice }
    }
}
