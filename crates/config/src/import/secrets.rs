//! Splits texts into parts that may be written into the configuration and parts that are secret.

use super::shapes::{has_password, is_named, is_shaped};
use super::text::{Piece, Text, Variable};

/// A part of a text. It may be a secret, so it has no `Debug`.
#[derive(Clone)]
pub(super) enum Part {
    Literal(String),
    Variable(Variable),
    Secret {
        /// A short description of the secret.
        hint: String,
        value: String,
    },
}

/// An address without its secrets.
pub(super) struct Address {
    pub(super) parts: Vec<Part>,
    /// The credentials before the host, if the address had some.
    pub(super) user: Option<String>,
}

/// The value of a variable or a header.
pub(super) fn value(key: &str, text: &Text) -> Vec<Part> {
    if let Some(value) = text.as_literal() {
        if is_named(key, &value) || is_shaped(&value) {
            return vec![Part::Secret { hint: key.to_owned(), value }];
        }
        return vec![Part::Literal(value)];
    }
    mixed(key, text)
}

/// Splits a word of a command. A flag before it may name its value.
pub(super) fn argument(before: Option<&Text>, word: &Text) -> Vec<Part> {
    let flag = before
        .and_then(Text::as_literal)
        .filter(|flag| flag.starts_with('-') && !flag.contains('='));
    let flag = flag.as_deref().map(|flag| flag.trim_start_matches('-')).unwrap_or_default();
    match word.as_literal() {
        Some(word) => literal_argument(flag, &word),
        None => mixed(flag, word),
    }
}

/// Whether a word is a flag rather than the value of the flag before it. A secret may begin with a
/// dash, but hardly looks like a word.
fn is_flag(word: &str) -> bool {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
    name.is_some_and(|name| {
        let name = name.split('=').next().unwrap_or_default();
        let is_word = name.bytes().all(|b| b.is_ascii_lowercase() || b"-_.".contains(&b));
        name.len() < 2 || is_word
    })
}

fn literal_argument(flag: &str, word: &str) -> Vec<Part> {
    if !flag.is_empty() && !is_flag(word) && is_named(flag, word) {
        return vec![Part::Secret { hint: flag.to_owned(), value: word.to_owned() }];
    }
    let literal = |text: &str| Part::Literal(text.to_owned());
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if let Some((name, rest)) =
        word.split_once(':').filter(|(name, rest)| is_name(name) && !rest.starts_with("//"))
    {
        let value = rest.trim_start();
        if is_named(name, value) {
            let before = &word[..word.len() - value.len()];
            return vec![
                literal(before),
                Part::Secret { hint: name.to_owned(), value: value.to_owned() },
            ];
        }
    }
    if let Some((name, rest)) = word.split_once('=').filter(|(name, _)| is_name(name)) {
        let hint = name.trim_start_matches('-').to_owned();
        let mut parts = vec![literal(&word[..=name.len()])];
        if is_named(&hint, rest) {
            parts.push(Part::Secret { hint, value: rest.to_owned() });
        } else {
            parts.extend(literal_argument("", rest));
        }
        return parts;
    }
    if is_shaped(word) {
        let hint =
            if flag.is_empty() { if has_password(word) { "url" } else { "secret" } } else { flag };
        return vec![Part::Secret { hint: hint.to_owned(), value: word.to_owned() }];
    }
    vec![literal(word)]
}

/// Splits a text with variables; the pieces between them may be secrets.
fn mixed(key: &str, text: &Text) -> Vec<Part> {
    let with_stand_ins: String = text
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Variable(_) => "x",
        })
        .collect();
    // Only a literal password counts, not a variable.
    let may_hold_password = has_password(&with_stand_ins);
    let parts = text.pieces.iter().map(|piece| match piece {
        Piece::Variable(variable) => Part::Variable(without_secret_default(key, variable)),
        Piece::Literal(literal) => {
            let has_open_password = may_hold_password
                && literal.split_once("://").is_some_and(|(_, rest)| {
                    rest.split_once(':').is_some_and(|(_, password)| {
                        !password.is_empty() && !password.starts_with(['/', '@'])
                    })
                });
            if is_shaped(literal) || has_open_password || is_secret_piece(key, literal) {
                let hint = if key.is_empty() { "secret" } else { key };
                Part::Secret { hint: hint.to_owned(), value: literal.clone() }
            } else {
                Part::Literal(literal.clone())
            }
        }
    });
    parts.collect()
}

/// Under the name of a secret, everything beside a variable that is no mere `Bearer `.
fn is_secret_piece(key: &str, literal: &str) -> bool {
    let bare = literal.trim();
    let is_scheme = ["bearer", "basic", "token"].contains(&&*bare.to_ascii_lowercase());
    !is_scheme && bare.len() >= 4 && !bare.contains("://") && is_named(key, bare)
}

/// Removes a variable's default that is a secret: a default would be written out.
fn without_secret_default(key: &str, variable: &Variable) -> Variable {
    let default = variable.default.clone().filter(|default| {
        !is_shaped(default) && !is_named(key, default) && !is_named(&variable.name, default)
    });
    Variable { name: variable.name.clone(), default }
}

/// An address: passwords before the host, parameters, and parts of the path that are tokens.
pub(super) fn address(text: &Text) -> Result<Address, &'static str> {
    let (mut text, mut user) = (text.clone(), None);
    if let Some(Piece::Literal(first)) = text.pieces.first_mut()
        && let Some((scheme, rest)) = first.split_once("://")
        && let Some((before, after)) = split_user(rest)
    {
        user = Some(before.to_owned());
        *first = format!("{scheme}://{after}");
    }
    let is_split = text
        .pieces
        .iter()
        .take_while(|piece| !ends_host(piece))
        .any(|piece| matches!(piece, Piece::Literal(text) if text.contains('@')));
    if is_split {
        return Err("its address holds a user among variables");
    }
    let mut parts = Vec::new();
    for piece in &text.pieces {
        match piece {
            Piece::Variable(variable) => {
                parts.push(Part::Variable(without_secret_default("", variable)));
            }
            Piece::Literal(literal) => address_parts(literal, &mut parts),
        }
    }
    Ok(Address { parts, user })
}

fn split_user(rest: &str) -> Option<(&str, &str)> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    Some((&rest[..at], &rest[at + 1..]))
}

fn ends_host(piece: &Piece) -> bool {
    match piece {
        Piece::Literal(text) => {
            let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
            rest.contains(['/', '?', '#'])
                && !rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@')
        }
        Piece::Variable(_) => false,
    }
}

fn address_parts(literal: &str, parts: &mut Vec<Part>) {
    let mut keep = String::new();
    for segment in literal.split_inclusive(['/', '?', '&', '#']) {
        let body = segment.trim_end_matches(['/', '?', '&', '#']);
        let (key, value) = match body.split_once('=') {
            Some((key, value)) => (key, value),
            None => ("", body),
        };
        let is_host = keep.ends_with("://");
        if !value.is_empty() && !is_host && (is_named(key, value) || is_shaped(value)) {
            if !key.is_empty() {
                keep.push_str(&format!("{key}="));
            }
            parts.push(Part::Literal(std::mem::take(&mut keep)));
            let hint = if key.is_empty() { "url token" } else { key };
            parts.push(Part::Secret { hint: hint.to_owned(), value: value.to_owned() });
            keep.push_str(&segment[body.len()..]);
        } else {
            keep.push_str(segment);
        }
    }
    if !keep.is_empty() {
        parts.push(Part::Literal(keep));
    }
}
