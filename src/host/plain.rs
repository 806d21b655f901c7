//! Text from outside, made safe for a terminal.

/// `text` without anything that steers a terminal or the order of reading: control characters (escape
/// sequences begin with one), line and paragraph separators, and bidirectional overrides become `?`;
/// tabs and line breaks become a space.
pub fn plain(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => ' ',
        '\u{2028}'
        | '\u{2029}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => '?',
        '\u{61c}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => '?',
        other if other.is_control() => '?',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        for (text, safe) in [
            ("plain text, µ and 中", "plain text, µ and 中"),
            ("\u{1b}[31mred\u{7}", "?[31mred?"),
            ("two\nlines\tand a tab", "two lines and a tab"),
            ("abc\u{202e}cba", "abc?cba"),
            ("c1 \u{9b}31m", "c1 ?31m"),
        ] {
            assert_eq!(plain(text), safe);
        }
    }
}
