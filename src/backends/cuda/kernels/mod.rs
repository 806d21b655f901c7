//! Kernels in CUDA C, one file each, embedded as text and compiled by NVRTC for the card that is there.
//!
//! A file begins with what tests hold it to:
//!
//! ```text
//! // arch: sm_75 sm_80 sm_86 sm_89 sm_90 sm_100      what it compiles for
//! // registers: 64                                   the most that an entry may use, without spilling
//! // instructions: HMMA LDGSTS                       what its machine code must contain on each (optional)
//! ```
//!
//! `arch INPUT=bf16` stands for `arch` in the unit with that define.
//!
//! An entry point is declared by a line that begins with `ENTRY(name`. Shared memory is dynamic, declared by
//! `SHARED_MEMORY(name)`, but for a probe's. Every bounds check is a call of `inside(index, extent)`, so that tests can remove
//! it. What a processor cannot execute stands in `ptx.cuh` and `hopper.cuh` alone.

use super::launch::Arch;

/// A compilation unit.
pub struct Source {
    /// Name of the unit: its file's, and what its defines make of it.
    pub name: &'static str,
    /// Its file, beside this one.
    pub file: &'static str,
    /// The file's text.
    pub text: &'static str,
    /// Macros, `NAME=VALUE`.
    pub defines: &'static [&'static str],
}

/// Texts that kernels include, by the name they include them by.
pub const HEADERS: &[(&str, &str)] = &[
    ("attention.cuh", include_str!("attention.cuh")),
    ("common.cuh", include_str!("common.cuh")),
    ("gemm.cuh", include_str!("gemm.cuh")),
    ("gemm_i8.cuh", include_str!("gemm_i8.cuh")),
    ("hopper.cuh", include_str!("hopper.cuh")),
    ("map.cuh", include_str!("map.cuh")),
    ("ptx.cuh", include_str!("ptx.cuh")),
    ("simt.cuh", include_str!("simt.cuh")),
    ("sums.cuh", include_str!("sums.cuh")),
];

const fn unit(name: &'static str, file: &'static str, text: &'static str) -> Source {
    Source { name, file, text, defines: &[] }
}

