//! What an x86 processor says of itself.

use raw_cpuid::{CpuId, CpuIdReader};

/// The processor's own answers.
#[cfg(target_arch = "x86_64")]
pub fn cpuid() -> CpuId<impl CpuIdReader> {
    CpuId::new()
}

/// No answer: another processor has no such instruction.
#[cfg(not(target_arch = "x86_64"))]
pub fn cpuid() -> CpuId<impl CpuIdReader> {
    CpuId::with_cpuid_fn(|_, _| raw_cpuid::CpuIdResult { eax: 0, ebx: 0, ecx: 0, edx: 0 })
}
