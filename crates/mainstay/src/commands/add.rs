//! `mainstay add` and `mainstay remove`: edit the configuration file, which keeps its comments, its order
//! and its format.

use std::path::{Path, PathBuf};

use mainstay_config::edit::{FIRST_LINE, RemoveError, Removed, remove, taken};
use mainstay_config::import::{
    Configured, GivenRun, GivenServer, ImportPlan, PlanRequest, configured, plan, verify,
};
use mainstay_config::{Problem, Problems};
use mainstay_model::Name;
use serde_json::json;

use super::daemon::with_nearest;
use super::running::{self, running};
use super::{files, import};
use crate::cli::{AddArgs, RemoveArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, difference, format};

/// The mode of a new configuration. An existing one keeps its permissions.
const CONFIG_MODE: u32 = 0o644;

/// A change of the configuration file.
struct Change<'a> {
    shared: &'a Shared,
    out: &'a Output,
    path: &'a Path,
    old: &'a str,
    new: &'a str,
    dry_run: bool,
}

pub(super) fn add(shared: &Shared, args: &AddArgs, out: &Output) -> Result<Exit, Failure> {
    let given = given(args)?;
    let Configured { path, text } = configured(&shared.request(None))?;
    let old = text.as_deref().unwrap_or(FIRST_LINE);
    if let Some(kind) = taken(&path, old, &args.name)? {
        let name = &args.name;
        let failure =
            Failure::new(Exit::Usage, format!("{} has a {kind} `{name}` already", path.display()));
        let failure = failure.hint("servers, groups, volumes and externals share one set of names");
        return Err(match kind {
            "server" | "group" => failure.hint(format!("`mainstay remove {name}` removes it")),
            _ => failure,
        });
    }
    let env = import::environment();
    let own = import::own_address(shared);
    let home = import::secrets_there(&path);
    let request = PlanRequest { config: Some((&path, old)), home, own: own.as_deref(), env: &env };
    let plan = plan(vec![given.into_parsed()], &request)?;
    if let Some(skipped) = plan.skipped.first() {
        let message = format!("`{}` can't be added: {}", skipped.name, skipped.reason);
        return Err(Failure::new(Exit::Usage, message));
    }
    let warnings = verify(&path, text.as_deref(), &plan.config, &plan.secrets)
        .map_err(|problems| invalid("added", &problems))?
        .warnings;
    let key = format!("servers.{}", args.name);
    let is_own = |problem: &Problem| {
        problem.key.strip_prefix(&*key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let warnings: Vec<_> = warnings.into_iter().filter(is_own).collect();
    let before = text.as_deref().unwrap_or_default();
    let change =
        Change { shared, out, path: &path, old: before, new: &plan.config, dry_run: args.dry_run };
    if !args.dry_run {
        import::write_secrets(&path, &plan)?;
    }
    change.write()?;
    change.tell_added(&args.name, &plan, &warnings);
    Ok(Exit::Done)
}

pub(super) fn remove_server(
    shared: &Shared,
    args: &RemoveArgs,
    out: &Output,
) -> Result<Exit, Failure> {
    let Configured { path, text: Some(old) } = configured(&shared.request(None))? else {
        return Err(Failure::new(Exit::Usage, "there is no configuration file")
            .hint("--config FILE names one"));
    };
    let removed = remove(&path, &old, &args.name).map_err(|error| not_removed(&path, error))?;
    let loaded = verify(&path, Some(&old), &removed.text, &[])
        .map_err(|problems| invalid("removed", &problems))?;
    if removed.kind == "server" && loaded.settings.servers.is_empty() {
        let message = format!("`{}` is the only server of {}", args.name, path.display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("a daemon needs one: add another first, `mainstay add NAME -- COMMAND`"));
    }
    let change =
        Change { shared, out, path: &path, old: &old, new: &removed.text, dry_run: args.dry_run };
    change.write()?;
    change.tell_removed(&args.name, &removed);
    Ok(Exit::Done)
}

/// The server as the command line describes it.
fn given(args: &AddArgs) -> Result<GivenServer, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if Name::try_new(&args.name).is_err() {
        return Err(usage(format!("`{}` is not a name for a server", args.name)).hint(
            "a name is 1 to 40 letters, digits, `-` and `_`, and begins with a letter or digit",
        ));
    }
    let run = match (&args.url, args.command.as_slice()) {
        (Some(url), []) if url.starts_with("http://") || url.starts_with("https://") => {
            GivenRun::Url(url.clone())
        }
        (Some(url), []) if url.starts_with("${") => GivenRun::Url(url.clone()),
        (Some(word), []) => {
            let failure = usage(format!("`{word}` is not an address that begins with http(s)://"));
            return Err(failure.hint(format!(
                "a command comes after `--`: mainstay add {} -- {word} …",
                args.name
            )));
        }
        (None, [program, arguments @ ..]) => {
            let mut words = vec![placed(program)?];
            words.extend(arguments.iter().cloned());
            GivenRun::Command(words)
        }
        _ => {
            return Err(usage("a server needs a command or an address".to_owned())
                .hint(format!("mainstay add {} -- npx -y PACKAGE", args.name))
                .hint(format!("mainstay add {} https://mcp.example.org/mcp", args.name)));
        }
    };
    let (has, other) = match run {
        GivenRun::Url(_) => ("an address", "a command"),
        GivenRun::Command(_) => ("a command", "an address"),
    };
    let is_url = args.url.is_some();
    let wrong = [
        ("--env", is_url && !args.env.is_empty()),
        ("--cwd", is_url && args.cwd.is_some()),
        ("--header", !is_url && !args.header.is_empty()),
    ];
    if let Some((flag, _)) = wrong.into_iter().find(|(_, is_wrong)| *is_wrong) {
        return Err(usage(format!("{flag} means nothing for a server with {has}"))
            .hint(format!("it goes with {other}")));
    }
    let env = args.env.iter().map(|pair| variable(pair)).collect::<Result<_, _>>()?;
    let headers = args.header.iter().map(|pair| header(pair)).collect::<Result<_, _>>()?;
    let cwd = args.cwd.as_deref().map(absolute).transpose()?;
    Ok(GivenServer { name: args.name.clone(), run, env, headers, cwd })
}

/// The program. A relative path counts from the folder of the user, not from that of the configuration.
fn placed(program: &str) -> Result<String, Failure> {
    if program.contains('/') && !program.starts_with(['/', '~', '$']) {
        return Ok(absolute(Path::new(program))?.display().to_string());
    }
    Ok(program.to_owned())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("the working folder is not known: {error}"))
    })
}

