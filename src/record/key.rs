//! Names of cells that stay the same from run to run of one build.

use crate::plan::Contender;
use crate::workloads::Params;
use sha2::{Digest, Sha256};

/// First 16 hexadecimal digits of the SHA-256 of `bytes`.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Key of a cell: what the visits of a cell are folded by. `group` is the group's id, which holds
/// suite and case; `program` and `build` are hashes.
pub fn key(group: &str, point: &Params, contender: &Contender, program: &str, build: &str) -> String {
    let point: String = point.iter().map(|(axis, value)| format!("{axis}={value}\0")).collect();
    digest(format!("{group}\0{point}\0{contender}\0{program}\0{build}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    #[test]
    fn the_digest_is_the_head_of_sha256() {
        // SHA-256 of "abc", FIPS 180-2, appendix B.1.
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea");
    }

    #[test]
    fn each_part_changes_the_key() {
        let record = example::measured();
        let contender = &record.contender;
        let base = key("g", &record.point, contender, "p", "b");
        let twin = Contender { twin: true, ..contender.clone() };
        let others = [
            key("h", &record.point, contender, "p", "b"),
            key("g", &Params::new(), contender, "p", "b"),
            key("g", &record.point, &twin, "p", "b"),
            key("g", &record.point, contender, "q", "b"),
            key("g", &record.point, contender, "p", "c"),
        ];
        assert!(others.iter().all(|other| *other != base));
        assert_eq!(base, key("g", &record.point, contender, "p", "b"));
    }
}
