//! Runs that the words of a command name.

use crate::host::plain;
use crate::record::{self, Gathered, Run};
use anyhow::Context as _;
use std::path::Path;

/// Reads them; what is odd about them goes to stderr. `purpose` is what cannot be done without them.
pub(super) fn read<P: AsRef<Path>>(paths: &[P], purpose: &'static str) -> anyhow::Result<Vec<Run>> {
    let Gathered { runs, remarks } = record::gather(paths).context(purpose)?;
    for remark in remarks {
        eprintln!("cutgpu: {}", plain(&remark));
    }
    Ok(runs)
}
