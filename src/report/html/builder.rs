//! The only way to make HTML here: what is written in the source goes in as it is, everything else is
//! escaped.

use crate::host::plain;

/// HTML under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup that stands in this program's source.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, made inert: for content and for values in double quotes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in plain(text).chars() {
            match character {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// An SVG that the drawing engine made, with a name for readers that cannot see it.
    pub(super) fn svg(&mut self, svg: &str, name: &str) -> &mut Self {
        let rest = svg.strip_prefix("<svg").unwrap_or_default();
        self.raw("<svg role=\"img\" aria-label=\"").text(name).raw("\"");
        self.0.push_str(rest);
        self
    }

    /// The page's own style or script: a file of this program.
    pub(super) fn asset(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// A quoted attribute value that a script reads as JSON. What would end it or look like markup is written as JSON's
    /// own escapes, which are shorter than HTML's for so many quotes.
    pub(super) fn json(&mut self, value: &serde_json::Value) -> &mut Self {
        self.0.push('\'');
        for character in value.to_string().chars() {
            match character {
                '<' | '>' | '&' | '\'' => self.0.push_str(&format!("\\u{:04x}", u32::from(character))),
                other => self.0.push(other),
            }
        }
        self.0.push('\'');
        self
    }

    /// `<tag class="class">text</tag>`; an empty class is left out.
    pub(super) fn element(&mut self, tag: &'static str, class: &'static str, text: &str) -> &mut Self {
        self.raw("<").raw(tag);
        if !class.is_empty() {
            self.raw(" class=\"").raw(class).raw("\"");
        }
        self.raw(">").text(text).raw("</").raw(tag).raw(">")
    }

    /// The finished markup.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_inert() {
        for (text, wanted) in [
            ("</script><script>alert(1)</script>", "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("'&'", "&#39;&amp;&#39;"),
            ("a\u{0}b\u{1b}[31m", "a?b?[31m"),
            ("abc\u{202e}fed\u{2066}", "abc?fed?"),
            ("中 µ é", "中 µ é"),
        ] {
            let mut html = Html::default();
            html.text(text);
            assert_eq!(html.finish(), wanted);
        }
    }

    #[test]
    fn data_cannot_leave_its_attribute_and_reads_back() {
        let value = serde_json::json!({ "name": "</script>' onload='x' & \" <b> \u{202e}" });
        let mut html = Html::default();
        html.json(&value);
        let text = html.finish();
        let inner = text.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
        assert!(!inner.contains(['<', '>', '&', '\'']), "{inner}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(inner).unwrap(), value);
    }
}
