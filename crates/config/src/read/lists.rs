//! Values that hold others: lists, commands and tables of secrets.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::{Name, Network, NodeKind};

use super::Reader;
use super::addresses::is_host;
use crate::document::{Entry, Node, Value, key_text, toml_text};
use crate::expand::secret_ref;
use crate::keys::{Item, METHODS_KNOWN, Map};
use crate::nearest::did_you_mean;
use crate::problem::quoted;
use crate::typed::{Placed, Typed};

/// Headers that Mainstay sets itself; a configured one would break the conversation.
const HEADERS_TAKEN: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Reader<'_> {
    /// Reads a list. Returns its valid items even when others are invalid, so that later checks can
    /// use them.
    pub(super) fn list(&mut self, item: Item, node: &Node, path: &str) -> Option<Typed> {
        if let (Item::Need, Value::Text(need)) = (item, &node.value) {
            let help = if is_need(need) { need } else { "service:NAME" };
            let help = format!("write [\"{help}\"]");
            self.notes
                .error(&node.at, path, "expected a list of strings, found a string")
                .help(help);
            return None;
        }
        let placed: Vec<_> = self.placed(node, path)?.into_iter().flatten().collect();
        let mut right = Vec::new();
        let mut seen = BTreeSet::new();
        for one in placed {
            if !seen.insert(one.text.clone()) {
                let message = format!("{} is in the list twice", quoted(&one.text));
                self.notes.error(&one.at, path, message);
            } else if let Err((message, help)) = check_item(item, &one.text) {
                self.notes.error(&one.at, path, message).help(help);
            } else {
                right.push(one);
            }
        }
        let is_empty = matches!(&node.value, Value::List(items) if items.is_empty());
        (is_empty || !right.is_empty()).then_some(Typed::List(right))
    }

    pub(super) fn command(&mut self, node: &Node, path: &str) -> Option<Typed> {
        if let Value::Text(text) = &node.value {
            // Several lines are not a command: a quote was forgotten above.
            let line = if text.contains('\n') { "program argument" } else { text };
            let words: serde_json::Value = line.split_whitespace().collect();
            self.notes
                .error(&node.at, path, "expected a list of strings, found one string")
                .help(format!("there is no shell to split it; write {}", toml_text(&words)));
            return None;
        }
        let mut words: Vec<_> = self.placed(node, path)?.into_iter().collect::<Option<_>>()?;
        let Some(program) = words.first_mut() else {
            self.notes.error(&node.at, path, "a command needs at least the name of a program");
            return None;
        };
        if program.text.is_empty() {
            self.notes.error(&program.at, path, "the name of the program is empty");
            return None;
        }
        if program.text.contains('/') {
            let at_program =
                Node { at: program.at.clone(), value: Value::Text(program.text.clone()) };
            let resolved = self.resolve_path(&program.text, &at_program, path)?;
            program.text = resolved.to_string_lossy().into_owned();
        }
        let nul = words.iter().find(|word| word.text.contains('\0'));
        if let Some(word) = nul {
            self.notes.error(&word.at, path, "an argument can't hold a NUL character");
            return None;
        }
        for word in
            words.iter().skip(1).filter(|word| word.text == "~" || word.text.starts_with("~/"))
        {
            self.notes
                .warning(
                    &word.at,
                    path,
                    "`~` is not expanded in an argument, because there is no shell",
                )
                .help("write ${HOME} instead".to_owned());
        }
        Some(Typed::List(words))
    }

    /// The texts of a list, expanded; none where one is wrong.
    fn placed(&mut self, node: &Node, path: &str) -> Option<Vec<Option<Placed>>> {
        let Value::List(items) = &node.value else {
            self.mismatch(node, path, "a list of strings");
            return None;
        };
        Some(items.iter().map(|item| self.item(item, path)).collect())
    }

    pub(super) fn secrets(&mut self, map: Map, node: &Node, path: &str) -> Option<Typed> {
        if !self.expect_table(node, path) {
            return None;
        }
        let (mut values, mut references) = (BTreeMap::new(), BTreeSet::new());
        let mut seen = BTreeSet::new();
        let mut is_whole = true;
        for entry in node.entries() {
            let path = format!("{path}.{}", key_text(&entry.key));
            let is_new = seen.insert(entry.key.to_ascii_lowercase());
            let name_is_fit = self.secret_name_is_fit(map, entry, is_new, &path);
            let lacks = self.lack_count();
            match self.secret(&entry.node, &path) {
                // The server does not start, so nobody misses the value.
                None if self.lack_count() > lacks => {}
                Some(secret) if !is_value(map, secret.expose()) => {
                    self.notes.error(
                        &entry.node.at,
                        &path,
                        "the value holds characters that are not allowed there",
                    );
                    is_whole = false;
                }
                Some(secret) if name_is_fit => {
                    values.insert(entry.key.clone(), secret);
                    let is_reference = |text: &String| secret_ref(text).is_some();
                    if matches!(&entry.node.value, Value::Text(text) if is_reference(text)) {
                        references.insert(entry.key.clone());
                    }
                }
                _ => is_whole = false,
            }
        }
        is_whole.then_some(Typed::Secrets { values, references })
    }

    fn secret_name_is_fit(&mut self, map: Map, entry: &Entry, is_new: bool, path: &str) -> bool {
        let name = &entry.key;
        let fault = match map {
            Map::Variables if name.is_empty() || name.contains(['=', '\0']) => {
                "is not a name for a variable"
            }
            Map::Variables => return true,
            Map::Headers if !is_header(name) => "is not a name for a header",
            Map::Headers if is_taken(name) => "is a header that Mainstay sets itself",
            Map::Headers if !is_new => "is set twice: header names are case-insensitive",
            Map::Headers => return true,
        };
        self.notes.error(&entry.key_at, path, format!("{} {fault}", quoted(name)));
        false
    }
}

