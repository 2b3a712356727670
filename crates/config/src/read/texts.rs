//! Texts: expansion, and secrets with their references.

use super::Reader;
use crate::document::{At, Node, Value};
use crate::expand::{ExpandError, SecretRef, expand, has_stray_secret_ref, secret_ref};

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
                    let message = format!("the environment has no variable `{name}`");
                    self.notes
                        .error(&node.at, path, message)
                        .help("set it in the daemon's environment".to_owned());
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
                        .warning(
                            &node.at,
                            path,
                            format!("users other than its owner may read {}", file.display()),
                        )
                        .help(format!("chmod 600 {}", file.display()));
                }
                let text = found.text.strip_suffix('\n').unwrap_or(&found.text);
                Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Err(error) => {
                self.notes.error(
                    &node.at,
                    path,
                    format!("can't read the secret in {}: {error}", file.display()),
                );
                None
            }
        }
    }

    pub(super) fn expanded(&mut self, text: &str, at: &At, path: &str) -> Option<String> {
        match expand(text, self.env) {
            Ok(text) => Some(text),
            Err(error) => {
                let help = match &error {
                    ExpandError::Missing(name) => {
                        format!("set it, or write a default: ${{{name}:-…}}")
                    }
                    ExpandError::Unclosed | ExpandError::NoName => {
                        "write ${NAME}, or $$ for a dollar sign".to_owned()
                    }
                };
                self.notes.error(at, path, error.to_string()).help(help);
                None
            }
        }
    }
}
