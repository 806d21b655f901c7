//! The best known settings of each library, which it reads from its environment when it starts.

use crate::backends::cpu::dylib::{SharedLibrary, Wanted};
use std::env;
use std::ffi::c_int;

/// MKL's own thread pool, among the fetched libraries.
pub(super) const INTEL_OPENMP: &str = "pip/intel-openmp/libiomp5.so";

/// Where a worker reads which of the user's variables were replaced for it.
pub(in super::super) const REPLACED: &str = "CUTGPU_REPLACED";

pub(in crate::backends) type Settings = Vec<(&'static str, String)>;

/// OpenBLAS.
pub(super) fn openblas(threads: usize) -> Settings {
    let mut settings = vec![
        ("OPENBLAS_NUM_THREADS", threads.to_string()),
        // A build on OpenMP reads this one.
        ("OMP_NUM_THREADS", threads.to_string()),
        // Idle threads spin for 2^20 cycles, not 2^26 (26 ms or more), which would halve a probe beside it.
        ("OPENBLAS_THREAD_TIMEOUT", "20".to_string()),
    ];
    settings.extend(core_type().map(|core| ("OPENBLAS_CORETYPE", core.to_string())));
    settings
}

/// The kernels that OpenBLAS should run where it may not know the processor: an AVX-512 processor that
/// came after the build gets AVX2 kernels, half the speed.
fn core_type() -> Option<&'static str> {
    let cpuid = crate::host::cpuid::cpuid();
    let is_intel = cpuid.get_vendor_info().is_some_and(|vendor| vendor.as_str() == "GenuineIntel");
    let features = cpuid.get_extended_feature_info()?;
    let has_avx512 = features.has_avx512f()
        && features.has_avx512dq()
        && features.has_avx512bw()
        && features.has_avx512vl();
    // Intel's own are told apart by their flags, bf16 and AMX included.
    (has_avx512 && !is_intel).then_some("SkylakeX")
}

/// BLIS.
pub(super) fn blis(threads: usize) -> Settings {
    let mut settings =
        vec![("BLIS_NUM_THREADS", threads.to_string()), ("OMP_NUM_THREADS", threads.to_string())];
    // The reference library knows AMD's processors by family, and a later one gets plain C; AMD's own
    // build (libblis-mt) has kernels for them. Old versions take a number here and read `skx` as its 0.
    let is_amds = super::BLIS_FILES.find().is_some_and(|file| file.name().starts_with("libblis-mt"));
    settings.extend(core_type().filter(|_| !is_amds).map(|_| ("BLIS_ARCH_TYPE", "skx".to_string())));
    settings
}

/// oneDNN on GNU's OpenMP.
pub(in super::super) fn gomp(threads: usize) -> Settings {
    vec![("OMP_NUM_THREADS", threads.to_string())]
}

/// MKL.
pub(super) fn mkl(threads: usize) -> Settings {
    // Without its own pool at hand, MKL would end the process.
    let is_at_hand =
        Wanted { variable: "", fetched: &[INTEL_OPENMP], sonames: &["libiomp5.so"] }.find().is_some();
    vec![
        ("MKL_NUM_THREADS", threads.to_string()),
        ("OMP_NUM_THREADS", threads.to_string()),
        // As many threads as asked for, whatever the size.
        ("MKL_DYNAMIC", "FALSE".to_string()),
        ("MKL_INTERFACE_LAYER", "LP64".to_string()),
        ("MKL_THREADING_LAYER", if is_at_hand { "INTEL" } else { "GNU" }.to_string()),
        // Idle threads spin for 1 ms, not 200.
        ("KMP_BLOCKTIME", "1".to_string()),
    ]
}

/// A library that nobody knows: the thread counts of all.
pub(in crate::backends) fn any(threads: usize) -> Settings {
    let mut settings = openblas(threads);
    for (name, value) in blis(threads).into_iter().chain(mkl(threads)) {
        if !settings.iter().any(|(known, _)| *known == name) {
            settings.push((name, value));
        }
    }
    settings
}

