//! What this program was built from.

use serde::{Deserialize, Serialize};

/// Compiler, profile and sources of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the package.
    pub version: String,
    /// `release` or `debug`.
    pub profile: String,
    /// Optimisation level: `3`.
    pub optimisation: String,
    /// Debug assertions are on: every number is suspect.
    pub assertions: bool,
    /// Compiler.
    pub rustc: String,
    /// Platform that it was built for.
    pub target: String,
    /// Commit, `+dirty` where files differed from it; `unknown` outside a repository.
    pub revision: String,
    /// Hash of the sources.
    pub sources: String,
}

/// The build of this program.
pub fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").to_string(),
        profile: env!("CUTGPU_PROFILE").to_string(),
        optimisation: env!("CUTGPU_OPT_LEVEL").to_string(),
        assertions: cfg!(debug_assertions),
        rustc: env!("CUTGPU_RUSTC").to_string(),
        target: env!("CUTGPU_TARGET").to_string(),
        revision: env!("CUTGPU_REVISION").to_string(),
        sources: env!("CUTGPU_SOURCES").to_string(),
    }
}

impl Build {
    /// First 16 hex digits of the SHA-256 of the build. Two builds of the same sources, compiler and
    /// settings share it, whatever commit they were checked out from.
    pub fn hash(&self) -> String {
        let Self { version, profile, optimisation, assertions, rustc, target, revision: _, sources } = self;
        super::hash(&(version, profile, optimisation, assertions, rustc, target, sources))
    }

    /// Whether the compiler was told to make it fast.
    pub fn is_optimised(&self) -> bool {
        !self.assertions && matches!(self.optimisation.as_str(), "2" | "3" | "s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_knows_its_compiler_and_its_sources() {
        let build = build();
        assert!(build.rustc.starts_with("rustc "), "{}", build.rustc);
        assert_eq!(build.sources.len(), 16);
        let elsewhere = Build { revision: "unknown".to_string(), ..build.clone() };
        assert_eq!(build.hash(), elsewhere.hash());
        let edited = Build { sources: "0".repeat(16), ..build.clone() };
        assert_ne!(build.hash(), edited.hash());
    }
}
