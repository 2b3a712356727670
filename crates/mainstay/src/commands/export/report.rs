//! What was done to a client's file.

use std::path::{Path, PathBuf};

use mainstay_config::export::Client;
use serde::Serialize;

use super::replace::Kept;
use crate::output::Output;

/// What was done to a client's file, or with `--dry-run` would be.
#[derive(Serialize)]
pub(super) struct ExportReport<'a> {
    pub(super) client: &'static str,
    pub(super) file: &'a Path,
    /// The entry of Mainstay.
    pub(super) name: &'a str,
    pub(super) changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backup: Option<PathBuf>,
    pub(super) dry_run: bool,
    /// Entries that were removed, because Mainstay serves them.
    pub(super) replaced: Vec<String>,
    /// Entries that Mainstay serves, and that the client still starts itself.
    pub(super) started_twice: Vec<String>,
    /// Entries that the configuration has, and that were not removed.
    pub(super) kept: Vec<Kept>,
    /// What the user should know about the address, and about other files of the client.
    pub(super) notes: Vec<String>,
    /// The command that removes the entries in `started_twice`.
    #[serde(skip)]
    pub(super) replace: String,
}

// === impl ExportReport ===

impl ExportReport<'_> {
    pub(super) fn tell(&self, client: &Client, said: &str, out: &Output) {
        if out.json {
            return out.value(self);
        }
        let line = |text: &str| if self.dry_run { out.sentence(text) } else { out.done(text) };
        let (title, name) = (client.title, self.name);
        line(&format!("{title} {said} `{name}` in {}", self.file.display()));
        if !self.replaced.is_empty() {
            let would = if self.dry_run { "would be removed" } else { "removed" };
            let names = self.replaced.join(", ");
            line(&format!("{would} from it, because Mainstay serves them: {names}"));
        }
        if !self.started_twice.is_empty() {
            let names = self.started_twice.join(", ");
            line(&format!(
                "{title} still starts these itself, although Mainstay serves them: {names}"
            ));
            line(&format!("`{}{}` removes them, and keeps a backup", self.replace, out.flags()));
        }
        for Kept { name, reason, .. } in &self.kept {
            line(&format!("kept `{name}`: {reason}"));
        }
        if let Some(backup) = &self.backup {
            line(&format!("backup: {}", backup.display()));
        }
        for note in &self.notes {
            if !out.is_quiet() {
                out.aside(&format!("note: {note}"));
            }
        }
        if self.dry_run {
            line("not written: this was a dry run");
        } else if self.changed {
            out.next(&[&format!("restart {title}")]);
        }
    }
}
