//! A stranger's first ten minutes: a fresh clone, built and run to the finished page.

use super::Measured;
use super::commands::run;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

/// Clones what is committed into an empty folder, then builds, measures and draws, each timed.
pub(crate) fn clone() -> Measured {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let to = folder.path().join("cutgpu");
    run(Command::new("git").args(["clone", "--quiet", "--local", "."]).arg(&to))?;
    let make = |target: &str| {
        let clock = Instant::now();
        // A build folder or libraries of this tree would make the clone look quicker than it is.
        let mut command = Command::new("make");
        command.args(["--silent", "-C"]).arg(&to).arg(target);
        for name in ["CARGO_TARGET_DIR", "CUTGPU_PEERS", "CUTGPU_BLAS", "MAKEFLAGS"] {
            command.env_remove(name);
        }
        let output = run(&mut command)?;
        Ok::<_, String>((clock.elapsed().as_secs_f64() / 60.0, output))
    };
    let (building, _) = make("build")?;
    let (bench, output) = make("bench")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let page = to.join("runs/quick/report/index.html");
    if !page.is_file() {
        return Err(format!("no page was written to {}", page.display()));
    }
    let measuring = super::commands::printed(&said, "measuring took ")? / 60.0;
    Ok(BTreeMap::from([
        ("first.clean_build", building),
        ("wgpu.clean_build", building),
        ("first.clone_to_page", building + bench),
        ("first.measuring", measuring),
    ]))
}
