//! Looks at what there is to compute on: cheaply and from what was kept, or by opening every backend in a
//! process of its own.

use super::select::Selection;
use crate::backends::{Identity, Lane, Packing};
use crate::host::{Facts, cache};
use crate::measure::crash::{Crash, CrashKind};
use crate::measure::peaks::Peaks;
use crate::measure::peer::Hire;
use crate::measure::protocol::ProbeKind;
use crate::measure::staff::Staff;
use crate::plan::{self, Available, Backend, Contender, Rates};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long a backend may take to open: a driver may hang, and a person is waiting.
const LIMIT: Duration = Duration::from_secs(5);

/// What a backend said when it was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Its name.
    pub backend: String,
    /// Who it is; none where it did not open.
    pub identity: Option<Identity>,
    /// Why it did not open.
    pub error: Option<String>,
    /// It had not said so when the time was over: a library that the disk has yet to bring, perhaps, so that a run asks
    /// for it all the same.
    #[serde(default)]
    pub slow: bool,
    /// Milliseconds until it had said so.
    pub ms: f64,
}

/// What was learned by opening and measuring, kept between commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Every backend that was found.
    pub hellos: Vec<Hello>,
    /// Measured ceilings; empty where none were measured.
    pub peaks: Peaks,
}

const CACHE: &str = "seen";

impl Seen {
    /// What an earlier command learned since the machine started.
    pub(super) fn kept() -> Option<Self> {
        cache::load(CACHE)
    }

    /// Keeps it for later commands.
    pub(super) fn keep(&self) {
        cache::store(CACHE, self);
    }

    /// Backends that are here, less those that were found not to open.
    pub(super) fn correct(&self, available: &mut Available) {
        for backend in &mut available.backends {
            let hello = self.hellos.iter().find(|hello| hello.backend == backend.name);
            let refused = hello.filter(|hello| !hello.slow).and_then(|hello| hello.error.clone());
            if backend.missing.is_none() {
                backend.missing = refused;
            }
        }
    }

    /// Rates for estimates: measured where they were.
    pub(super) fn rates(&self) -> Rates {
        let at = |probe, place| self.peaks.rate(probe, 1, place);
        match (at(ProbeKind::Fma, "registers"), at(ProbeKind::Read, "memory")) {
            (Some(operations), Some(bytes)) => Rates { operations, bytes, measured: true },
            _ => Rates::default(),
        }
    }
}

/// Fails where a backend is missing that the variable REQUIRE_BACKENDS lists: by its name, or by the start of
/// it (`cuda` is any of `cuda/native/0`, `cuda/cublaslt/0`, ..).
pub(super) fn require(available: &Available) -> anyhow::Result<()> {
    let required = std::env::var("REQUIRE_BACKENDS").unwrap_or_default();
    let mut names = required.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.try_for_each(|name| require_one(name, available))
}

fn require_one(name: &str, available: &Available) -> anyhow::Result<()> {
    let is_meant = |backend: &&Backend| backend.name == name || backend.name.starts_with(&format!("{name}/"));
    let meant: Vec<_> = available.backends.iter().filter(is_meant).collect();
    if meant.iter().any(|backend| backend.missing.is_none()) {
        return Ok(());
    }
    let reason = meant.iter().find_map(|backend| backend.missing.clone());
    let reason = reason.unwrap_or_else(|| "no backend of this program is called so".to_string());
    anyhow::bail!("REQUIRE_BACKENDS names {name}, which is not here: {reason}")
}

/// The plan of what `selection` asks for, `default` where it names nothing, once `change` has had its say.
pub(super) fn planned(
    selection: &Selection,
    default: &[&str],
    facts: &Facts,
    change: impl FnOnce(&mut plan::Options),
) -> anyhow::Result<plan::Plan> {
    let seen = Seen::kept().unwrap_or_default();
    let mut available = Available::look();
    seen.correct(&mut available);
    require(&available)?;
    let suites = selection.suites(default)?;
    let suites: Vec<_> = suites.into_iter().map(|selected| selected.suite).collect();
    let mut options = selection.options(available, seen.rates());
    change(&mut options);
    Ok(plan::build(&suites, facts, &options)?)
}

/// Workers of this program.
pub(super) fn staff() -> std::io::Result<Staff> {
    Ok(Staff {
        program: std::env::current_exe()?,
        scratch: std::env::temp_dir(),
        environment: Vec::new(),
        memory_limit: None,
    })
}

/// Opens every backend that was found, all at once, each in a process of its own.
pub(super) fn hellos(hire: &(dyn Hire + Sync), available: &Available, facts: &Facts) -> Vec<Hello> {
    let found = available.backends.iter().filter(|backend| backend.missing.is_none());
    let all = facts.usable_cores();
    std::thread::scope(|scope| {
        let asked: Vec<_> = found
            .map(|backend| (backend.name.clone(), scope.spawn(move || hello(hire, &backend.name, all))))
            .collect();
        let lost = |backend| Hello {
            backend,
            identity: None,
            error: Some("the question to it was lost".to_string()),
            slow: false,
            ms: 0.0,
        };
        asked.into_iter().map(|(name, thread)| thread.join().unwrap_or_else(|_| lost(name))).collect()
    })
}

