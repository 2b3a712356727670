//! The notes themselves: bounded, numbered, searchable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Limits of the demonstration, so that it can't exhaust the machine.
const NOTES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
pub(super) struct Note {
    /// The number to name it by
    pub(super) id: u64,
    /// A few words to find it by
    pub(super) title: String,
    /// The note itself
    pub(super) text: String,
    /// Words it is grouped by
    pub(super) tags: Vec<String>,
    /// When it was added, UTC, RFC 3339
    pub(super) added: String,
}

#[derive(Default)]
pub(super) struct Book {
    notes: BTreeMap<u64, Note>,
    last: u64,
}

// === impl Book ===

impl Book {
    /// A book with sample notes, so that a first list is not empty.
    pub(super) fn with_examples() -> Self {
        let mut book = Self::default();
        let examples = [
            ("Welcome", "These notes live in memory; ask for another one to be added.", "example"),
            ("Try this", "Remove note 2, then search for 'welcome'.", "example"),
        ];
        for (title, text, tag) in examples {
            book.add(Some(title.to_owned()), text.to_owned(), vec![tag.to_owned()])
                .expect("two short notes are within every bound");
        }
        book
    }

    pub(super) fn add(
        &mut self,
        title: Option<String>,
        text: String,
        tags: Vec<String>,
    ) -> Result<Note, String> {
        let bytes = text.len()
            + title.as_deref().map_or(0, str::len)
            + tags.iter().map(String::len).sum::<usize>();
        if text.trim().is_empty() {
            return Err("a note needs some text".to_owned());
        }
        if bytes > TEXT_BYTES_MAX {
            return Err(format!("a note may have {TEXT_BYTES_MAX} bytes, this one has {bytes}"));
        }
        if self.notes.len() >= NOTES_MAX {
            return Err(format!("the book is full ({NOTES_MAX} notes): remove one first"));
        }
        self.last += 1;
        let title = title.filter(|title| !title.trim().is_empty());
        let note = Note {
            id: self.last,
            title: title.unwrap_or_else(|| first_words(&text)),
            text,
            tags,
            added: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        self.notes.insert(note.id, note.clone());
        Ok(note)
    }

    /// Removes a note. Returns the note and the number of notes left.
    pub(super) fn remove(&mut self, id: u64) -> Result<(Note, usize), String> {
        let note = self.notes.remove(&id).ok_or_else(|| format!("there is no note {id}"))?;
        Ok((note, self.notes.len()))
    }

    pub(super) fn get(&self, id: u64) -> Option<&Note> {
        self.notes.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Note> {
        self.notes.values()
    }

    pub(super) fn tagged(&self, tag: Option<&str>) -> Vec<Note> {
        let wanted = |note: &&Note| tag.is_none_or(|tag| note.tags.iter().any(|own| own == tag));
        self.all().filter(wanted).cloned().collect()
    }

    /// The notes that contain every word of the query.
    pub(super) fn search(&self, query: &str) -> Vec<Note> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let found = |note: &&Note| {
            let hay =
                format!("{} {} {}", note.title, note.text, note.tags.join(" ")).to_lowercase();
            words.iter().all(|word| hay.contains(word))
        };
        self.all().filter(found).cloned().collect()
    }
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(5).collect::<Vec<_>>().join(" ")
}
