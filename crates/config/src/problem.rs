//! Problems of a configuration: the fault, its place, and the correction.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// All problems, ordered by place: the file, the environment, the flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems {
    pub problems: Vec<Problem>,
}

/// A problem. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    #[serde(flatten)]
    pub place: Place,
    /// The key that is wrong, such as `servers.weather.command`; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The fault.
    pub message: String,
    /// What is allowed, or what was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The daemon does not start.
    Error,
    /// The daemon starts, and the user should check the value.
    Warning,
}

/// The place of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "in", rename_all = "lowercase")]
pub enum Place {
    /// A position in the file. Line and column count from 1; the column counts characters.
    Line {
        file: PathBuf,
        line: usize,
        column: usize,
        /// Characters that are wrong, on this line.
        length: usize,
        /// The line, secrets masked; absent where it could not be shown without risk.
        #[serde(skip_serializing_if = "Option::is_none")]
        excerpt: Option<Excerpt>,
    },
    /// The file as a whole.
    File { file: PathBuf },
    /// A variable of the environment.
    Environment { variable: String },
    /// A flag of the command line.
    Flag { flag: String },
    /// The combination of all sources.
    Settings,
}

/// A line of the file, safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    pub text: String,
    /// Where the marked part of `text` begins, in characters from 0.
    pub mark: usize,
    pub mark_length: usize,
}

// === impl Severity ===

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

// === impl Problems ===

impl Problems {
    /// A problem that came before any text could be read.
    pub(crate) fn one(place: Place, message: String, help: Option<String>) -> Self {
        Self {
            problems: vec![Problem {
                severity: Severity::Error,
                place,
                key: String::new(),
                message,
                help,
            }],
        }
    }

    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.place, self.message)?;
        let mut gutter = 0;
        if let Place::Line { line, excerpt: Some(excerpt), .. } = &self.place {
            let number = line.to_string();
            gutter = number.len();
            let (before, marks) = excerpt.marks();
            write!(f, "\n  {number} | {}\n  {:gutter$} | {before}{marks}", excerpt.text, "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  {:gutter$} = {help}", "")?;
        }
        Ok(())
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column, .. } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::File { file } => write!(f, "{}", file.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
            Self::Settings => f.write_str("configuration"),
        }
    }
}

// === impl Excerpt ===

impl Excerpt {
    /// The blanks and the carets that belong under the text; tabs stay tabs, so that they line up.
    pub fn marks(&self) -> (String, String) {
        let before =
            self.text.chars().take(self.mark).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        (before, "^".repeat(self.mark_length.max(1)))
    }
}

/// Quotes a user's text so that it can't control a terminal. Long texts are cut, and of several
/// lines only the first is shown, because a forgotten quote includes everything after it.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let first = text.split(['\n', '\r']).next().unwrap_or_default();
    let mut shown: String = first.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if first.len() < text.len() || first.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.replace("\\\"", "\"").replace("\\'", "'"))
}
