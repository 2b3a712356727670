//! `mainstay init`: writes a first configuration.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{InitArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::{Output, format};

pub(super) fn run(shared: &Shared, args: &InitArgs, out: &Output) -> Result<Exit, Failure> {
    let path = args.file.as_ref().or(shared.config.as_ref());
    let path = path.cloned().unwrap_or_else(|| PathBuf::from("mainstay.toml"));
    write(&path, &mainstay_config::template(), args.force)?;
    if out.json {
        out.value(&json!({ "written": path }));
    } else {
        out.line(format!("wrote {}", format::harmless(&path.display().to_string())));
        out.next(&["name your servers in it", "mainstay check", "mainstay up"]);
    }
    Ok(Exit::Done)
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
        io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Failed, format!("{shown} exists already"))
                .hint("--force overwrites it")
        }
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
