//! Texts: expansion, and secrets with their references.

use mainstay_model::Redacted;
use mainstay_model::settings::Lack;

use super::Reader;
use crate::document::{At, Node, Value};
use crate::expand::{
    ExpandError, SecretRef, expand, expand_each, has_stray_secret_ref, secret_ref,
};
use crate::import::shapes::{is_named, is_shaped};
use crate::keys::Kind;
use crate::typed::{Placed, Typed};
use crate::url_keys;

impl Reader<'_> {
    /// A text that may be shown, expanded.
    pub(super) fn text(&mut self, node: &Node, path: &str, expected: &str) -> Option<String> {
        let Value::Text(text) = &node.value else {
            self.mismatch(node, path, expected);
            return None;
        };
        if text.starts_with("secret:") {
            self.notes
                .error(
                    &node.at,
                    path,
                    "a secret is not allowed here, because this value is logged and shown",
                )
                .help(
                    "`secret:` references are for `url` and for the values of `env` and `headers`"
                        .to_owned(),
                );
            return None;
        }
        self.expanded(text, &node.at, path)
    }

    /// Reads a secret: the target of a reference, or the expanded text.
    pub(super) fn secret_text(&mut self, text: &str, node: &Node, path: &str) -> Option<String> {
        match secret_ref(text) {
            None if has_stray_secret_ref(text) => {
                self.notes
                    .error(&node.at, path, "a `secret:` reference must be the whole value")
                    .help(
                        "inside a string, write ${NAME} for a variable of the environment"
                            .to_owned(),
                    );
                None
            }
            None => self.expanded(text, &node.at, path),
            Some(SecretRef::Variable(name)) => {
                let value = self.env.get(name).cloned();
                if value.is_none() {
                    let help = "set it in the daemon's environment".to_owned();
                    self.note_lack(Lack::Variable(name.to_owned()), &node.at, path, Some(help));
                }
                value
            }
            Some(SecretRef::File(file)) => {
                let file = self.expanded(file, &node.at, path)?;
                self.secret_file(&file, node, path)
            }
            Some(SecretRef::Unknown) => {
                self.notes
                    .error(&node.at, path, "this is not a reference to a secret")
                    .help("allowed: secret:env:NAME, secret:file:PATH".to_owned());
                None
            }
        }
    }

    fn secret_file(&mut self, file: &str, node: &Node, path: &str) -> Option<String> {
        let file = self.resolve_path(file, node, path)?;
        match self.disk.secret(&file) {
            Ok(found) => {
                if found.is_open_to_others {
                    self.notes
                        .warning(&node.at, path, format!("other users can read {}", file.display()))
                        .help(format!("chmod 600 {}", file.display()));
                }
                let text = found.text.strip_suffix('\n').unwrap_or(&found.text);
                Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Err(error) => {
                let lack = Lack::Secret { file, error: error.to_string() };
                self.note_lack(lack, &node.at, path, None);
                None
            }
        }
    }

    /// An item of a list, expanded. It knows which of the values in it are secret.
    pub(super) fn item(&mut self, node: &Node, path: &str) -> Option<Placed> {
        let text = self.text(node, path, "a string")?;
        let mut secrets = Vec::new();
        if let Value::Text(written) = &node.value {
            // It could be expanded before.
            let _ = expand_each(written, self.env, |name, value| {
                if is_named(name, value) || is_shaped(value) {
                    secrets.push(Redacted::new(value.to_owned()));
                }
            });
        }
        Some(Placed { text, at: node.at.clone(), secrets })
    }

    pub(super) fn expanded(&mut self, text: &str, at: &At, path: &str) -> Option<String> {
        match expand(text, self.env) {
            Ok(text) => Some(text),
            Err(ExpandError::Missing(name)) => {
                let help = format!("set it, or write a default: ${{{name}:-…}}");
                self.note_lack(Lack::Variable(name), at, path, Some(help));
                None
            }
            Err(error @ (ExpandError::Unclosed | ExpandError::NoName)) => {
                let help = "write ${NAME}, or $$ for a dollar sign".to_owned();
                self.notes.error(at, path, error.to_string()).help(help);
                None
            }
        }
    }

    /// What a text refers to, if it does: the reference to a secret, or its variables. None of their values.
    pub(super) fn references(&self, written: &str) -> Option<String> {
        if secret_ref(written).is_some() {
            return Some(written.to_owned());
        }
        let mut names = Vec::new();
        let found = expand_each(written, self.env, |name, _| names.push(format!("${{{name}}}")));
        (found.is_ok() && !names.is_empty()).then(|| names.join(" and "))
    }

    /// How many values were not available in the table that is being read, up to now.
    pub(super) fn lack_count(&self) -> usize {
        self.lacks.as_ref().map_or(0, Vec::len)
    }

    /// Notes that a value is not available. That keeps only its own server from starting, or its
    /// own notification from being sent, so it is an error only outside of these.
    pub(super) fn note_lack(&mut self, lack: Lack, at: &At, path: &str, help: Option<String>) {
        let what = match &lack {
            Lack::Variable(name) => format!("the variable `{name}` is not set"),
            Lack::Secret { file, error } => {
                format!("can't read the secret in {}: {error}", file.display())
            }
            Lack::Value { reference, fault } => format!("the value of {reference} {fault}"),
        };
        let Some(lacks) = &mut self.lacks else {
            self.notes.error(at, path, what).help(help);
            return;
        };
        lacks.push(lack);
        let mut parts = path.split('.');
        let (top, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let what = match top {
            "servers" => format!("{what}, so server `{name}` can't start"),
            "services" => format!("{what}, so service `{name}` can't start"),
            "externals" => format!("{what}, so external `{name}` counts as failed"),
            "notify" => format!("{what}, so nobody is told this way"),
            "checks" => format!("{what}, so the check fails"),
            _ => what,
        };
        self.notes.warning(at, path, what).help(help);
    }

    /// What stands in for a value of a server or service that can't start: the text as it is written where it is
    /// shown, else the default.
    pub(super) fn stand_in(
        &mut self,
        kind: &'static Kind,
        node: &Node,
        default: Option<&Node>,
        path: &str,
    ) -> Option<Typed> {
        match (kind, &node.value) {
            (Kind::Command, Value::List(words)) => {
                let words = words.iter().filter_map(|word| match &word.value {
                    Value::Text(text) => Some(Placed {
                        text: text.clone(),
                        at: word.at.clone(),
                        secrets: Vec::new(),
                    }),
                    _ => None,
                });
                Some(Typed::List(words.collect()))
            }
            (Kind::KeyedUrl(_) | Kind::HookUrl(_), Value::Text(written)) => {
                let shown = shown_url(kind, written);
                let (url, written) = (Redacted::new(written.clone()), shown);
                Some(Typed::KeyedUrl { url, written })
            }
            (Kind::Text | Kind::HostPort, Value::Text(written)) => {
                Some(Typed::Text(written.clone()))
            }
            (Kind::SecretUrl(_), Value::Text(written)) => {
                Some(Typed::Secret(Redacted::new(written.clone())))
            }
            // A need may lead to it.
            (Kind::Path, Value::Text(written)) if path.starts_with("volumes.") => {
                Some(Typed::Path(written.into()))
            }
            _ => self.value(kind, default?, path),
        }
    }
}

/// An address as it is shown: as it is written, or no more than scheme, host and port.
pub(super) fn shown_url(kind: &Kind, written: &str) -> String {
    match kind {
        Kind::HookUrl(_) => url_keys::origin(written),
        _ => written.to_owned(),
    }
}
