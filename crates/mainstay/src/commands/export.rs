//! `mainstay export`: connects MCP clients to Mainstay through their own files.

use std::path::PathBuf;

use jiff::Timestamp;
use mainstay_config::export::{CLIENTS, Client, ClientServer, EditError, Target, entry_name, find};
use mainstay_config::nearest;
use serde_json::json;

use self::address::Served;
use self::replace::{Beside, beside, no_daemon, wait_for_starts};
use self::report::ExportReport;
use super::client_files::{self, chosen, read, with_servers};
use super::files;
use super::lock::FileLock;
use crate::cli::shell::quoted;
use crate::cli::{ExportArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

mod address;
mod list;
mod replace;
mod report;

/// The mode of a new file in the folder of a project, which other users of the project may read.
const PROJECT_MODE: u32 = 0o644;

/// What an export is made from.
struct Context<'a> {
    shared: &'a Shared,
    args: &'a ExportArgs,
    served: Served,
}

/// The file of a client that is edited.
struct Edited {
    path: PathBuf,
    /// Other files that the client reads beside it, and that name servers.
    others: Vec<PathBuf>,
    /// The mode of a new file.
    mode: u32,
}

pub(super) fn run(shared: &Shared, args: &ExportArgs, out: &Output) -> Result<Exit, Failure> {
    let Some(id) = &args.client else {
        list::run(out)?;
        return Ok(Exit::Done);
    };
    let client = known(id)?;
    let name = entry_name(args.endpoint.as_deref());
    if args.remove {
        return take_out(client, &Edited::find(client, args)?, &name, args, out);
    }
    let mut served = Served::find(shared)?;
    if let Some(endpoint) = &args.endpoint {
        served.check_endpoint(shared, endpoint)?;
    }
    let target = served.target(client, shared, args)?;
    if args.write {
        let edited = Edited::find(client, args)?;
        if args.replace {
            wait_for_starts(client, &edited.path, &mut served, shared, args, out)?;
        }
        return put(client, &edited, &name, &target, &Context { shared, args, served }, out);
    }
    let file = Edited::find(client, args).ok().map(|edited| edited.path);
    let snippet = client.snippet(&name, &target);
    if out.json {
        out.value(&json!({
            "client": client.id, "file": file, "name": name, "text": snippet, "notes": served.notes,
        }));
        return Ok(Exit::Done);
    }
    out.line(snippet.trim_end());
    let place = file.map_or("its configuration".to_owned(), |file| file.display().to_string());
    if !out.is_quiet() {
        out.aside(&format!("for {}: {place}", client.title));
        for note in served.notes.iter().map(String::as_str).chain(client.note) {
            out.aside(&format!("note: {note}"));
        }
    }
    out.next(&[&again(args, "--write --replace")]);
    Ok(Exit::Done)
}

/// The same export once more with other flags, as it is typed.
fn again(args: &ExportArgs, flags: &str) -> String {
    let mut words = vec!["mainstay export".to_owned()];
    words.extend(args.client.clone());
    if let Some(file) = &args.file {
        words.push(format!("--file {}", quoted(&file.to_string_lossy())));
    }
    if let Some(endpoint) = &args.endpoint {
        words.push(format!("--endpoint {}", quoted(endpoint)));
    }
    words.extend(args.project.then(|| "--project".to_owned()));
    words.extend(args.stdio.then(|| "--stdio".to_owned()));
    words.push(flags.to_owned());
    words.join(" ")
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
    edited: &Edited,
    name: &str,
    target: &Target,
    context: &Context<'_>,
    out: &Output,
) -> Result<Exit, Failure> {
    let Context { shared, args, served } = context;
    let file = &edited.path;
    let lock = (!args.dry_run).then(|| FileLock::of(file)).transpose()?;
    let before = read(file)?;
    let text = before.as_deref().unwrap_or_default();
    let mut after = client.put(file, text, name, target).map_err(failed)?;
    let Beside { served: twice, kept } =
        beside(client, file, text, shared, served, args.endpoint.as_deref());
    if args.replace && served.status.is_none() && !twice.is_empty() {
        return Err(no_daemon(client, file, &twice, &again(args, "--write --replace")));
    }
    let (replaced, started_twice) = if args.replace { (twice, vec![]) } else { (vec![], twice) };
    for old in &replaced {
        after = client.remove(file, &after, old).map_err(failed)?;
    }
    let changed = before.as_deref() != Some(&*after);
    let backup = edited.write(&after, changed && !args.dry_run)?;
    drop(lock);
    let mut notes = served.notes.clone();
    notes.extend(edited.others.iter().map(|other| {
        let other = quoted(&other.to_string_lossy());
        let flags = if args.replace { "--write --replace" } else { "--write" };
        format!(
            "{} reads {other}, too, which names servers: mainstay export {} --file {other} {flags}",
            client.title, client.id,
        )
    }));
    notes.extend(client.note.filter(|_| changed).map(str::to_owned));
    let report = ExportReport {
        client: client.id,
        file,
        name,
        changed,
        backup,
        dry_run: args.dry_run,
        replaced: replaced.iter().map(ClientServer::shown).collect(),
        started_twice: started_twice.iter().map(ClientServer::shown).collect(),
        kept: if args.replace { kept } else { vec![] },
        notes,
        replace: again(args, "--write --replace"),
    };
    let said = match (changed, args.dry_run) {
        (true, true) => "would have",
        (true, false) => "has",
        (false, _) => "had already",
    };
    report.tell(client, said, out);
    Ok(Exit::Done)
}

