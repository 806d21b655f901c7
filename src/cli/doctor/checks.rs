//! Checks of the build, the machine and its limits. Each is a pure function of facts.

use super::Check;
use super::noise::Noise;
use crate::host::{self, Build, Facts};
use crate::measure::peaks::Peaks;
use crate::units::{Bytes, Nanos, Reading};
use std::io::IsTerminal;
use std::path::Path;

/// Share of waiting above which samples are taken again often enough to be felt.
const NOISY: f64 = 0.01;

/// Everything but libraries, noise and peaks. `out` is where runs are going to be written.
pub(super) fn of_machine(facts: &Facts, build: &Build, out: &Path) -> Vec<Check> {
    vec![
        build_check(build),
        processor(facts),
        clock(facts.clock_precision_ns),
        cores(facts),
        quota(facts),
        threads(facts),
        governor(facts),
        hypervisor(facts),
        load(facts),
        memory(facts),
        pages(facts),
        disk(out),
        terminal(std::io::stderr().is_terminal()),
    ]
}

fn build_check(build: &Build) -> Check {
    let Build { profile, optimisation, rustc, revision, .. } = build;
    let found = format!("{profile}, level {optimisation}, {rustc}, revision {revision}");
    if build.is_optimised() {
        return Check::ok("build", found);
    }
    let cost = "every number of this project's own kernels would be INVALID (debug_build)";
    Check::fail("build", found, cost, "build with `cargo build --release` and run target/release/cutgpu")
}

fn processor(facts: &Facts) -> Check {
    let cpu = &facts.cpu;
    let found = format!("{}, {}", cpu.model, cpu.flags.join(" "));
    if facts.has("avx2") && facts.has("fma") {
        return Check::ok("processor", found);
    }
    Check::warn("processor", found, "kernels fall back to portable loops, several times slower", "")
}

fn clock(precision: f64) -> Check {
    let found = format!("steps of {}", Nanos(precision));
    match precision {
        step if step <= 1e3 => Check::ok("clock", found),
        step if step <= 1e6 => {
            let cost = "samples must last at least a hundred steps, so small cases take longer";
            Check::warn("clock", found, cost, "boot with clocksource=tsc if the processor allows it")
        }
        _ => Check::fail("clock", found, "no short case can be timed", "boot with clocksource=tsc"),
    }
}

fn cores(facts: &Facts) -> Check {
    let (allowed, logical) = (facts.cpu.allowed, facts.cpu.logical);
    let found = format!("{allowed} of {logical} logical cores may be used");
    if allowed == logical {
        return Check::ok("cores", found);
    }
    let cost = "numbers are those of a part of the processor, and others may use the rest";
    Check::warn("cores", found, cost, "start without taskset or a cpuset to use all of them")
}

fn quota(facts: &Facts) -> Check {
    match &facts.container.cores {
        Reading::Absent(reason) => Check::ok("quota", format!("processor time: {reason}")),
        Reading::Value(cores) if *cores >= facts.cpu.allowed as f64 => {
            Check::ok("quota", format!("{cores:.1} cores' worth of time"))
        }
        Reading::Value(cores) => {
            let found = format!("{cores:.1} cores' worth of time for {} cores", facts.cpu.allowed);
            let cost = if *cores < 1.0 {
                "even one thread is held back, so every number is SUSPECT (oversubscribed)"
            } else {
                "threads beyond the quota are held back; sweeps stop at it"
            };
            Check::warn("quota", found, cost, "raise the container's processor quota (docker run --cpus)")
        }
    }
}

fn threads(facts: &Facts) -> Check {
    match (&facts.cpu.threads_per_core, &facts.cpu.cores) {
        (Reading::Value(1), _) => Check::ok("threads", "one logical core a physical core"),
        (Reading::Value(count), Reading::Value(cores)) => {
            let found = format!("{count} logical cores share a physical core ({cores} physical)");
            let cost = "`all` threads share units, which often slows products down";
            Check::warn("threads", found, cost, &format!("add --threads {cores} to compare"))
        }
        (Reading::Absent(reason), _) | (_, Reading::Absent(reason)) => Check::ok("threads", reason),
    }
}

