//! `mainstay import`: adds servers from the files of MCP clients and from compose files.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_config::export::{Folders, find, settings, url};
use mainstay_config::import::{
    Configured, ImportFile, ImportPlan, Parsed, PlanRequest, SecretHome, configured, parse, plan,
    verify,
};
use mainstay_config::{Place, Problem, Problems, SECRET_BYTES_MAX};
use serde_json::json;

use self::report::{Report, Written};
pub(super) use self::report::{is_told, variables_to_set};
use super::files;
use crate::cli::{ImportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The folder for secrets, beside the configuration.
const SECRETS: &str = "secrets";
/// The mode of a new configuration. An existing one keeps its permissions.
const CONFIG_MODE: u32 = 0o644;

mod report;

pub(super) fn run(shared: &Shared, args: &ImportArgs, out: &Output) -> Result<Exit, Failure> {
    let parsed = read_all(&args.files)?;
    let configured = configured(&shared.request(None))?;
    let own = own_address(shared);
    import(parsed, &configured, own.as_deref(), args.write, out)
}

/// Writes a new configuration: `text` with the servers of a client, or of a file.
pub(super) fn into_new(
    path: &Path,
    text: String,
    source: &Path,
    out: &Output,
) -> Result<Exit, Failure> {
    let parsed = read_all(&[source.to_owned()])?;
    let configured = Configured { path: path.to_owned(), text: Some(text) };
    import(parsed, &configured, None, true, out)
}

fn import(
    parsed: Vec<Parsed>,
    configured: &Configured,
    own: Option<&str>,
    is_write: bool,
    out: &Output,
) -> Result<Exit, Failure> {
    let env = environment();
    let old = configured.text.as_deref();
    let (config, home) = if is_write {
        (Some((&*configured.path, old.unwrap_or_default())), secrets_there(&configured.path))
    } else {
        (None, SecretHome::Environment)
    };
    let plan = plan(parsed, &PlanRequest { config, home, own, env: &env })?;
    let text = if is_write { &plan.config } else { &plan.toml };
    let warnings = verify(&configured.path, old, text, &plan.secrets)
        .map_err(|problems| does_not_hold(&problems))?
        .warnings;
    let written = if is_write { write(configured, &plan)? } else { None };
    let folder = configured.path.parent().unwrap_or(Path::new(""));
    Report { plan: &plan, written: written.as_ref(), warnings: &warnings, folder }
        .tell(is_write, out);
    let is_empty = plan.added.is_empty() && plan.already.is_empty();
    Ok(if is_empty { Exit::Failed } else { Exit::Done })
}

/// The variables of this process that are text.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The address that clients get. None without one, or when the configuration is invalid, which is
/// reported later.
pub(super) fn own_address(shared: &Shared) -> Option<String> {
    let loaded = settings(&shared.request(None)).ok()?;
    url(&loaded.settings.gateway, None).ok()
}

/// Reads all files. Reports every problem in any of them.
fn read_all(files: &[PathBuf]) -> Result<Vec<Parsed>, Failure> {
    let home = std::env::home_dir();
    let read = files.iter().map(|path| {
        let path = place_of(path);
        parse(&ImportFile::read(&path, home.as_deref())?)
    });
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

/// The file to read: that of a client, if its name is given and there is no file of this name.
fn place_of(source: &Path) -> PathBuf {
    let client = source.to_str().filter(|_| !source.exists()).and_then(find);
    let place = client.and_then(|client| {
        let home = std::env::home_dir()?;
        client.place(&Folders::new(home, |name| std::env::var(name).ok()))
    });
    place.filter(|place| place.exists()).unwrap_or_else(|| source.to_owned())
}

/// Adds to a problem where a client has its file, for users who named the client instead.
fn with_place(mut problem: Problem) -> Problem {
    if let Place::File { file } = &problem.place
        && let Some(client) = file.to_str().and_then(find)
        && let Some(place) = std::env::home_dir()
            .and_then(|home| client.place(&Folders::new(home, |name| std::env::var(name).ok())))
    {
        problem.help = Some(format!("{} has its servers in {}", client.title, place.display()));
    }
    problem
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
