//! Shows one tool whole: what it does, its arguments and results, and a call that works.

use serde_json::Value;

use super::super::call::parameters::{Kind, Schema};
use super::super::daemon::Tool;
use super::example;
use crate::output::{Look, Output, format};

/// Most lines about arguments. The schema of a server may contain itself.
const LINES_MAX: usize = 1_000;
/// How deep objects within objects are shown.
const DEPTH_MAX: usize = 8;
/// Widest column of names. Text about a longer name starts on the next line.
const NAMES_MAX: usize = 28;

/// The schema of a value of which nothing is said.
static NOTHING: Value = Value::Null;

/// The lines about the members of a schema.
struct Page {
    columns: Option<usize>,
    lines: Vec<String>,
}

/// Prints the tool; with `--json`, as the server lists it. `owner` is the server or group that has it.
pub(super) fn show(owner: &str, tool: &Tool, out: &Output) {
    if out.json {
        return out.line(tool.raw.get());
    }
    out.line(text(owner, tool, out));
}

fn text(owner: &str, tool: &Tool, out: &Output) -> String {
    let columns = out.columns();
    let name = out.paint(Look::Strong, &format::harmless(&tool.name));
    let title = Some(tool.title.trim()).filter(|title| !title.is_empty() && *title != tool.name);
    let title = title.map(|title| format!(": {}", format::first_line(title))).unwrap_or_default();
    let mut lines = vec![format!("{name} of {owner}{title}")];
    let heading = |text: &str| format!("\n{}", out.paint(Look::Strong, text));
    lines.extend(effects(&tool.annotations));
    if !tool.description.trim().is_empty() {
        let text = format::harmless(tool.description.trim());
        lines.push(format!("\n{}", format::wrap(&text, columns, 0)));
    }
    lines.push(heading("arguments"));
    lines.extend(fields(&tool.schema, columns).unwrap_or_else(|| vec!["  none".to_owned()]));
    if let Some(fields) = fields(&tool.result, columns) {
        lines.push(heading("result"));
        lines.extend(fields);
    }
    if let Some(misfit) = tool.misfit() {
        let text = format!("\nclients refuse it: {}", format::harmless(&misfit.to_string()));
        lines.push(format::wrap(&text, columns, 2));
    }
    // A line that is to be copied is not broken.
    if let Some(line) = example::line(owner, &tool.name, &tool.schema, out.flags()) {
        lines.push(heading("example"));
        lines.push(format!("  {}", format::harmless(&line)));
    }
    lines.join("\n")
}

/// What the tool says of its effects.
fn effects(annotations: &Value) -> Option<String> {
    let says = |name: &str| annotations[name].as_bool();
    let changes = match (says("readOnlyHint"), says("destructiveHint")) {
        (Some(true), _) => Some("changes nothing"),
        (_, Some(true)) => Some("may destroy data"),
        (_, Some(false)) => Some("destroys nothing"),
        _ => None,
    };
    let again = (says("idempotentHint") == Some(true)).then_some("may be repeated");
    let world = match says("openWorldHint") {
        Some(true) => Some("reaches external systems"),
        _ => None,
    };
    let all: Vec<_> = [changes, again, world].into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("according to the server, it {}", all.join(" and ")))
}

/// The lines about the members of an object. `None`: it names none.
fn fields(schema: &Value, columns: Option<usize>) -> Option<Vec<String>> {
    let schema = Schema::root(schema);
    schema.names().next()?;
    let mut page = Page { columns, lines: Vec::new() };
    page.object(schema, 2, DEPTH_MAX);
    Some(page.lines)
}

// === impl Page ===

impl Page {
    /// Adds the members of an object, required ones first.
    fn object(&mut self, schema: Schema<'_>, indent: usize, depth: usize) {
        let required: Vec<_> = schema.required().collect();
        let others = schema.names().filter(|name| !required.contains(name));
        let names: Vec<_> = required.iter().copied().chain(others).collect();
        let widest = names.iter().map(|name| format::width(&shown(name))).max().unwrap_or(0);
        let room = indent + widest.min(NAMES_MAX) + 2;
        for name in names {
            if self.lines.len() >= LINES_MAX {
                return self.lines.push(format!("{}…", " ".repeat(indent)));
            }
            // A name may be required that nothing else is said about.
            let member = schema.property(name).unwrap_or(Schema::root(&NOTHING));
            let label = format!("{}{}", " ".repeat(indent), shown(name));
            let mut text = facts(member, required.contains(&name)).join(", ");
            if let Some(description) = member.keyword("description").as_str() {
                text.push_str(&format!("\n{}", format::harmless(description.trim())));
            }
            self.lines.push(format::beside(&label, room, text.trim(), self.columns));
            self.within(member, indent + 2, depth);
        }
    }

    /// Adds the members of objects that the value is, has as items, or is one of.
    fn within(&mut self, schema: Schema<'_>, indent: usize, depth: usize) {
        let deeper = schema.names().next().is_some();
        if depth == 0 {
            if deeper {
                self.lines.push(format!("{}…", " ".repeat(indent)));
            }
            return;
        }
        if deeper {
            self.object(schema, indent, depth - 1);
        }
        if schema.keyword("items").is_object() {
            self.within(schema.items(), indent, depth - 1);
        }
        let alternatives = ["anyOf", "oneOf"].into_iter();
        for part in alternatives.flat_map(|keyword| schema.parts(keyword)) {
            self.within(part, indent, depth - 1);
        }
    }
}

/// A name on one line.
fn shown(name: &str) -> String {
    format::harmless(name).replace(['\n', '\t'], " ")
}

