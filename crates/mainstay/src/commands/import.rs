//! `mainstay import`: adds servers from the files of MCP clients and from compose files.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_config::export::{CLIENTS, Client, find, settings, url};
use mainstay_config::import::{
    Configured, ImportFile, ImportPlan, Parsed, PlanRequest, SecretHome, parse, plan, verify,
};
use mainstay_config::{Place, Problem, Problems, SECRET_BYTES_MAX, nearest};
use serde_json::json;

use self::report::{Report, Written};
pub(super) use self::report::{is_told, variables_to_set};
use super::lock::{FileLock, locked_configuration};
use super::running::{reload, running, uses};
use super::{client_files, files};
use crate::cli::shell::quoted;
use crate::cli::{ImportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The folder for secrets, beside the configuration.
const SECRETS: &str = "secrets";
/// The mode of a new configuration. An existing one keeps its permissions.
const CONFIG_MODE: u32 = 0o644;

mod report;

/// What becomes of the servers that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Print,
    Write,
    /// Says what would be written.
    Try,
}

/// Where servers are imported to.
struct ImportTarget {
    configured: Configured,
    /// Kept until the configuration is written.
    lock: Option<FileLock>,
    /// The addresses of the daemon itself.
    own: Vec<String>,
    mode: Mode,
}

pub(super) fn run(shared: &Shared, args: &ImportArgs, out: &Output) -> Result<Exit, Failure> {
    let parsed = read_all(&args.files)?;
    let mode = match (args.dry_run, args.write) {
        (true, _) => Mode::Try,
        (false, true) => Mode::Write,
        (false, false) => Mode::Print,
    };
    let own = own_addresses(shared);
    let (configured, lock) = locked_configuration(shared, mode != Mode::Write)?;
    let target = ImportTarget { configured, lock, own, mode };
    let exit = import(parsed, &args.files, target, shared, out)?;
    tell_projects(&args.files, "mainstay import", out);
    Ok(exit)
}

/// Writes a new configuration: `text` with the servers of a client, or of a file. `lock`: that of the new file;
/// without one, nothing is written.
pub(super) fn into_new(
    shared: &Shared,
    path: &Path,
    text: String,
    source: &Path,
    lock: Option<FileLock>,
    out: &Output,
) -> Result<Exit, Failure> {
    let sources = [source.to_owned()];
    let parsed = read_all(&sources)?;
    let configured = Configured { path: path.to_owned(), text: Some(text) };
    let mode = if lock.is_none() { Mode::Try } else { Mode::Write };
    let target = ImportTarget { configured, lock, own: own_addresses(shared), mode };
    let exit = import(parsed, &sources, target, shared, out)?;
    tell_projects(&sources, "mainstay import --write", out);
    Ok(exit)
}

fn import(
    parsed: Vec<Parsed>,
    sources: &[PathBuf],
    target: ImportTarget,
    shared: &Shared,
    out: &Output,
) -> Result<Exit, Failure> {
    let ImportTarget { configured, lock, own, mode } = target;
    let env = environment();
    let old = configured.text.as_deref();
    let (config, home) = if mode == Mode::Print {
        (None, SecretHome::Environment)
    } else {
        (Some((&*configured.path, old.unwrap_or_default())), secrets_there(&configured.path))
    };
    let plan = plan(parsed, &PlanRequest { config, home, own: &own, env: &env })?;
    let text = if mode == Mode::Print { &plan.toml } else { &plan.config };
    let warnings = verify(&configured.path, old, text, &plan.secrets)
        .map_err(|problems| does_not_hold(&problems))?
        .warnings;
    let written = if mode == Mode::Write { write(&configured, &plan)? } else { None };
    drop(lock);
    let config = &configured.path;
    let is_read = written.is_some() && running(shared).is_some_and(|status| uses(&status, config));
    Report {
        plan: &plan,
        written: written.as_ref(),
        warnings: &warnings,
        config,
        client: match sources {
            [source] => client_of(source).map(|client| client.id),
            _ => None,
        },
        reload: is_read.then(|| reload(shared)),
    }
    .tell(mode, out);
    let is_empty = plan.added.is_empty() && plan.already.is_empty();
    Ok(if is_empty { Exit::Failed } else { Exit::Done })
}

/// The variables of this process that are text.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The addresses that clients get: of the running daemon, and of the configuration. A configuration that is
/// invalid has none, and is reported later.
pub(super) fn own_addresses(shared: &Shared) -> Vec<String> {
    let loaded = settings(&shared.request(None)).ok();
    let written = loaded.and_then(|loaded| url(&loaded.settings.gateway, None).ok());
    let running = running(shared).and_then(|status| status.mcp_url);
    written.into_iter().chain(running).collect()
}

