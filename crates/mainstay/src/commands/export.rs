//! `mainstay export`: connects MCP clients to Mainstay through their own files.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_config::export::{
    CLIENTS, Client, EditError, Folders, Target, entry_name, find, settings, url,
};
use mainstay_config::import::IMPORT_BYTES_MAX;
use mainstay_config::{Loaded, nearest};
use serde_json::json;

use super::files;
use crate::cli::{ExportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, format, table};

/// A known client: its file, and whether Mainstay is in it.
struct Listed {
    client: &'static Client,
    file: Option<PathBuf>,
    state: &'static str,
    names: Vec<String>,
}

pub(super) fn run(shared: &Shared, args: &ExportArgs, out: &Output) -> Result<Exit, Failure> {
    let folders = folders()?;
    let Some(id) = &args.client else {
        list(&folders, out);
        return Ok(Exit::Done);
    };
    let client = known(id)?;
    let name = entry_name(args.endpoint.as_deref());
    let file = args.file.clone().or_else(|| client.place(&folders));
    if args.remove {
        return take_out(client, file, &name, out);
    }
    let target = target(client, shared, args)?;
    if args.write {
        return put(client, file, &name, &target, out);
    }
    let snippet = client.snippet(&name, &target);
    if out.json {
        out.value(&json!({ "client": client.id, "file": file, "name": name, "text": snippet }));
        return Ok(Exit::Done);
    }
    out.line(snippet.trim_end());
    let place = file.map_or("its configuration".to_owned(), |file| file.display().to_string());
    out.remark(format!("for {}: {}", client.title, format::harmless(&place)));
    out.next(&[&format!("mainstay export {id} --write")]);
    Ok(Exit::Done)
}

fn folders() -> Result<Folders, Failure> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Failure::new(Exit::Failed, "HOME is not set, so the files of clients can't be found")
    })?;
    Ok(Folders::new(home, |name| std::env::var(name).ok()))
}

fn known(id: &str) -> Result<&'static Client, Failure> {
    find(id).ok_or_else(|| {
        let ids = || CLIENTS.iter().map(|client| client.id);
        let hint = match nearest::nearest(id, ids()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "known are {}; `generic` is for any other",
                ids().collect::<Vec<_>>().join(", ")
            ),
        };
        Failure::new(Exit::Usage, format!("no client is called `{id}`")).hint(hint)
    })
}

/// What the client connects to: the daemon's address if the client takes one, else a command.
fn target(client: &Client, shared: &Shared, args: &ExportArgs) -> Result<Target, Failure> {
    let loaded = settings(&shared.request(None))?;
    if let Some(endpoint) = &args.endpoint {
        check_endpoint(&loaded, endpoint)?;
    }
    let endpoint = args.endpoint.as_deref();
    if client.takes_url {
        return url(&loaded.settings.gateway, endpoint).map(Target::Url).map_err(|error| {
            Failure::of(Exit::Usage, &error).hint("clients connect to the configuration's address")
        });
    }
    command(&loaded, shared, endpoint)
}

fn check_endpoint(loaded: &Loaded, endpoint: &str) -> Result<(), Failure> {
    let servers = loaded.settings.servers.iter().map(|server| server.name.as_str());
    let groups = loaded.settings.endpoints.iter().map(|group| group.name.as_str());
    let names: Vec<_> = servers.chain(groups).collect();
    if names.contains(&endpoint) {
        return Ok(());
    }
    let failure = Failure::new(Exit::Usage, format!("no server or group is called `{endpoint}`"));
    Err(match nearest::nearest(endpoint, names.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => failure.hint("the configuration has none"),
        None => failure.hint(format!("there are {}", names.join(", "))),
    })
}

/// The command of a client. It has another working folder and environment, so paths are absolute.
fn command(loaded: &Loaded, shared: &Shared, endpoint: Option<&str>) -> Result<Target, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("can't find the path of this program: {error}"))
    })?;
    let mut args = vec!["connect".to_owned()];
    args.extend(endpoint.map(str::to_owned));
    let is_chosen = shared.state.is_some() || std::env::var_os("MAINSTAY_STATE").is_some();
    if is_chosen {
        args.push("--state".to_owned());
        args.push(loaded.settings.state_dir.display().to_string());
    }
    Ok(Target::Command { program: program.display().to_string(), args })
}