fn governor(facts: &Facts) -> Check {
    match &facts.cpu.governor {
        Reading::Absent(reason) => Check::ok("governor", reason),
        Reading::Value(name) if name == "performance" => Check::ok("governor", name),
        Reading::Value(name) => {
            let cost = "the clock rises late, so short cases look slower than they are";
            Check::warn("governor", name, cost, "sudo cpupower frequency-set -g performance")
        }
    }
}

fn hypervisor(facts: &Facts) -> Check {
    match &facts.hypervisor {
        Reading::Value(name) if name == "none" => Check::ok("virtual machine", "none"),
        Reading::Value(name) => Check::ok(
            "virtual machine",
            format!("{name}: energy, frequency and hardware counters are usually hidden, and stay empty"),
        ),
        Reading::Absent(reason) => Check::ok("virtual machine", reason),
    }
}

fn load(facts: &Facts) -> Check {
    let steal = match &facts.now.steal {
        Reading::Value(share) => format!("; {:.1} % of all time since boot was stolen", share * 100.0),
        Reading::Absent(_) => String::new(),
    };
    match &facts.now.load {
        Reading::Absent(reason) => Check::ok("load", format!("{reason}{steal}")),
        Reading::Value([minute, ..]) => {
            let found = format!("{minute:.2} runnable tasks over the last minute{steal}");
            if *minute <= 0.5 * facts.cpu.allowed as f64 {
                return Check::ok("load", found);
            }
            let cost = "samples that wait for a core are taken again, so runs take longer and spread more";
            Check::warn("load", found, cost, "end other work, or measure at another time")
        }
    }
}

/// Judges what was missed while every core was kept busy.
pub(super) fn noise(noise: &Noise) -> Check {
    let longest = Nanos(noise.longest.as_nanos() as f64);
    let waited = match noise.waited {
        Some(share) => format!("threads waited {:.1} % of the time", share * 100.0),
        None => "the kernel does not tell how long threads wait".to_string(),
    };
    let stolen = noise.stolen * 100.0;
    let found = format!("{waited}, {stolen:.1} % was stolen, {longest} was the longest break");
    if noise.waited.unwrap_or(0.0) <= NOISY && noise.stolen <= NOISY {
        return Check::ok("noise", found);
    }
    let cost = "records may be SUSPECT (noisy_host)";
    Check::warn("noise", found, cost, "end other work; on a shared host, measure when it is quiet")
}

fn memory(facts: &Facts) -> Check {
    let limit = match &facts.container.memory {
        Reading::Value(limit) => format!(", the container allows {limit}"),
        Reading::Absent(_) => String::new(),
    };
    let found = format!("{} free of {}{limit}", facts.now.available, facts.memory.total);
    let free = facts.now.available.value().map_or(u64::MAX, |bytes| bytes.0);
    let cost = "larger cases are skipped";
    match free.min(facts.memory_limit().map_or(u64::MAX, |bytes| bytes.0)) {
        0..=268_435_455 => Check::fail("memory", found, "almost no case fits", "end other work"),
        268_435_456..=2_147_483_647 => Check::warn("memory", found, cost, "end other work"),
        _ => Check::ok("memory", found),
    }
}

fn pages(facts: &Facts) -> Check {
    let found = format!("huge pages: {}", facts.memory.huge_pages);
    if facts.memory.huge_pages.value().is_some_and(|mode| mode == "never") {
        let fix = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";
        return Check::warn("pages", found, "large cases lose some percent to address translation", fix);
    }
    Check::ok("pages", found)
}

fn disk(out: &Path) -> Check {
    let folder = out.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".cutgpu-{}", std::process::id()));
    let written = std::fs::write(&probe, "probe");
    let _ = std::fs::remove_file(&probe);
    if let Err(error) = written {
        let cost = "a run could not keep its records";
        return Check::fail(
            "disk",
            format!("cannot write: {error}"),
            cost,
            "choose a folder with --out FOLDER",
        );
    }
    match host::moment(folder).disk {
        Reading::Value(Bytes(free)) if free < 100_000_000 => {
            let found = format!("{} free", Bytes(free));
            Check::warn("disk", found, "a long run may fill it", "free some space, or choose --out FOLDER")
        }
        free => Check::ok("disk", format!("writable, {free} free")),
    }
}