/// Reads all files. Reports every problem in any of them.
fn read_all(files: &[PathBuf]) -> Result<Vec<Parsed>, Failure> {
    let home = std::env::home_dir();
    let places = files.iter().flat_map(|source| places_of(source));
    let read = places.map(|path| parse(&ImportFile::read(&path, home.as_deref())?));
    let (mut parsed, mut problems) = (Vec::new(), Vec::new());
    for result in read {
        match result {
            Ok(file) => parsed.push(file),
            Err(error) => problems.extend(error.problems.into_iter().map(with_place)),
        }
    }
    if problems.is_empty() {
        return Ok(parsed);
    }
    let problems = Problems { problems };
    let message = format!("nothing was imported\n{problems}");
    Err(Failure::new(Exit::Usage, message).details(json!({ "problems": problems })))
}

/// The files to read: those of a client, if its name is given and there is no file of this name.
fn places_of(source: &Path) -> Vec<PathBuf> {
    let own = client_of(source).map(|client| {
        let places = client_files::folders().map(|folders| client.places(&folders));
        let places = places.unwrap_or_default();
        // Files without servers are read only if there is no other, to say that they have none.
        let with_servers = client_files::with_servers(client, &places);
        match with_servers.is_empty() {
            true => client_files::chosen(client, &places)
                .filter(|file| file.exists())
                .into_iter()
                .collect(),
            false => with_servers,
        }
    });
    own.filter(|places| !places.is_empty()).unwrap_or_else(|| vec![source.to_owned()])
}

fn client_of(source: &Path) -> Option<&'static Client> {
    source.to_str().filter(|_| !source.exists()).and_then(find)
}

/// Adds to a problem where a client has its file, for users who named the client instead.
fn with_place(mut problem: Problem) -> Problem {
    let Place::File { file } = &problem.place else { return problem };
    if let Some(near) = nearest_client(file) {
        problem.help = Some(format!("no file and no client is called so; did you mean `{near}`?"));
        return problem;
    }
    if let Some(client) = client_of(file)
        && let Some(folders) = client_files::folders()
        && let Some(place) = client.places(&folders).first()
    {
        let mut help = format!("{} has its servers in {}", client.title, place.display());
        for file in client_files::with_servers(client, &client_files::of_project(client)) {
            help.push_str(&format!(", and those of this project in {}", file.display()));
        }
        problem.help = Some(help);
    }
    problem
}

/// The client whose name is nearly what was given, if there is no file of this name.
fn nearest_client(source: &Path) -> Option<&'static str> {
    let word = source.to_str().filter(|word| !word.contains(['/', '.']) && !source.exists())?;
    let ids = CLIENTS.iter().map(|client| client.id);
    find(word).is_none().then(|| nearest::nearest(word, ids)).flatten()
}

/// Names the files of the current project from which a client has servers, too.
fn tell_projects(sources: &[PathBuf], command: &str, out: &Output) {
    if out.json {
        return;
    }
    for client in sources.iter().filter_map(|source| client_of(source)) {
        for file in client_files::with_servers(client, &client_files::of_project(client)) {
            let (title, file) = (client.title, quoted(&file.to_string_lossy()));
            if !out.is_quiet() {
                out.aside(&format!(
                    "note: {title} has servers of this project, too: {command} {file}"
                ));
            }
        }
    }
}

fn does_not_hold(problems: &Problems) -> Failure {
    let message =
        format!("the configuration would be invalid, so nothing was imported\n{problems}");
    Failure::new(Exit::Usage, message).details(json!({ "problems": problems }))
}

/// The existing secrets beside the configuration, so that none is written twice or overwritten.
pub(super) fn secrets_there(config: &Path) -> SecretHome {
    let folder = config.parent().unwrap_or(Path::new("")).join(SECRETS);
    let mut there = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_fit =
            entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= SECRET_BYTES_MAX);
        // An unreadable secret still occupies its name.
        let text = is_fit
            .then(|| std::fs::read_to_string(entry.path()).ok())
            .flatten()
            .unwrap_or_default();
        there.insert(name, text.strip_suffix('\n').unwrap_or(&text).to_owned());
    }
    SecretHome::Files { folder: SECRETS.to_owned(), there }
}

/// Writes secrets, then a backup of the configuration, then the configuration, so that it never
/// refers to a secret that is missing.
fn write(configured: &Configured, plan: &ImportPlan) -> Result<Option<Written>, Failure> {
    if plan.added.is_empty() {
        return Ok(None);
    }
    let config = &configured.path;
    write_secrets(config, plan)?;
    let backup =
        files::back_up(config, Timestamp::now()).map_err(|error| failed(config, &error))?;
    files::replace(config, &plan.config, CONFIG_MODE).map_err(|error| failed(config, &error))?;
    Ok(Some(Written { config: config.clone(), backup }))
}

/// Writes the secrets of a plan into files beside the configuration.
pub(super) fn write_secrets(config: &Path, plan: &ImportPlan) -> Result<(), Failure> {
    let folder = config.parent().unwrap_or(Path::new(""));
    for secret in &plan.secrets {
        let path = folder.join(&secret.path);
        files::write_secret(&path, &format!("{}\n", secret.value.expose()))
            .map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{} can't be written: {error}", path.display()))
}
