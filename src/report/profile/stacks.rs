//! Folded stacks, as Brendan Gregg's flame graph tools and speedscope read them.

use super::word;
use crate::compare::profile::Spent;
use std::fmt::Write as _;

/// One line a step: `workload;phase;op;what NANOSECONDS`.
pub fn stacks(workload: &str, steps: &[Spent]) -> String {
    let mut text = String::new();
    for Spent { phase, op, what, ns, .. } in steps {
        // A semicolon or a line break would begin another frame.
        let clean = |name: &str| name.replace([';', '\n', '\r'], "_");
        let frames = [clean(workload), word(*phase).to_string(), clean(op), clean(what)].join(";");
        let _ = writeln!(text, "{frames} {}", ns.round() as u64);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_line_has_a_stack_and_a_number() {
        let text = stacks("mlp a=1;b", &example());
        assert_eq!(text.lines().next(), Some("mlp a=1_b;forward;gemm;h 6000"));
        assert_eq!(text.lines().count(), 3);
    }
}
