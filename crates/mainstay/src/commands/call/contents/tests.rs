use serde_json::json;

use super::{Piece, pieces, safe, save, show};
use crate::cli::{CallArgs, Shared};
use crate::exit::Exit;
use crate::output::Output;

fn data(label: &str, file: &str, bytes: &[u8]) -> Piece {
    Piece::Data { label: label.to_owned(), file: file.to_owned(), bytes: bytes.to_vec() }
}

#[test]
fn every_kind_of_content_has_a_form() {
    for (content, expected) in [
        (json!({ "type": "text", "text": "hello" }), Piece::Text("hello".to_owned())),
        (
            json!({ "type": "image", "mimeType": "image/png", "data": "AAEC" }),
            data("image image/png, 3 B", "shot-1.png", &[0, 1, 2]),
        ),
        (
            json!({ "type": "audio", "mimeType": "audio/wav", "data": "!" }),
            Piece::Named("audio audio/wav, 1 B that is not base64".to_owned()),
        ),
        (
            json!({ "type": "resource", "resource":
                { "uri": "file:///a/notes.md", "mimeType": "text/markdown", "text": "# hi" } }),
            data("resource file:///a/notes.md text/markdown, 4 B", "notes.md", b"# hi"),
        ),
        (
            json!({ "type": "resource", "resource": { "uri": "x://y/../../etc/passwd", "blob": "AA==" } }),
            data("resource x://y/../../etc/passwd, 1 B", "passwd", &[0]),
        ),
        (
            json!({ "type": "resource_link", "name": "log", "uri": "file:///log" }),
            Piece::Named("link log file:///log".to_owned()),
        ),
        (json!({ "type": "hologram" }), Piece::Named("hologram, 19 B".to_owned())),
        (json!(1), Piece::Named("unknown content, 1 B".to_owned())),
    ] {
        assert_eq!(Piece::of(&content, "shot", 1), expected, "{content}");
    }
}

#[test]
fn files_without_names_are_counted_by_themselves() {
    let picture = json!({ "type": "image", "mimeType": "image/png", "data": "AAEC" });
    let text = json!({ "type": "text", "text": "a chart" });
    let named = json!({ "type": "resource", "resource": { "uri": "a://b/c.txt", "text": "" } });
    let nameless = json!({ "type": "resource", "resource": { "uri": "a://", "text": "" } });
    let contents = [text, picture.clone(), named, nameless, picture];
    let files: Vec<_> = pieces(&contents, "shot")
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Data { file, .. } => Some(file),
            _ => None,
        })
        .collect();
    assert_eq!(files, ["shot-1.png", "c.txt", "shot-2.bin", "shot-3.png"]);
}

#[test]
fn a_name_never_leaves_its_folder() {
    for (name, expected) in [
        ("a.png", "a.png"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".bashrc", "bashrc"),
        ("..", "content"),
        ("", "content"),
        ("a b\0c", "a_b_c"),
        ("-rf", "rf"),
    ] {
        assert_eq!(safe(name), expected, "{name:?}");
    }
    assert!(safe(&format!("{}.png", "x".repeat(500))).ends_with("x.png"));
}

#[test]
fn nothing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("new");
    for expected in ["a.png", "a-2.png", "a-3.png"] {
        let path = save(&into, "a.png", b"x").unwrap();
        assert_eq!(path, into.join(expected));
    }
}

#[test]
fn an_error_of_the_tool_is_exit_one() {
    let out = Output::new(&Shared::default());
    let args = CallArgs {
        server: "s".to_owned(),
        tool: "t".to_owned(),
        pairs: Vec::new(),
        args: None,
        out: None,
    };
    for (result, exit) in [
        (r#"{"content":[]}"#, Exit::Done),
        (r#"{"content":[],"isError":false}"#, Exit::Done),
        (r#"{"content":[],"isError":true}"#, Exit::Failed),
        (r#"{"structuredContent":{"a":1}}"#, Exit::Done),
    ] {
        assert_eq!(show(result.as_bytes(), &args, &out).unwrap(), exit, "{result}");
    }
    assert!(show(b"1", &args, &out).is_err());
    let asks = br#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}"#;
    let failure = show(asks, &args, &out).unwrap_err();
    assert!(failure.message().contains("roots/list"), "{failure:?}");
}
