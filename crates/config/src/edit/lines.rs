//! The parts of a text that belong to a table, or to an item of a list.

use std::ops::Range;

use toml_edit::{Document, Item, Table};

/// A server in a list: of a group, or of a notification.
pub(super) struct Member {
    /// The group, or the section such as `notify.1`.
    pub(super) of: String,
    pub(super) is_notify: bool,
    pub(super) own: Range<usize>,
    pub(super) before: Option<Range<usize>>,
    pub(super) after: Option<Range<usize>>,
}

/// The text without these parts.
pub(super) fn without(text: &str, mut cuts: Vec<Range<usize>>) -> String {
    cuts.sort_by_key(|cut| cut.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for cut in cuts {
        out.push_str(text.get(at..cut.start).unwrap_or_default());
        at = at.max(cut.end);
    }
    out.push_str(&text[at..]);
    out
}

/// The lines of a table with headers of its own: `[section.name]` and all tables below it, each with the
/// comment above it. None for a table that is written in another way.
pub(super) fn of_table(text: &str, section: &str, name: &str) -> Option<Vec<Range<usize>>> {
    let document = Document::parse(text).ok()?;
    let table = document.get(section)?.as_table()?.get(name)?.as_table()?;
    let mut spans = Vec::new();
    headers(table, &mut spans)?;
    Some(spans.into_iter().map(|span| block(text, span)).collect())
}

/// The header and the values of a table, and of all tables below it.
fn headers(table: &Table, spans: &mut Vec<Range<usize>>) -> Option<()> {
    if table.is_dotted() {
        return None;
    }
    if !table.is_implicit() {
        let mut span = table.span()?;
        span.end = end_of(table, span.end)?;
        spans.push(span);
    }
    for (_, item) in table {
        match item {
            Item::Table(below) if !below.is_dotted() => headers(below, spans)?,
            Item::ArrayOfTables(_) => return None,
            _ => {}
        }
    }
    Some(())
}

/// The end of the last value below the header of a table.
fn end_of(table: &Table, mut end: usize) -> Option<usize> {
    for (_, item) in table {
        match item {
            Item::Table(below) if below.is_dotted() => end = end_of(below, end)?,
            Item::Table(_) => {}
            _ => end = end.max(item.span()?.end),
        }
    }
    Some(end)
}

/// Whole lines: with the comment above and the one below, and with one of the blank lines around them.
fn block(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = line_start(text, span.start);
    while let Some(above) = line_before(text, start)
        && text[above.clone()].trim_start().starts_with('#')
    {
        start = above.start;
    }
    // A comment at the top of a file is about the whole of it.
    if start == 0 {
        start = line_start(text, span.start);
    }
    let mut end = line_end(text, span.end);
    let mut below = end;
    while text[below..].trim_start_matches([' ', '\t']).starts_with('#') {
        below = line_end(text, below);
    }
    // A comment right above a header is about that one.
    if !text[below..].trim_start_matches([' ', '\t']).starts_with('[') {
        end = below;
    }
    match line_before(text, start) {
        Some(above) if text[above.clone()].trim().is_empty() => start = above.start,
        // Elsewhere, a blank line below keeps what is above apart from what is below.
        None if text[end..].starts_with('\n') => end += 1,
        None if text[end..].starts_with("\r\n") => end += 2,
        _ => {}
    }
    start..end
}

/// An item of a list, with its comma: the whole line if it has one for itself.
pub(super) fn of_item(text: &str, member: &Member) -> Range<usize> {
    let Member { own, before, after, .. } = member;
    let (start, end) = (line_start(text, own.start), line_end(text, own.end));
    let behind = text[own.end..end].trim_start().trim_start_matches(',').trim_start();
    let is_alone =
        text[start..own.start].trim().is_empty() && (behind.is_empty() || behind.starts_with('#'));
    match (is_alone, before, after) {
        (true, _, _) => start..end,
        (false, _, Some(after)) => own.start..after.start,
        (false, Some(before), None) => before.end..own.end,
        (false, None, None) => own.clone(),
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The end of the line, behind its line break.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The line that ends where this one starts.
fn line_before(text: &str, start: usize) -> Option<Range<usize>> {
    let end = start.checked_sub(1)?;
    Some(line_start(text, end)..start)
}
