//! Lists the known clients, their files, and whether Mainstay is in them.

use std::path::{Path, PathBuf};

use mainstay_config::export::{CLIENTS, Client, Folders};
use serde_json::json;

use super::super::client_files::{self, chosen, read};
use crate::exit::{Exit, Failure};
use crate::output::table::Column;
use crate::output::{Output, format};

/// A known client: its file, and whether Mainstay is in it.
struct Listed {
    client: &'static Client,
    file: Option<PathBuf>,
    state: &'static str,
    names: Vec<String>,
}

pub(super) fn folders() -> Result<Folders, Failure> {
    client_files::folders().ok_or_else(|| {
        Failure::new(Exit::Failed, "HOME is not set, so the files of clients can't be found")
    })
}

pub(super) fn run(out: &Output) -> Result<(), Failure> {
    let folders = folders()?;
    let listed: Vec<_> = CLIENTS.iter().map(|client| look(client, &folders)).collect();
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
        return Ok(());
    }
    let rows = listed.iter().map(|one| {
        let file = one.file.as_ref().map_or("–".to_owned(), |file| short(file, &folders.home));
        let state = if one.names.is_empty() { one.state.to_owned() } else { one.names.join(", ") };
        [one.client.id.into(), state.into(), format::harmless(&file).into()]
    });
    let columns = [Column::whole("CLIENT"), Column::whole("MAINSTAY"), Column::whole("FILE")];
    out.line(out.table(columns, &rows.collect::<Vec<_>>()));
    out.next(&["mainstay export CLIENT", "mainstay export CLIENT --write"]);
    Ok(())
}

/// A path as a shell reads it, with `~` for the home folder.
fn short(file: &Path, home: &Path) -> String {
    match file.strip_prefix(home) {
        Ok(below) => format!("~/{}", below.display()),
        Err(_) => file.display().to_string(),
    }
}

fn look(client: &'static Client, folders: &Folders) -> Listed {
    let file = chosen(client, &client.places(folders));
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
