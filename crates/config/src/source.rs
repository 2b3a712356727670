//! A file's text: from bytes to lines and columns, and lines shown without their secrets.

use std::ops::Range;
use std::path::Path;

use crate::document::{Node, Value};
use crate::keys::{Key, Kind, Section, TOP_LEVEL, TopLevel};
use crate::problem::{Excerpt, Place};

/// Longer lines are cut, so that a problem stays readable.
const SHOWN_MAX: usize = 140;
const MASK: &str = "***";

pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    /// What is never shown, in bytes, sorted, without overlap.
    masks: Vec<Range<usize>>,
    /// Where the text is no TOML: its lines are shown only as far as they are surely no secret.
    broken: Vec<Range<usize>>,
}

// === impl Source ===

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str, root: &Node) -> Self {
        let mut masks = Vec::new();
        for entry in root.entries() {
            match TopLevel::find(&entry.key) {
                None => mask_all(&entry.node, &mut masks),
                Some(top) if !top.named => mask_section(&entry.node, top.section, &mut masks),
                Some(top) => {
                    for named in entry.node.entries() {
                        mask_section(&named.node, top.section, &mut masks);
                    }
                }
            }
        }
        masks.sort_by_key(|mask| mask.start);
        let after =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        let lines = std::iter::once(0).chain(after).collect();
        Self { path, text, lines, masks, broken: Vec::new() }
    }

    /// From here on the line of this byte counts as broken. Gives its number.
    pub(crate) fn mark_broken(&mut self, byte: usize) -> usize {
        self.broken.push(self.line_around(byte));
        self.line_number(byte)
    }

    pub(crate) fn path(&self) -> &Path {
        self.path
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line_number(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte)
    }

    /// The byte at which a line, counted from 1, begins.
    pub(crate) fn line_start(&self, number: usize) -> usize {
        self.lines.get(number.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// A line, counted from 1.
    pub(crate) fn line(&self, number: usize) -> &str {
        &self.text[self.line_around(self.line_start(number))]
    }

    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let start = self.boundary(span.start);
        let line = self.line_around(start);
        let end = self.boundary(span.end).clamp(start, line.end.max(start));
        Place::Line {
            file: self.path.to_owned(),
            line: self.line_number(start),
            column: self.text[line.start..start].chars().count() + 1,
            length: self.text[start..end].chars().count(),
            excerpt: self.excerpt(&line, &(start..end)),
        }
    }

    /// The bytes of the line that holds this byte, without its end.
    fn line_around(&self, byte: usize) -> Range<usize> {
        let byte = self.boundary(byte);
        let number = self.line_number(byte);
        let start = self.lines[number - 1];
        let end = self.lines.get(number).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        start..end.max(start)
    }

    fn boundary(&self, byte: usize) -> usize {
        self.text.floor_char_boundary(byte)
    }

    /// The line stands in a table whose values are all secrets, as far as headers say.
    fn is_below_secret_header(&self, line_start: usize) -> bool {
        let header =
            self.text[..line_start].lines().rev().find(|line| line.trim_start().starts_with('['));
        header.is_some_and(|header| header.contains("env") || header.contains("headers"))
    }

    fn is_masked(&self, byte: usize) -> bool {
        let begun = self.masks.partition_point(|mask| mask.start <= byte);
        self.masks[..begun].last().is_some_and(|mask| mask.contains(&byte))
    }

    fn excerpt(&self, line: &Range<usize>, span: &Range<usize>) -> Option<Excerpt> {
        let shown_end = if self.broken.contains(line) {
            shown_of_broken(&self.text[line.clone()], self.is_below_secret_header(line.start))?
        } else {
            usize::MAX
        };
        let hidden = line.start.saturating_add(shown_end);
        let mut text = String::new();
        let (mut mark, mut mark_end) = (None, 0);
        let mut count = 0;
        let mut masked = false;
        for (offset, char) in self.text[line.clone()].char_indices() {
            let byte = line.start + offset;
            if byte == span.start {
                mark = Some(count);
            }
            let hide = byte >= hidden || self.is_masked(byte);
            if !hide {
                text.push(if char.is_control() && char != '\t' {
                    char::REPLACEMENT_CHARACTER
                } else {
                    char
                });
                count += 1;
            } else if !masked {
                text.push_str(MASK);
                count += MASK.len();
            }
            // A mark inside of what is masked begins where the mask does.
            if hide && byte == span.start {
                mark = Some(count - MASK.len());
            }
            masked = hide;
            if span.contains(&byte) {
                mark_end = count;
            }
        }
        let mark = mark.unwrap_or(count);
        Some(cut(Excerpt { text, mark, mark_length: mark_end.saturating_sub(mark) }))
    }
}

fn mask_section(node: &Node, section: &Section, masks: &mut Vec<Range<usize>>) {
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
        (kind, _) if kind.is_secret() => mask_all(node, masks),
        // It may hold a password, which is an error, but no reason to show it.
        (Kind::Url(_), Value::Text(text)) if text.contains('@') => mask_all(node, masks),
        _ => {}
    }
}

/// What is unknown may be a secret under a mistyped key.
fn mask_all(node: &Node, masks: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(entries) => entries.iter().for_each(|entry| mask_all(&entry.node, masks)),
        Value::List(items) => items.iter().for_each(|item| mask_all(item, masks)),
        _ => {
            if let crate::document::At::File(span) = &node.at {
                masks.push(span.clone());
            }
        }
    }
}

/// How much of a line that is no TOML may be shown, in bytes: all of a header or of a key that
/// holds no secret; else the key alone; nothing of what may be the inside of a longer text.
fn shown_of_broken(line: &str, is_secret: bool) -> Option<usize> {
    if line.trim_start().starts_with('[') && !line.contains('=') {
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
    let shows = !is_secret
        && known.is_some_and(|key| !key.kind.is_secret() && !matches!(key.kind, Kind::Url(_)));
    Some(if shows { line.len() } else { key.len() + "=".len() })
}

/// Cuts a long line to what stands around the mark.
fn cut(excerpt: Excerpt) -> Excerpt {
    let length = excerpt.text.chars().count();
    if length <= SHOWN_MAX {
        return excerpt;
    }
    let skip = excerpt.mark.saturating_sub(SHOWN_MAX / 2);
    let lead = if skip == 0 { "" } else { "…" };
    let tail = if skip + SHOWN_MAX < length { "…" } else { "" };
    let middle: String = excerpt.text.chars().skip(skip).take(SHOWN_MAX).collect();
    let mark = excerpt.mark - skip + lead.chars().count();
    let room = (lead.chars().count() + middle.chars().count()).saturating_sub(mark);
    Excerpt {
        text: format!("{lead}{middle}{tail}"),
        mark,
        mark_length: excerpt.mark_length.min(room),
    }
}
