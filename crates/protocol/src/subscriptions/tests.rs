use bytes::Bytes;

use super::{Filter, acknowledged, ended, list_changed, with_subscription};
use crate::list::ListKind;
use crate::{Id, Message};

fn id(raw: &'static str) -> Id {
    Id::from_raw(Bytes::from_static(raw.as_bytes()))
}

#[test]
fn a_filter_is_read_and_written_with_what_extensions_add() {
    let json = r#"{"toolsListChanged":true,"resourceSubscriptions":["a://\"x"],"taskIds":["t1"]}"#;
    let filter = Filter::parse(json).unwrap();
    assert!(filter.wants(ListKind::Tools) && !filter.wants(ListKind::Prompts));
    assert_eq!(filter.uris, ["a://\"x"]);
    assert!(!filter.is_only_lists());
    assert_eq!(filter.to_json(), json);
    assert_eq!(Filter::parse("{}").unwrap(), Filter::default());
}

#[test]
fn a_filter_of_the_wrong_shape_is_an_error() {
    for json in [
        "[]",
        "true",
        r#"{"toolsListChanged":1}"#,
        r#"{"promptsListChanged":"true"}"#,
        r#"{"resourceSubscriptions":"a://x"}"#,
        r#"{"resourceSubscriptions":[1]}"#,
    ] {
        assert!(Filter::parse(json).is_err(), "{json}");
    }
}

#[test]
fn every_message_carries_the_id_of_its_listen_as_the_client_wrote_it() {
    for raw in ["1", "1.0", "\"1\"", "123456789012345678901234567890"] {
        let mark = format!(r#""io.modelcontextprotocol/subscriptionId":{raw}"#);
        let filter = Filter { tools: true, ..Filter::default() };
        for message in [
            acknowledged(&id(raw), &filter),
            list_changed(&id(raw), ListKind::Tools).unwrap(),
            ended(&id(raw)),
        ] {
            let text = std::str::from_utf8(&message).unwrap();
            assert!(text.contains(&mark), "{text}");
            Message::parse(message).unwrap();
        }
    }
}

#[test]
fn a_servers_mark_becomes_ours_and_nothing_else_changes() {
    let text = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://x","_meta":{"b":2,"io.modelcontextprotocol/subscriptionId":77}}}"#;
    let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
    assert_eq!(with_subscription(&message, &id("\"mine\"")), text.replace("77", "\"mine\""));
}