fn hello(hire: &dyn Hire, backend: &str, threads: usize) -> Hello {
    let start = Instant::now();
    let ask = |threads| {
        let lane = Lane { threads, packing: Packing::Plain };
        let contender = Contender { backend: backend.to_string(), lane, twin: false };
        hire.hire(&contender, LIMIT).map(|peer| peer.identity().clone())
    };
    // A backend of one thread refuses more.
    let again = |crash: Crash| if threads > 1 && crash.kind != CrashKind::Hang { ask(1) } else { Err(crash) };
    let answer = ask(threads).or_else(again);
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let (identity, error, slow) = match answer {
        Ok(identity) => (Some(identity), None, false),
        Err(crash) => (None, Some(crash.to_string()), crash.kind == CrashKind::Hang),
    };
    Hello { backend: backend.to_string(), identity, error, slow, ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::DeviceKind;
    use crate::host;
    use crate::measure::peaks::Peak;
    use crate::measure::peer::Peer;
    use crate::units::Reading;

    #[test]
    fn a_backend_that_did_not_open_is_missing_from_plans() {
        let backend = |name: &str, missing: Option<&str>| Backend {
            name: name.to_string(),
            kind: DeviceKind::Cpu,
            missing: missing.map(str::to_string),
        };
        let hello = |name: &str, error: Option<&str>| Hello {
            backend: name.to_string(),
            identity: None,
            error: error.map(str::to_string),
            slow: error == Some("no answer"),
            ms: 1.0,
        };
        let hellos = vec![hello("a", None), hello("b", Some("crashed")), hello("d", Some("no answer"))];
        let seen = Seen { hellos, ..Seen::default() };
        let mut available = Available {
            backends: vec![
                backend("a", None),
                backend("b", None),
                backend("c", Some("not here")),
                backend("d", None),
            ],
        };
        seen.correct(&mut available);
        let missing: Vec<_> = available.backends.iter().map(|backend| backend.missing.as_deref()).collect();
        assert_eq!(missing, [None, Some("crashed"), Some("not here"), None]);
    }

    #[test]
    fn a_required_backend_is_there_by_name_or_by_the_start_of_it() {
        let backend = |name: &str, missing: Option<&str>| Backend {
            name: name.to_string(),
            kind: DeviceKind::Gpu,
            missing: missing.map(str::to_string),
        };
        let here = Available {
            backends: vec![backend("cuda/native/0", None), backend("cuda/cublas/0", Some("none"))],
        };
        for (name, is_met) in [
            ("cuda", true),
            ("cuda/native", true),
            ("cuda/native/0", true),
            ("cuda/cublas", false),
            ("cud", false),
        ] {
            assert_eq!(require_one(name, &here).is_ok(), is_met, "{name}");
        }
        let said = require_one("cuda/cublas", &here).unwrap_err().to_string();
        assert!(said.ends_with("which is not here: none"), "{said}");
    }

    /// Starts nothing: each backend fails in its own way.
    struct Nobody;

    impl Hire for Nobody {
        fn hire(&self, contender: &Contender, _: Duration) -> Result<Box<dyn Peer>, Crash> {
            assert_ne!(contender.backend, "panics");
            let kind = if contender.backend == "hangs" { CrashKind::Hang } else { CrashKind::Segfault };
            Err(Crash::new(kind, format!("{} on {}", contender.backend, contender.lane)))
        }
        fn hire_prober(&self, _: Duration) -> Result<Box<dyn Peer>, Crash> {
            Err(Crash::new(CrashKind::Hang, "no answer"))
        }
    }

    #[test]
    fn a_backend_that_crashes_costs_its_own_answer_only() {
        let backend = |name: &str, missing: Option<&str>| Backend {
            name: name.to_string(),
            kind: DeviceKind::Cpu,
            missing: missing.map(str::to_string),
        };
        let backends = vec![
            backend("a", None),
            backend("not here", Some("gone")),
            backend("panics", None),
            backend("hangs", None),
        ];
        let hellos = hellos(&Nobody, &Available { backends }, &host::facts());
        let said: Vec<_> = hellos.iter().map(|hello| (hello.backend.as_str(), hello.error.clone())).collect();
        assert_eq!(hellos.iter().map(|hello| hello.slow).collect::<Vec<_>>(), [false, false, true]);
        assert!(said[0].1.as_ref().unwrap().contains("a on t1"), "{said:?}");
        assert_eq!(said[1].1.as_deref(), Some("the question to it was lost"));
        let peaks = Peaks::measure(&Nobody, &host::facts(), 1.0);
        assert!(peaks.rows.iter().all(|peak| peak.rate.value().is_none()));
    }

    #[test]
    fn rates_are_measured_only_where_both_were() {
        let peak = |probe, place: &str, rate| Peak {
            probe,
            threads: 1,
            place: place.to_string(),
            footprint: 0,
            rate: Reading::Value(rate),
        };
        let mut seen = Seen::default();
        seen.peaks.rows.push(peak(ProbeKind::Fma, "registers", 7e10));
        assert_eq!(seen.rates(), Rates::default());
        seen.peaks.rows.push(peak(ProbeKind::Read, "memory", 3e10));
        assert_eq!(seen.rates(), Rates { operations: 7e10, bytes: 3e10, measured: true });
    }
}
