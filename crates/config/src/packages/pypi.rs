//! `uvx`, `uv tool run` and `pipx run`.

use super::package::{Package, Registry, RunnerWords, Unclear};

/// Options with a value that are of use for installing, by their long names.
const KEPT_WITH_VALUE: [&str; 17] = [
    "--python",
    "--index",
    "--default-index",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--index-strategy",
    "--keyring-provider",
    "--prerelease",
    "--resolution",
    "--exclude-newer",
    "--constraints",
    "--overrides",
    "--with-requirements",
    "--config-file",
    "--link-mode",
    "--allow-insecure-host",
];
const KEPT: [&str; 5] = ["--no-index", "--no-build", "--no-config", "--native-tls", "--no-sources"];
/// Options that have no effect on what is installed and run.
const LEFT_OUT_WITH_VALUE: [&str; 2] = ["--cache-dir", "--color"];
const LEFT_OUT: [&str; 10] = [
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "--isolated",
    "--no-progress",
    "--refresh",
    "--no-cache",
    "-n",
    "--no-env-file",
];

/// Reads the words after the runner.
pub(super) fn find(words: &[&str]) -> Result<RunnerWords, Unclear> {
    let mut from = None;
    let mut beside = Vec::new();
    let mut options = Vec::new();
    let mut rest = words.iter().enumerate();
    while let Some((at, &word)) = rest.next() {
        if !word.starts_with('-') {
            let (main, program) = match from {
                Some(from) => (from, word.to_owned()),
                None => {
                    let main = package(word)?;
                    let program = main.name.clone();
                    (main, program)
                }
            };
            let packages = std::iter::once(main).chain(beside).collect();
            return Ok(RunnerWords { packages, options, program: Some(program), words: at + 1 });
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        let mut value = || value.or_else(|| rest.next().map(|(_, &word)| word));
        let unknown = || Unclear::Option(name.to_owned());
        match long(name) {
            "--from" | "--spec" => from = Some(package(value().ok_or_else(unknown)?)?),
            "--with" => {
                for one in value().ok_or_else(unknown)?.split(',') {
                    beside.push(package(one.trim())?);
                }
            }
            name if KEPT_WITH_VALUE.contains(&name) => {
                options.push(format!("{name}={}", value().ok_or_else(unknown)?));
            }
            name if LEFT_OUT_WITH_VALUE.contains(&name) => {
                value().ok_or_else(unknown)?;
            }
            name if KEPT.contains(&name) => options.push(name.to_owned()),
            name if LEFT_OUT.contains(&name) => {}
            _ => return Err(unknown()),
        }
    }
    Err(Unclear::NoPackage)
}

fn long(name: &str) -> &str {
    match name {
        "-p" => "--python",
        "-w" => "--with",
        "-i" => "--index-url",
        "-f" => "--find-links",
        "-c" | "--constraint" => "--constraints",
        name => name,
    }
}

/// `name`, with extras, and `==version`, `@version` or a range behind it.
fn package(word: &str) -> Result<Package, Unclear> {
    let not_of_registry = || Unclear::NotOfRegistry(word.to_owned());
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let end = word.bytes().position(|b| !is_name(b)).unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    let (extras, wanted) = match rest.find(']') {
        Some(close) if rest.starts_with('[') => rest.split_at(close + 1),
        _ => ("", rest),
    };
    let is_wanted = |b: u8| b.is_ascii_alphanumeric() || b"-._+!=<>~*, @".contains(&b);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins
        || wanted.starts_with(|c: char| !"=<>!~@ ".contains(c))
        || !wanted.bytes().all(is_wanted)
    {
        return Err(not_of_registry());
    }
    let exact = wanted.trim().strip_prefix("==").or_else(|| wanted.trim().strip_prefix('@'));
    let version =
        exact.map(|text| text.trim_start_matches('=').trim()).filter(|text| is_version(text));
    let range = if wanted.trim_start().starts_with('@') { "" } else { wanted };
    Ok(Package {
        registry: Registry::Pypi,
        name: name.to_owned(),
        extras: extras.to_owned(),
        version: version.map(str::to_owned),
        written: word.to_owned(),
        wanted: format!("{name}{extras}{range}"),
    })
}

fn is_version(text: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b".+!-_".contains(&b);
    text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(is_fit)
}
