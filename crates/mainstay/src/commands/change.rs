//! A change of the configuration file: written or only shown, and how it becomes effective.

use std::path::Path;

use mainstay_config::Problems;
use serde_json::json;

use super::files;
use super::lock::FileLock;
use super::running::{self, running};
use crate::cli::Shared;
use crate::exit::{Exit, Failure};
use crate::output::{Output, difference, format};

/// The mode of a new configuration. An existing one keeps its permissions.
const CONFIG_MODE: u32 = 0o644;

/// A change of the configuration file.
pub(super) struct Change<'a> {
    pub(super) shared: &'a Shared,
    pub(super) out: &'a Output,
    pub(super) path: &'a Path,
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    pub(super) dry_run: bool,
    /// Kept until the file is written.
    pub(super) lock: Option<FileLock>,
}

/// The configuration would be invalid afterwards.
pub(super) fn invalid(done: &str, problems: &Problems) -> Failure {
    let message = format!("the configuration would be invalid, so nothing was {done}\n{problems}");
    Failure::new(Exit::Usage, message).details(json!({ "problems": problems }))
}

// === impl Change ===

impl Change<'_> {
    pub(super) fn write(&mut self) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        files::replace(self.path, self.new, CONFIG_MODE).map_err(|error| {
            let message = format!("{} can't be written: {error}", self.path.display());
            Failure::new(Exit::Failed, message)
        })?;
        self.lock = None;
        Ok(())
    }

    /// Shows what is done to the file, or with `--dry-run` the difference.
    pub(super) fn show(&self, done: &str) {
        if self.dry_run {
            self.out.line(format::harmless(&difference::shown(self.old, self.new)));
            self.line(&format!("not written: {} is as it was", self.path.display()));
        } else {
            self.line(&format!("{done} {}", self.path.display()));
        }
    }

    /// Says how the change becomes effective.
    pub(super) fn tell_daemon(&self, why: &str) {
        if self.dry_run || self.out.is_quiet() {
            return;
        }
        let Some(status) = running(self.shared) else {
            return self.out.next(&["mainstay check", "mainstay up"]);
        };
        if running::uses(&status, self.path) {
            let reload = running::reload(self.shared);
            self.line(&format!("reload the running daemon {why}: {reload}"));
        } else {
            let used = status.config_file.unwrap_or_else(|| "no file".to_owned());
            self.line(&format!("note: the running daemon was started with {used}, not this file"));
        }
    }

    pub(super) fn json(&self, mut answer: serde_json::Value) {
        let uses_it = || running(self.shared).is_some_and(|it| running::uses(&it, self.path));
        answer["file"] = json!(self.path);
        answer["dry_run"] = json!(self.dry_run);
        answer["reload_needed"] = json!(!self.dry_run && uses_it());
        if self.dry_run {
            answer["difference"] = json!(difference::shown(self.old, self.new));
        }
        self.out.value(&answer);
    }

    pub(super) fn line(&self, text: &str) {
        if self.dry_run { self.out.sentence(text) } else { self.out.done(text) }
    }
}
