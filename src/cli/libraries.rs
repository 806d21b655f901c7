//! Libraries that the user points at.

use super::again;
use crate::backends::cpu::blas;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Variable with the paths of libraries, colons between them.
const VARIABLE: &str = "CUTGPU_BLAS";

/// Libraries that the user points at.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Libraries {
    /// A BLAS library to take as `cpu/blas/<file>`; may be given several times.
    #[arg(long, value_name = "PATH")]
    blas: Vec<PathBuf>,
}

impl Libraries {
    /// Starts this command again with the libraries in its environment, where their family looks for them
    /// in this process and in every worker; goes on where they already are.
    pub(super) fn announce(&self) -> anyhow::Result<()> {
        if self.blas.is_empty() {
            return Ok(());
        }
        self.blas.iter().try_for_each(|path| blas::examine(path))?;
        let paths: Vec<PathBuf> = self.blas.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
        let listed = std::env::join_paths(&paths).context("a library's path must not contain a colon")?;
        again::with(&BTreeMap::from([(VARIABLE.into(), listed)]))
    }

    /// File names, which may be published; paths may not.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.blas.iter().filter_map(name).collect()
    }
}
