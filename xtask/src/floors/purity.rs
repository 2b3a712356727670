//! Sources of pure crates read no clock, no file, no environment, and start nothing.

use std::path::{Path, PathBuf};

use crate::sources;

/// What shows that a source does one of these. Text, not syntax: good enough to catch a slip.
const TRACES: [(&str, &str); 12] = [
    ("Instant::now", "reads a clock"),
    ("SystemTime::now", "reads a clock"),
    ("Timestamp::now", "reads a clock"),
    ("std::fs", "touches files"),
    ("TcpListener", "opens sockets"),
    ("TcpStream", "opens sockets"),
    ("UdpSocket", "opens sockets"),
    ("std::process", "starts or ends processes"),
    ("std::env", "reads the environment"),
    ("std::thread", "starts or stops threads"),
    ("getrandom::", "makes up random numbers"),
    ("println!", "prints"),
];

/// What is impure in a crate, tests left aside.
pub(super) fn check(root: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let sources = sources(root, folder)?;
    Ok(sources.iter().flat_map(|(shown, source)| problems(shown, source, &TRACES)).collect())
}

/// The sources of a crate but those of its tests, each with its path in the repository.
pub(super) fn sources(root: &Path, folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut read = Vec::new();
    for file in sources::rust_files(&folder.join("src"))? {
        let source = sources::read(&file)?;
        read.push((file, source));
    }
    let for_tests: Vec<PathBuf> =
        read.iter().flat_map(|(file, source)| test_modules(file, source)).collect();
    let kept = read.into_iter().filter(|(file, _)| {
        let module = file.with_extension("");
        !for_tests.iter().any(|tests| module.starts_with(tests))
    });
    let shown = |file: &Path| file.strip_prefix(root).unwrap_or(file).display().to_string();
    Ok(kept.map(|(file, source)| (shown(&file), source)).collect())
}

/// What traces in a source say, each with its place.
pub(super) fn problems<'a>(
    shown: &'a str,
    source: &'a str,
    traces: &'a [(&'static str, &'static str)],
) -> impl Iterator<Item = String> + 'a {
    traces_of(source, traces)
        .map(move |(line, trace, does)| format!("{shown}:{line}: `{trace}` {does}"))
}

/// The modules a file declares for tests only, as paths without `.rs`.
fn test_modules(file: &Path, source: &str) -> Vec<PathBuf> {
    let below = if file.ends_with("src/lib.rs") {
        file.with_file_name("")
    } else {
        file.with_extension("")
    };
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let names = pairs.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'));
    names.map(|name| below.join(name)).collect()
}

/// Where a source shows that it is impure.
#[cfg(test)]
pub(super) fn traces(source: &str) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    traces_of(source, &TRACES)
}

/// Where a source shows traces, up to its own tests.
fn traces_of<'a>(
    source: &'a str,
    traces: &'a [(&'static str, &'static str)],
) -> impl Iterator<Item = (usize, &'static str, &'static str)> + 'a {
    source
        .lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "mod tests {")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(move |(at, line)| {
            let found = traces.iter().filter(move |(trace, _)| line.contains(trace));
            found.map(move |(trace, does)| (at + 1, *trace, *does))
        })
}
