//! Tables that become JSON: arguments of tools, and members that an answer must have.

use serde_json::Value as Json;

use super::Reader;
use crate::document::{Node, Value, key_text};
use crate::typed::Typed;

/// Most members that a probe compares.
const MEMBERS_MAX: usize = 100;

impl Reader<'_> {
    /// Reads the arguments of a tool as the text of a JSON object.
    pub(super) fn args(&mut self, node: &Node, path: &str) -> Option<Typed> {
        if matches!(node.value, Value::Table(_)) {
            return self.json(node, path).map(|args| Typed::Text(args.to_string()));
        }
        let text = self.text(node, path, "a table, or the text of a JSON object")?;
        let why = match serde_json::from_str::<Json>(&text) {
            Ok(Json::Object(_)) => return Some(Typed::Text(text)),
            Ok(_) => "the text is JSON, but no object".to_owned(),
            Err(error) => format!("the text is not JSON: {}", category(&error)),
        };
        self.notes
            .error(&node.at, path, why)
            .help("write a table, as in args = { query = \"ping\" }".to_owned());
        None
    }

    /// A value as JSON, its texts expanded.
    fn json(&mut self, node: &Node, path: &str) -> Option<Json> {
        match &node.value {
            Value::Table(entries) => {
                let members = entries.iter().map(|entry| {
                    let path = format!("{path}.{}", key_text(&entry.key));
                    Some((entry.key.clone(), self.json(&entry.node, &path)?))
                });
                // All of them are read, so that all problems are noted.
                let members: Vec<Option<_>> = members.collect();
                members.into_iter().collect::<Option<_>>().map(Json::Object)
            }
            Value::List(items) => {
                let items: Vec<Option<_>> =
                    items.iter().map(|item| self.json(item, path)).collect();
                items.into_iter().collect::<Option<_>>().map(Json::Array)
            }
            Value::Text(_) => self.text(node, path, "a string").map(Json::String),
            Value::Integer(Some(_)) | Value::Bool(_) => Some(node.to_json()),
            Value::Float(number) if number.is_finite() => Some(node.to_json()),
            Value::Integer(None) | Value::Float(_) | Value::Date => {
                self.mismatch(node, path, "a value that JSON has");
                None
            }
        }
    }

    /// Reads members and their allowed values. A table in the table is members of a member.
    pub(super) fn expected(&mut self, node: &Node, path: &str) -> Option<Typed> {
        if !matches!(node.value, Value::Table(_)) {
            self.mismatch(node, path, "a table such as { status = [\"green\", \"yellow\"] }");
            return None;
        }
        let mut members = Vec::new();
        let is_whole = self.members(node, "", path, &mut members);
        let fault = match members.len() {
            0 if is_whole => "it expects nothing",
            count if count > MEMBERS_MAX => "it expects too many members",
            _ => return is_whole.then_some(Typed::Expected(members)),
        };
        self.notes.error(&node.at, path, fault).help(format!("allowed: 1 to {MEMBERS_MAX}"));
        None
    }

    fn members(
        &mut self,
        node: &Node,
        above: &str,
        path: &str,
        members: &mut Vec<(String, Vec<String>)>,
    ) -> bool {
        let mut is_whole = true;
        for entry in node.entries() {
            let dot = if above.is_empty() { "" } else { "." };
            let member = format!("{above}{dot}{}", entry.key);
            let path = format!("{path}.{}", key_text(&entry.key));
            if member.split('.').any(str::is_empty) {
                self.notes.error(&entry.key_at, &path, "a part of the path is empty");
                is_whole = false;
            } else if matches!(entry.node.value, Value::Table(_)) {
                is_whole &= self.members(&entry.node, &member, &path, members);
            } else if members.iter().any(|(known, _)| *known == member) {
                self.notes.error(&entry.key_at, &path, format!("`{member}` is expected twice"));
                is_whole = false;
            } else if let Some(values) = self.allowed(&entry.node, &path) {
                members.push((member, values));
            } else {
                is_whole = false;
            }
        }
        is_whole
    }

    /// The JSON texts of one value, or of a list of them.
    fn allowed(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        let items = match &node.value {
            Value::List(items) if items.is_empty() => {
                self.notes.error(&node.at, path, "the list is empty, so no value would be right");
                return None;
            }
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let texts: Vec<Option<String>> = items
            .iter()
            .map(|item| match &item.value {
                Value::List(_) | Value::Table(_) => {
                    self.mismatch(item, path, "a string, a number, or true or false");
                    None
                }
                _ => self.json(item, path).map(|json| json.to_string()),
            })
            .collect();
        texts.into_iter().collect()
    }
}

/// What kind of fault a JSON text has; its own words could quote a part of the text.
fn category(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "there is a fault" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}