/// One of several units of a file.
const fn with(source: Source, name: &'static str, defines: &'static [&'static str]) -> Source {
    Source { name, defines, ..source }
}

/// Copies of bytes.
pub static COPY: Source = unit("copy", "copy.cu", include_str!("copy.cu"));
/// Sums, biases, gelu, relu and tanh.
pub static ELEMENTWISE: Source = unit("elementwise", "elementwise.cu", include_str!("elementwise.cu"));
/// Gradients element by element.
pub static GRADIENTS: Source = unit("gradients", "gradients.cu", include_str!("gradients.cu"));
/// Dropout.
pub static DROPOUT: Source = unit("dropout", "dropout.cu", include_str!("dropout.cu"));
/// Casts.
pub static CAST: Source = unit("cast", "cast.cu", include_str!("cast.cu"));
/// Sums of rows and columns.
pub static SUMS: Source = unit("sums", "sums.cu", include_str!("sums.cu"));
/// Rows of tables.
pub static EMBEDDING: Source = unit("embedding", "embedding.cu", include_str!("embedding.cu"));
/// Losses and their gradients.
pub static CROSS_ENTROPY: Source =
    unit("cross_entropy", "cross_entropy.cu", include_str!("cross_entropy.cu"));
/// Gradients of softmax and layer norm.
pub static ROW_GRADIENTS: Source =
    unit("row_gradients", "row_gradients.cu", include_str!("row_gradients.cu"));
/// AdamW and momentum.
pub static OPTIMIZERS: Source = unit("optimizers", "optimizers.cu", include_str!("optimizers.cu"));
/// Softmax over rows.
pub static SOFTMAX: Source = unit("softmax", "softmax.cu", include_str!("softmax.cu"));
/// Layer normalisation, after a sum or not.
pub static LAYER_NORM: Source = unit("layer_norm", "layer_norm.cu", include_str!("layer_norm.cu"));
/// To 8 bits.
pub static QUANTIZE: Source = unit("quantize", "quantize.cu", include_str!("quantize.cu"));
/// From sums of 8 bits.
pub static DEQUANTIZE: Source = unit("dequantize", "dequantize.cu", include_str!("dequantize.cu"));

/// Products with weights in blocks of 8 bits.
pub static GEMM_Q8: Source = unit("gemm_q8", "gemm_q8.cu", include_str!("gemm_q8.cu"));
/// Convolutions.
pub static CONV: Source = unit("conv", "conv.cu", include_str!("conv.cu"));
/// Gradients of convolutions.
pub static CONV_GRAD: Source = unit("conv_grad", "conv_grad.cu", include_str!("conv_grad.cu"));
/// Largest of windows of pixels.
pub static MAX_POOL: Source = unit("max_pool", "max_pool.cu", include_str!("max_pool.cu"));
/// Elements in another order, and rows written into matrices.
pub static REARRANGE: Source = unit("rearrange", "rearrange.cu", include_str!("rearrange.cu"));

const GEMM_SIMT: Source = unit("gemm_simt", "gemm_simt.cu", include_str!("gemm_simt.cu"));
const GEMM_MMA: Source = unit("gemm_mma", "gemm_mma.cu", include_str!("gemm_mma.cu"));
const GEMM_FEW: Source = unit("gemm_few", "gemm_few.cu", include_str!("gemm_few.cu"));
const GEMM_WGMMA: Source = unit("gemm_wgmma", "gemm_wgmma.cu", include_str!("gemm_wgmma.cu"));
/// Products in f32.
pub static GEMM_F32: Source = with(GEMM_SIMT, "gemm_simt_f32", &["INPUT=float"]);
/// Products of bf16 without tensor cores.
pub static GEMM_BF16: Source = with(GEMM_SIMT, "gemm_simt_bf16", &["INPUT=bf16"]);
/// Products of f16 without tensor cores.
pub static GEMM_F16: Source = with(GEMM_SIMT, "gemm_simt_f16", &["INPUT=f16"]);
/// Products of bf16 by tensor cores.
pub static GEMM_MMA_BF16: Source = with(GEMM_MMA, "gemm_mma_bf16", &["INPUT=bf16"]);
/// Products of f16 by tensor cores.
pub static GEMM_MMA_F16: Source = with(GEMM_MMA, "gemm_mma_f16", &["INPUT=f16"]);
/// Products of bf16 by Hopper's tensor cores.
pub static GEMM_WGMMA_BF16: Source = with(GEMM_WGMMA, "gemm_wgmma_bf16", &["INPUT=bf16"]);
/// Products of f16 by Hopper's tensor cores.
pub static GEMM_WGMMA_F16: Source = with(GEMM_WGMMA, "gemm_wgmma_f16", &["INPUT=f16"]);
/// Products of few rows in f32.
pub static GEMM_FEW_F32: Source = with(GEMM_FEW, "gemm_few_f32", &["INPUT=float"]);
/// Products of few rows of bf16.
pub static GEMM_FEW_BF16: Source = with(GEMM_FEW, "gemm_few_bf16", &["INPUT=bf16"]);
/// Products of few rows of f16.
pub static GEMM_FEW_F16: Source = with(GEMM_FEW, "gemm_few_f16", &["INPUT=f16"]);
/// Products of 8-bit integers by tensor cores.
pub static GEMM_I8_MMA: Source = unit("gemm_i8_mma", "gemm_i8_mma.cu", include_str!("gemm_i8_mma.cu"));
/// Products of 8-bit integers by dot products of four.
pub static GEMM_I8_DOT: Source = unit("gemm_i8_dot", "gemm_i8_dot.cu", include_str!("gemm_i8_dot.cu"));

const SIMT_ATTENTION: Source = unit("attention_simt", "attention_simt.cu", include_str!("attention_simt.cu"));
const MMA_ATTENTION: Source = unit("attention_mma", "attention_mma.cu", include_str!("attention_mma.cu"));
/// Attention in f32.
pub static ATTENTION_F32: Source = with(SIMT_ATTENTION, "attention_simt_f32", &["INPUT=float"]);
/// Attention in bf16 without tensor cores.
pub static ATTENTION_BF16: Source = with(SIMT_ATTENTION, "attention_simt_bf16", &["INPUT=bf16"]);
/// Attention in f16 without tensor cores.
pub static ATTENTION_F16: Source = with(SIMT_ATTENTION, "attention_simt_f16", &["INPUT=f16"]);
/// Attention in bf16 by tensor cores.
pub static ATTENTION_MMA_BF16: Source = with(MMA_ATTENTION, "attention_mma_bf16", &["INPUT=bf16"]);
/// Attention in f16 by tensor cores.
pub static ATTENTION_MMA_F16: Source = with(MMA_ATTENTION, "attention_mma_f16", &["INPUT=f16"]);

const GRAD_ATTENTION: Source = unit("attention_grad", "attention_grad.cu", include_str!("attention_grad.cu"));
/// Gradients of attention in f32.
pub static ATTENTION_GRAD_F32: Source = with(GRAD_ATTENTION, "attention_grad_f32", &["INPUT=float"]);
/// Gradients of attention in bf16.
pub static ATTENTION_GRAD_BF16: Source = with(GRAD_ATTENTION, "attention_grad_bf16", &["INPUT=bf16"]);
/// Gradients of attention in f16.
pub static ATTENTION_GRAD_F16: Source = with(GRAD_ATTENTION, "attention_grad_f16", &["INPUT=f16"]);

/// Every unit there is.
pub static SOURCES: &[&Source] = &[
    &ATTENTION_MMA_BF16,
    &ATTENTION_MMA_F16,
    &GEMM_WGMMA_BF16,
    &GEMM_WGMMA_F16,
    &ATTENTION_F32,
    &ATTENTION_BF16,
    &ATTENTION_F16,
    &GEMM_MMA_BF16,
    &GEMM_MMA_F16,
    &GEMM_FEW_F32,
    &GEMM_FEW_BF16,
    &GEMM_FEW_F16,
    &GEMM_F32,
    &GEMM_BF16,
    &GEMM_F16,
    &GEMM_I8_MMA,
    &GEMM_I8_DOT,
    &GEMM_Q8,
    &ATTENTION_GRAD_F32,
    &ATTENTION_GRAD_BF16,
    &ATTENTION_GRAD_F16,
    &CONV,
    &CONV_GRAD,
    &MAX_POOL,
    &REARRANGE,
    &CROSS_ENTROPY,
    &ROW_GRADIENTS,
    &SUMS,
    &EMBEDDING,
    &GRADIENTS,
    &DROPOUT,
    &CAST,
    &LAYER_NORM,
    &SOFTMAX,
    &ELEMENTWISE,
    &OPTIMIZERS,
    &QUANTIZE,
    &DEQUANTIZE,
    &COPY,
];

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Source {
    fn header(&self, key: &str) -> impl Iterator<Item = &'static str> {
        let of = |start: String| self.text.lines().find_map(|line| line.strip_prefix(&start));
        let own = self.defines.iter().find_map(|define| of(format!("// {key} {define}:")));
        own.or_else(|| of(format!("// {key}:"))).unwrap_or_default().split_whitespace()
    }

    /// Architectures that its header declares: `sm_75`, `sm_90a`.
    pub fn archs(&self) -> Vec<&'static str> {
        self.header("arch").collect()
    }

    /// The most registers that an entry may use.
    pub fn registers(&self) -> Option<u32> {
        self.header("registers").next()?.parse().ok()
    }

    /// Instructions that its machine code must contain.
    pub fn instructions(&self) -> Vec<&'static str> {
        self.header("instructions").collect()
    }

    /// Names of its entry points.
    pub fn entries(&self) -> Vec<&'static str> {
        let name = |line: &'static str| line.strip_prefix("ENTRY(")?.split([',', ')']).next();
        self.text.lines().filter_map(name).map(str::trim).collect()
    }

    /// NVRTC's name of the architecture to compile for on a card of `arch`; none where it cannot run there.
    /// A card that is newer than every declared one gets code of its own kind.
    pub fn target(&self, arch: Arch) -> Option<String> {
        let specific = format!("sm_{}a", arch.0);
        if self.archs().contains(&specific.as_str()) {
            return Some(specific);
        }
        let declared = |name: &str| name.strip_prefix("sm_")?.parse::<u32>().ok();
        let runs = self.archs().into_iter().filter_map(declared).any(|declared| declared <= arch.0);
        runs.then(|| format!("sm_{}", arch.0))
    }

    /// Names of the headers that it includes, or that these include.
    pub fn headers(&self) -> Vec<&'static str> {
        let mut met = vec![];
        expand(self.text, &mut met, &mut String::new());
        met
    }

    /// The text with the headers that it includes in place, for a compiler that has no files.
    pub fn complete(&self) -> String {
        let mut text = String::new();
        expand(self.text, &mut vec![], &mut text);
        text
    }
}