fn put(
    client: &Client,
    file: Option<PathBuf>,
    name: &str,
    target: &Target,
    out: &Output,
) -> Result<Exit, Failure> {
    let file = file_of(client, file)?;
    let before = read(&file)?;
    let text = before.as_deref().unwrap_or_default();
    let after = client.put(&file, text, name, target).map_err(failed)?;
    let is_changed = before.as_deref() != Some(&*after);
    let backup = write(&file, &after, is_changed)?;
    let said = if is_changed { "has" } else { "had already" };
    tell(client, &file, is_changed, backup, &format!("{} {said} `{name}`", client.title), out);
    Ok(Exit::Done)
}

fn take_out(
    client: &Client,
    file: Option<PathBuf>,
    name: &str,
    out: &Output,
) -> Result<Exit, Failure> {
    let file = file_of(client, file)?;
    let before = read(&file)?.unwrap_or_default();
    let after = client.take_out(&file, &before, name).map_err(failed)?;
    let is_changed = before != after;
    let backup = write(&file, &after, is_changed)?;
    let said = if is_changed { "no longer has" } else { "did not have" };
    tell(client, &file, is_changed, backup, &format!("{} {said} `{name}`", client.title), out);
    Ok(Exit::Done)
}

fn file_of(client: &Client, file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    file.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} has no usual place for its file", client.title))
            .hint("name it with --file FILE")
    })
}

/// Reads the client's file. None when there is none.
fn read(file: &Path) -> Result<Option<String>, Failure> {
    let cant = |why: String| {
        Failure::new(Exit::Failed, format!("{} can't be read: {why}", file.display()))
    };
    match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cant(error.to_string())),
        Ok(meta) if meta.len() > IMPORT_BYTES_MAX => {
            return Err(cant("it is too large".to_owned()));
        }
        Ok(_) => {}
    }
    // The standard library's error does not quote the file's text.
    std::fs::read_to_string(file).map(Some).map_err(|error| cant(error.to_string()))
}

fn write(file: &Path, text: &str, is_changed: bool) -> Result<Option<PathBuf>, Failure> {
    if !is_changed {
        return Ok(None);
    }
    let backup = files::back_up(file, Timestamp::now());
    let written = backup.and_then(|backup| {
        files::replace(file, text, files::PRIVATE)?;
        Ok(backup)
    });
    written.map_err(|error| {
        Failure::new(Exit::Failed, format!("{} can't be written: {error}", file.display()))
    })
}

fn failed(error: EditError) -> Failure {
    let EditError::File(problems) = error;
    let details = json!({ "problems": problems });
    Failure::new(Exit::Failed, format!("the client's file was not changed\n{problems}"))
        .details(details)
}

fn tell(
    client: &Client,
    file: &Path,
    changed: bool,
    backup: Option<PathBuf>,
    say: &str,
    out: &Output,
) {
    if out.json {
        out.value(
            &json!({ "client": client.id, "file": file, "changed": changed, "backup": backup }),
        );
        return;
    }
    out.line(format::harmless(&format!("{say} in {}", file.display())));
    if let Some(backup) = backup {
        out.line(format::harmless(&format!("backup: {}", backup.display())));
    }
    if changed {
        out.next(&[&format!("restart {}", client.title)]);
    }
}

fn list(folders: &Folders, out: &Output) {
    let listed: Vec<_> = CLIENTS.iter().map(|client| look(client, folders)).collect();
    if out.json {
        let clients = listed.iter().map(|one| {
            json!({
                "client": one.client.id,
                "title": one.client.title,
                "file": one.file,
                "state": one.state,
                "names": one.names,
            })
        });
        out.value(&json!({ "clients": clients.collect::<Vec<_>>() }));
        return;
    }
    let rows = listed.iter().map(|one| {
        let file = one.file.as_ref().map_or("–".to_owned(), |file| file.display().to_string());
        let state = if one.names.is_empty() { one.state.to_owned() } else { one.names.join(", ") };
        [one.client.id.to_owned(), state, format::harmless(&file)]
    });
    out.line(table(["CLIENT", "MAINSTAY", "FILE"], rows.collect()));
    out.next(&["mainstay export CLIENT", "mainstay export CLIENT --write"]);
}

fn look(client: &'static Client, folders: &Folders) -> Listed {
    let file = client.place(folders);
    let text = file.as_deref().map(read);
    let (state, names) = match (&file, text) {
        (Some(file), Some(Ok(Some(text)))) => match client.mentions(file, &text) {
            Ok(mentions) if mentions.names.is_empty() => ("no", Vec::new()),
            Ok(mentions) => ("yes", mentions.names),
            Err(_) => ("unreadable", Vec::new()),
        },
        (_, Some(Err(_))) => ("unreadable", Vec::new()),
        (_, Some(Ok(None))) => ("no file", Vec::new()),
        _ => ("–", Vec::new()),
    };
    Listed { client, file, state, names }
}
