//! What an x86 processor says of itself.

use raw_cpuid::{CpuId, CpuIdReader};
use std::sync::OnceLock;

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

/// Whether libraries add products of bytes exactly: by VNNI, in 32 bits. Where it is missing, oneDNN and ONNX Runtime add
/// pairs of them in 16 bits (`vpmaddubsw`), which overflow unless one factor keeps to 7 bits (oneDNN's guide, "Nuances of
/// int8 computations").
pub fn adds_bytes_exactly() -> bool {
    // A plan asks for hundreds of products, and a hypervisor answers CPUID in its own good time.
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let features = cpuid().get_extended_feature_info();
        features.is_some_and(|has| has.has_avx512vnni() || has.has_avx_vnni())
    })
}

/// Whether the processor has AVX-512 with its parts BW, DQ and VL, without which PyTorch's oneDNN lays out no weights of
/// 16 bits.
pub fn has_words_of_avx512() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let features = cpuid().get_extended_feature_info();
        features.is_some_and(|has| has.has_avx512bw() && has.has_avx512dq() && has.has_avx512vl())
    })
}
