//! A TOML table read strictly: every key must be known, every error names its line.

use super::SuiteError;
use crate::nearest;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text that is being read, for the lines of errors.
pub(super) struct Source<'t> {
    /// Name in messages.
    pub file: &'t str,
    /// All of it.
    pub text: &'t str,
}

impl Source<'_> {
    /// Line of a byte, counted from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        1 + self.text.as_bytes().iter().take(byte).filter(|&&byte| byte == b'\n').count()
    }

    /// An error at a byte.
    pub(super) fn error(&self, byte: usize, message: impl Into<String>) -> SuiteError {
        SuiteError { file: self.file.to_string(), line: self.line(byte), message: message.into() }
    }
}

/// A table with its place in the text.
#[derive(Clone, Copy)]
pub(super) struct Table<'s> {
    /// The text.
    pub source: &'s Source<'s>,
    /// Keys and values.
    pub entries: &'s DeTable<'s>,
    /// First byte.
    pub start: usize,
    /// What it is in messages: `[[case]]`.
    pub what: &'static str,
}

impl<'s> Table<'s> {
    /// Refuses every key that is not in `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), SuiteError> {
        let stranger = self.entries.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = stranger else { return Ok(()) };
        let hint = nearest::hint(key.get_ref(), known.iter().copied());
        let message = format!("unknown key `{}` in {}{hint}", key.get_ref(), self.what);
        Err(self.source.error(key.span().start, message))
    }

    /// The value at a key.
    pub(super) fn get(&self, key: &str) -> Option<Item<'s>> {
        let (found, value) = self.entries.get_key_value(key)?;
        Some(Item { source: self.source, key: found.get_ref(), value })
    }

    /// The value at a key that must be there.
    pub(super) fn need(&self, key: &str, meaning: &str) -> Result<Item<'s>, SuiteError> {
        self.get(key).ok_or_else(|| {
            let message = format!("{} has no `{key}`: give {meaning}", self.what);
            self.source.error(self.start, message)
        })
    }

    /// Every key with its value, in the order of the text.
    pub(super) fn items(&self) -> Vec<Item<'s>> {
        let source = self.source;
        let mut items: Vec<_> =
            self.entries.iter().map(|(key, value)| Item { source, key: key.get_ref(), value }).collect();
        items.sort_by_key(|item| item.span().start);
        items
    }
}

/// A value with the key that it stands at.
#[derive(Clone, Copy)]
pub(super) struct Item<'s> {
    /// The text.
    pub source: &'s Source<'s>,
    /// The key, or the key of the list that it is in.
    pub key: &'s str,
    /// The value.
    pub value: &'s Spanned<DeValue<'s>>,
}

impl<'s> Item<'s> {
    /// Bytes of the value.
    pub(super) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// An error at this value, which starts with its key.
    pub(super) fn error(&self, message: impl std::fmt::Display) -> SuiteError {
        self.source.error(self.span().start, format!("`{}`: {message}", self.key))
    }

    fn wanted(&self, what: &str) -> SuiteError {
        let kind = self.value.get_ref().type_str();
        let text = self.source.text.get(self.span()).unwrap_or_default();
        let shown: String = text.chars().take(40).collect();
        self.error(format!("{what} is wanted, and `{shown}` is {}", article(kind)))
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Result<&'s str, SuiteError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wanted("a string in quotes")),
        }
    }

    /// The text of a string that says something.
    pub(super) fn sentence(&self) -> Result<String, SuiteError> {
        let text = self.text()?.trim();
        if text.is_empty() { Err(self.error("must not be empty")) } else { Ok(text.to_string()) }
    }

    /// A whole number.
    pub(super) fn int(&self) -> Result<i64, SuiteError> {
        match self.value.get_ref() {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| self.error(format!("{} does not fit into 64 bits", digits.as_str()))),
            _ => Err(self.wanted("a whole number")),
        }
    }

    /// `true` or `false`.
    pub(super) fn bool(&self) -> Result<bool, SuiteError> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wanted("true or false")),
        }
    }

    /// The values of a list; a value that is no list stands for a list of one.
    pub(super) fn list(&self) -> Vec<Item<'s>> {
        match self.value.get_ref() {
            DeValue::Array(values) => values.iter().map(|value| Item { value, ..*self }).collect(),
            _ => vec![*self],
        }
    }

    /// The values of a list that must hold one or more.
    pub(super) fn some(&self) -> Result<Vec<Item<'s>>, SuiteError> {
        let list = self.list();
        if list.is_empty() { Err(self.error("must not be empty")) } else { Ok(list) }
    }

    /// A table.
    pub(super) fn table(&self, what: &'static str) -> Result<Table<'s>, SuiteError> {
        match self.value.get_ref() {
            DeValue::Table(entries) => {
                Ok(Table { source: self.source, entries, start: self.span().start, what })
            }
            _ => Err(self.wanted("a table")),
        }
    }

    /// One of the values that `named` gives names to.
    pub(super) fn one_of<T: Copy>(&self, named: &[(&str, T)]) -> Result<T, SuiteError> {
        let text = self.text()?;
        named.iter().find(|(name, _)| *name == text).map(|&(_, value)| value).ok_or_else(|| {
            let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
            let hint = nearest::hint(text, names.iter().copied());
            self.error(format!("`{text}` is unknown{hint} (it may be {})", names.join(", ")))
        })
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