/// `KEY=VALUE`, or `KEY` for a variable of the daemon's environment.
fn variable(pair: &str) -> Result<(String, String), Failure> {
    let (key, value) = match pair.split_once('=') {
        Some((key, value)) => (key, value.to_owned()),
        None => (pair, format!("${{{pair}}}")),
    };
    let mut bytes = key.bytes();
    let is_fit = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_fit {
        return Ok((key.to_owned(), value));
    }
    // The rest of it may be a secret.
    Err(Failure::new(Exit::Usage, "--env does not begin with the name of a variable")
        .hint("write --env KEY=VALUE, or --env KEY for a variable that the daemon has"))
}

/// `NAME: VALUE`, as in HTTP, or `NAME=VALUE`.
fn header(pair: &str) -> Result<(String, String), Failure> {
    let at = pair.find([':', '=']);
    let split = at.map(|at| (pair[..at].trim(), pair[at + 1..].trim()));
    match split.filter(|(name, _)| !name.is_empty()) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Failure::new(Exit::Usage, "--header does not begin with the name of a header")
            .hint("write --header 'Authorization: Bearer ${TOKEN}'")),
    }
}

/// The configuration would be invalid afterwards.
fn invalid(done: &str, problems: &Problems) -> Failure {
    let message = format!("the configuration would be invalid, so nothing was {done}\n{problems}");
    Failure::new(Exit::Usage, message).details(json!({ "problems": problems }))
}

