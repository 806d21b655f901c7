//! Real faults: the process ends, blocks or talks out of turn.

use super::Kind;
use crate::backends::Fault;
use rustix::fs::{OFlags, fcntl_getfl};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Lets `kind` happen; wrong answers do not happen here.
pub(super) fn strike(kind: Kind) -> Result<(), Fault> {
    match kind {
        Kind::Panic => panic!("a planted panic"),
        Kind::Abort => std::process::abort(),
        Kind::Segfault => {
            // SAFETY: none; the first page is never mapped, so that the kernel ends the process here.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        }
        Kind::Hang => hang(),
        Kind::OutOfMemory => exhaust(),
        Kind::Garbage => babble(),
        Kind::SilentExit => std::process::exit(0),
        Kind::Error => return Err(Fault::Library("a planted error".to_string())),
        Kind::WrongElement | Kind::LowPrecision | Kind::SkippedRow | Kind::Stale => {}
    }
    Ok(())
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn exhaust() -> ! {
    const CHUNK: usize = 64 << 20;
    // Enough for a limit to notice, not so much that the machine's other users suffer.
    let limit = available_bytes() / 4 * 3;
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while (taken.len() * CHUNK) < limit {
        // A value that is not zero, or the pages would not be touched.
        taken.push(vec![1u8; CHUNK]);
        std::thread::sleep(Duration::from_millis(2));
    }
    std::hint::black_box(&taken);
    hang()
}

fn available_bytes() -> usize {
    let facts = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).map_or(1 << 30, |kib| kib << 10)
}

/// A worker keeps its channel on a descriptor of its own; a fault respects nothing.
fn babble() {
    const GARBAGE: &[u8] = b"\xff\xfe{]} this is no answer\n";
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|&number| number != 2) {
        let target = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        let is_channel = ["pipe:", "socket:"].iter().any(|kind| target.to_string_lossy().starts_with(kind));
        // SAFETY: the descriptor was open a moment ago and is only written to; one that has closed since
        // gives an error.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let writable =
            fcntl_getfl(descriptor).is_ok_and(|flags| flags.intersects(OFlags::WRONLY | OFlags::RDWR));
        if number == 1 || (is_channel && writable) {
            let _ = rustix::io::write(descriptor, GARBAGE);
        }
    }
}
