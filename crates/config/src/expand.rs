//! Expands `${VAR}` in texts and `secret:` references.
//!
//! Errors name variables and paths, never their values nor the text around them.

use std::collections::BTreeMap;

/// Why a text can't be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    #[error("the variable `{0}` is not set")]
    Missing(String),
    #[error("`${{` is never closed")]
    Unclosed,
    #[error("`${{` is not followed by the name of a variable")]
    NoName,
}

/// A `secret:` reference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SecretRef<'a> {
    Variable(&'a str),
    File(&'a str),
    Unknown,
}

/// Replaces `${VAR}` and `${VAR:-default}` by the environment's values, and `$$` by `$`.
///
/// An empty variable takes its default, too. The result is not expanded again.
pub(crate) fn expand(text: &str, env: &BTreeMap<String, String>) -> Result<String, ExpandError> {
    expand_each(text, env, |_, _| {})
}

/// As [`expand`]. `found` gets the name of each variable and what stands in its place.
pub(crate) fn expand_each(
    text: &str,
    env: &BTreeMap<String, String>,
    mut found: impl FnMut(&str, &str),
) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let (reference, after) = inside.split_once('}').ok_or(ExpandError::Unclosed)?;
            let value = look_up(reference, env)?;
            found(reference.split(":-").next().unwrap_or(reference), value);
            out.push_str(value);
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn look_up<'a>(
    reference: &'a str,
    env: &'a BTreeMap<String, String>,
) -> Result<&'a str, ExpandError> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable(name) {
        return Err(ExpandError::NoName);
    }
    match (env.get(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(ExpandError::Missing(name.to_owned())),
    }
}

/// Parses `text` as a reference to a secret, if it is one.
pub(crate) fn secret_ref(text: &str) -> Option<SecretRef<'_>> {
    let reference = text.strip_prefix("secret:")?;
    Some(match reference.split_once(':') {
        Some(("env", name)) if is_variable(name) => SecretRef::Variable(name),
        Some(("file", path)) if !path.is_empty() => SecretRef::File(path),
        _ => SecretRef::Unknown,
    })
}

/// Whether `text` has a secret reference inside of other text, where it would not be replaced.
pub(crate) fn has_stray_secret_ref(text: &str) -> bool {
    !text.starts_with("secret:") && (text.contains("secret:env:") || text.contains("secret:file:"))
}

pub(crate) fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion() {
        let env = BTreeMap::from(
            [("A", "1"), ("EMPTY", ""), ("NESTED", "${A}")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        for (text, expected) in [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("${A}", Ok("1")),
            ("x${A}y${A}", Ok("x1y1")),
            ("$${A}", Ok("${A}")),
            ("$$$$", Ok("$$")),
            ("$A $", Ok("$A $")),
            ("${EMPTY}", Ok("")),
            ("${EMPTY:-d}", Ok("d")),
            ("${NONE:-d:-e}", Ok("d:-e")),
            ("${NONE:-}", Ok("")),
            ("${NESTED}", Ok("${A}")),
            ("${NONE}", Err(ExpandError::Missing("NONE".into()))),
            ("${A", Err(ExpandError::Unclosed)),
            ("${}", Err(ExpandError::NoName)),
            ("${a b}", Err(ExpandError::NoName)),
            ("${1A}", Err(ExpandError::NoName)),
        ] {
            assert_eq!(expand(text, &env), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn secret_references() {
        assert_eq!(secret_ref("secret:env:TOKEN"), Some(SecretRef::Variable("TOKEN")));
        assert_eq!(secret_ref("secret:file:/run/a:b"), Some(SecretRef::File("/run/a:b")));
        assert_eq!(secret_ref("secret:vault:x"), Some(SecretRef::Unknown));
        assert_eq!(secret_ref("secret:env:"), Some(SecretRef::Unknown));
        assert_eq!(secret_ref("Bearer secret:env:X"), None);
        assert!(has_stray_secret_ref("Bearer secret:env:X"));
        assert!(!has_stray_secret_ref("secret:env:X"));
    }
}
