//! The result of a call: text as it is, everything else by name and size, or saved.

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

/// Files of one name in a folder, told apart by a number.
const NAMESAKES_MAX: usize = 1000;

/// The result, as far as it is shown.
#[derive(Deserialize)]
struct ToolResult {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default, rename = "structuredContent")]
    structured: Option<Value>,
    #[serde(default, rename = "isError")]
    is_error: bool,
    /// From 2026-07-28 on: whether this is the result.
    #[serde(default, rename = "resultType")]
    kind: Option<String>,
    #[serde(default, rename = "inputRequests")]
    questions: BTreeMap<String, Question>,
}

/// What a tool wants to know before it goes on.
#[derive(Deserialize)]
struct Question {
    method: String,
}

/// One piece of a result.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Something with bytes: what to call it, a name for its file, and the bytes.
    Data {
        label: String,
        file: String,
        bytes: Vec<u8>,
    },
    /// Something that can only be named.
    Named(String),
}

/// Prints a result, which is JSON text.
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

/// The pieces of a result. Those that may become files and have no names of their own are counted.
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

/// What a resource is called by the end of its URI.
fn last_of(resource: &Value) -> String {
    text(&resource["uri"]).rsplit('/').next().unwrap_or_default().to_owned()
}

/// A command line has nobody to ask.
fn unanswerable(result: &ToolResult) -> Failure {
    let mut methods: Vec<_> = result.questions.values().map(|of| of.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let methods =
        if methods.is_empty() { String::new() } else { format!(" ({})", methods.join(", ")) };
    let message = format!("the tool asks for something before it goes on{methods}");
    Failure::new(Exit::Failed, message).hint("only a client that can answer can call it")
}

// === impl Piece ===

impl Piece {
    /// `number` tells it from others of the result that have no name either.
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
            Err(_) => Self::Named(format!("{name}, {} that are no base64", size(encoded.len()))),
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

/// A name a server chose, as a name of a file: no way out of the folder, nothing hidden.
fn safe(name: &str) -> String {
    const CHARS_MAX: usize = 100;
    let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(fit).collect();
    let name = name.trim_start_matches(['.', '-']);
    // The end has the kind of the file.
    let name = &name[name.len().saturating_sub(CHARS_MAX)..];
    if name.is_empty() { "content".to_owned() } else { name.to_owned() }
}

/// Writes a file beside those that are there, never over one.
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
