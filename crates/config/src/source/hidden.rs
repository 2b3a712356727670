//! Decides which parts of a file are never shown: secrets, comments, and what may be either.

use std::ops::Range;

use crate::document::{At, Node, Value};
use crate::keys::{Key, Kind, Section, TOP_LEVEL, TopLevel};
use crate::url_keys;

/// The byte ranges of values that are never shown, sorted, without overlap.
pub(super) fn masks(root: &Node) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    for entry in root.entries() {
        match TopLevel::find(&entry.key) {
            Some(top) if top.listed && matches!(entry.node.value, Value::List(_)) => {
                if let Value::List(items) = &entry.node.value {
                    items.iter().for_each(|item| mask_section(item, top.section, &mut masks));
                }
            }
            Some(top) if !top.named => mask_section(&entry.node, top.section, &mut masks),
            Some(top) if matches!(entry.node.value, Value::Table(_)) => {
                for named in entry.node.entries() {
                    mask_section(&named.node, top.section, &mut masks);
                }
            }
            _ => mask_all(&entry.node, &mut masks),
        }
    }
    masks.sort_by_key(|mask| mask.start);
    masks
}

fn mask_section(node: &Node, section: &Section, masks: &mut Vec<Range<usize>>) {
    if !matches!(node.value, Value::Table(_)) {
        mask_all(node, masks);
    }
    for entry in node.entries() {
        match section.key(&entry.key) {
            None => mask_all(&entry.node, masks),
            Some(key) => mask_value(&entry.node, key, masks),
        }
    }
}

fn mask_value(node: &Node, key: &Key, masks: &mut Vec<Range<usize>>) {
    match (&key.kind, &node.value) {
        (Kind::Table(section), _) => mask_section(node, section, masks),
        (Kind::Patterns(section), Value::Table(rules)) => {
            rules.iter().for_each(|rule| mask_section(&rule.node, section, masks));
        }
        (kind, _) if kind.is_secret() => mask_all(node, masks),
        // What a probe expects is no secret, and neither are limits on arguments.
        (Kind::Expected | Kind::Maxima(_), _) => {}
        // Tables are for secrets, even under a key that has none.
        (_, Value::Table(_)) => mask_all(node, masks),
        // A password in a URL is an error, and still must not be shown.
        // A reference is no secret.
        (Kind::HookUrl(_), Value::Text(text)) if !text.starts_with("secret:") => {
            mask_all(node, masks);
        }
        (Kind::Url(_) | Kind::KeyedUrl(_), Value::Text(text)) if text.contains('@') => {
            mask_all(node, masks);
        }
        (Kind::KeyedUrl(_), Value::Text(text)) if !url_keys::keys(text).is_empty() => {
            mask_all(node, masks);
        }
        _ => {}
    }
}

/// The starts of comments: each `#` outside of strings, keys and earlier comments.
pub(super) fn comments(text: &str, root: &Node) -> Vec<usize> {
    let mut words = Vec::new();
    collect_words(root, &mut words);
    words.sort_by_key(|word| word.start);
    let mut comments = Vec::new();
    let mut end = 0;
    for (byte, _) in text.match_indices('#') {
        let begun = words.partition_point(|word| word.start <= byte);
        let is_in_word = words[..begun].last().is_some_and(|word| word.contains(&byte));
        if byte >= end && !is_in_word {
            comments.push(byte);
            end = text[byte..].find('\n').map_or(text.len(), |newline| byte + newline);
        }
    }
    comments
}

/// Collects the byte ranges of strings and keys.
fn collect_words(node: &Node, words: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(entries) => {
            for entry in entries {
                if let At::File(span) = &entry.key_at {
                    words.push(span.clone());
                }
                collect_words(&entry.node, words);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_words(item, words)),
        _ => {
            if let At::File(span) = &node.at {
                words.push(span.clone());
            }
        }
    }
}

/// Masks a whole value. An unknown key may be the mistyped name of a secret.
fn mask_all(node: &Node, masks: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(entries) => entries.iter().for_each(|entry| mask_all(&entry.node, masks)),
        Value::List(items) => items.iter().for_each(|item| mask_all(item, masks)),
        _ => {
            if let At::File(span) = &node.at {
                masks.push(span.clone());
            }
        }
    }
}

/// How many bytes of a line that is not TOML may be shown: all of a header or of a key without a
/// secret; of other keys only the key; nothing of a line that may be inside a longer string.
pub(super) fn shown_of_broken(line: &str, is_secret: bool) -> Option<usize> {
    let header = line.trim();
    let is_header_char = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    if header.starts_with('[') && header.chars().all(is_header_char) {
        return Some(line.len());
    }
    let (key, value) = line.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\t');
    if value.trim().is_empty()
        || value.starts_with('=')
        || key.len() > 60
        || !key.chars().all(plain)
    {
        return None;
    }
    let known = TOP_LEVEL.iter().filter_map(|top| top.section.key(key.trim())).next();
    let is_url = |kind: &Kind| matches!(kind, Kind::Url(_) | Kind::KeyedUrl(_) | Kind::HookUrl(_));
    let may_show = |key: &Key| !key.kind.is_secret() && !is_url(&key.kind);
    // A second `=` begins another key or a table, so the value's key is unknown.
    let shows = !is_secret && !value.contains('=') && known.is_some_and(may_show);
    Some(if shows { line.len() } else { key.len() + "=".len() })
}
