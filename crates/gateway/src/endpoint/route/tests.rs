use std::sync::Arc;

use mainstay_model::settings::{NameRule, Prefix};
use mainstay_model::{Budget, Ids, ServerId};
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message, Method};
use mainstay_session::names::NameStyle;
use mainstay_testkit::MemoryStore;
use serde_json::{Value, json};

use super::{find_resource, find_route, is_read, progress_token};
use crate::endpoint::Endpoint;
use crate::endpoint::names::NameRegistry;
use crate::endpoint::test_servers::{Answers, World};
use crate::server::Server;

const EVERYTHING: Answers = &[
    (
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{}}}"#,
    ),
    (
        "tools/list",
        r#"{"tools":[{"name":"write"},{"name":"read","annotations":{"readOnlyHint":true}}]}"#,
    ),
    ("prompts/list", r#"{"prompts":[{"name":"say"}]}"#),
    ("resources/list", r#"{"resources":[{"uri":"x://one","name":"one"}]}"#),
    (
        "resources/templates/list",
        r#"{"resourceTemplates":[{"uriTemplate":"x://n/{n}","name":"n"}]}"#,
    ),
];
const TOOLS: Answers = &[
    (
        "initialize",
        r#"{"protocolVersion":"2025-11-25","serverInfo":{},"capabilities":{"tools":{}}}"#,
    ),
    ("tools/list", r#"{"tools":[{"name":"sum"}]}"#),
];

/// The code of `SERVER_LOADING`.
const LOADING: i32 = 1003;

const AUTO: NameStyle = NameStyle { prefix: Prefix::Auto, rule: NameRule::Spec };

/// An endpoint with two servers that have the same: `a`, whose names stay, and `b`.
struct Scene {
    world: World,
    ids: Ids,
    a: Server,
    b: Server,
    endpoint: Arc<Endpoint>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
struct Found {
    server: ServerId,
    /// The parameters as the server gets them.
    params: Value,
    tool: Option<String>,
    may_retry: bool,
    /// Own, published.
    renamed: Option<(String, String)>,
}

impl Scene {
    async fn start() -> Self {
        let (mut world, ids) = (World::new().await, Ids::default());
        let a = world.ready("a", ids.server(), EVERYTHING).await;
        let b = world.ready("b", ids.server(), EVERYTHING).await;
        let endpoint = endpoint(&ids, &[&a, &b], Some(AUTO)).await;
        Self { world, ids, a, b, endpoint }
    }
}

async fn endpoint(ids: &Ids, servers: &[&Server], style: Option<NameStyle>) -> Arc<Endpoint> {
    let servers = servers.iter().map(|&server| server.clone()).collect();
    let store = MemoryStore::default().open().names;
    let names = Arc::new(NameRegistry::load(store, Budget::UNLIMITED).await);
    let endpoint = Endpoint::new(ids.endpoint(), "work".to_owned(), servers, style, &names);
    Arc::new(endpoint)
}

fn request(method: &str, params: &Value) -> Message {
    let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    Message::parse(text.into_bytes().into()).unwrap()
}

/// Where a legacy client's request goes; else the code and the text of the error.
fn sent(at: &Endpoint, method: &str, params: &Value) -> Result<Found, (i32, String)> {
    sent_by(Era::Legacy, at, method, params)
}

fn sent_by(era: Era, at: &Endpoint, method: &str, params: &Value) -> Result<Found, (i32, String)> {
    let message = request(method, params);
    let route = find_route(at, era, Method::parse(method), &message.params().unwrap())
        .map_err(|error| (error.code, error.message))?;
    let mut edits: Vec<_> =
        route.edits.iter().map(|(span, with)| Edit::new(span.clone(), with)).collect();
    let edited: Value = serde_json::from_slice(&splice(message.bytes(), &mut edits)).unwrap();
    assert!(route.headers.is_empty());
    assert!(Arc::ptr_eq(&route.pool, at.pool(route.server).unwrap()));
    Ok(Found {
        server: route.server,
        params: edited["params"].clone(),
        tool: route.tool.map(Into::into),
        may_retry: route.may_retry,
        renamed: route.renamed.map(|(own, published)| (own.into(), published.into())),
    })
}

/// A request that goes to a server with these parameters, may be repeated and is about no tool.
fn read(server: &Server, params: Value) -> Result<Found, (i32, String)> {
    Ok(Found { server: server.id, params, tool: None, may_retry: true, renamed: None })
}

fn call(server: &Server, tool: &str, may_retry: bool) -> Result<Found, (i32, String)> {
    let (params, tool) = (json!({"name": tool}), Some(tool.to_owned()));
    Ok(Found { server: server.id, params, tool, may_retry, renamed: None })
}

fn refused(code: i32, text: &str) -> Result<Found, (i32, String)> {
    Err((code, text.to_owned()))
}

#[tokio::test]
async fn names_go_to_their_server_under_the_name_that_it_knows() {
    let Scene { world, a, b, endpoint, .. } = Scene::start().await;
    for (name, wanted) in [
        ("write", call(&a, "write", false)),
        ("read", call(&a, "read", true)),
        ("b_write", call(&b, "write", false)),
        ("b_read", call(&b, "read", true)),
    ] {
        assert_eq!(sent(&endpoint, "tools/call", &json!({"name": name})), wanted);
    }
    for (name, server) in [("say", &a), ("b_say", &b)] {
        let wanted = read(server, json!({"name": "say"}));
        assert_eq!(sent(&endpoint, "prompts/get", &json!({"name": name})), wanted);
        let reference = |name| json!({"ref": {"type": "ref/prompt", "name": name}});
        let wanted = read(server, reference("say"));
        assert_eq!(sent(&endpoint, "completion/complete", &reference(name)), wanted);
    }
    // A prompt is not a tool, and a tool is not a prompt.
    let unknown = refused(-32602, r#"unknown tool "say""#);
    assert_eq!(sent(&endpoint, "tools/call", &json!({"name": "say"})), unknown);
    let unknown = refused(-32602, r#"unknown prompt "read""#);
    assert_eq!(sent(&endpoint, "prompts/get", &json!({"name": "read"})), unknown);
    world.end().await;
}

#[tokio::test]
async fn resources_go_to_their_server_under_the_uri_that_it_knows() {
    let Scene { world, a, b, endpoint, .. } = Scene::start().await;
    for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
        for (own, of_b) in
            [("x://one", "mainstay://b/x://one"), ("x://n/7", "mainstay://b/x://n/7")]
        {
            let params = json!({"uri": own});
            assert_eq!(sent(&endpoint, method, &params), read(&a, params));
            let renamed = Some((own.to_owned(), of_b.to_owned()));
            let wanted = read(&b, json!({"uri": own})).map(|found| Found { renamed, ..found });
            assert_eq!(sent(&endpoint, method, &json!({"uri": of_b})), wanted);
        }
    }
    let reference = |uri| json!({"ref": {"type": "ref/resource", "uri": uri}});
    for (uri, server) in [("x://n/{n}", &a), ("mainstay://b/x://n/{n}", &b)] {
        let wanted = read(server, reference("x://n/{n}"));
        assert_eq!(sent(&endpoint, "completion/complete", &reference(uri)), wanted);
    }
    world.end().await;
}

#[tokio::test]
async fn what_nobody_has_is_an_error_that_says_so() {
    let Scene { world, ids, a, endpoint, .. } = Scene::start().await;
    for (method, params, code, text) in [
        ("tools/call", json!({}), -32602, "`name` is missing"),
        ("tools/call", json!({"name": 7}), -32602, "`name` must be a string"),
        ("resources/read", json!({}), -32602, "`uri` is missing"),
        ("resources/read", json!({"uri": 7}), -32602, "`uri` must be a string"),
        ("resources/read", json!({"uri": "x://two"}), -32002, r#"unknown resource "x://two""#),
        ("completion/complete", json!({}), -32602, "`ref` is missing"),
        ("completion/complete", json!({"ref": {}}), -32602, "`ref.uri` is missing"),
        ("completion/complete", json!({"ref": {"uri": 7}}), -32602, "`ref.uri` must be a string"),
        (
            "completion/complete",
            json!({"ref": {"uri": "x://two"}}),
            -32602,
            r#"unknown resource template "x://two""#,
        ),
    ] {
        assert_eq!(sent(&endpoint, method, &params), refused(code, text));
    }
    for method in ["tasks/get", "unheard/of"] {
        let (code, text) = sent(&endpoint, method, &json!({"name": "read"})).unwrap_err();
        assert!(code == -32601 && text.contains("/mcp/{server}"), "{text}");
    }
    // A server that has not listed anything yet may have the item, so nothing is unknown.
    let late = world.stopped("late", ids.server(), EVERYTHING);
    let endpoint = self::endpoint(&ids, &[&a, &late], Some(AUTO)).await;
    let text = r#"no server that is ready has the tool "sum"; still starting: late"#;
    assert_eq!(sent(&endpoint, "tools/call", &json!({"name": "sum"})), refused(LOADING, text));
    // Nobody has asked these servers yet whether they support 2026-07-28.
    let (params, modern) = (json!({"uri": "x://two"}), Era::Modern);
    let other = sent_by(modern, &endpoint, "resources/read", &params);
    assert_eq!(other.unwrap_err().0, LOADING);
    // From then on, resources have no error code of their own.
    let nobody = self::endpoint(&ids, &[], Some(AUTO)).await;
    let other = sent_by(modern, &nobody, "resources/read", &params);
    assert_eq!(other.unwrap_err().0, -32602);
    world.end().await;
}

#[tokio::test]
async fn a_resource_that_nobody_lists_is_asked_of_the_only_server_that_may_have_it() {
    let Scene { mut world, ids, a, endpoint, .. } = Scene::start().await;
    let (uri, legacy) = (json!({"uri": "x://hidden"}), Era::Legacy);
    assert_eq!(find_resource(&endpoint, legacy, "x://hidden"), None, "both may have it");
    let tools = world.ready("tools", ids.server(), TOOLS).await;
    let only = self::endpoint(&ids, &[&tools, &a], Some(AUTO)).await;
    assert_eq!(sent(&only, "resources/read", &uri), read(&a, uri.clone()));
    // Not as long as another server has not listed its items.
    let late = world.stopped("late", ids.server(), EVERYTHING);
    let unsure = self::endpoint(&ids, &[&a, &late], Some(AUTO)).await;
    assert_eq!(sent(&unsure, "resources/read", &uri).unwrap_err().0, LOADING);
    world.end().await;
}

#[tokio::test]
async fn what_a_client_has_seen_waits_for_its_server() {
    let Scene { world, a, b, endpoint, .. } = Scene::start().await;
    for kind in ListKind::ALL {
        endpoint.show(Era::Legacy, kind);
    }
    let late = world.stopped("b", b.id, EVERYTHING);
    let now = Endpoint::updated(&endpoint, vec![a.clone(), late], Some(AUTO));
    now.note_changes(&ListKind::ALL);
    let wanted = [call(&b, "write", false), call(&b, "read", false)];
    for (name, wanted) in ["b_write", "b_read"].into_iter().zip(wanted) {
        assert_eq!(sent(&now, "tools/call", &json!({"name": name})), wanted);
    }
    let wanted = read(&b, json!({"name": "say"}));
    assert_eq!(sent(&now, "prompts/get", &json!({"name": "b_say"})), wanted);
    let uri = "mainstay://b/x://one";
    let found = sent(&now, "resources/read", &json!({"uri": uri})).unwrap();
    assert_eq!((found.server, &found.params), (b.id, &json!({"uri": "x://one"})));
    let reference = |uri| json!({"ref": {"type": "ref/resource", "uri": uri}});
    let wanted = read(&b, reference("x://n/{n}"));
    let params = reference("mainstay://b/x://n/{n}");
    assert_eq!(sent(&now, "completion/complete", &params), wanted);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_was_taken_away_is_in_no_list() {
    let Scene { world, a, endpoint, .. } = Scene::start().await;
    endpoint.show(Era::Legacy, ListKind::Tools);
    let now = Endpoint::updated(&endpoint, vec![a.clone()], Some(AUTO));
    let unknown = refused(-32602, r#"unknown tool "b_read""#);
    assert_eq!(sent(&now, "tools/call", &json!({"name": "b_read"})), unknown);
    assert_eq!(sent(&now, "tools/call", &json!({"name": "read"})), call(&a, "read", true));
    let of_b = json!({"uri": "mainstay://b/x://one"});
    // With one server left, that is asked for what nobody lists.
    assert_eq!(sent(&now, "resources/read", &of_b), read(&a, of_b.clone()));
    world.end().await;
}

#[tokio::test]
async fn at_the_address_of_one_server_nothing_is_renamed_or_refused() {
    let Scene { world, ids, a, .. } = Scene::start().await;
    let single = endpoint(&ids, &[&a], None).await;
    for (name, may_retry) in [("write", false), ("read", true), ("unheard-of", false)] {
        let wanted = call(&a, name, may_retry);
        assert_eq!(sent(&single, "tools/call", &json!({"name": name})), wanted);
    }
    for (method, may_retry) in [
        ("tools/call", false),
        ("tools/list", true),
        ("prompts/get", true),
        ("resources/read", true),
        ("completion/complete", true),
        ("resources/subscribe", false),
        ("unheard/of", false),
    ] {
        // Other methods are not about tools, although a tool has this name.
        let params = if method == "tools/call" { json!({}) } else { json!({"name": "write"}) };
        let wanted = read(&a, params.clone()).map(|found| Found { may_retry, ..found });
        assert_eq!(sent(&single, method, &params), wanted, "{method}");
    }
    let found = find_resource(&single, Era::Legacy, "y://any");
    assert_eq!(found, Some((a.id, "y://any".to_owned())));
    // Without lists, nothing is known about a tool.
    let late = world.stopped("late", ids.server(), EVERYTHING);
    let single = endpoint(&ids, &[&late], None).await;
    let params = json!({"name": "read"});
    assert_eq!(sent(&single, "tools/call", &params), call(&late, "read", false));
    world.end().await;
}

#[test]
fn requests_that_change_nothing_at_a_server_may_be_repeated() {
    use Method as M;
    for method in [M::ToolsList, M::ResourcesRead, M::PromptsGet, M::CompletionComplete, M::Ping] {
        assert!(is_read(method), "{method:?}");
    }
    for method in [M::ToolsCall, M::ResourcesSubscribe, M::LoggingSetLevel] {
        assert!(!is_read(method), "{method:?}");
    }
}

#[test]
fn a_progress_token_is_found_with_its_place_as_it_was_written() {
    for text in [r#""t\u0065""#, "1.0"] {
        let meta = format!(r#"{{"_meta":{{"progressToken":{text}}}}}"#);
        let whole = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{meta}}}"#);
        let message = Message::parse(whole.clone().into_bytes().into()).unwrap();
        let (span, bytes) = progress_token(&message, &message.params().unwrap()).unwrap();
        assert_eq!((&whole[span], &*bytes), (text, text.as_bytes()));
    }
    let message = request("ping", &json!({}));
    assert_eq!(progress_token(&message, &message.params().unwrap()), None);
}
