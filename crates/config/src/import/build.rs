//! Builds one server for the configuration: references take the place of secrets.

use std::path::Path;

use super::emit::{Ready, Runs, basic};
use super::found::{Found, Run};
use super::refer::{References, SecretOwner};
use super::secrets::{self, Part};
use super::shell;
use super::text::{Piece, Text, escaped, variable_name};
use crate::expand::{SecretRef, secret_ref};

/// Builds a server without secrets. The error says why the server can't be imported.
pub(super) fn ready(
    found: &Found,
    name: &str,
    file: &Path,
    references: &mut References<'_>,
) -> Result<Ready, &'static str> {
    let mut env = values(&found.env, "env", name, references);
    let mut headers = values(&found.headers, "headers", name, references);
    let runs = match &found.run {
        Run::Command(words) => Runs::Command(command(words, name, &mut env, references)),
        Run::Url(url) => Runs::Url(address(url, name, &mut headers, references)?),
    };
    if let Some(cwd) = &found.cwd {
        need_all(cwd, name, "cwd", references);
    }
    Ok(Ready {
        name: name.to_owned(),
        comment: match file.as_os_str().is_empty() {
            true => String::new(),
            false => format!("from {}", file.display()),
        },
        runs,
        env,
        headers,
        cwd: found.cwd.as_ref().map(Text::to_config),
        required: found.required,
        start_timeout: found.start_timeout,
    })
}

/// Variables or headers, secrets replaced by references.
fn values(
    pairs: &[(String, Text)],
    table: &str,
    server: &str,
    references: &mut References<'_>,
) -> Vec<(String, String)> {
    let pairs = pairs.iter().map(|(key, text)| {
        let place = format!("{table}.{key}");
        if let Some(reference) = text.as_literal().filter(|text| is_reference(text)) {
            return (key.clone(), reference);
        }
        let parts = secrets::value(key, text);
        let owner =
            SecretOwner { server, place: &place, hint: key, is_known_by_hint: table == "env" };
        let value = match parts.as_slice() {
            [Part::Secret { value, .. }] => references.whole(owner, value),
            parts => inside(parts, owner, references),
        };
        (key.clone(), value)
    });
    pairs.collect()
}

/// Whether a text refers to a secret in the notation of the configuration already.
fn is_reference(text: &str) -> bool {
    matches!(secret_ref(text), Some(SecretRef::Variable(_) | SecretRef::File(_)))
}

/// A remark about a user and a password in an address, which no address of the configuration has.
pub(super) fn user_note(found: &Found) -> Option<String> {
    let Run::Url(url) = &found.run else { return None };
    secrets::address(url).ok()?.user?;
    let has_own = found.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case("authorization"));
    Some(match has_own {
        true => "the user and password of its address are left out: it has a header `Authorization`",
        false => {
            "the user and password of its address become the header `Authorization` (`Basic`, in base64)"
        }
    }
    .to_owned())
}

/// A text for the configuration: its secrets as variables.
fn inside(parts: &[Part], owner: SecretOwner<'_>, references: &mut References<'_>) -> String {
    let mut text = Text::default();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_literal(literal),
            Part::Variable(variable) => {
                if variable.default.is_none() {
                    references.needs(&variable.name, owner.server, owner.place);
                }
                text.push_variable(&variable.name, variable.default.as_deref());
            }
            Part::Secret { hint, value } => {
                let owner = SecretOwner { hint, is_known_by_hint: false, ..owner };
                let name = references.inside(owner, value);
                text.push_variable(&name, None);
            }
        }
    }
    text.to_config()
}

fn need_all(text: &Text, server: &str, place: &str, references: &mut References<'_>) {
    for piece in &text.pieces {
        if let Piece::Variable(variable) = piece
            && variable.default.is_none()
        {
            references.needs(&variable.name, server, place);
        }
    }
}

