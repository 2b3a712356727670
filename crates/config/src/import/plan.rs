//! Plans an import before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::build::{ready, user_note};
use super::emit::{Ready, append, render};
use super::found::{Found, Parsed, Run, Skipped};
use super::identity::{Existing, candidates, is_ourselves, valid_name};
use super::notation::problem_at;
use super::refer::{References, SecretHome, SecretToWrite, VariableToSet};
use super::text::{Piece, Text};
use crate::document::parse_file;
use crate::problem::{Problems, quoted};
use crate::read::is_header_taken;

/// The input of a plan.
pub struct PlanRequest<'a> {
    /// The configuration that servers are added to; none: a text of its own is made.
    pub config: Option<(&'a Path, &'a str)>,
    pub home: SecretHome,
    /// The addresses of the daemon that are known, running or configured. A client that has one of them
    /// has Mainstay, and no server to import.
    pub own: &'a [String],
    /// The environment of this process: which variables need not be set.
    pub env: &'a BTreeMap<String, String>,
}

/// The plan of an import. Only `secrets` holds secrets, and they are not printed.
#[derive(Debug, Clone, Serialize)]
pub struct ImportPlan {
    /// The servers that are new, as TOML.
    pub toml: String,
    /// The whole configuration, with the new servers.
    #[serde(skip)]
    pub config: String,
    pub added: Vec<Added>,
    pub already: Vec<Already>,
    pub skipped: Vec<Skipped>,
    pub variables: Vec<VariableToSet>,
    pub secrets: Vec<SecretToWrite>,
}

/// A server that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    pub name: String,
    pub file: PathBuf,
    /// The server's name in its file, where the name had to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<Renamed>,
    /// Parts of the server that were not imported, and why.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    pub from: String,
    pub because: &'static str,
}

/// A server that was there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Already {
    pub name: String,
    /// The server's name in its file.
    pub from: String,
    /// The keys of its table there, from the top. Empty: the usual table of the format.
    #[serde(skip)]
    pub within: Vec<String>,
    pub file: PathBuf,
    /// Whether another file of this import has the server; otherwise the configuration has it.
    pub is_repeated: bool,
}

/// Collects the servers of all files.
struct Planner<'a> {
    existing: Existing,
    own: &'a [String],
    references: References<'a>,
    /// The full definition of each new server, secrets included.
    made_of: BTreeMap<String, String>,
    ready: Vec<Ready>,
    added: Vec<Added>,
    already: Vec<Already>,
    skipped: Vec<Skipped>,
}

/// Puts the servers of files together: names, references in place of secrets, TOML.
///
/// The same files and the same configuration give the same plan, and a second plan on the result of the
/// first adds nothing.
///
/// # Errors
/// When the configuration is no TOML.
pub fn plan(parsed: Vec<Parsed>, request: &PlanRequest<'_>) -> Result<ImportPlan, Problems> {
    let existing = match request.config {
        Some((path, text)) => existing(path, text)?,
        None => Existing::default(),
    };
    let reserved = parsed.iter().flat_map(|file| &file.found).flat_map(variables).collect();
    let mut planner = Planner {
        existing,
        own: request.own,
        references: References::new(&request.home, request.env, reserved),
        made_of: BTreeMap::new(),
        ready: Vec::new(),
        added: Vec::new(),
        already: Vec::new(),
        skipped: Vec::new(),
    };
    for file in parsed {
        planner.skipped.extend(file.skipped);
        for found in file.found {
            planner.place(found, &file.file);
        }
    }
    let toml = render(&planner.ready);
    let config = append(request.config.map_or("", |(_, text)| text), &toml, &planner.ready);
    let References { variables, files, .. } = planner.references;
    Ok(ImportPlan {
        toml,
        config,
        added: planner.added,
        already: planner.already,
        skipped: planner.skipped,
        variables,
        secrets: files,
    })
}

fn existing(path: &Path, text: &str) -> Result<Existing, Problems> {
    let (root, errors) = parse_file(text);
    match errors.first() {
        None => Ok(Existing::read(&root)),
        Some(error) => {
            let message = format!("this is not valid TOML: {}", error.message);
            Err(problem_at(path, text, &error.span, message))
        }
    }
}

