//! Reading comma-separated values (RFC 4180).

/// The rows of a text; a field in quotes may hold commas, doubled quotes and line breaks. A quote that is never
/// closed ends with the text.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            ('"', true) => quoted = false,
            ('"', false) if field.is_empty() => quoted = true,
            (',', false) => row.push(std::mem::take(&mut field)),
            ('\r', false) if letters.peek() == Some(&'\n') => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            (other, _) => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows.retain(|row: &Vec<String>| row.iter().any(|field| !field.trim().is_empty()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_quotes_and_line_breaks() {
        for (text, want) in [
            ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,\"b,\"\"c\"\"\"\r\n", vec![vec!["a", "b,\"c\""]]),
            ("\"two\nlines\",x", vec![vec!["two\nlines", "x"]]),
            ("a,\n\n,\n", vec![vec!["a", ""]]),
            ("\"open,\n", vec![vec!["open,\n"]]),
            ("", vec![]),
        ] {
            assert_eq!(rows(text), want, "{text:?}");
        }
    }
}
