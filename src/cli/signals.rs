//! What Ctrl-C does to a command that has workers.

use super::exit;
use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The flag that the first Ctrl-C sets. The second ends this process at once, and the kernel its workers.
pub(super) fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::{register, register_conditional_shutdown};
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = i32::from(exit::INTERRUPTED);
        register_conditional_shutdown(signal, code, flag.clone()).context("cannot watch for signals")?;
        register(signal, flag.clone()).context("cannot watch for signals")?;
    }
    Ok(flag)
}
