//! `mainstay add`: adds a server to the configuration file, which keeps its comments, its order and its
//! format.

use std::path::{Path, PathBuf};

use mainstay_config::Problem;
use mainstay_config::edit::{FIRST_LINE, taken};
use mainstay_config::import::{
    Configured, GivenRun, GivenServer, ImportPlan, PlanRequest, plan, verify,
};
use mainstay_model::Name;
use serde_json::json;

use super::change::{Change, invalid};
use super::import;
use super::lock::locked_configuration;
use crate::cli::shell::quoted;
use crate::cli::{AddArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(shared: &Shared, args: &AddArgs, out: &Output) -> Result<Exit, Failure> {
    let given = given(args)?;
    let own = import::own_addresses(shared);
    let (Configured { path, text }, lock) = locked_configuration(shared, args.dry_run)?;
    let old = text.as_deref().unwrap_or(FIRST_LINE);
    if let Some(kind) = taken(&path, old, &args.name)? {
        let name = &args.name;
        let failure =
            Failure::new(Exit::Usage, format!("{} already has a {kind} `{name}`", path.display()));
        let failure = failure.hint("servers, groups, volumes and externals share one set of names");
        return Err(match kind {
            "server" | "group" => failure.hint(format!("`mainstay remove {name}` removes it")),
            _ => failure,
        });
    }
    let env = import::environment();
    let home = import::secrets_there(&path);
    let request = PlanRequest { config: Some((&path, old)), home, own: &own, env: &env };
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
    let (new, dry_run) = (&plan.config, args.dry_run);
    let mut change = Change { shared, out, path: &path, old: before, new, dry_run, lock };
    if !args.dry_run {
        import::write_secrets(&path, &plan)?;
    }
    change.write()?;
    tell(&change, &args.name, &plan, &warnings);
    Ok(Exit::Done)
}

fn tell(change: &Change<'_>, name: &str, plan: &ImportPlan, warnings: &[Problem]) {
    let folder = change.path.parent().unwrap_or(Path::new(""));
    if change.out.json {
        let secrets: Vec<_> = plan.secrets.iter().map(|secret| folder.join(&secret.path)).collect();
        change.json(json!({
            "added": name, "toml": plan.toml, "secrets": secrets, "variables": plan.variables,
            "problems": warnings,
        }));
        return;
    }
    change.show(&format!("added `{name}` to"));
    for note in plan.added.iter().flat_map(|added| &added.notes) {
        change.line(&format!("  {note}"));
    }
    let is_in = if change.dry_run { "would be written to" } else { "is in" };
    for secret in &plan.secrets {
        let file = folder.join(&secret.path);
        change.line(&format!("secret: {} {is_in} {}", secret.what, file.display()));
    }
    for line in import::variables_to_set(plan, folder) {
        change.line(&line);
    }
    for warning in warnings.iter().filter(|warning| !import::is_told(plan, warning)) {
        change.line(&format!("warning: {}", warning.message));
        if let Some(help) = &warning.help {
            change.line(&format!("  hint: {help}"));
        }
    }
    change.tell_daemon(&format!("to serve `{name}`"));
}

/// The server as the command line describes it.
fn given(args: &AddArgs) -> Result<GivenServer, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if Name::try_new(&args.name).is_err() {
        let failure = usage(format!("`{}` is not a name for a server", args.name));
        if args.name.contains("://") && args.url.is_none() && args.command.is_empty() {
            let line = format!("mainstay add NAME {}", quoted(&args.name));
            return Err(failure.hint(format!("an address comes after the name: {line}")));
        }
        return Err(failure.hint(
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
        return Err(usage(format!("{flag} does not apply to a server with {has}"))
            .hint(format!("use it with {other}")));
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
