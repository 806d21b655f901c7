//! Checks of the backends: which are here, which version, and whether they chose the right kernels.

use super::super::look::Hello;
use super::Check;
use crate::backends::{DeviceKind, FAMILIES, Family, Identity};
use crate::host::Facts;
use crate::plan::{Available, Backend};

/// Names of kernels that OpenBLAS and its kin call the best for a processor without AVX-512. One of them
/// on a processor with AVX-512 runs at about half of what it could.
const WITHOUT_AVX512: [&str; 8] =
    ["haswell", "zen", "sandybridge", "nehalem", "prescott", "core2", "excavator", "generic"];

/// How the error of a backend that refused begins.
const UNSUPPORTED: &str = "unsupported: not supported: ";

/// One check for each backend that a user could miss.
pub(super) fn checks(available: &Available, hellos: &[Hello], facts: &Facts) -> Vec<Check> {
    let shown =
        available.backends.iter().filter(|backend| backend.name != "null" && backend.name != "cpu/blas");
    let checks = shown.map(|backend| {
        let hello = hellos.iter().find(|hello| hello.backend == backend.name);
        check(backend, hello, facts)
    });
    let of_family = |family: &&dyn Family| {
        let id = family.id();
        let warn = move |why: String| {
            Check::warn(
                id,
                format!("left out {why}"),
                "its devices are not measured",
                "mend or remove that driver",
            )
        };
        // Where nothing is left, the backend is missing and says so itself.
        let found =
            available.backends.iter().any(|other| other.missing.is_none() && other.name.starts_with(id));
        family.left_out().into_iter().filter(move |_| found).map(warn)
    };
    checks.chain(FAMILIES.iter().flat_map(of_family)).collect()
}

fn check(backend: &Backend, hello: Option<&Hello>, facts: &Facts) -> Check {
    let name = &backend.name;
    if let Some(reason) = &backend.missing {
        let (found, advice) = reason.split_once(": ").unwrap_or((reason, ""));
        return Check::warn(name, found, "it is skipped wherever a suite names it", advice);
    }
    match hello {
        Some(Hello { identity: Some(identity), ms, .. }) => opened(backend, identity, *ms, facts),
        Some(Hello { slow: true, ms, .. }) => {
            let found = format!("had not opened after {:.0} s", ms / 1e3);
            let cost = "it is not known whether it opens; a run tries again, and waits longer";
            Check::warn(
                name,
                found,
                cost,
                "run the doctor again: what the disk had to bring is there by then",
            )
        }
        Some(Hello { error, .. }) => {
            let reason = error.clone().unwrap_or_default();
            // A backend that refuses says after a colon what to do; a crash has nothing to advise.
            let refusal = reason.strip_prefix(UNSUPPORTED).and_then(|reason| reason.split_once(": "));
            let (found, fix) = refusal.unwrap_or((&reason, ""));
            Check::warn(name, format!("does not open: {found}"), "it is skipped", fix)
        }
        None => Check::ok(name, "was not asked"),
    }
}

fn opened(backend: &Backend, identity: &Identity, ms: f64, facts: &Facts) -> Check {
    let name = &backend.name;
    let mut parts = vec![identity.name.clone(), identity.version.clone(), identity.origin.clone()];
    parts.retain(|part| !part.is_empty());
    let core = identity.notes.get("core");
    parts.extend(core.map(|core| format!("{core} kernels")));
    parts.push(format!("{} threads", identity.threads));
    parts.extend(identity.notes.get("can").filter(|can| !can.is_empty()).map(|can| format!("can {can}")));
    parts.push(format!("opened in {ms:.0} ms"));
    if backend.kind == DeviceKind::SoftwareGpu {
        parts.push("a CPU in disguise, never counted as a GPU".to_string());
    }
    let found = parts.join(", ");
    if core.is_some_and(|core| facts.has("avx512f") && is_without_avx512(core)) {
        let cost = "it leaves half of this processor's vector width unused";
        let fix = "set OPENBLAS_CORETYPE=SkylakeX (BLIS: BLIS_ARCH_TYPE=skx) and run the doctor again";
        return Check::warn(name, found, cost, fix);
    }
    Check::ok(name, found)
}

fn is_without_avx512(core: &str) -> bool {
    let core = core.to_lowercase();
    WITHOUT_AVX512.iter().any(|name| core == *name) || matches!(core.as_str(), "zen2" | "zen3")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::host;

    #[test]
    fn kernels_for_a_lesser_processor_are_found_out() {
        let mut facts = host::facts();
        let backend = Backend { name: "cpu/openblas".to_string(), kind: DeviceKind::Cpu, missing: None };
        for (core, flags, status) in [
            ("Haswell", vec!["avx512f"], Status::Warn),
            ("SkylakeX", vec!["avx512f"], Status::Ok),
            ("Haswell", vec!["avx2"], Status::Ok),
        ] {
            facts.cpu.flags = flags.into_iter().map(str::to_string).collect();
            let notes = [("core".to_string(), core.to_string())].into();
            let identity = Some(Identity { notes, ..Identity::default() });
            let backend_name = backend.name.clone();
            let hello = Hello { backend: backend_name, identity, error: None, slow: false, ms: 3.0 };
            assert_eq!(check(&backend, Some(&hello), &facts).status, status, "{core}");
        }
    }

    #[test]
    fn a_backend_that_refuses_says_what_to_do_and_one_that_crashes_does_not() {
        let backend = Backend { name: "cuda/native/0".to_string(), kind: DeviceKind::Gpu, missing: None };
        for (error, found, fix) in [
            (
                "unsupported: not supported: cuInit gave CUDA error 34, a stub: take it away",
                "cuInit gave CUDA error 34, a stub",
                "take it away",
            ),
            ("segfault: killed by signal 11", "segfault: killed by signal 11", ""),
        ] {
            let error = Some(error.to_string());
            let hello = Hello { backend: backend.name.clone(), identity: None, error, slow: false, ms: 3.0 };
            let check = check(&backend, Some(&hello), &host::facts());
            assert_eq!((check.found, check.fix), (format!("does not open: {found}"), fix.to_string()));
        }
    }

    #[test]
    fn a_backend_that_is_slow_is_not_said_to_be_missing() {
        let backend = Backend { name: "peer/torch".to_string(), kind: DeviceKind::Cpu, missing: None };
        let error = Some("hang: no answer within 5.0 s".to_string());
        let hello = Hello { backend: backend.name.clone(), identity: None, error, slow: true, ms: 5012.0 };
        let check = check(&backend, Some(&hello), &host::facts());
        assert_eq!((check.status, check.found.as_str()), (Status::Warn, "had not opened after 5 s"));
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let missing = Some("there is no cpu/mkl on this machine: `make peers` fetches MKL".to_string());
        let backend = Backend { name: "cpu/mkl".to_string(), kind: DeviceKind::Cpu, missing };
        let check = check(&backend, None, &host::facts());
        assert_eq!((check.status, check.fix.as_str()), (Status::Warn, "`make peers` fetches MKL"));
    }
}
