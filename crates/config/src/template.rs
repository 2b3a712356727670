//! The starter file: every key of the gateway with its default, and servers to begin with, all
//! commented out.

use crate::document::{declared_json, toml_text};
use crate::keys::{Key, Kind, Section, TOP_LEVEL};
use crate::reference::wrap;

const WIDTH: usize = 96;

const HEAD: &str = "\
# Mainstay's configuration. `mainstay check` says what is wrong with it, and where.
# Values below are the defaults, or examples where nothing is set by default; remove the # to set one.
# Durations: \"500ms\", \"30s\", \"1h30m\". Sizes: \"4MiB\". Variables: \"${NAME}\", \"${NAME:-default}\".
# Secrets, in env and headers: \"secret:env:NAME\", \"secret:file:PATH\".
";

/// A service, as short as it can be.
const SERVICE: &str = "\
# [services.db] A program that a server needs, which names it: needs = [\"service:db\"].
#[services.db]
#command = [\"redis-server\", \"--port\", \"6379\"]
#probe = { redis = \"redis://127.0.0.1:6379\" }
";

/// A starter `mainstay.toml`. It loads without changes, as the defaults.
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    for top in &TOP_LEVEL {
        if !top.is_started_with {
            continue;
        }
        text.push('\n');
        if top.named || top.listed {
            named(&mut text, top.section);
        } else {
            prose(&mut text, top.section.doc);
            text.push_str(&format!("[{}]\n", top.section.title));
            top.section.keys.iter().for_each(|key| setting(&mut text, key));
        }
    }
    text.push('\n');
    text.push_str(SERVICE);
    let others = TOP_LEVEL.iter().filter(|top| !top.is_started_with);
    let titles: Vec<_> = others.map(|top| format!("[{}]", top.section.title)).collect();
    text.push('\n');
    prose(&mut text, &format!("Further tables, in docs/configuration.md: {}.", titles.join(", ")));
    text
}

fn setting(text: &mut String, key: &Key) {
    text.push('\n');
    prose(text, key.doc);
    if let Kind::Choice(words) = key.kind {
        for word in words {
            prose(text, &format!("\"{}\": {}", word.word, word.doc));
        }
    }
    // An example is a comment, so that the settings can be taken as they are.
    let (mark, value) = match key.default {
        Some(default) => ("#", default),
        None => ("# Example: ", key.example),
    };
    text.push_str(&format!("{mark}{} = {}\n", key.name, toml_text(&declared_json(value))));
}

fn named(text: &mut String, section: &Section) {
    prose(text, &format!("[{}] {}", section.title, section.doc));
    let keys: Vec<_> =
        section.keys.iter().filter(|key| !matches!(key.kind, Kind::Refused { .. })).collect();
    let names: Vec<_> = keys.iter().map(|key| key.name).collect();
    prose(text, &format!("Keys: {}.", names.join(", ")));
    for line in section.example.lines() {
        text.push_str(if line.is_empty() { "" } else { "#" });
        text.push_str(line);
        text.push('\n');
    }
}

fn prose(text: &mut String, doc: &str) {
    for line in wrap(doc, WIDTH) {
        text.push_str(&format!("# {line}\n"));
    }
}