/// What is known of a value: its type, whether it is required, and its limits.
fn facts(schema: Schema<'_>, required: bool) -> Vec<String> {
    let mut facts = vec![kind(schema, DEPTH_MAX)];
    facts.extend(required.then(|| "required".to_owned()));
    if let Some(choices) = choices(schema) {
        let choices: Vec<_> = choices.iter().map(plain).collect();
        facts.push(format!("one of {}", choices.join(" | ")));
    }
    let value = |name: &str| Some(schema.keyword(name)).filter(|value| !value.is_null());
    facts.extend(value("const").map(|value| format!("always {}", plain(value))));
    facts.extend(value("default").map(|value| format!("default {}", plain(value))));
    facts.extend(range(value("minimum"), value("maximum"), ""));
    facts.extend(value("exclusiveMinimum").map(|limit| format!("more than {limit}")));
    facts.extend(value("exclusiveMaximum").map(|limit| format!("less than {limit}")));
    facts.extend(value("multipleOf").map(|step| format!("a multiple of {step}")));
    facts.extend(range(value("minLength"), value("maxLength"), "character"));
    facts.extend(range(value("minItems"), value("maxItems"), "item"));
    facts.extend(value("pattern").map(|pattern| format!("matches {}", plain(pattern))));
    facts
}

/// The values that are allowed, for the value itself or for the items of a list.
fn choices(schema: Schema<'_>) -> Option<&Vec<Value>> {
    let items = || schema.keyword("items").is_object().then(|| schema.items());
    schema.choices().or_else(|| items()?.choices())
}

/// The type in words: `string (date)`, `list of integer`, `string or null`.
fn kind(schema: Schema<'_>, depth: usize) -> String {
    let kinds = schema.kinds();
    if kinds.is_empty() || depth == 0 {
        return "any value".to_owned();
    }
    let one = |kind: &Kind| match kind {
        Kind::Array if schema.keyword("items").is_object() => {
            format!("list of {}", self::kind(schema.items(), depth - 1))
        }
        Kind::Array => "list".to_owned(),
        _ => kind.name().to_owned(),
    };
    let mut words: Vec<_> = kinds.iter().map(one).collect();
    words.dedup();
    let format = schema.keyword("format").as_str();
    let format = format.map(|format| format!(" ({})", shown(format))).unwrap_or_default();
    format!("{}{format}", words.join(" or "))
}

fn range(least: Option<&Value>, most: Option<&Value>, unit: &str) -> Option<String> {
    let range = match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => return None,
    };
    Some(match unit {
        "" => range,
        unit if most.or(least).is_some_and(|count| *count == 1) => format!("{range} {unit}"),
        unit => format!("{range} {unit}s"),
    })
}

fn plain(value: &Value) -> String {
    let text = value.as_str().filter(|text| !text.is_empty()).map(shown);
    text.unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};

    use super::text;
    use crate::commands::daemon::Tool;
    use crate::output::Output;

    fn tool(value: &serde_json::Value) -> Tool {
        Tool::new(RawValue::from_string(value.to_string()).unwrap())
    }

    #[test]
    fn a_tool_is_shown_whole() {
        let tool = tool(&json!({
            "name": "search", "title": "Search files",
            "description": "Finds files by their names.\u{7}\n\nWith a filter, only those that fit \
                            the filter are found, and the oldest come first.",
            "annotations": { "readOnlyHint": true, "idempotentHint": true },
            "inputSchema": {
                "type": "object", "required": ["pattern"],
                "properties": {
                    "filter": {
                        "type": "object", "required": ["since"], "description": "What else fits",
                        "properties": {
                            "since": { "type": "string", "format": "date-time" },
                            "owners": { "type": "array", "maxItems": 3, "items": {
                                "type": "object", "properties": { "name": { "type": "string" } },
                            } },
                        },
                    },
                    "kinds": { "type": "array", "items": { "enum": ["file", "folder"] } },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 500, "default": 20 },
                    "order": { "enum": ["name", "age"], "default": "name" },
                    "pattern": { "type": "string", "minLength": 1, "description": "As in *.rs" },
                    "root": { "type": ["string", "null"] },
                },
            },
            "outputSchema": { "type": "object", "properties": { "found": { "type": "integer" } } },
        }));
        let expected = r"search of files: Search files
according to the server, it changes nothing and may be repeated

Finds files by their names.\u{7}

With a filter, only those that fit the filter are found, and
the oldest come first.

arguments
  pattern  string, required, at least 1 character
           As in *.rs
  filter   object
           What else fits
    since   string (date-time), required
    owners  list of object, at most 3 items
      name  string
  kinds    list of string, one of file | folder
  limit    integer, default 20, 1 to 500
  order    string, one of name | age, default name
  root     string or null

result
  found  integer

example
  mainstay call files search pattern=text";
        assert_eq!(text("files", &tool, &Output::plain(Some(60))), expected);
    }

    #[test]
    fn what_a_server_leaves_out_or_repeats_for_ever_is_shown_as_far_as_it_goes() {
        let bare = tool(&json!({ "name": "now", "inputSchema": { "type": "object" } }));
        let expected = "now of time\n\narguments\n  none\n\nexample\n  mainstay call time now";
        assert_eq!(text("time", &bare, &Output::plain(None)), expected);
        let names = (0..30).map(|at| (format!("n{at}"), json!({ "$ref": "#" })));
        let properties: serde_json::Map<_, _> = names.collect();
        let endless = tool(&json!({ "name": "x", "inputSchema": { "properties": properties } }));
        let page = text("s", &endless, &Output::plain(None));
        assert!(page.lines().count() < 1_100, "{}", page.lines().count());
    }
}
