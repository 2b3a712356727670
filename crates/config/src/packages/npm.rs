//! Parses `npx`, `npm exec` and similar runners.

use super::package::{Package, Registry, Runner, RunnerWords, Unclear};

/// Options with a value that are of use for installing.
const KEPT_WITH_VALUE: [&str; 2] = ["--registry", "--userconfig"];
const KEPT: [&str; 3] = ["--ignore-scripts", "--legacy-peer-deps", "--force"];
/// Options that have no effect on what is installed and run.
const LEFT_OUT_WITH_VALUE: [&str; 2] = ["--cache", "--loglevel"];
const LEFT_OUT: [&str; 10] = [
    "-y",
    "--yes",
    "-q",
    "--quiet",
    "-s",
    "--silent",
    "--prefer-offline",
    "--prefer-online",
    "--bun",
    "-d",
];

/// Reads the words after the runner.
pub(super) fn find(words: &[&str], runner: Runner) -> Result<RunnerWords, Unclear> {
    let mut found =
        RunnerWords { packages: Vec::new(), options: Vec::new(), program: None, words: 0 };
    let mut rest = words.iter().enumerate();
    let mut is_after_dashes = false;
    while let Some((at, &word)) = rest.next() {
        if word == "--" && !is_after_dashes {
            is_after_dashes = true;
            continue;
        }
        if !word.starts_with('-') || is_after_dashes {
            if found.packages.is_empty() {
                found.packages.push(package(word)?);
            } else {
                found.program = Some(word.to_owned());
            }
            found.words = at + 1;
            // Unlike the others, `npm exec` goes on reading its own options there.
            if runner == Runner::NpmExec && !is_after_dashes {
                after_package(&words[at + 1..], &mut found)?;
            }
            return Ok(found);
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let mut value = || value.or_else(|| rest.next().map(|(_, &word)| word));
        let unknown = || Unclear::Option(name.to_owned());
        match name {
            "-p" | "--package" => found.packages.push(package(value().ok_or_else(unknown)?)?),
            name if KEPT_WITH_VALUE.contains(&name) => {
                found.options.push(format!("{name}={}", value().ok_or_else(unknown)?));
            }
            name if LEFT_OUT_WITH_VALUE.contains(&name) => {
                value().ok_or_else(unknown)?;
            }
            name if KEPT.contains(&name) => found.options.push(name.to_owned()),
            name if LEFT_OUT.contains(&name) => {}
            _ => return Err(unknown()),
        }
    }
    Err(Unclear::NoPackage)
}

/// `npm exec PACKAGE -- …`: words before the dashes must not be npm's own options.
fn after_package(words: &[&str], found: &mut RunnerWords) -> Result<(), Unclear> {
    match words.first() {
        Some(&"--") => found.words += 1,
        _ if words.iter().any(|word| word.starts_with('-')) => return Err(Unclear::Ambiguous),
        _ => {}
    }
    Ok(())
}

/// Parses `name` and `name@version`, with or without a scope. Files, repositories and addresses are
/// refused.
fn package(word: &str) -> Result<Package, Unclear> {
    let scope = usize::from(word.starts_with('@'));
    let (name, wanted) = match word[scope..].find('@') {
        Some(at) => (&word[..scope + at], &word[scope + at + 1..]),
        None => (word, ""),
    };
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    let is_name = match name.strip_prefix('@').map(|name| name.split_once('/')) {
        Some(Some((scope, name))) => is_part(scope) && is_part(name),
        Some(None) => false,
        None => is_part(name),
    };
    let is_wanted =
        wanted.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+^~<>=|* ".contains(&b));
    if !is_name || !is_wanted {
        return Err(Unclear::NotOfRegistry(word.to_owned()));
    }
    Ok(Package {
        registry: Registry::Npm,
        name: name.to_owned(),
        extras: String::new(),
        version: is_version(wanted).then(|| wanted.to_owned()),
        written: word.to_owned(),
        wanted: if wanted.is_empty() { name.to_owned() } else { word.to_owned() },
    })
}

/// Three numbers, and perhaps more behind a `-` or `+`: anything else is a range or a tag.
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let numbers: Vec<_> = text[..end].split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-.+".contains(&b);
    numbers.len() == 3 && numbers.iter().all(is_number) && text.bytes().all(is_plain)
}
