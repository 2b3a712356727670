use super::*;

fn session() -> Session {
    let target = Target {
        address: "127.0.0.1:1".parse().expect("an address"),
        path: "/mcp".to_owned(),
        prefix: "p/".to_owned(),
    };
    Session { target, headers: String::new() }
}

fn body_of(call: &Call) -> serde_json::Value {
    let at = memmem::find(&call.request, b"\r\n\r\n").expect("a head") + 4;
    serde_json::from_slice(&call.request[at..]).expect("a call is JSON")
}

#[test]
fn calls_are_rewritten_in_place() {
    let mut call = session().prepare(0xabc, false);
    call.number(0x1f, 16);
    let body = body_of(&call);
    assert_eq!(body["id"], ID_FIRST + 15);
    assert_eq!(body["params"]["name"], "p/echo");
    assert_eq!(body["params"]["arguments"]["text"], "00000abc0000001f");

    let mut slow = session().prepare(1, true);
    slow.delay(7);
    assert_eq!(body_of(&slow)["params"]["arguments"]["ms"], 7);
}

#[test]
fn answers_are_told_apart() {
    let mut call = session().prepare(1, false);
    call.number(2, 100);
    let cases = [
        (r#"{"jsonrpc":"2.0","id":10000002,"result":{"text":"0000000100000002"}}"#, Ok(())),
        (r#"{ "result": {"text": "0000000100000002"}, "id": 10000002 }"#, Ok(())),
        ("event: message\ndata: {\"id\": 10000002,\"result\":[\"0000000100000002\"]}\n\n", Ok(())),
        (r#"{"id":100000021,"result":"0000000100000002"}"#, Err(Failure::Astray)),
        (r#"{"id":10000002,"result":{"text":"0000000200000002"}}"#, Err(Failure::Astray)),
        (r#"{"id":10000003,"result":{"text":"0000000100000002"}}"#, Err(Failure::Astray)),
        (r#"{"id":10000002,"error":{"code":1,"message":"no"}}"#, Err(Failure::Refused)),
        ("", Err(Failure::Refused)),
    ];
    for (body, wanted) in cases {
        assert_eq!(call.check(body.as_bytes()), wanted, "{body}");
    }
}
