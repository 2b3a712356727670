//! Moves secrets to files or variables, and gives out the references that take their place.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::Redacted;
use serde::Serialize;

use super::text::{is_variable, variable_name};

/// The place where secrets are kept. It may hold some, so it has no `Debug`.
pub enum SecretHome {
    /// Variables of the daemon's environment.
    Environment,
    /// Files in a folder, which is given as the configuration names it.
    Files {
        folder: String,
        /// Files already in the folder: by name, with their text without the last line break.
        there: BTreeMap<String, String>,
    },
}

/// A variable that must be set before the daemon starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariableToSet {
    pub name: String,
    /// `env.TOKEN of github`.
    pub used_by: Vec<String>,
    /// Whether the imported file has the value; otherwise the file named a variable.
    pub is_secret: bool,
    /// The file that its value was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_in: Option<String>,
}

/// A file to be written that only its owner may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretToWrite {
    /// The file's path in the configuration.
    pub path: String,
    pub value: Redacted<String>,
    pub what: String,
}

/// The references given out so far. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct References<'a> {
    home: &'a SecretHome,
    env: &'a BTreeMap<String, String>,
    /// The secret of each variable's name. None: the user sets the variable.
    names: BTreeMap<String, Option<String>>,
    /// The content of each file's name.
    taken_files: BTreeMap<String, String>,
    pub(super) variables: Vec<VariableToSet>,
    pub(super) files: Vec<SecretToWrite>,
}

/// The server and key that a secret belongs to.
#[derive(Clone, Copy)]
pub(super) struct SecretOwner<'a> {
    pub(super) server: &'a str,
    /// The key for messages, such as `env.TOKEN`.
    pub(super) place: &'a str,
    /// A word that describes the secret.
    pub(super) hint: &'a str,
    /// Whether the hint alone is a good name, as the name of a variable is.
    pub(super) is_known_by_hint: bool,
}

// === impl References ===

impl<'a> References<'a> {
    /// `reserved` are the names that texts use already.
    pub(super) fn new(
        home: &'a SecretHome,
        env: &'a BTreeMap<String, String>,
        reserved: BTreeSet<String>,
    ) -> Self {
        let taken_files = match home {
            SecretHome::Environment => BTreeMap::new(),
            SecretHome::Files { there, .. } => there.clone(),
        };
        let names = reserved.into_iter().map(|name| (name, None)).collect();
        Self { home, env, names, taken_files, variables: Vec::new(), files: Vec::new() }
    }

    /// The reference for a value that is a secret as a whole.
    pub(super) fn whole(&mut self, owner: SecretOwner<'_>, value: &str) -> String {
        match self.home {
            SecretHome::Environment => format!("secret:env:{}", self.name(owner, value, None)),
            SecretHome::Files { .. } => format!("secret:file:{}", self.file(owner, value)),
        }
    }

    /// The name of a variable for a secret inside of a text, where no reference is read.
    pub(super) fn inside(&mut self, owner: SecretOwner<'_>, value: &str) -> String {
        let file = match self.home {
            SecretHome::Environment => None,
            SecretHome::Files { .. } => Some(self.file(owner, value)),
        };
        self.name(owner, value, file)
    }

    /// Notes a variable that a text needs.
    pub(super) fn needs(&mut self, name: &str, server: &str, place: &str) {
        if !self.env.contains_key(name) {
            self.note(name, server, place, None, false);
        }
    }

    fn note(&mut self, name: &str, server: &str, place: &str, file: Option<String>, secret: bool) {
        let user = format!("{place} of {server}");
        match self.variables.iter_mut().find(|variable| variable.name == name) {
            Some(known) if known.used_by.contains(&user) => {}
            Some(known) => known.used_by.push(user),
            None => self.variables.push(VariableToSet {
                name: name.to_owned(),
                used_by: vec![user],
                is_secret: secret,
                saved_in: file,
            }),
        }
    }

    fn name(&mut self, owner: SecretOwner<'_>, value: &str, file: Option<String>) -> String {
        let hint =
            if is_variable(owner.hint) { owner.hint.to_owned() } else { variable_name(owner.hint) };
        let long = format!("{}_{}", variable_name(owner.server), hint.to_ascii_uppercase());
        let first = if owner.is_known_by_hint && !is_common(&hint) { hint } else { long.clone() };
        let numbered = (2..).map(|number: u32| format!("{long}_{number}"));
        let fits = |name: &String| match (self.names.get(name), self.env.get(name)) {
            (Some(known), _) => known.as_deref() == Some(value),
            (None, set) => set.is_none_or(|set| set == value),
        };
        let name = [first, long.clone()]
            .into_iter()
            .chain(numbered)
            .find(fits)
            .expect("numbers never run out");
        self.names.insert(name.clone(), Some(value.to_owned()));
        if !self.env.contains_key(&name) {
            self.note(&name, owner.server, owner.place, file, true);
        }
        name
    }

    fn file(&mut self, owner: SecretOwner<'_>, value: &str) -> String {
        let SecretHome::Files { folder, .. } = self.home else { return String::new() };
        let safe: String = owner
            .hint
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' })
            .take(60)
            .collect();
        let base = format!("{}.{}", owner.server, safe.trim_matches('-'));
        let names = (1..).map(
            |number: u32| {
                if number == 1 { base.clone() } else { format!("{base}-{number}") }
            },
        );
        let fits = |name: &String| self.taken_files.get(name).is_none_or(|there| there == value);
        let name = names.into_iter().find(fits).expect("numbers never run out");
        let path = format!("{folder}/{name}");
        if self.taken_files.insert(name, value.to_owned()).is_none() {
            self.files.push(SecretToWrite {
                path: path.clone(),
                value: Redacted::new(value.to_owned()),
                what: format!("{} of {}", owner.place, owner.server),
            });
        }
        path
    }
}

/// Whether a name such as `API_KEY` is too common to tell whose it is.
fn is_common(name: &str) -> bool {
    const COMMON: [&str; 12] = [
        "ACCESS",
        "API",
        "APIKEY",
        "AUTH",
        "AUTHORIZATION",
        "CLIENT",
        "HEADER",
        "KEY",
        "PASSWORD",
        "SECRET",
        "TOKEN",
        "USER",
    ];
    name.split('_').all(|word| COMMON.contains(&word))
}