/// A command. One with secrets among its words is started by a shell that takes them from
/// variables of the server, because words are shown and logged, and variables are not.
fn command(
    words: &[Text],
    server: &str,
    env: &mut Vec<(String, String)>,
    references: &mut References<'_>,
) -> Vec<String> {
    let before = |index: usize| index.checked_sub(1).map(|before| &words[before]);
    let parts: Vec<_> =
        words.iter().enumerate().map(|(at, word)| secrets::argument(before(at), word)).collect();
    let owner = SecretOwner { server, place: "command", hint: "", is_known_by_hint: false };
    let is_secret = |part: &Part| matches!(part, Part::Secret { .. });
    if !parts.iter().flatten().any(is_secret) {
        return parts.iter().map(|parts| inside(parts, owner, references)).collect();
    }
    let mut script = "exec".to_owned();
    let mut given = Vec::new();
    for parts in &parts {
        script.push(' ');
        if parts.is_empty() {
            script.push_str("''");
        }
        for part in parts {
            match part {
                Part::Literal(literal) => script.push_str(&word(literal)),
                Part::Secret { hint, value } => {
                    let name = own_variable(hint, value, owner, env, references);
                    script.push_str(&format!("\"${name}\""));
                }
                variable @ Part::Variable(_) => {
                    given.push(inside(std::slice::from_ref(variable), owner, references));
                    script.push_str(&match given.len() {
                        number @ 1..=9 => format!("\"${number}\""),
                        number => format!("\"${{{number}}}\""),
                    });
                }
            }
        }
    }
    let mut command = vec!["sh".to_owned(), "-c".to_owned(), escaped(&script, false)];
    if !given.is_empty() {
        command.push("sh".to_owned());
        command.extend(given);
    }
    command
}

/// A literal in a script; the home folder keeps its short form.
fn word(literal: &str) -> String {
    match literal.strip_prefix("~/") {
        Some(below) => format!("\"$HOME\"/{}", shell::quote(below)),
        None => shell::quote(literal),
    }
}

/// Adds a variable of the server that holds a secret word of its command. Returns the variable's
/// name.
fn own_variable(
    hint: &str,
    value: &str,
    owner: SecretOwner<'_>,
    env: &mut Vec<(String, String)>,
    references: &mut References<'_>,
) -> String {
    let base = variable_name(hint);
    let names = (1..)
        .map(|number: u32| if number == 1 { base.clone() } else { format!("{base}_{number}") });
    let mut names = names.into_iter();
    loop {
        let name = names.next().expect("numbers never run out");
        let place = format!("env.{name}");
        let owner = SecretOwner { place: &place, hint: &name, ..owner };
        let mut attempt = references.clone();
        let reference = attempt.whole(owner, value);
        match env.iter().find(|(key, _)| *key == name) {
            Some((_, there)) if *there == reference => return name,
            Some(_) => {}
            None => {
                *references = attempt;
                env.push((name.clone(), reference));
                return name;
            }
        }
    }
}

/// An address; a user and password in it become a header.
fn address(
    url: &Text,
    server: &str,
    headers: &mut Vec<(String, String)>,
    references: &mut References<'_>,
) -> Result<String, &'static str> {
    let starts_well = ["http://", "https://"].iter().any(|begin| {
        let first = url.first_literal();
        first.is_empty()
            || first.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin))
    });
    if !starts_well {
        return Err("its address begins with neither http:// nor https://");
    }
    let address = secrets::address(url)?;
    if let Some(user) = &address.user
        && !headers.iter().any(|(key, _)| key.eq_ignore_ascii_case("authorization"))
    {
        let owner = SecretOwner {
            server,
            place: "headers.Authorization",
            hint: "Authorization",
            is_known_by_hint: false,
        };
        let value = references.whole(owner, &basic(user));
        headers.push(("Authorization".to_owned(), value));
    }
    let owner = SecretOwner { server, place: "url", hint: "url", is_known_by_hint: false };
    Ok(inside(&address.parts, owner, references))
}
