//! Numbers and syntax errors, shared by JSON, TOML and YAML.

use std::ops::Range;
use std::path::Path;

use super::file::ImportFile;
use crate::document::Value;
use crate::problem::{Place, Problem, Problems, Severity};

/// The notation of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Json,
    Toml,
    Yaml,
}

/// Why a text can't be parsed. Does not quote the text.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) notation: Notation,
    pub(super) at: usize,
    pub(super) message: String,
}

// === impl Broken ===

impl Broken {
    pub(super) fn problems(self, file: &ImportFile) -> Problems {
        self.problems_in(&file.path, &file.text)
    }

    pub(crate) fn problems_in(self, path: &Path, text: &str) -> Problems {
        let name = match self.notation {
            Notation::Json => "JSON",
            Notation::Toml => "TOML",
            Notation::Yaml => "YAML",
        };
        let message = format!("this is not valid {name}: {}", self.message);
        problem_at(path, text, &(self.at..self.at), message)
    }
}

/// A problem at a place of a file; the line itself is not shown, since it may hold a secret.
pub(crate) fn problem_at(
    path: &Path,
    text: &str,
    span: &Range<usize>,
    message: String,
) -> Problems {
    let (line, column) = position(text, span.start);
    let place = Place::Line { file: path.to_owned(), line, column, length: 1, excerpt: None };
    let problem =
        Problem { severity: Severity::Error, place, key: String::new(), message, help: None };
    Problems { problems: vec![problem] }
}

/// Line and column of a byte, both counted from 1, the column in characters.
pub(crate) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(byte.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Parses a number; the digits of fractions are not kept.
pub(super) fn number_value(text: &str) -> Value {
    let is_whole = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_whole {
        Value::Integer(text.parse().ok())
    } else {
        Value::Float(text.parse().unwrap_or(f64::NAN))
    }
}
