//! What came of a check.

use mainstay_admin::api::verify::CheckOutcome;
use mainstay_upstream::{Secrets, beginning};

/// Most characters of what is shown of an answer.
const SHOWN_CHARS_MAX: usize = 400;

/// What came of a check, before secrets are taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: CheckOutcome,
    pub(super) found: String,
    pub(super) hint: Option<String>,
    /// Whether it failed for want of time. `found` says so once it is known of whose time.
    pub(super) is_late: bool,
}

// === impl Verdict ===

impl Verdict {
    pub(super) fn passed(found: impl Into<String>) -> Self {
        Self::new(CheckOutcome::Passed, found)
    }

    pub(super) fn failed(found: impl Into<String>) -> Self {
        Self::new(CheckOutcome::Failed, found)
    }

    pub(super) fn skipped(found: impl Into<String>) -> Self {
        Self::new(CheckOutcome::Skipped, found)
    }

    pub(super) fn late() -> Self {
        Self { is_late: true, ..Self::failed("") }
    }

    fn new(outcome: CheckOutcome, found: impl Into<String>) -> Self {
        Self { outcome, found: found.into(), hint: None, is_late: false }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The verdict in one line without secrets, and of bounded length.
    pub(super) fn shown(self, secrets: &Secrets) -> Self {
        let found = beginning(self.found.as_bytes(), SHOWN_CHARS_MAX, secrets).unwrap_or_default();
        Self { found, hint: self.hint.map(|hint| secrets.hide(&hint).into_owned()), ..self }
    }
}
