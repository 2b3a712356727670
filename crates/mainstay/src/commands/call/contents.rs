//! Prints the result of a call: text in full, everything else by name and size, or saved to files.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::super::daemon;
use crate::cli::CallArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, format};

#[cfg(test)]
mod tests;

/// Most files of one name in a folder; a number tells them apart.
const NAMESAKES_MAX: usize = 1000;

/// The members of a tool result that are printed.
#[derive(Deserialize)]
struct ToolResult {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default, rename = "structuredContent")]
    structured: Option<Value>,
    #[serde(default, rename = "isError")]
    is_error: bool,
    /// Since 2026-07-28: `complete`, or another type when the call is not finished.
    #[serde(default, rename = "resultType")]
    kind: Option<String>,
    #[serde(default, rename = "inputRequests")]
    questions: BTreeMap<String, Question>,
}

/// Input that a tool asks for before it goes on.
#[derive(Deserialize)]
struct Question {
    method: String,
}

/// One content block of a result.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Content with bytes: a description, a file name, and the bytes.
    Data {
        label: String,
        file: String,
        bytes: Vec<u8>,
    },
    /// Content that is only described in a line.
    Named(String),
}

/// Prints a result, given as JSON text.
pub(super) fn show(result: &[u8], args: &CallArgs, out: &Output) -> Result<Exit, Failure> {
    let parsed: ToolResult = daemon::read(result)?;
    if parsed.kind.as_deref() == Some("input_required") {
        return Err(unanswerable(&parsed));
    }
    let exit = if parsed.is_error { Exit::Failed } else { Exit::Done };
    let pieces = pieces(&parsed.content, &args.tool);
    if out.json {
        out.line(String::from_utf8_lossy(result));
    } else if let (true, Some(structured)) = (pieces.is_empty(), &parsed.structured) {
        out.value(structured);
    }
    for piece in pieces {
        match (piece, &args.out) {
            (Piece::Data { label, file, bytes }, Some(folder)) => {
                let path = save(folder, &file, &bytes)?;
                if !out.json {
                    out.line(format!(
                        "saved {} ({label})",
                        format::harmless(&path.display().to_string())
                    ));
                }
            }
            _ if out.json => {}
            (Piece::Text(text), _) => out.foreign(&text),
            (Piece::Data { label, .. }, None) => out.foreign(&format!("[{label}]")),
            (Piece::Named(label), _) => out.foreign(&format!("[{label}]")),
        }
    }
    Ok(exit)
}

/// The content blocks of a result. Blocks without a name of their own are numbered.
fn pieces(contents: &[Value], tool: &str) -> Vec<Piece> {
    let mut nameless = 0;
    let mut all = Vec::with_capacity(contents.len());
    for content in contents {
        nameless += usize::from(is_nameless(content));
        all.push(Piece::of(content, tool, nameless));
    }
    all
}

fn is_nameless(content: &Value) -> bool {
    match content["type"].as_str() {
        Some("image" | "audio") => true,
        Some("resource") => last_of(&content["resource"]).is_empty(),
        _ => false,
    }
}

/// The last segment of a resource's URI.
fn last_of(resource: &Value) -> String {
    text(&resource["uri"]).rsplit('/').next().unwrap_or_default().to_owned()
}

/// The failure for a tool that asks the user something: a command line can't answer.
fn unanswerable(result: &ToolResult) -> Failure {
    let mut methods: Vec<_> = result.questions.values().map(|of| of.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let methods =
        if methods.is_empty() { String::new() } else { format!(" ({})", methods.join(", ")) };
    let message = format!("the tool asks a question before it continues{methods}");
    Failure::new(Exit::Failed, message).hint("call the tool from a client that can answer")
}

// === impl Piece ===

impl Piece {
    /// Describes a content block. `number` distinguishes blocks without a name.
    fn of(content: &Value, tool: &str, number: usize) -> Self {
        let kind = content["type"].as_str().unwrap_or("unknown content");
        match kind {
            "text" => Self::Text(text(&content["text"])),
            "image" | "audio" => {
                let media = text(&content["mimeType"]);
                let file = format!("{tool}-{number}.{}", extension(&media));
                Self::data(&format!("{kind} {media}"), &file, &content["data"])
            }
            "resource" => Self::resource(&content["resource"], tool, number),
            "resource_link" => {
                Self::Named(format!("link {} {}", text(&content["name"]), text(&content["uri"])))
            }
            _ => Self::Named(format!("{kind}, {}", size(content.to_string().len()))),
        }
    }

    fn resource(resource: &Value, tool: &str, number: usize) -> Self {
        let (uri, media) = (text(&resource["uri"]), text(&resource["mimeType"]));
        let last = last_of(resource);
        let file = match last.as_str() {
            "" => format!("{tool}-{number}.{}", extension(&media)),
            _ => last,
        };
        let name = format!("resource {uri} {media}");
        match resource["text"].as_str() {
            Some(text) => {
                let label = format!("{}, {}", name.trim_end(), size(text.len()));
                Self::Data { label, file: safe(&file), bytes: text.as_bytes().to_vec() }
            }
            None => Self::data(name.trim_end(), &file, &resource["blob"]),
        }
    }

    fn data(name: &str, file: &str, encoded: &Value) -> Self {
        let encoded = encoded.as_str().unwrap_or_default();
        match STANDARD.decode(encoded) {
            Ok(bytes) => Self::Data {
                label: format!("{name}, {}", size(bytes.len())),
                file: safe(file),
                bytes,
            },
            Err(_) => Self::Named(format!("{name}, {} that is not base64", size(encoded.len()))),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn size(bytes: usize) -> String {
    format::bytes(bytes as u64)
}

fn extension(media: &str) -> &'static str {
    match media.split(';').next().unwrap_or_default().trim() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "audio/wav" | "audio/x-wav" => "wav",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "application/json" => "json",
        "application/pdf" => "pdf",
        media if media.starts_with("text/") => "txt",
        _ => "bin",
    }
}

/// A file name made from a name that the server chose. It can't leave the folder and is not hidden.
fn safe(name: &str) -> String {
    const CHARS_MAX: usize = 100;
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(fit).collect();
    let name = name.trim_start_matches(['.', '-']);
    // Long names keep their end, which has the file's extension.
    let name = &name[name.len().saturating_sub(CHARS_MAX)..];
    if name.is_empty() { "content".to_owned() } else { name.to_owned() }
}

/// Writes a new file into the folder. Never overwrites an existing file.
fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: &io::Error| {
        Failure::new(Exit::Failed, format!("{} can't be written: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let (stem, end) = name
        .rsplit_once('.')
        .map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
    for number in 1..=NAMESAKES_MAX {
        let numbered = if number == 1 { name.to_owned() } else { format!("{stem}-{number}{end}") };
        let path = folder.join(numbered);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(bytes).map_err(|error| failed(&path, &error))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    let message = format!("{} has too many files named {name}", folder.display());
    Err(Failure::new(Exit::Failed, message))
}
