//! The text of a file: maps bytes to lines and columns, and shows lines without their secrets.

use std::ops::Range;
use std::path::Path;

use crate::document::Node;
use crate::problem::{Excerpt, Place};

mod hidden;

use hidden::{comments, masks, shown_of_broken};

/// Longer lines are cut, so that a problem stays readable.
const SHOWN_MAX: usize = 140;
const MASK: &str = "***";

pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    /// Byte ranges that are never shown, sorted, without overlap.
    masks: Vec<Range<usize>>,
    /// The bytes at which comments begin, sorted. They may hold old passwords.
    comments: Vec<usize>,
    /// The text is no TOML, so that masks may be missing: lines are shown only as far as they are
    /// surely no secret.
    is_broken: bool,
}

/// A line while it is being masked; all numbers are characters of `text`.
#[derive(Default)]
struct Shown {
    text: String,
    length: usize,
    /// Where the last character begins, or the mask in its place.
    start: usize,
    is_masked: bool,
    mark: Option<usize>,
    mark_end: usize,
}

// === impl Source ===

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str, root: &Node) -> Self {
        let newlines = text.match_indices('\n').map(|(index, _)| index + 1);
        let lines = std::iter::once(0).chain(newlines).collect();
        Self {
            path,
            text,
            lines,
            masks: masks(root),
            comments: comments(text, root),
            is_broken: false,
        }
    }

    /// Marks the text as broken: the tree can't be trusted to know its secrets.
    pub(crate) fn mark_broken(&mut self) {
        self.is_broken = true;
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

    /// The byte range of the line that holds this byte, without its line end.
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

    /// Whether the line is in a table of secrets, judged by the headers above.
    fn is_below_secret_header(&self, line_start: usize) -> bool {
        let header =
            self.text[..line_start].lines().rev().find(|line| line.trim_start().starts_with('['));
        header.is_some_and(|header| header.contains("env") || header.contains("headers"))
    }

    /// The end of the line without its comment.
    fn shown_end(&self, line: &Range<usize>) -> usize {
        let next = self.comments.partition_point(|comment| *comment < line.start);
        let end = self.comments.get(next).map_or(line.end, |comment| line.end.min(*comment));
        line.start + self.text[line.start..end].trim_end().len()
    }

    fn is_masked(&self, byte: usize) -> bool {
        let begun = self.masks.partition_point(|mask| mask.start <= byte);
        self.masks[..begun].last().is_some_and(|mask| mask.contains(&byte))
    }

    fn excerpt(&self, line: &Range<usize>, span: &Range<usize>) -> Option<Excerpt> {
        let line = line.start..self.shown_end(line);
        let hidden = if self.is_broken {
            let is_secret = self.is_below_secret_header(line.start);
            line.start + shown_of_broken(&self.text[line.clone()], is_secret)?
        } else {
            line.end
        };
        let mut shown = Shown::default();
        for (offset, char) in self.text[line.clone()].char_indices() {
            let byte = line.start + offset;
            shown.push(char, byte >= hidden || self.is_masked(byte));
            // A mark within a masked range moves to its start.
            if byte == span.start {
                shown.mark = Some(shown.start);
            }
            if span.contains(&byte) {
                shown.mark_end = shown.length;
            }
        }
        let mark = shown.mark.unwrap_or(shown.length);
        let mark_length = shown.mark_end.saturating_sub(mark);
        Some(cut(Excerpt { text: shown.text, mark, mark_length }))
    }
}

// === impl Shown ===

impl Shown {
    fn push(&mut self, char: char, is_masked: bool) {
        if is_masked && self.is_masked {
            return;
        }
        self.start = self.length;
        self.is_masked = is_masked;
        if is_masked {
            self.text.push_str(MASK);
            self.length += MASK.len();
        } else {
            let is_safe = !char.is_control() || char == '\t';
            self.text.push(if is_safe { char } else { char::REPLACEMENT_CHARACTER });
            self.length += 1;
        }
    }
}

/// Cuts a long line to the part around the mark.
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
