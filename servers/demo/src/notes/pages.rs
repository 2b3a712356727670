//! The notes as resources: one per note, and one with all notes.

use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResponse,
    ReadResourceResult,
};
use serde_json::{Value, json};

use super::book::{Book, Note};
use crate::wire::result;

pub(super) const ALL: &str = "notes://all";
const ONE: &str = "notes://note/";

/// The URI of a note.
pub(super) fn of(id: u64) -> String {
    format!("{ONE}{id}")
}

pub(super) fn list(book: &Book) -> Result<ListResourcesResult, ErrorData> {
    let mut pages = vec![json!({
        "uri": ALL,
        "name": "all-notes",
        "title": "All notes",
        "description": "Every note on one page",
        "mimeType": "text/markdown",
    })];
    pages.extend(book.all().map(|note| {
        json!({
            "uri": of(note.id),
            "name": format!("note-{}", note.id),
            "title": note.title,
            "description": format!("Note {}, added {}", note.id, note.added),
            "mimeType": "text/markdown",
            "size": markdown(note).len(),
            "annotations": {"audience": ["user", "assistant"], "lastModified": note.added},
        })
    }));
    result(json!({"resources": pages}))
}

pub(super) fn templates() -> Result<ListResourceTemplatesResult, ErrorData> {
    result(json!({"resourceTemplates": [{
        "uriTemplate": "notes://note/{id}",
        "name": "note",
        "title": "One note",
        "description": "The note with this number",
        "mimeType": "text/markdown",
    }]}))
}

pub(super) fn read(book: &Book, uri: &str) -> Result<ReadResourceResponse, ErrorData> {
    let text = if uri == ALL {
        book.all().map(markdown).collect::<Vec<_>>().join("\n")
    } else {
        let id = uri.strip_prefix(ONE).and_then(|id| id.parse().ok());
        let missing = || ErrorData::resource_not_found("no such note", Some(json!({"uri": uri})));
        id.and_then(|id| book.get(id)).map(markdown).ok_or_else(missing)?
    };
    let contents: Value = json!([{"uri": uri, "mimeType": "text/markdown", "text": text}]);
    result::<ReadResourceResult>(json!({"contents": contents})).map(Into::into)
}

fn markdown(note: &Note) -> String {
    let tags: String = note.tags.iter().map(|tag| format!(" #{tag}")).collect();
    format!("# {}. {}\n\n{}\n\n*{}*{tags}\n", note.id, note.title, note.text, note.added)
}
