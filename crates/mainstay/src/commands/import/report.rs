//! Reports an import: the servers that were imported, and what was left out and why.

use std::path::{Path, PathBuf};

use mainstay_config::Problem;
use mainstay_config::import::{Added, ImportPlan, VariableToSet};
use serde_json::{Value, json};

use super::Mode;
use crate::cli::shell::quoted;
use crate::output::Output;

/// The files that were written.
pub(super) struct Written {
    pub(super) config: PathBuf,
    pub(super) backup: Option<PathBuf>,
}

pub(super) struct Report<'a> {
    pub(super) plan: &'a ImportPlan,
    pub(super) written: Option<&'a Written>,
    pub(super) warnings: &'a [Problem],
    pub(super) config: &'a Path,
    /// The client that the servers are from, if its name was given and no other's.
    pub(super) client: Option<&'static str>,
    /// How the running daemon takes the new servers, if one runs with the configuration.
    pub(super) reload: Option<String>,
}

// === impl Report ===

impl Report<'_> {
    /// Prints the report. When the servers themselves are printed, the report goes to standard
    /// error.
    pub(super) fn tell(&self, mode: Mode, out: &Output) {
        if out.json {
            out.value(&self.json(mode));
            return;
        }
        if mode != Mode::Write && !self.plan.toml.is_empty() {
            out.line(self.plan.toml.trim_end());
        }
        for line in self.lines(mode) {
            match mode {
                // A failure is told even with `--quiet`.
                Mode::Print => out.aside(&line),
                Mode::Write if self.is_empty() && out.is_quiet() => out.aside(&line),
                Mode::Write => out.done(&line),
                Mode::Try => out.sentence(&line),
            }
        }
        let export =
            format!("mainstay export {} --write --replace", self.client.unwrap_or("CLIENT"));
        if let Some(reload) = &self.reload {
            out.done(&format!("reload the running daemon: {reload}"));
            out.next(&[&export]);
        } else if self.written.is_some() {
            out.next(&["mainstay check", "mainstay up", &export]);
        }
    }

    /// Whether there was no server to import, new or known.
    pub(super) fn is_empty(&self) -> bool {
        self.plan.added.is_empty() && self.plan.already.is_empty()
    }

    fn json(&self, mode: Mode) -> Value {
        let mut answer = json!(self.plan);
        answer["written"] = json!(self.written.map(|written| &written.config));
        answer["backup"] = json!(self.written.and_then(|written| written.backup.as_ref()));
        answer["reload_needed"] = json!(self.reload.is_some());
        answer["dry_run"] = json!(mode == Mode::Try);
        answer["problems"] = json!(self.warnings);
        answer
    }

    fn lines(&self, mode: Mode) -> Vec<String> {
        let plan = self.plan;
        let folder = self.config.parent().unwrap_or(Path::new(""));
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
        let is_in = if mode == Mode::Try { "would be written to" } else { "is in" };
        lines.extend(plan.secrets.iter().map(|secret| {
            format!("secret: {} {is_in} {}", secret.what, folder.join(&secret.path).display())
        }));
        lines.extend(variables_to_set(plan, folder));
        let warnings = self.warnings.iter().filter(|warning| !is_told(plan, warning));
        for warning in warnings {
            lines.push(format!("! {}: {}", warning.key, warning.message));
            lines.extend(warning.help.iter().map(|help| format!("  hint: {help}")));
        }
        lines.extend(self.written.map(|written| {
            let backup = written.backup.as_ref();
            let backup = backup.map(|backup| format!(", backup: {}", backup.display()));
            format!("wrote {}{}", written.config.display(), backup.unwrap_or_default())
        }));
        if plan.added.is_empty() {
            lines.push("nothing to import".to_owned());
        } else if mode == Mode::Try {
            let file = self.config.display();
            lines.push(format!("not written: this was a dry run; the servers would go to {file}"));
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
    let uses = if variable.used_by.len() == 1 { "uses" } else { "use" };
    let value = match &variable.saved_in {
        Some(file) => {
            let file = quoted(&folder.join(file).to_string_lossy());
            return format!(
                "before you start the daemon: export {name}=\"$(cat {file})\"; {used} {uses} it"
            );
        }
        None if variable.is_secret => " to its value in the imported file",
        None => "",
    };
    format!("set {name} in the daemon's environment{value}: {used} {uses} it")
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