fn take_out(
    client: &Client,
    edited: &Edited,
    name: &str,
    args: &ExportArgs,
    out: &Output,
) -> Result<Exit, Failure> {
    let file = &edited.path;
    let is_there = read(file)?.is_some();
    let lock = (!args.dry_run && is_there).then(|| FileLock::of(file)).transpose()?;
    let before = read(file)?.unwrap_or_default();
    let after = client.take_out(file, &before, name).map_err(failed)?;
    let changed = before != after;
    let backup = edited.write(&after, changed && !args.dry_run)?;
    drop(lock);
    let said = match (changed, args.dry_run) {
        (true, true) => "would no longer have",
        (true, false) => "no longer has",
        (false, _) => "did not have",
    };
    let is_empty = client.servers(file, &after).is_ok_and(|servers| servers.is_empty());
    let left = (changed && is_empty).then(|| {
        format!(
            "{} has no server in it now; those that `--replace` removed are in an older backup, {}.bak-TIME",
            client.title,
            file.display()
        )
    });
    let report = ExportReport {
        client: client.id,
        file,
        name,
        changed,
        backup,
        dry_run: args.dry_run,
        replaced: vec![],
        started_twice: vec![],
        kept: vec![],
        notes: left.into_iter().collect(),
        replace: String::new(),
    };
    report.tell(client, said, out);
    Ok(Exit::Done)
}

fn failed(error: EditError) -> Failure {
    let EditError::File(problems) = error;
    let details = json!({ "problems": problems });
    Failure::new(Exit::Failed, format!("the client's file was not changed\n{problems}"))
        .details(details)
}

// === impl Edited ===

impl Edited {
    /// The file that the flags name, or else the client's own.
    fn find(client: &Client, args: &ExportArgs) -> Result<Self, Failure> {
        if let Some(path) = &args.file {
            return Ok(Self { path: path.clone(), others: vec![], mode: files::PRIVATE });
        }
        let (places, mode) = if args.project {
            (client_files::of_project(client), PROJECT_MODE)
        } else {
            (client.places(&list::folders()?), files::PRIVATE)
        };
        let nowhere = || {
            let what = if args.project { "no file in projects" } else { "no default file" };
            Failure::new(Exit::Usage, format!("`{}` has {what}", client.id))
                .hint("select one with --file FILE")
        };
        let path = chosen(client, &places).ok_or_else(nowhere)?;
        let mut others = with_servers(client, &places);
        others.retain(|other| *other != path);
        Ok(Self { path, others, mode })
    }

    /// Writes the file, after a backup.
    fn write(&self, text: &str, is_changed: bool) -> Result<Option<PathBuf>, Failure> {
        if !is_changed {
            return Ok(None);
        }
        let backup = files::back_up(&self.path, Timestamp::now());
        let written = backup.and_then(|backup| {
            files::replace(&self.path, text, self.mode)?;
            Ok(backup)
        });
        written.map_err(|error| {
            let file = self.path.display();
            Failure::new(Exit::Failed, format!("{file} can't be written: {error}"))
        })
    }
}
