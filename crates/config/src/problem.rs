//! Problems of a configuration: what is wrong, where, and what would be right.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// All problems, in the order of the file, then the environment, then the flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems {
    pub problems: Vec<Problem>,
}

/// One thing that is wrong. Nothing in it is ever a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    #[serde(flatten)]
    pub place: Place,
    /// The key that is wrong, such as `servers.weather.command`; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed, or was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The daemon does not start.
    Error,
    /// The daemon starts, and somebody should have a look.
    Warning,
}

/// The place of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "in", rename_all = "lowercase")]
pub enum Place {
    /// In the file, at a line and a column, both counted from 1, the column in characters.
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
    /// In the file as a whole.
    File { file: PathBuf },
    /// In a variable of the environment.
    Environment { variable: String },
    /// In a flag of the command line.
    Flag { flag: String },
    /// In what all sources together make.
    Settings,
}

/// A line of the file, safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    pub text: String,
    /// Where in `text` the marked characters begin, from 0, in characters.
    pub mark: usize,
    pub mark_length: usize,
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

/// Quotes what somebody wrote so that it can't control a terminal. Of a long text only the
/// beginning is shown, and of several lines the first: a forgotten quote swallows what follows.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let first = text.split(['\n', '\r']).next().unwrap_or_default();
    let mut shown: String = first.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if first.len() < text.len() || first.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.replace("\\\"", "\"").replace("\\'", "'"))
}
