//! The known name that a mistyped one was probably meant to be.

/// The candidate closest to `name`, where one is close enough to be a slip: at most a third of its
/// letters away, and at most two edits for a short name.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long string is no slip of the pen, and the distance takes the product of both lengths.
    if name.len() > 80 {
        return None;
    }
    let allowed = |candidate: &str| (candidate.chars().count().max(name.chars().count()) / 3).max(2);
    let measured = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let (edits, best) = measured.min_by_key(|(edits, _)| *edits)?;
    (edits <= allowed(best) && edits < best.chars().count()).then_some(best)
}

/// `; did you mean ..?` for the candidate closest to `name`, or nothing.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |best| format!("; did you mean `{best}`?"))
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one into the other, case
/// ignored (optimal string alignment; Damerau, "A technique for computer detection and correction of
/// spelling errors", CACM 7(3), 1964).
fn distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| text.to_lowercase().chars().collect::<Vec<_>>());
    let mut older = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let substitute = above[j] + usize::from(a[i] != b[j]);
            let mut best = substitute.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(older[j - 1] + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_nothing() {
        let names = ["gemm", "copy", "softmax", "cpu/native", "cpu/naive", "why"];
        for (typed, meant) in [
            ("gem", Some("gemm")),
            ("GEMM", Some("gemm")),
            ("wyh", Some("why")),
            ("sotfmax", Some("softmax")),
            ("cpu/nativ", Some("cpu/native")),
            ("quantum", None),
            ("", None),
            ("zz", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest(&"gemm".repeat(1000), names), None);
        assert_eq!(hint("gem", names), "; did you mean `gemm`?");
        assert_eq!(hint("quantum", names), "");
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        for (a, b, edits) in [("ab", "ba", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }
}
