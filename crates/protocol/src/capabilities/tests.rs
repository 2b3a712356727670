use super::{ClientCapabilities, ServerCapabilities};
use crate::revision::Revision;

const EVERYTHING_OF_A_CLIENT: ClientCapabilities = ClientCapabilities {
    roots: true,
    roots_list_changed: true,
    sampling: true,
    sampling_context: true,
    sampling_tools: true,
    elicitation: true,
    elicitation_url: true,
};

#[test]
fn what_a_client_declares() {
    let none = ClientCapabilities::default();
    let table = [
        ("{}", none),
        (r#"{"roots":{}}"#, ClientCapabilities { roots: true, ..none }),
        (
            r#"{"roots":{"listChanged":true},"unknown":{"a":1}}"#,
            ClientCapabilities { roots: true, roots_list_changed: true, ..none },
        ),
        (r#"{"sampling":{}}"#, ClientCapabilities { sampling: true, ..none }),
        (r#"{"elicitation":{}}"#, ClientCapabilities { elicitation: true, ..none }),
        (r#"{"elicitation":{"form":{}}}"#, ClientCapabilities { elicitation: true, ..none }),
        (r#"{"elicitation":{"url":{}}}"#, ClientCapabilities { elicitation_url: true, ..none }),
        (
            r#"{"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true},"sampling":{"tools":{},"context":{}}}"#,
            EVERYTHING_OF_A_CLIENT,
        ),
    ];
    for (json, expected) in table {
        assert_eq!(ClientCapabilities::from_json(json), expected, "{json}");
        assert_eq!(ClientCapabilities::from_json(&expected.to_json()), expected, "{json}");
        assert_eq!(expected.is_interactive(), expected != none, "{json}");
    }
}

#[test]
fn an_unexpected_shape_declares_nothing() {
    for json in ["", "null", "[]", "7", r#"{"roots":null,"sampling":false,"elicitation":"yes"}"#] {
        assert_eq!(ClientCapabilities::from_json(json), ClientCapabilities::default(), "{json}");
    }
    let json = r#"{"tools":{"listChanged":"yes"},"logging":true,"prompts":[]}"#;
    let expected = ServerCapabilities { tools: true, logging: true, ..Default::default() };
    assert_eq!(ServerCapabilities::from_json(json), expected);
}

#[test]
fn a_revision_is_told_only_what_it_knows() {
    let told = |revision: Revision| EVERYTHING_OF_A_CLIENT.within(revision.rules()).to_json();
    let first = r#"{"roots":{"listChanged":true},"sampling":{}}"#;
    assert_eq!(told(Revision::V2024_11_05), first);
    assert_eq!(told(Revision::V2025_03_26), first);
    assert_eq!(
        told(Revision::V2025_06_18),
        r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}"#
    );
    let all = r#"{"roots":{"listChanged":true},"sampling":{"context":{},"tools":{}},"elicitation":{"form":{},"url":{}}}"#;
    assert_eq!(told(Revision::V2025_11_25), all);
    assert_eq!(told(Revision::V2026_07_28), all.replace(r#"{"listChanged":true}"#, "{}"));
}

#[test]
fn what_a_server_declares() {
    let json = r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},"logging":{},"completions":{}}"#;
    let all = ServerCapabilities::from_json(json);
    assert_eq!(all.to_json(), json);
    let none = ServerCapabilities::default();
    assert_eq!(none.to_json(), "{}");
    assert_eq!(none.union(all), all);

    let tools = ServerCapabilities::from_json(r#"{"tools":{}}"#);
    let resources = ServerCapabilities::from_json(r#"{"resources":{"subscribe":true}}"#);
    assert_eq!(tools.union(resources).to_json(), r#"{"tools":{},"resources":{"subscribe":true}}"#);
}