/// `settings` for a worker: what [`is_ours`] is set, and everything else stays the user's where the user
/// set it. What is replaced is handed on, so that the worker's notes say so.
pub(in crate::backends) fn applied(settings: Settings) -> Vec<(String, String)> {
    merge(settings, |name| env::var(name).ok())
}

fn merge(settings: Settings, set_by_user: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut applied = Vec::new();
    let mut replaced = Vec::new();
    for (name, value) in settings {
        match set_by_user(name) {
            Some(theirs) if theirs != value && is_ours(name) => {
                replaced.push(format!("{name}={theirs}"));
                applied.push((name.to_string(), value));
            }
            Some(_) => {}
            None => applied.push((name.to_string(), value)),
        }
    }
    if !replaced.is_empty() {
        applied.push((REPLACED.to_string(), replaced.join(" ")));
    }
    applied
}

/// The lane sets the threads, and the functions are called with 32-bit integers.
fn is_ours(name: &str) -> bool {
    name.ends_with("_NUM_THREADS") || name == "MKL_INTERFACE_LAYER"
}

/// Variables that steer the libraries of this module, as far as this process has them.
pub(in super::super) fn in_effect() -> String {
    let names = any(1).into_iter().map(|(name, _)| name);
    let set = names.filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)));
    set.collect::<Vec<_>>().join(" ")
}

/// Asks a loaded library for `threads` threads, in whichever way it has.
pub(super) fn set_threads(library: &SharedLibrary, threads: usize) {
    type SetInt = unsafe extern "C" fn(c_int);
    type SetDim = unsafe extern "C" fn(i64);
    for name in ["openblas_set_num_threads", "MKL_Set_Num_Threads"] {
        // SAFETY: both take an int and return nothing (cblas.h of OpenBLAS, mkl_service.h).
        if let Some(set) = unsafe { library.function::<SetInt>(name) } {
            // SAFETY: as above; any positive number is allowed.
            unsafe { set(c_int::try_from(threads).unwrap_or(1)) };
        }
    }
    // SAFETY: it takes a dim_t, 64 bits on a 64-bit machine (blis.h).
    if let Some(set) = unsafe { library.function::<SetDim>("bli_thread_set_num_threads") } {
        // SAFETY: as above.
        unsafe { set(i64::try_from(threads).unwrap_or(1)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_the_lanes_and_the_rest_is_the_users() {
        let settings = || vec![("A_NUM_THREADS", "2".to_string()), ("A_CORE", "new".to_string())];
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let own = [pair("A_NUM_THREADS", "2"), pair("A_CORE", "new")];
        for (theirs, want) in [
            (&[][..], own.to_vec()),
            (&[("A_NUM_THREADS", "2")], vec![own[1].clone()]),
            (&[("A_CORE", "old")], vec![own[0].clone()]),
            (
                &[("A_NUM_THREADS", "8")],
                vec![own[0].clone(), own[1].clone(), pair(REPLACED, "A_NUM_THREADS=8")],
            ),
        ] {
            let lookup = |name: &str| {
                theirs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
            };
            assert_eq!(merge(settings(), lookup), want);
        }
    }

    #[test]
    fn every_library_is_told_its_threads() {
        for (settings, name) in [
            (openblas(3), "OPENBLAS_NUM_THREADS"),
            (blis(3), "BLIS_NUM_THREADS"),
            (mkl(3), "MKL_NUM_THREADS"),
            (any(3), "BLIS_NUM_THREADS"),
        ] {
            assert!(settings.contains(&(name, "3".to_string())), "{name}");
            assert!(settings.contains(&("OMP_NUM_THREADS", "3".to_string())));
            let mut names: Vec<_> = settings.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), settings.len(), "a variable is set twice");
        }
    }
}
