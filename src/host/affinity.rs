//! One core for all that compute on one thread.
//!
//! The cores of a virtual machine have different neighbours, so two processes that compute on one thread
//! each are alike only on the same core.

/// The calling thread, and what it starts meanwhile, stay on one core until this is dropped.
#[derive(Debug)]
pub struct OneCore {
    #[cfg(target_os = "linux")]
    before: rustix::thread::CpuSet,
}

impl OneCore {
    /// The last core that this thread may use, because the first serves most interrupts; none where the
    /// system refuses.
    #[cfg(target_os = "linux")]
    pub fn keep() -> Option<Self> {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let before = sched_getaffinity(None).ok()?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|&core| before.is_set(core))?;
        let mut only = CpuSet::new();
        only.set(last);
        sched_setaffinity(None, &only).ok()?;
        Some(Self { before })
    }

    /// Elsewhere than on Linux threads go where they like.
    #[cfg(not(target_os = "linux"))]
    pub fn keep() -> Option<Self> {
        None
    }
}

#[cfg(target_os = "linux")]
impl Drop for OneCore {
    fn drop(&mut self) {
        // What a moment ago was allowed still is, or there is nothing better to do.
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_stays_there_and_the_thread_comes_back() {
        let allowed = || rustix::thread::sched_getaffinity(None).unwrap().count();
        let before = allowed();
        let kept = OneCore::keep();
        let child = std::process::Command::new("nproc").env_remove("OMP_NUM_THREADS").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&child.stdout).trim(), "1");
        drop(kept);
        assert_eq!(allowed(), before);
    }
}
