//! `mainstay init`: writes a first configuration.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::import;
use super::lock::FileLock;
use crate::cli::{InitArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, format};

/// The name of the demonstration server in a new file.
const DEMO: &str = "notes";

pub(super) fn run(shared: &Shared, args: &InitArgs, out: &Output) -> Result<Exit, Failure> {
    let path = args.file.as_ref().or(shared.config.as_ref());
    let path = path.cloned().unwrap_or_else(|| PathBuf::from("mainstay.toml"));
    let lock = (!args.dry_run).then(|| FileLock::of(&path)).transpose()?;
    if let Some(source) = &args.from {
        if path.exists() && !args.force {
            return Err(exists(&path));
        }
        return import::into_new(shared, &path, mainstay_config::template(), source, lock, out);
    }
    let text = first_text()?;
    if args.dry_run {
        return dry_run(&path, &text, args.force, out);
    }
    write(&path, &text, args.force)?;
    drop(lock);
    if out.json {
        out.value(&json!({ "written": path, "servers": [DEMO], "dry_run": false }));
        return Ok(Exit::Done);
    }
    out.done(&format!("wrote {}", path.display()));
    out.remark(format!("it has one server to begin with, `{DEMO}`, which is built in"));
    out.next(&["mainstay add NAME -- COMMAND", "mainstay check", "mainstay up"]);
    Ok(Exit::Done)
}

/// Prints the file instead of writing it.
fn dry_run(path: &Path, text: &str, is_forced: bool, out: &Output) -> Result<Exit, Failure> {
    if path.exists() && !is_forced {
        return Err(exists(path));
    }
    if out.json {
        out.value(&json!({ "written": null, "servers": [DEMO], "dry_run": true, "text": text }));
        return Ok(Exit::Done);
    }
    out.line(text.trim_end());
    let path = format::harmless(&path.display().to_string());
    out.remark(format!("not written: this was a dry run; it would go to {path}"));
    Ok(Exit::Done)
}

/// All keys with their defaults, and a server that runs everywhere.
fn first_text() -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("can't find the path of this program: {error}"))
    })?;
    // A JSON string is a TOML string.
    let program = json!(program.display().to_string());
    let template = mainstay_config::template();
    Ok(format!(
        "{template}\n\
         # A demonstration server that is built into Mainstay, so that there is something to run.\n\
         # `mainstay remove {DEMO}` takes it out when there are others.\n\
         [servers.{DEMO}]\n\
         command = [{program}, \"__demo\", \"{DEMO}\"]\n"
    ))
}

fn exists(path: &Path) -> Failure {
    let message = format!("{} exists already", path.display());
    Failure::new(Exit::Failed, message).hint("--force overwrites it")
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.write(true);
    // Creating the file also checks that it is new, in one step.
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    let written = made.and_then(|()| options.open(path)?.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::new(Exit::Failed, format!("{shown} can't be written: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn a_file_that_is_there_is_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/mainstay.toml");
        write(&path, "one, and longer", false).unwrap();
        let failure = write(&path, "two", false).unwrap_err();
        assert!(failure.message().ends_with("exists already"), "{failure:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one, and longer");
        write(&path, "two", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
    }
}