/// Checks one item. The error holds the fault and the correction.
fn check_item(item: Item, text: &str) -> Result<(), (String, String)> {
    let (is_fit, what, help) = match item {
        Item::Host => (
            is_host_header(text),
            "a host",
            "write a name with or without a port, as in \"tools.example.org\"",
        ),
        Item::Origin => (
            is_origin(text),
            "an origin",
            "write SCHEME://HOST with or without a port, as in \"https://app.example.org\"",
        ),
        Item::Network => match text.parse::<Network>() {
            Ok(_) => (true, "", ""),
            Err(error) => {
                let say = format!("{} is not a range of addresses: {error}", quoted(text));
                return Err((
                    say,
                    "write an IP address, or a range such as \"10.0.0.0/8\"".to_owned(),
                ));
            }
        },
        // Whether it exists is checked when all names are known.
        Item::Server | Item::Need | Item::Tool => (true, "", ""),
        Item::Word(words) => {
            let known = words.iter().map(|word| word.word);
            if known.clone().any(|word| word == text) {
                return Ok(());
            }
            let help = did_you_mean(text, known.clone())
                .unwrap_or_else(|| format!("allowed: {}", known.collect::<Vec<_>>().join(", ")));
            return Err((format!("{} is not known here", quoted(text)), help));
        }
        Item::PagePath => {
            return page_path(text).map_err(|why| {
                let say = format!("{} is not a path that can be passed: {why}", quoted(text));
                (
                    say,
                    "write a path such as \"/health\", or \"/web-ui/*\" for all below it"
                        .to_owned(),
                )
            });
        }
        Item::Method => {
            if METHODS_KNOWN.contains(&text) {
                return Ok(());
            }
            let say = format!("{} is not a method that can be passed", quoted(text));
            return Err((say, format!("allowed: {}", METHODS_KNOWN.join(", "))));
        }
    };
    if is_fit { Ok(()) } else { Err((format!("{} is not {what}", quoted(text)), help.to_owned())) }
}

fn is_need(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, name)| {
        NodeKind::from_word(kind).is_some() && Name::try_new(name).is_ok()
    })
}

/// Why a text is no path that can be passed. Each such path has one way to be written, so that what is
/// compared is what the server sees.
fn page_path(text: &str) -> Result<(), &'static str> {
    let exact = text.strip_suffix("/*").unwrap_or(text);
    let segments = exact.strip_prefix('/').unwrap_or(exact).split('/');
    if !text.starts_with('/') {
        return Err("it does not begin with `/`");
    }
    if exact.contains('*') {
        return Err("`*` can only be all that follows the last `/`");
    }
    if text.contains(['?', '#']) {
        return Err("a query is no part of it; any query is passed");
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"%\\\"<>^`{|}".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err("it holds a character that a path does not have");
    }
    if text.contains("//") {
        return Err("it holds `//`");
    }
    if segments.clone().any(|segment| matches!(segment, "." | "..")) {
        return Err("`.` and `..` are no parts of it");
    }
    Ok(())
}

fn is_host_header(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => is_host(host) && port.parse::<u16>().is_ok(),
        _ => is_host(text),
    }
}

fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, host)| {
        let mut letters = scheme.bytes();
        letters.next().is_some_and(|b| b.is_ascii_lowercase())
            && letters.all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')
            })
            && is_host_header(host)
    })
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

pub(crate) fn is_taken(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("mcp-") || HEADERS_TAKEN.contains(&&*name)
}

fn is_value(map: Map, value: &str) -> bool {
    match map {
        Map::Variables => !value.contains('\0'),
        Map::Headers => value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f)),
    }
}