/// Appends `source` with each header that it includes, the first time that it is met.
fn expand(source: &'static str, met: &mut Vec<&'static str>, text: &mut String) {
    for line in source.lines() {
        let included = HEADERS.iter().find(|(name, _)| line == format!("#include \"{name}\""));
        match included {
            Some((name, header)) if !met.contains(name) => {
                met.push(name);
                expand(header, met, text);
            }
            Some(_) => {}
            None if line == "#pragma once" => {}
            None => *text += &format!("{line}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_declares_itself() {
        for source in SOURCES {
            let name = source.name;
            assert!(!source.archs().is_empty(), "{name}: no architecture");
            assert!(source.registers().is_some_and(|most| (16..=255).contains(&most)), "{name}: no budget");
            assert!(!source.entries().is_empty(), "{name}: no entry");
            assert!(!source.complete().contains("#include"), "{name}: an include is left");
            assert_eq!(source.complete().matches("#pragma once").count(), 0, "{name}");
        }
        let mut names: Vec<_> = SOURCES.iter().map(|source| source.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SOURCES.len(), "two units of one name");
    }

    #[test]
    fn a_card_gets_code_of_its_own_kind() {
        assert_eq!(COPY.target(Arch(75)).as_deref(), Some("sm_75"));
        assert_eq!(COPY.target(Arch(120)).as_deref(), Some("sm_120"));
        assert_eq!(COPY.target(Arch(61)), None);
    }
}