fn not_removed(path: &Path, error: RemoveError) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    match error {
        RemoveError::Broken(problems) => problems.into(),
        RemoveError::Unknown { name, names } => with_nearest(failure, &name, &names),
        RemoveError::Needed { name, .. } => {
            failure.hint(format!("take \"server:{name}\" out of `needs` there first"))
        }
        RemoveError::LastOfGroup { group, .. } => failure
            .hint(format!("`mainstay remove {group}` removes the group first"))
            .hint("or name another server in it"),
        RemoveError::Entangled { .. } => failure.hint("edit the file by hand"),
    }
}

// === impl Change ===

impl Change<'_> {
    fn write(&self) -> Result<(), Failure> {
        if self.dry_run {
            return Ok(());
        }
        files::replace(self.path, self.new, CONFIG_MODE).map_err(|error| {
            let message = format!("{} can't be written: {error}", self.path.display());
            Failure::new(Exit::Failed, message)
        })
    }

    fn tell_added(&self, name: &str, plan: &ImportPlan, warnings: &[Problem]) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        if self.out.json {
            let secrets: Vec<_> =
                plan.secrets.iter().map(|secret| folder.join(&secret.path)).collect();
            self.json(json!({
                "added": name, "toml": plan.toml, "secrets": secrets, "variables": plan.variables,
                "problems": warnings,
            }));
            return;
        }
        self.show(&format!("added `{name}` to"));
        for note in plan.added.iter().flat_map(|added| &added.notes) {
            self.line(&format!("  {note}"));
        }
        let is_in = if self.dry_run { "would be written to" } else { "is in" };
        for secret in &plan.secrets {
            let file = folder.join(&secret.path);
            self.line(&format!("secret: {} {is_in} {}", secret.what, file.display()));
        }
        for line in import::variables_to_set(plan, folder) {
            self.line(&line);
        }
        for warning in warnings.iter().filter(|warning| !import::is_told(plan, warning)) {
            self.line(&format!("warning: {}", warning.message));
            if let Some(help) = &warning.help {
                self.line(&format!("  hint: {help}"));
            }
        }
        self.tell_daemon(&format!("to serve `{name}`"));
    }

    fn tell_removed(&self, name: &str, removed: &Removed) {
        let Removed { kind, groups, secrets, .. } = removed;
        if self.out.json {
            self.json(json!({
                "removed": name, "kind": kind, "groups": groups, "unused_secrets": secrets,
            }));
            return;
        }
        self.show(&format!("removed {kind} `{name}` from"));
        if !groups.is_empty() {
            self.line(&format!("it is no longer in these groups: {}", groups.join(", ")));
        }
        for secret in secrets {
            self.line(&format!("nothing refers to {secret} any more; the file was not deleted"));
        }
        self.tell_daemon(&format!("to stop serving `{name}`"));
    }

    /// Shows what is done to the file, or with `--dry-run` the difference.
    fn show(&self, done: &str) {
        if self.dry_run {
            self.line(&difference::shown(self.old, self.new));
            self.line(&format!("not written: {} is as it was", self.path.display()));
        } else {
            self.line(&format!("{done} {}", self.path.display()));
        }
    }

    /// Says how the change becomes effective.
    fn tell_daemon(&self, why: &str) {
        if self.dry_run {
            return;
        }
        let Some(status) = running(self.shared) else {
            return self.out.next(&["mainstay check", "mainstay up"]);
        };
        if running::uses(&status, self.path) {
            let restart = running::restart(self.shared);
            self.line(&format!(
                "the running daemon reads the file only at its start; restart it {why}: {restart}"
            ));
        } else {
            let used = status.config_file.unwrap_or_else(|| "no file".to_owned());
            self.line(&format!("note: the running daemon was started with {used}, not this file"));
        }
    }

    fn json(&self, mut answer: serde_json::Value) {
        let uses_it = || running(self.shared).is_some_and(|it| running::uses(&it, self.path));
        answer["file"] = json!(self.path);
        answer["dry_run"] = json!(self.dry_run);
        answer["restart_needed"] = json!(!self.dry_run && uses_it());
        if self.dry_run {
            answer["difference"] = json!(difference::shown(self.old, self.new));
        }
        self.out.value(&answer);
    }

    fn line(&self, text: &str) {
        self.out.line(format::harmless(text));
    }
}
