use super::{
    InitializeParams, InitializeResult, initialize_params, initialize_result, supported_revisions,
};
use crate::capabilities::{ClientCapabilities, ServerCapabilities};
use crate::edit::{Edit, splice};
use crate::revision::Revision;

#[test]
fn what_a_client_says_is_read_with_its_places() {
    let text = r#" {"x": 1, "protocolVersion": "2025-06-18", "capabilities": {"roots": {}},
        "clientInfo": {"name": "c\u0041", "version": "1", "icons": []}} "#;
    let params = InitializeParams::parse(text).unwrap();
    assert_eq!(params.revision(), Revision::V2025_06_18);
    let roots = ClientCapabilities { roots: true, ..Default::default() };
    assert_eq!(params.client_capabilities(), roots);
    assert_eq!(params.client().unwrap().name, "cA");

    let mut edits = [Edit::new(params.protocol_version.span.clone(), b"\"2025-11-25\"")];
    let spliced = splice(text.as_bytes(), &mut edits);
    assert_eq!(spliced, text.replace("2025-06-18", "2025-11-25").as_bytes());
}

#[test]
fn what_a_server_says_is_read() {
    let text = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"instructions":"be \"kind\""}"#;
    let result = InitializeResult::parse(text).unwrap();
    assert_eq!(result.revision(), Some(Revision::V2025_11_25));
    assert!(result.server_capabilities().tools);
    assert_eq!(result.server(), None);
    assert_eq!(result.instructions.unwrap().text().unwrap(), "be \"kind\"");

    let result = InitializeResult::parse(r#"{"protocolVersion":"1.0"}"#).unwrap();
    assert_eq!(result.revision(), None);
    assert_eq!(result.server_capabilities(), ServerCapabilities::default());
}

#[test]
fn a_handshake_without_a_version_is_refused() {
    for text in [
        "",
        "null",
        r#"["2025-11-25"]"#,
        "{}",
        r#"{"protocolVersion":1}"#,
        r#"{"protocolVersion":null}"#,
        r#"{"protocolVersion":"a","protocolVersion":"b"}"#,
        r#"{"protocolVersion":"2025-11-25""#,
    ] {
        assert!(InitializeParams::parse(text).is_err(), "{text}");
        assert!(InitializeResult::parse(text).is_err(), "{text}");
    }
}

#[test]
fn odd_members_are_no_reason_to_refuse() {
    let text =
        r#"{"protocolVersion":"2025-11-25","capabilities":null,"clientInfo":[],"serverInfo":7}"#;
    let params = InitializeParams::parse(text).unwrap();
    assert!(!params.client_capabilities().is_interactive());
    assert_eq!(params.client(), None);
    assert_eq!(InitializeResult::parse(text).unwrap().server(), None);
}

#[test]
fn a_refusal_names_the_revisions_that_would_do() {
    use Revision::{V2024_11_05, V2025_06_18, V2026_07_28};
    for (error, expected) in [
        (
            r#"{"code":-32602,"message":"","data":{"supported":["2025-06-18","2024-11-05"],"requested":"x"}}"#,
            Some(vec![V2025_06_18, V2024_11_05]),
        ),
        (
            r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28","2024-10-07"]}}"#,
            Some(vec![V2026_07_28]),
        ),
        (r#"{"data":{"supportedVersions":["2024-11-05"]}}"#, Some(vec![V2024_11_05])),
        (r#"{"data":{"supported":[]}}"#, Some(vec![])),
        (r#"{"code":-32603,"message":"supported: 2024-11-05"}"#, None),
        (r#"{"data":{"supported":"2024-11-05"}}"#, None),
        (r#"{"data":["2024-11-05"]}"#, None),
        (r#"{"data":null}"#, None),
        ("7", None),
    ] {
        assert_eq!(supported_revisions(error), expected, "{error}");
    }
}

#[test]
fn ours_are_read_back() {
    let params = initialize_params(Revision::V2025_11_25, "{}", "a\"b", "1.2");
    let read = InitializeParams::parse(&params).unwrap();
    assert_eq!(read.client().unwrap().name, "a\"b");
    assert_eq!(read.revision(), Revision::V2025_11_25);

    let tools = r#"{"tools":{}}"#;
    let result = initialize_result(Revision::V2025_03_26, tools, "m", "1", Some("line\n2"));
    let read = InitializeResult::parse(&result).unwrap();
    assert_eq!(read.server().unwrap().version, "1");
    assert_eq!(read.instructions.as_ref().unwrap().text().unwrap(), "line\n2");
    assert!(read.server_capabilities().tools);
}
