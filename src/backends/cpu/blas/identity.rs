//! What an open BLAS says about itself.

use super::settings;
use crate::backends::Identity;
use crate::backends::cpu::dylib::{Decoration, SharedLibrary};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};

type Text = unsafe extern "C" fn() -> *const c_char;
type Count = unsafe extern "C" fn() -> c_int;

/// Who computes; `name` where the library does not say, `threads` as they were asked for.
pub(super) fn of(library: &SharedLibrary, name: &str, threads: usize) -> Identity {
    let mut identity = Identity {
        name: name.to_string(),
        origin: library.origin().to_string(),
        hash: library.hash(),
        threads: threads_in_effect(library).unwrap_or(threads),
        ..Identity::default()
    };
    let notes = &mut identity.notes;
    if let Some(config) = text(library, "openblas_get_config") {
        identity.name = "OpenBLAS".to_string();
        identity.version = config.split_whitespace().nth(1).unwrap_or_default().to_string();
        notes.insert("config".to_string(), config.trim().to_string());
        note(notes, "core", text(library, "openblas_get_corename"));
    } else if let Some(version) = text(library, "bli_info_get_version_str") {
        (identity.name, identity.version) = ("BLIS".to_string(), version);
        note(notes, "core", blis_core(library));
    } else if let Some(version) = mkl_version(library) {
        (identity.name, identity.version) = ("MKL".to_string(), version);
    }
    if threads_in_effect(library).is_none() {
        note(notes, "threads", Some("as asked for; the library does not say".to_string()));
    }
    note(notes, "names", decorated(library.decoration()));
    note(notes, "environment", Some(settings::in_effect()).filter(|set| !set.is_empty()));
    note(notes, "replaced", std::env::var(settings::REPLACED).ok());
    identity
}

fn note(notes: &mut BTreeMap<String, String>, name: &str, text: Option<String>) {
    notes.extend(text.map(|text| (name.to_string(), text)));
}

fn decorated(decoration: &Decoration) -> Option<String> {
    let Decoration { prefix, suffix } = decoration;
    (decoration != &Decoration::default()).then(|| format!("{prefix}cblas_sgemm{suffix}"))
}

/// What a function without arguments returns, where the library has it.
fn text(library: &SharedLibrary, function: &str) -> Option<String> {
    // SAFETY: the names passed here belong to functions that return a C string of the library's own.
    let found = unsafe { library.function::<Text>(function) }?;
    // SAFETY: as above.
    string(unsafe { found() })
}

fn string(start: *const c_char) -> Option<String> {
    // SAFETY: not null, and the libraries end their texts in 0.
    (!start.is_null()).then(|| unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned())
}

/// The processor whose kernels BLIS runs.
fn blis_core(library: &SharedLibrary) -> Option<String> {
    // SAFETY: `arch_t bli_arch_query_id(void)`, an enum.
    let query = unsafe { library.function::<Count>("bli_arch_query_id") }?;
    // SAFETY: `const char* bli_arch_string(arch_t)`.
    let name =
        unsafe { library.function::<unsafe extern "C" fn(c_int) -> *const c_char>("bli_arch_string") }?;
    // SAFETY: as above; the id is the library's own.
    string(unsafe { name(query()) })
}

/// "2026.2" out of MKL's sentence about itself.
fn mkl_version(library: &SharedLibrary) -> Option<String> {
    type Fill = unsafe extern "C" fn(*mut c_char, c_int);
    // SAFETY: `void MKL_Get_Version_String(char* buffer, int length)`.
    let fill = unsafe { library.function::<Fill>("MKL_Get_Version_String") }?;
    let mut buffer = [0u8; 256];
    // SAFETY: as above; one byte less than there is, so that the text ends in 0.
    unsafe { fill(buffer.as_mut_ptr().cast(), buffer.len() as c_int - 1) };
    let sentence = String::from_utf8_lossy(&buffer).trim_matches(['\0', ' ']).to_string();
    let number = sentence.split_once("Version ").and_then(|(_, rest)| rest.split([' ', '-']).next());
    Some(number.unwrap_or(&sentence).to_string())
}

fn threads_in_effect(library: &SharedLibrary) -> Option<usize> {
    for name in ["openblas_get_num_threads", "MKL_Get_Max_Threads"] {
        // SAFETY: both take nothing and return an int.
        if let Some(count) = unsafe { library.function::<Count>(name) } {
            // SAFETY: as above.
            return usize::try_from(unsafe { count() }).ok();
        }
    }
    // SAFETY: `dim_t bli_thread_get_num_threads(void)`, 64 bits.
    let count = unsafe { library.function::<unsafe extern "C" fn() -> i64>("bli_thread_get_num_threads") }?;
    // SAFETY: as above.
    usize::try_from(unsafe { count() }).ok()
}

/// Whether the library's integers have 64 bits although its names do not say so.
pub(super) fn is_wide(library: &SharedLibrary) -> bool {
    let is_wide_openblas = text(library, "openblas_get_config").is_some_and(|c| c.contains("USE64BITINT"));
    // SAFETY: `gint_t bli_info_get_blas_int_type_size(void)`, 64 bits.
    let size =
        unsafe { library.function::<unsafe extern "C" fn() -> i64>("bli_info_get_blas_int_type_size") };
    // SAFETY: as above.
    library.decoration().is_wide() || is_wide_openblas || size.is_some_and(|size| unsafe { size() } == 64)
}
