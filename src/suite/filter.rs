//! Conditions on points: `m * n * k <= 1e10`.
//!
//! Grammar: a comparison (`<= < >= > == !=`) of two sums; a sum is products with `+ -`, a product is
//! numbers, parameters and parentheses with `* /`. Arithmetic is in f64.

use crate::workloads::{Param, Params};

/// Deepest nesting of parentheses.
const DEPTH: usize = 32;

/// Longest condition in bytes: a longer one would nest too deep to be evaluated on the stack.
const LENGTH: usize = 400;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// As it was written.
    pub text: String,
    left: Expression,
    comparison: Comparison,
    right: Expression,
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Number(f64),
    Axis(String),
    Apply(Box<Expression>, char, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
}

/// Longer spellings first, so that `<=` is not read as `<`.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Below),
    (">", Comparison::Above),
];

impl Filter {
    /// Reads a condition, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH {
            return Err(format!("a condition of {} bytes is too long: {LENGTH} are allowed", text.len()));
        }
        let found = text.char_indices().find_map(|(at, _)| {
            COMPARISONS.iter().find(|(sign, _)| text[at..].starts_with(sign)).map(|found| (at, found))
        });
        let Some((at, (sign, comparison))) = found else {
            return Err(format!("`{text}` compares nothing: write `m * n * k <= 1e10`"));
        };
        let side = |text: &str| Reader { rest: text, depth: 0 }.whole();
        let (left, right) = (side(&text[..at])?, side(&text[at + sign.len()..])?);
        Ok(Self { text: text.to_string(), left, comparison: *comparison, right })
    }

    /// Parameters that it asks for.
    pub fn axes(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.left.axes(&mut names);
        self.right.axes(&mut names);
        names
    }

    /// Whether a point meets it; none where the point lacks a number that it needs.
    pub fn holds(&self, params: &Params) -> Option<bool> {
        let (left, right) = (self.left.value(params)?, self.right.value(params)?);
        Some(match self.comparison {
            Comparison::AtMost => left <= right,
            Comparison::Below => left < right,
            Comparison::AtLeast => left >= right,
            Comparison::Above => left > right,
            Comparison::Equal => left == right,
            Comparison::Unequal => left != right,
        })
    }
}

impl Expression {
    fn axes<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Self::Number(_) => {}
            Self::Axis(name) => names.push(name),
            Self::Apply(left, _, right) => {
                left.axes(names);
                right.axes(names);
            }
        }
    }

    fn value(&self, params: &Params) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Axis(name) => match params.get(name)? {
                Param::Int(value) => Some(*value as f64),
                Param::Text(_) => None,
            },
            Self::Apply(left, sign, right) => {
                let (left, right) = (left.value(params)?, right.value(params)?);
                Some(match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    _ => left / right,
                })
            }
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn whole(mut self) -> Result<Expression, String> {
        let sum = self.sum()?;
        self.skip();
        if self.rest.is_empty() { Ok(sum) } else { Err(format!("`{}` is not understood", self.rest)) }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn sign(&mut self, signs: [char; 2]) -> Option<char> {
        self.skip();
        let sign = self.rest.chars().next().filter(|sign| signs.contains(sign))?;
        self.rest = &self.rest[1..];
        Some(sign)
    }

    fn sum(&mut self) -> Result<Expression, String> {
        let mut sum = self.product()?;
        while let Some(sign) = self.sign(['+', '-']) {
            sum = Expression::Apply(Box::new(sum), sign, Box::new(self.product()?));
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Expression, String> {
        let mut product = self.atom()?;
        while let Some(sign) = self.sign(['*', '/']) {
            product = Expression::Apply(Box::new(product), sign, Box::new(self.atom()?));
        }
        Ok(product)
    }

    fn atom(&mut self) -> Result<Expression, String> {
        if self.sign(['(', '(']).is_some() {
            return self.parenthesis();
        }
        let word = self.word();
        match word.chars().next() {
            Some('0'..='9' | '.') => number(word),
            Some(_) => Ok(Expression::Axis(word.to_string())),
            None if self.rest.is_empty() => Err("a number or a parameter is missing at the end".to_string()),
            None => Err(format!("a number or a parameter is wanted, and `{}` stands there", self.rest)),
        }
    }

    fn parenthesis(&mut self) -> Result<Expression, String> {
        if self.depth == DEPTH {
            return Err(format!("parentheses are nested deeper than {DEPTH}"));
        }
        self.depth += 1;
        let inner = self.sum()?;
        self.depth -= 1;
        self.sign([')', ')']).map(|_| inner).ok_or_else(|| "a `)` is missing".to_string())
    }

    /// The longest run of letters, digits, `_` and `.`, with the sign of an exponent: `1e+10`.
    fn word(&mut self) -> &'t str {
        self.skip();
        let is_number = self.rest.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        let mut before = ' ';
        let end = self.rest.find(|letter: char| {
            let exponent = is_number && matches!(before, 'e' | 'E') && matches!(letter, '+' | '-');
            before = letter;
            !(letter.is_alphanumeric() || letter == '_' || letter == '.' || exponent)
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }
}

fn number(word: &str) -> Result<Expression, String> {
    match word.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Expression::Number(value)),
        _ => Err(format!("`{word}` is no finite number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, u64)]) -> Params {
        pairs.iter().map(|(name, value)| (name.to_string(), Param::Int(*value))).collect()
    }

    #[test]
    fn conditions_are_evaluated_with_the_usual_precedence() {
        let point = params(&[("m", 4), ("n", 8), ("k", 2)]);
        for (text, holds) in [
            ("m * n * k <= 64", true),
            ("m * n * k < 64", false),
            ("m + n * k == 20", true),
            ("(m + n) * k == 24", true),
            ("n / m >= 2.0", true),
            ("n - m - k > 2", false),
            ("m != n", true),
            ("1e+1 > n", true),
            ("m*n<=1e10", true),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!(filter.holds(&point), Some(holds), "{text}");
        }
        assert_eq!(Filter::parse("b == 1").unwrap().holds(&point), None);
        assert_eq!(Filter::parse("m * n <= k + q").unwrap().axes(), ["m", "n", "k", "q"]);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for (text, says) in [
            ("m * n", "compares nothing"),
            ("m <=", "missing at the end"),
            ("m <= 1e999", "no finite number"),
            ("m <= 3 4", "not understood"),
            ("(m <= 3", "`)` is missing"),
            ("m <= -3", "is wanted"),
            ("é* <= 3", "missing at the end"),
            ("m <= nan.", "ok"),
        ] {
            match Filter::parse(text) {
                Err(message) => assert!(message.contains(says), "{text}: {message}"),
                Ok(_) => assert_eq!(says, "ok", "{text}"),
            }
        }
        assert!(Filter::parse(&format!("{}m <= 3", "(".repeat(100_000))).is_err());
    }
}
