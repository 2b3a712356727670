//! Collects problems before their lines are counted.

use crate::document::At;
use crate::problem::{Place, Problem, Severity};
use crate::source::Source;

/// Most problems reported, so that the report on a broken file stays short and fast.
const PROBLEMS_MAX: usize = 200;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Notes {
    drafts: Vec<Draft>,
}

pub(crate) struct Draft {
    severity: Severity,
    at: At,
    key: String,
    message: String,
    help: Option<String>,
    /// Another place that the problem is about, named at the end of the help.
    other: Option<At>,
}

// === impl Notes ===

impl Notes {
    pub(crate) fn error(&mut self, at: &At, key: &str, message: impl Into<String>) -> &mut Draft {
        self.note(Severity::Error, at, key, message.into())
    }

    pub(crate) fn warning(&mut self, at: &At, key: &str, message: impl Into<String>) -> &mut Draft {
        self.note(Severity::Warning, at, key, message.into())
    }

    fn note(&mut self, severity: Severity, at: &At, key: &str, message: String) -> &mut Draft {
        let index = self.drafts.len();
        self.drafts.push(Draft {
            severity,
            at: at.clone(),
            key: key.to_owned(),
            message,
            help: None,
            other: None,
        });
        &mut self.drafts[index]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.drafts.iter().any(|draft| draft.severity == Severity::Error)
    }

    /// Keeps only problems of the file that end before this byte.
    pub(crate) fn keep_before(&mut self, end: usize) {
        self.drafts.retain(|draft| matches!(&draft.at, At::File(span) if span.end <= end));
    }

    /// The problems in the order of the file, with their lines.
    pub(crate) fn finish(mut self, source: Option<&Source<'_>>) -> Vec<Problem> {
        self.drafts.sort_by(|a, b| a.at.rank().cmp(&b.at.rank()));
        let place = |at: &At| match (at, source) {
            (At::File(span), Some(source)) => source.place(span),
            (At::WholeFile, Some(source)) => Place::File { file: source.path().to_owned() },
            (At::Variable(name), _) => Place::Environment { variable: name.clone() },
            (At::Flag(name), _) => Place::Flag { flag: name.clone() },
            _ => Place::Settings,
        };
        let severity = if self.has_errors() { Severity::Error } else { Severity::Warning };
        let left_out = self.drafts.len().saturating_sub(PROBLEMS_MAX);
        let more = (left_out > 0).then(|| Problem {
            severity,
            place: Place::Settings,
            key: String::new(),
            message: format!("{left_out} more problems are not shown"),
            help: None,
        });
        self.drafts
            .into_iter()
            .take(PROBLEMS_MAX)
            .map(|draft| Problem {
                severity: draft.severity,
                place: place(&draft.at),
                key: draft.key,
                message: draft.message,
                help: match (draft.help, draft.other) {
                    (Some(help), Some(other)) => {
                        Some(format!("{help}; the other: {}", place(&other)))
                    }
                    (help, _) => help,
                },
            })
            .chain(more)
            .collect()
    }
}

// === impl Draft ===

impl Draft {
    pub(crate) fn help(&mut self, help: impl Into<Option<String>>) -> &mut Self {
        self.help = help.into();
        self
    }

    /// Names another place that the problem is about.
    pub(crate) fn other_at(&mut self, at: &At) {
        self.other = Some(at.clone());
    }
}
