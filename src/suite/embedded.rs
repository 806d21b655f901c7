//! The suites that every build carries, so that an installed binary works anywhere.

/// Name and text, in the order that `cutgpu list` shows them.
const SUITES: &[(&str, &str)] = &[
    ("quick", include_str!("../../suites/quick.toml")),
    ("matmul", include_str!("../../suites/matmul.toml")),
    ("memory", include_str!("../../suites/memory.toml")),
    ("ops", include_str!("../../suites/ops.toml")),
    ("int8", include_str!("../../suites/int8.toml")),
    ("attention", include_str!("../../suites/attention.toml")),
    ("train", include_str!("../../suites/train.toml")),
    ("finetune", include_str!("../../suites/finetune.toml")),
    ("gpu", include_str!("../../suites/gpu.toml")),
    ("peers", include_str!("../../suites/peers.toml")),
];

/// The text of the suite called `name`.
pub fn embedded(name: &str) -> Option<&'static str> {
    SUITES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of all embedded suites.
pub fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|(name, _)| *name)
}
