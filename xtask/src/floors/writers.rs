//! Who writes files: `store` everything below the state folder, and the modules named here what is not.

use std::path::Path;

use super::purity;

/// What shows that a source writes. Text, not syntax: good enough to catch a slip.
const TRACES: [(&str, &str); 14] = [
    ("fs::write", WRITES),
    ("fs::rename", WRITES),
    ("fs::copy", WRITES),
    ("fs::hard_link", WRITES),
    ("fs::remove_file", WRITES),
    ("fs::remove_dir", WRITES),
    ("fs::create_dir", WRITES),
    ("fs::set_permissions", WRITES),
    ("File::create", WRITES),
    ("create_new(", WRITES),
    (".create(true)", WRITES),
    (".append(true)", WRITES),
    ("DirBuilder", WRITES),
    ("set_len(", WRITES),
];

const WRITES: &str = "writes files, which only `store` does below the state folder";

/// Modules that write, and what.
const WRITERS: [(&str, &str); 8] = [
    ("crates/store/src/", "the state folder"),
    ("crates/gateway/src/listener.rs", "the command socket, where `store` says"),
    ("crates/mainstay/src/commands/call/contents.rs", "what a call returns, where its user says"),
    ("crates/mainstay/src/commands/fetch.rs", "the folder of packages, for package managers"),
    ("crates/mainstay/src/commands/fetch/", "the folder of packages, for package managers"),
    ("crates/mainstay/src/commands/files.rs", "files of the user, where he says"),
    ("crates/mainstay/src/commands/init.rs", "a first configuration"),
    ("crates/upstream/src/process/cgroup/files.rs", "control groups"),
];

/// Sources of a crate that write without being named here.
pub(super) fn check(root: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for (shown, source) in purity::sources(root, folder)? {
        if !WRITERS.iter().any(|(writer, _)| shown.starts_with(writer)) {
            problems.extend(purity::problems(&shown, &source, &TRACES));
        }
    }
    Ok(problems)
}

/// Modules that are named here and write nothing.
pub(super) fn idle(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut idle = Vec::new();
    for (writer, what) in WRITERS {
        let folder = root.join(writer.split("/src").next().unwrap_or(writer));
        let sources = purity::sources(root, &folder)?;
        let mut own = sources.iter().filter(|(shown, _)| shown.starts_with(writer));
        if !own.any(|(shown, source)| purity::problems(shown, source, &TRACES).next().is_some()) {
            idle.push(format!("{writer}: does not write {what}; take it from the list"));
        }
    }
    Ok(idle)
}

#[cfg(test)]
mod tests {
    use super::{TRACES, purity};

    #[test]
    fn a_source_that_writes_is_seen() {
        let source = "use std::fs;\n// fs::write\nfn f() {\n    fs::write(\"a\", \"b\");\n}\n";
        let found: Vec<_> = purity::problems("a.rs", source, &TRACES).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a.rs:4: `fs::write` writes files"), "{found:?}");
    }
}
