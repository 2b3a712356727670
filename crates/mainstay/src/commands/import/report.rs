//! Reports an import: the servers that were imported, and what was left out and why.

use std::path::{Path, PathBuf};

use mainstay_config::Problem;
use mainstay_config::import::{Added, ImportPlan, VariableToSet};
use serde_json::{Value, json};

use crate::output::{Output, format};

/// The files that were written.
pub(super) struct Written {
    pub(super) config: PathBuf,
    pub(super) backup: Option<PathBuf>,
}

pub(super) struct Report<'a> {
    pub(super) plan: &'a ImportPlan,
    pub(super) written: Option<&'a Written>,
    pub(super) warnings: &'a [Problem],
    /// The folder of the configuration.
    pub(super) folder: &'a Path,
}

// === impl Report ===

impl Report<'_> {
    /// Prints the report. When the servers themselves are printed, the report goes to standard
    /// error.
    pub(super) fn tell(&self, is_write: bool, out: &Output) {
        if out.json {
            out.value(&self.json());
            return;
        }
        if !is_write && !self.plan.toml.is_empty() {
            out.line(self.plan.toml.trim_end());
        }
        for line in self.lines() {
            let line = format::harmless(&line);
            if is_write { out.line(line) } else { out.note(line) }
        }
        if self.written.is_some() {
            out.next(&[
                "mainstay check",
                "mainstay up",
                "mainstay export CLIENT --write --replace",
            ]);
        }
    }

    fn json(&self) -> Value {
        let mut answer = json!(self.plan);
        answer["written"] = json!(self.written.map(|written| &written.config));
        answer["backup"] = json!(self.written.and_then(|written| written.backup.as_ref()));
        answer["problems"] = json!(self.warnings);
        answer
    }

    fn lines(&self) -> Vec<String> {
        let plan = self.plan;
        let mut lines: Vec<String> = plan.added.iter().flat_map(added).collect();
        lines.extend(plan.already.iter().map(|already| {
            let why = if already.is_repeated {
                "is the same as another one"
            } else {
                "exists already and is not changed"
            };
            format!("= {}: {why} ({})", already.name, already.file.display())
        }));
        lines.extend(plan.skipped.iter().map(|skipped| {
            format!("- {}: {} ({})", skipped.name, skipped.reason, skipped.file.display())
        }));
        lines.extend(plan.secrets.iter().map(|secret| {
            format!("secret: {} is in {}", secret.what, self.folder.join(&secret.path).display())
        }));
        lines.extend(variables_to_set(plan, self.folder));
        let warnings = self.warnings.iter().filter(|warning| !is_told(plan, warning));
        lines.extend(warnings.map(|one| format!("! {}: {}", one.key, one.message)));
        lines.extend(self.written.map(|written| {
            let backup = written.backup.as_ref();
            let backup = backup.map(|backup| format!(", backup: {}", backup.display()));
            format!("wrote {}{}", written.config.display(), backup.unwrap_or_default())
        }));
        if plan.added.is_empty() {
            lines.push("nothing to import".to_owned());
        }
        lines
    }
}

/// The lines about variables that are to be set before the daemon starts. `folder`: that of the
/// configuration.
pub(in super::super) fn variables_to_set(plan: &ImportPlan, folder: &Path) -> Vec<String> {
    plan.variables.iter().map(|variable| to_set(variable, folder)).collect()
}

/// Whether a warning says only that a variable is to be set, which has its own line.
pub(in super::super) fn is_told(plan: &ImportPlan, warning: &Problem) -> bool {
    plan.variables.iter().any(|variable| {
        warning.message.starts_with(&format!("the variable `{}` is not set", variable.name))
    })
}

fn to_set(variable: &VariableToSet, folder: &Path) -> String {
    let (name, used) = (&variable.name, variable.used_by.join(", "));
    match (&variable.saved_in, variable.is_secret) {
        (Some(file), _) => {
            let file = folder.join(file);
            format!("set: export {name}=\"$(cat {})\" ({used})", file.display())
        }
        (None, true) => format!("set: {name}, to the value in the file ({used})"),
        (None, false) => format!("set: {name} ({used})"),
    }
}

fn added(added: &Added) -> Vec<String> {
    let renamed = added.renamed.as_ref();
    let renamed =
        renamed.map(|renamed| format!(", renamed from {}: {}", renamed.from, renamed.because));
    let (name, file) = (&added.name, added.file.display());
    let first = format!("+ {name}{} ({file})", renamed.unwrap_or_default());
    let notes = added.notes.iter().map(|note| format!("    {note}"));
    std::iter::once(first).chain(notes).collect()
}
