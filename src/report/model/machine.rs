//! What a reader must know about a machine, as names and values.

use crate::host::{Build, Cache, Facts};
use crate::measure::peaks::Peaks;
use crate::record::Run;
use crate::report::text;
use crate::run::Host;
use crate::units::{Bytes, Reading, significant};

/// A machine that measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Hash of its facts, as its records name it.
    pub id: String,
    /// Short name: processor and cores.
    pub name: String,
    /// Names of facts and what is known; the reason where it is not.
    pub facts: Vec<(&'static str, Reading<String>)>,
    /// Bytes of all last-level caches, where known.
    pub last_level: Option<u64>,
    /// Ceilings measured before the run; empty where none were.
    pub peaks: Peaks,
}

impl Machine {
    /// The machine that records call `id`, with the facts beside them where those can be read.
    pub(super) fn of(id: &str, run: &Run) -> Self {
        let host = run.host.as_ref().and_then(|host| serde_json::from_value::<Host>(host.clone()).ok());
        match host {
            Some(Host { facts, peaks, builds, .. }) => {
                let builds: Vec<String> = builds.values().map(build).collect();
                let built = Reading::Value(builds.join("; "));
                Self {
                    id: id.to_string(),
                    name: name(&facts),
                    last_level: facts.last_level_bytes().map(|bytes| bytes.0),
                    facts: rows(&facts).into_iter().chain([("Measured by", built)]).collect(),
                    peaks,
                }
            }
            None => {
                let why = "the run has no host.json that this program can read";
                Self {
                    id: id.to_string(),
                    name: format!("machine {id}"),
                    facts: vec![("Processor", Reading::absent(why))],
                    last_level: None,
                    peaks: Peaks::default(),
                }
            }
        }
    }

    /// Whether the caches may hold a good part of so many bytes, so that a rate says nothing of main memory: up to
    /// twice the last-level caches. None where their size is unknown.
    pub fn caches_hold(&self, bytes: u64) -> Option<bool> {
        self.last_level.map(|cache| bytes <= cache.saturating_mul(2))
    }
}

/// `cutgpu 0.1.0 (433c093), rustc 1.95.0, release`.
fn build(build: &Build) -> String {
    let compiler = build.rustc.split(" (").next().unwrap_or_default();
    format!("cutgpu {} ({}), {compiler}, {}", build.version, build.revision, build.profile)
}

/// `AMD EPYC 9B14, 2 logical cores`.
fn name(facts: &Facts) -> String {
    let model = facts.cpu.model.value().map_or("unknown processor", String::as_str);
    // Marketing tails say nothing here and make every title long.
    let short = model.replace("(R)", "").replace("(TM)", "").replace(" CPU", "").replace(" Processor", "");
    let short = short.split(" @").next().unwrap_or(&short).split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{short}, {}", text::plural(facts.usable_cores(), "logical core"))
}

fn rows(facts: &Facts) -> Vec<(&'static str, Reading<String>)> {
    let cpu = &facts.cpu;
    let known = |text: String| Reading::Value(text);
    vec![
        ("Processor", cpu.model.clone()),
        ("Cores", cores(facts)),
        ("Instruction sets", known(cpu.flags.join(" "))),
        ("Caches", caches(&facts.caches)),
        ("Memory nodes", map(&facts.numa_nodes, |nodes| nodes.to_string())),
        ("Memory", map(&facts.memory.total, |bytes| binary(*bytes))),
        (
            "Memory modules",
            map(&facts.memory.modules, |modules| {
                let each = |module: &crate::host::Module| {
                    let speed = if module.megatransfers > 0 {
                        format!("-{}", module.megatransfers)
                    } else {
                        String::new()
                    };
                    format!("{} × {} {}{speed}", module.count, binary(module.bytes), module.kind)
                };
                modules.iter().map(each).collect::<Vec<_>>().join(", ")
            }),
        ),
        ("Huge pages", facts.memory.huge_pages.clone()),
        ("Clock policy", cpu.governor.clone()),
        ("Turbo", map(&cpu.turbo, |on| if *on { "on" } else { "off" }.to_string())),
        ("Hypervisor", facts.hypervisor.clone()),
        ("Container", container(facts)),
        ("System", system(facts)),
        (
            "Load when measured",
            map(&facts.now.load, |load| load.map(|value| format!("{value:.2}")).join(", ")),
        ),
        ("Time taken by the hypervisor", map(&facts.now.steal, |share| text::percent(*share))),
        ("Precision of the clock", known(format!("{} ns", significant(facts.clock_precision_ns, 2)))),
    ]
}

