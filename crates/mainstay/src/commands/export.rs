//! `mainstay export`: connects MCP clients to Mainstay through their own files.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mainstay_config::export::{CLIENTS, Client, EditError, Folders, Target, entry_name, find};
use mainstay_config::import::IMPORT_BYTES_MAX;
use mainstay_config::nearest;
use serde::Serialize;
use serde_json::json;

use self::address::Served;
use self::replace::{Beside, Kept, beside};
use super::files;
use crate::cli::{ExportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::table::Column;
use crate::output::{Output, format};

mod address;
mod replace;

/// What an export is made from.
struct Context<'a> {
    shared: &'a Shared,
    args: &'a ExportArgs,
    served: Served,
}

/// A known client: its file, and whether Mainstay is in it.
struct Listed {
    client: &'static Client,
    file: Option<PathBuf>,
    state: &'static str,
    names: Vec<String>,
}

/// What was done to a client's file, or with `--dry-run` would be.
#[derive(Serialize)]
struct Report<'a> {
    client: &'static str,
    file: &'a Path,
    /// The entry of Mainstay.
    name: &'a str,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<PathBuf>,
    dry_run: bool,
    /// Entries that were removed, because Mainstay serves them.
    replaced: Vec<String>,
    /// Entries that Mainstay serves, and that the client still starts itself.
    started_twice: Vec<String>,
    /// Entries that the configuration has, and that were not removed.
    kept: Vec<Kept>,
    /// What the user should know about the address.
    notes: Vec<String>,
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
        return take_out(client, file, &name, args, out);
    }
    let mut served = Served::find(shared)?;
    if let Some(endpoint) = &args.endpoint {
        served.check_endpoint(shared, endpoint)?;
    }
    let target = served.target(client, shared, args.endpoint.as_deref())?;
    if args.write {
        return put(client, file, &name, &target, &Context { shared, args, served }, out);
    }
    let snippet = client.snippet(&name, &target);
    if out.json {
        out.value(&json!({
            "client": client.id, "file": file, "name": name, "text": snippet, "notes": served.notes,
        }));
        return Ok(Exit::Done);
    }
    out.line(snippet.trim_end());
    let place = file.map_or("its configuration".to_owned(), |file| file.display().to_string());
    out.remark(format!("for {}: {}", client.title, format::harmless(&place)));
    for note in &served.notes {
        out.remark(format!("note: {}", format::harmless(note)));
    }
    out.next(&[&format!("mainstay export {id} --write --replace")]);
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
                "known clients: {}; `generic` is for all others",
                ids().collect::<Vec<_>>().join(", ")
            ),
        };
        Failure::new(Exit::Usage, format!("no client is called `{id}`")).hint(hint)
    })
}

fn put(
    client: &Client,
    file: Option<PathBuf>,
    name: &str,
    target: &Target,
    context: &Context<'_>,
    out: &Output,
) -> Result<Exit, Failure> {
    let Context { shared, args, served } = context;
    let file = file_of(client, file)?;
    let before = read(&file)?;
    let text = before.as_deref().unwrap_or_default();
    let mut after = client.put(&file, text, name, target).map_err(failed)?;
    let Beside { served: twice, kept } =
        beside(client, &file, text, shared, served, args.endpoint.as_deref());
    let (replaced, started_twice) = if args.replace { (twice, vec![]) } else { (vec![], twice) };
    for old in &replaced {
        after = client.take_out(&file, &after, old).map_err(failed)?;
    }
    let changed = before.as_deref() != Some(&*after);
    let backup = write(&file, &after, changed && !args.dry_run)?;
    let notes = served.notes.clone();
    let kept = if args.replace { kept } else { vec![] };
    let (client_id, dry_run) = (client.id, args.dry_run);
    let report = Report {
        client: client_id,
        file: &file,
        name,
        changed,
        backup,
        dry_run,
        replaced,
        started_twice,
        kept,
        notes,
    };
    let said = match (changed, dry_run) {
        (true, true) => "would have",
        (true, false) => "has",
        (false, _) => "had already",
    };
    report.tell(client, said, out);
    Ok(Exit::Done)
}

fn take_out(
    client: &Client,
    file: Option<PathBuf>,
    name: &str,
    args: &ExportArgs,
    out: &Output,
) -> Result<Exit, Failure> {
    let file = file_of(client, file)?;
    let before = read(&file)?.unwrap_or_default();
    let after = client.take_out(&file, &before, name).map_err(failed)?;
    let changed = before != after;
    let backup = write(&file, &after, changed && !args.dry_run)?;
    let said = match (changed, args.dry_run) {
        (true, true) => "would no longer have",
        (true, false) => "no longer has",
        (false, _) => "did not have",
    };
    let report = Report {
        client: client.id,
        file: &file,
        name,
        changed,
        backup,
        dry_run: args.dry_run,
        replaced: vec![],
        started_twice: vec![],
        kept: vec![],
        notes: vec![],
    };
    report.tell(client, said, out);
    Ok(Exit::Done)
}

fn file_of(client: &Client, file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    file.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} has no default file", client.title))
            .hint("select one with --file FILE")
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

// === impl Report ===

impl Report<'_> {
    fn tell(&self, client: &Client, said: &str, out: &Output) {
        if out.json {
            return out.value(self);
        }
        let line = |text: &str| out.line(format::harmless(text));
        let (title, id, name) = (client.title, client.id, self.name);
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
            line(&format!(
                "`mainstay export {id} --write --replace` removes them, and keeps a backup"
            ));
        }
        for Kept { name, reason } in &self.kept {
            line(&format!("kept `{name}`: {reason}"));
        }
        if let Some(backup) = &self.backup {
            line(&format!("backup: {}", backup.display()));
        }
        for note in &self.notes {
            out.remark(format!("note: {}", format::harmless(note)));
        }
        if self.dry_run {
            line("not written: this was a dry run");
        } else if self.changed {
            out.next(&[&format!("restart {title}")]);
        }
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
        [one.client.id.into(), state.into(), format::harmless(&file).into()]
    });
    let columns = [Column::whole("CLIENT"), Column::whole("MAINSTAY"), Column::whole("FILE")];
    out.line(out.table(columns, &rows.collect::<Vec<_>>()));
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