/// The names of all variables that a server's texts use.
fn variables(found: &Found) -> Vec<String> {
    let run = match &found.run {
        Run::Command(words) => words.iter().collect(),
        Run::Url(url) => vec![url],
    };
    let values = found.env.iter().chain(&found.headers).map(|(_, text)| text);
    let texts = run.into_iter().chain(values).chain(&found.cwd);
    let pieces = texts.flat_map(|text| &text.pieces);
    pieces
        .filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable.name.clone()),
            Piece::Literal(_) => None,
        })
        .collect()
}

/// Everything that defines a server, to compare two of them.
fn made_of(found: &Found) -> String {
    let run = match &found.run {
        Run::Command(words) => words.iter().map(Text::to_config).collect::<Vec<_>>(),
        Run::Url(url) => vec![url.to_config()],
    };
    let pairs = found.env.iter().chain(&found.headers);
    let pairs: BTreeSet<_> = pairs.map(|(key, text)| (key, text.to_config())).collect();
    format!("{run:?} {pairs:?} {:?}", found.cwd.as_ref().map(Text::to_config))
}

// === impl Planner ===

impl Planner<'_> {
    /// Finds a name for a server and adds it, unless it is there already.
    fn place(&mut self, mut found: Found, file: &Path) {
        if is_ourselves(&found, self.own) {
            let reason = "it is Mainstay itself".to_owned();
            self.skipped.push(Skipped { name: found.name, file: file.to_owned(), reason });
            return;
        }
        clean(&mut found);
        let whole = made_of(&found);
        for name in candidates(&found.name) {
            if self.made_of.get(&name) == Some(&whole) {
                self.found_again(name, found, file, true);
                return;
            }
            if self.made_of.contains_key(&name) {
                continue;
            }
            // References are only given out for good when the server stays.
            let mut references = self.references.clone();
            let ready = match ready(&found, &name, file, &mut references) {
                Ok(ready) => ready,
                Err(reason) => {
                    let (name, reason) = (found.name, reason.to_owned());
                    self.skipped.push(Skipped { name, file: file.to_owned(), reason });
                    return;
                }
            };
            match self.existing.names.get(&name) {
                Some(Some(runtime)) if *runtime == ready.runs.words() => {
                    self.found_again(name, found, file, false);
                    return;
                }
                Some(_) => {}
                None => {
                    self.references = references;
                    self.add(found, ready, whole, file);
                    return;
                }
            }
        }
    }

    fn found_again(&mut self, name: String, found: Found, file: &Path, is_repeated: bool) {
        let Found { name: from, within, .. } = found;
        self.already.push(Already { name, from, within, file: file.to_owned(), is_repeated });
    }

    fn add(&mut self, mut found: Found, ready: Ready, whole: String, file: &Path) {
        found.notes.extend(user_note(&found));
        let name = ready.name.clone();
        let renamed = (name != found.name).then(|| {
            let is_taken = valid_name(&found.name) != name;
            let because = if is_taken {
                "the name is taken"
            } else {
                "a name has up to 40 letters, digits, `-` and `_`"
            };
            Renamed { from: found.name, because }
        });
        self.made_of.insert(name.clone(), whole);
        self.added.push(Added { name, file: file.to_owned(), renamed, notes: found.notes });
        self.ready.push(ready);
    }
}

/// Removes values that the configuration does not accept.
fn clean(found: &mut Found) {
    let Found { env, headers, notes, .. } = found;
    env.retain(|(key, _)| {
        let is_fit = !key.is_empty() && !key.contains(['=', '\0']);
        if !is_fit {
            notes
                .push(format!("{} in `env` is left out: it is no name of a variable", quoted(key)));
        }
        is_fit
    });
    headers.retain(|(key, _)| {
        let is_taken = is_header_taken(key);
        if is_taken {
            notes.push(format!("the header {} is left out: Mainstay sets it itself", quoted(key)));
        }
        !is_taken
    });
    let mut seen = BTreeSet::new();
    headers.reverse();
    headers.retain(|(key, _)| seen.insert(key.to_ascii_lowercase()));
    headers.reverse();
}