fn map<T>(reading: &Reading<T>, show: impl Fn(&T) -> String) -> Reading<String> {
    match reading {
        Reading::Value(value) => Reading::Value(show(value)),
        Reading::Absent(why) => Reading::Absent(why.clone()),
    }
}

fn binary(bytes: Bytes) -> String {
    let (mebi, gibi) = ((1u64 << 20) as f64, (1u64 << 30) as f64);
    let value = bytes.0 as f64;
    match value {
        v if v >= gibi => format!("{} GiB", significant(v / gibi, 3)),
        v if v >= mebi => format!("{} MiB", significant(v / mebi, 3)),
        v => format!("{} KiB", significant(v / 1024.0, 3)),
    }
}

fn cores(facts: &Facts) -> Reading<String> {
    let cpu = &facts.cpu;
    let physical = cpu.cores.value().map_or(String::new(), |cores| format!("{cores} physical, "));
    let threads = cpu
        .threads_per_core
        .value()
        .map_or(String::new(), |each| format!(", {} a core", text::threads(*each)));
    Reading::Value(format!("{physical}{} logical, {} usable{threads}", cpu.logical, facts.usable_cores()))
}

fn caches(caches: &[Cache]) -> Reading<String> {
    let each = |cache: &Cache| {
        let count = if cache.instances > 1 { format!("{} × ", cache.instances) } else { String::new() };
        format!("L{} {count}{}", cache.level, binary(cache.bytes))
    };
    match caches {
        [] => Reading::absent("the kernel does not list them"),
        some => Reading::Value(some.iter().map(each).collect::<Vec<_>>().join(", ")),
    }
}

fn container(facts: &Facts) -> Reading<String> {
    let cores = facts.container.cores.value().map(|cores| format!("{} cores", significant(*cores, 3)));
    let memory = facts.container.memory.value().map(|bytes| binary(*bytes));
    match (cores, memory) {
        (None, None) => match &facts.container.cores {
            Reading::Absent(why) => Reading::Absent(why.clone()),
            Reading::Value(_) => Reading::absent("no limits"),
        },
        (cores, memory) => Reading::Value(cores.into_iter().chain(memory).collect::<Vec<_>>().join(", ")),
    }
}

fn system(facts: &Facts) -> Reading<String> {
    let parts = [&facts.system.distribution, &facts.system.kernel].map(|reading| reading.value().cloned());
    let known: Vec<String> = parts.into_iter().flatten().collect();
    match known.as_slice() {
        [] => facts.system.kernel.clone(),
        some => Reading::Value(some.join(", Linux ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described_and_a_run_without_facts_says_so() {
        let facts = crate::host::facts();
        let builds = [("b".to_string(), crate::host::build())].into_iter().collect();
        let host = Host { hash: facts.hash(), facts, peaks: Peaks::default(), builds };
        let run = Run { host: serde_json::to_value(host).ok(), ..Run::default() };
        let machine = Machine::of("abc", &run);
        assert!(machine.name.contains("logical core"), "{}", machine.name);
        assert!(machine.facts.iter().any(|(name, _)| *name == "Measured by"));
        let unknown = Machine::of("abc", &Run::default());
        assert_eq!(unknown.name, "machine abc");
        assert!(unknown.facts[0].1.value().is_none());
    }
}
