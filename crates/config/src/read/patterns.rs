//! Tables whose keys are the user's own: rules by patterns, limits by paths.

use std::collections::BTreeMap;

use mainstay_model::settings::ArgumentPath;
use mainstay_model::{InvalidPattern, Pattern};

use super::Reader;
use crate::document::{At, Node, Value, key_text};
use crate::keys::{Amount, Section};
use crate::problem::quoted;
use crate::typed::{Named, Typed};
use crate::units::parse_size;

/// Most rules of a server, since each is compared with the name of each tool.
const RULES_MAX: usize = 500;

/// Most limits of one kind in a rule, since each is looked for in each call.
const MAXIMA_MAX: usize = 100;

impl Reader<'_> {
    /// Reads a table of tables, each under a pattern.
    pub(super) fn patterns(
        &mut self,
        section: &'static Section,
        node: &Node,
        path: &str,
    ) -> Option<Typed> {
        if !self.expect_table(node, path) {
            return None;
        }
        if node.entries().len() > RULES_MAX {
            let message = format!("there are {} rules, too many", node.entries().len());
            self.notes.error(&node.at, path, message).help(format!("allowed: 0 to {RULES_MAX}"));
            return None;
        }
        let mut rules = Vec::new();
        let mut seen: BTreeMap<String, (&str, &At)> = BTreeMap::new();
        for entry in node.entries() {
            let path = format!("{path}.{}", key_text(&entry.key));
            match Pattern::try_new(&entry.key) {
                Ok(pattern) => {
                    let this = (entry.key.as_str(), &entry.key_at);
                    if let Some((other, at)) = seen.insert(pattern.canonical(), this) {
                        let message = format!(
                            "{} matches the same tools as {}",
                            quoted(&entry.key),
                            quoted(other)
                        );
                        self.notes
                            .warning(&entry.key_at, &path, message)
                            .help("the later rule replaces what the earlier one sets".to_owned())
                            .other_at(at);
                    }
                }
                Err(error) => {
                    let help = match error {
                        InvalidPattern::Empty => "write \"*\" for all tools",
                        _ => "write the name of a tool, or a part of it with `*`",
                    };
                    self.notes.error(&entry.key_at, &path, error.to_string()).help(help.to_owned());
                }
            }
            if self.expect_table(&entry.node, &path) {
                rules.push(Named {
                    name: entry.key.clone(),
                    valid: None,
                    at: entry.key_at.clone(),
                    table: self.section(section, &entry.node, &path),
                    path,
                    // They are those of the server.
                    lacks: Vec::new(),
                });
            }
        }
        Some(Typed::Rules(rules))
    }

    /// Reads the largest allowed amounts, each under the path of an argument.
    pub(super) fn maxima(&mut self, amount: Amount, node: &Node, path: &str) -> Option<Typed> {
        if !matches!(node.value, Value::Table(_)) {
            self.mismatch(node, path, "a table such as { inputs = 32 }");
            return None;
        }
        if node.entries().len() > MAXIMA_MAX {
            let message = format!("there are {} limits, too many", node.entries().len());
            self.notes.error(&node.at, path, message).help(format!("allowed: 0 to {MAXIMA_MAX}"));
            return None;
        }
        let mut maxima = Vec::new();
        for entry in node.entries() {
            let path = format!("{path}.{}", key_text(&entry.key));
            if let Err(error) = ArgumentPath::try_new(&entry.key) {
                let message = format!("{} is not the path of an argument", quoted(&entry.key));
                self.notes.error(&entry.key_at, &path, message).help(error.to_string());
            }
            if let Some(most) = self.most(amount, &entry.node, &path) {
                maxima.push((entry.key.clone(), most));
            }
        }
        (maxima.len() == node.entries().len()).then_some(Typed::Maxima(amount, maxima))
    }

    fn most(&mut self, amount: Amount, node: &Node, path: &str) -> Option<u64> {
        let (found, expected) = match amount {
            Amount::Count => {
                let count = match &node.value {
                    Value::Integer(number) => number.and_then(|number| u64::try_from(number).ok()),
                    _ => None,
                };
                (count, "a whole number, not negative")
            }
            Amount::Size => {
                let text = self.text(node, path, "a size such as \"1MiB\"")?;
                (parse_size(&text).ok(), "a size such as \"1MiB\"")
            }
        };
        if found.is_none() {
            self.mismatch(node, path, expected);
        }
        found
    }
}