fn terminal(is_terminal: bool) -> Check {
    let kind =
        if is_terminal { "a terminal: progress is drawn" } else { "no terminal: progress is plain lines" };
    Check::ok("terminal", kind)
}

/// Whether ceilings could be measured.
pub(super) fn peaks(peaks: &Peaks) -> Check {
    let absent = peaks.rows.iter().find_map(|peak| match &peak.rate {
        Reading::Absent(reason) => Some(reason),
        Reading::Value(_) => None,
    });
    let measured = peaks.rows.iter().filter(|peak| peak.rate.value().is_some()).count();
    let found = format!("{measured} of {} ceilings measured", peaks.rows.len());
    match (measured, absent) {
        (0, Some(reason)) => {
            let found = format!("none measured: {reason}");
            Check::warn("peaks", found, "no number has its share of the machine's peak", "")
        }
        // A processor without a unit has no ceiling for it, and that is all right.
        (_, Some(reason)) => Check::ok("peaks", format!("{found}; the rest: {reason}")),
        (_, None) => Check::ok("peaks", found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status::{self, Fail, Ok, Warn};
    use super::*;
    use std::time::Duration;

    fn status_with(change: impl Fn(&mut Facts), check: fn(&Facts) -> Check) -> Status {
        let mut facts = host::facts();
        facts.cpu.allowed = 4;
        facts.cpu.logical = 4;
        facts.container.cores = Reading::absent("no limit is set");
        facts.container.memory = Reading::absent("no limit is set");
        change(&mut facts);
        check(&facts).status
    }

    #[test]
    fn limits_and_load_are_judged() {
        for (quota, status) in [(0.5, Warn), (2.0, Warn), (4.0, Ok)] {
            let set = |facts: &mut Facts| facts.container.cores = Reading::Value(quota);
            assert_eq!(status_with(set, super::quota), status, "{quota}");
        }
        for (minute, status) in [(0.1, Ok), (2.0, Ok), (2.1, Warn)] {
            let set = |facts: &mut Facts| facts.now.load = Reading::Value([minute, 0.0, 0.0]);
            assert_eq!(status_with(set, load), status, "{minute}");
        }
        for (free, status) in [(1 << 20, Fail), (1 << 30, Warn), (1 << 33, Ok)] {
            let set = |facts: &mut Facts| {
                facts.now.available = Reading::Value(Bytes(free));
                facts.memory.total = Reading::Value(Bytes(1 << 40));
            };
            assert_eq!(status_with(set, memory), status, "{free}");
        }
        for (name, status) in [("performance", Ok), ("powersave", Warn)] {
            let set = |facts: &mut Facts| facts.cpu.governor = Reading::Value(name.to_string());
            assert_eq!(status_with(set, governor), status, "{name}");
        }
        assert_eq!(status_with(|facts| facts.cpu.allowed = 3, cores), Warn);
        let unknown = |facts: &mut Facts| facts.cpu.threads_per_core = Reading::absent("unknown");
        assert_eq!(status_with(unknown, threads), Ok);
    }

    #[test]
    fn a_slow_clock_and_a_debug_build_block() {
        for (step, status) in [(1.0, Ok), (1e4, Warn), (4e6, Fail)] {
            assert_eq!(clock(step).status, status, "{step}");
        }
        let optimised = Build { optimisation: "3".to_string(), assertions: false, ..host::build() };
        assert_eq!(build_check(&optimised).status, Ok);
        assert_eq!(build_check(&Build { assertions: true, ..optimised.clone() }).status, Fail);
        assert_eq!(build_check(&Build { optimisation: "0".to_string(), ..optimised }).status, Fail);
    }

    #[test]
    fn noise_is_judged_by_its_share() {
        let quiet = Noise { waited: Some(0.0), stolen: 0.0, longest: Duration::from_micros(40) };
        assert_eq!(noise(&quiet).status, Ok);
        assert_eq!(noise(&Noise { waited: None, ..quiet }).status, Ok);
        assert_eq!(noise(&Noise { waited: Some(0.05), ..quiet }).status, Warn);
        assert_eq!(noise(&Noise { stolen: 0.05, ..quiet }).status, Warn);
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(disk(&folder.path().join("not/yet/there")).status, Ok);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
