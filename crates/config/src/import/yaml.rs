//! YAML as a tree: the first document, with its anchors followed and its merge keys merged.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::notation::{Broken, Notation, number_value};
use crate::document::{At, Entry, Node, Value};

/// Most values of a file. With anchors, a few lines can expand to billions of values.
const VALUES_MAX: usize = 200_000;

struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    root: Option<Node>,
    values: usize,
}

/// A list or table whose end has not come.
struct Open {
    start: usize,
    anchor: usize,
    /// `values` when it began.
    values_before: usize,
    holds: Holds,
}

enum Holds {
    List(Vec<Node>),
    Table { entries: Vec<Entry>, key: Option<(String, At)> },
}

pub(super) fn parse(text: &str) -> Result<Node, Broken> {
    let mut builder = Builder { open: Vec::new(), anchors: BTreeMap::new(), root: None, values: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            broken(
                error.marker().byte_offset().unwrap_or_default(),
                "it is not valid YAML from here on",
            )
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.event(event, &span)?;
    }
    Ok(builder.root.unwrap_or_else(Node::empty_table))
}

fn broken(at: usize, message: &str) -> Broken {
    Broken { notation: Notation::Yaml, at, message: message.to_owned() }
}

// === impl Builder ===

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Broken> {
        let start = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or(start);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = scalar(&text, style);
                self.close(Node { at: At::File(start..end), value }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(start, anchor, Holds::List(Vec::new()));
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(start, anchor, Holds::Table { entries: Vec::new(), key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(end),
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(broken(start, "an alias refers to itself"));
                };
                self.close(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, start: usize, anchor: usize, holds: Holds) {
        self.open.push(Open { start, anchor, values_before: self.values, holds });
    }

    fn end(&mut self, end: usize) -> Result<(), Broken> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.holds {
            Holds::List(items) => Value::List(items),
            Holds::Table { entries, .. } => Value::Table(merged(entries)),
        };
        let size = self.values - open.values_before + 1;
        self.values = open.values_before;
        self.close(Node { at: At::File(open.start..end), value }, open.anchor, size)
    }

    /// Adds a complete value to the list or table that is open.
    fn close(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Broken> {
        let at = match &node.at {
            At::File(span) => span.start,
            _ => 0,
        };
        self.values += size;
        if self.values > VALUES_MAX {
            return Err(broken(at, "its anchors expand to too much data"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.holds) {
            None => self.root = Some(node),
            Some(Holds::List(items)) => items.push(node),
            Some(Holds::Table { entries, key }) => match key.take() {
                None => *key = Some((key_text(&node, at)?, node.at)),
                Some((key, key_at)) => entries.push(Entry { key, key_at, node }),
            },
        }
        Ok(())
    }
}

fn key_text(node: &Node, at: usize) -> Result<String, Broken> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(Some(number)) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err(broken(at, "a key is not a string")),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    let is_number =
        text.parse::<f64>().is_ok() && text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match text {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        "null" | "~" => Value::Text(String::new()),
        _ if is_number => number_value(text),
        _ => Value::Text(text.to_owned()),
    }
}

/// Merges the tables that `<<` names, without replacing written keys.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    if entries.iter().all(|entry| entry.key != "<<") {
        return entries;
    }
    let (merges, mut own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    for merge in merges {
        let tables = match merge.node.value {
            Value::List(items) => items,
            _ => vec![merge.node],
        };
        for entry in tables.into_iter().flat_map(|table| table.entries().to_vec()) {
            if own.iter().all(|known| known.key != entry.key) {
                own.push(entry);
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn json(text: &str) -> String {
        parse(text).map_or_else(|broken| format!("{broken:?}"), |node| node.to_json().to_string())
    }

    #[test]
    fn values_anchors_and_merge_keys() {
        for (text, expected) in [
            ("", "{}"),
            ("a: 1\nb: [x, 'true', true]\n", r#"{"a":1,"b":["x","true",true]}"#),
            (
                "a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n",
                r#"{"a":{"k":1,"l":2},"b":{"k":3,"l":2}}"#,
            ),
            ("a: |\n  two\n  lines\n", r#"{"a":"two\nlines\n"}"#),
            ("first: 1\n---\nsecond: 2\n", r#"{"first":1}"#),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = level - 1;
            let items = vec![format!("*a{below}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(json(&text).contains("too much"));
    }

    #[test]
    fn what_is_broken_has_a_place() {
        assert!(json("a: [1, 2\nb: 3").contains("at:"));
    }
}
