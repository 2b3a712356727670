//! Messages beside answers at each kind of address reach the client that they are for, and no other client
//! there.

use mainstay_testkit::Client;
use mainstay_testkit::client::{Exchange, Reply};
use serde_json::{Value, json};

use super::Scene;

/// Describes a server as it appears at an address.
struct View {
    address: &'static str,
    server: &'static str,
    /// The prefix of its tools' names there, and of its URIs.
    tools: &'static str,
    uris: &'static str,
}

/// One server alone, all servers, and a group of servers. Where names collide, the first server keeps its
/// own.
const VIEWS: [View; 6] = [
    View { address: "near", server: "near", tools: "", uris: "" },
    View { address: "far", server: "far", tools: "", uris: "" },
    View { address: "", server: "near", tools: "", uris: "" },
    View { address: "", server: "far", tools: "far_", uris: "mainstay://far/" },
    View { address: "group", server: "far", tools: "", uris: "" },
    View { address: "group", server: "near", tools: "near_", uris: "mainstay://near/" },
];

const GROUP: &str = "[endpoints.group]\nservers = [\"far\", \"near\"]";

/// The questions that a client can be asked, and the tool that asks each.
const QUESTIONS: [(&str, &str); 3] = [
    ("ask_user", "elicitation/create"),
    ("ask_model", "sampling/createMessage"),
    ("ask_roots", "roots/list"),
];

fn able() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}})
}

// === impl View ===

impl View {
    async fn begin(&self, client: &Client, tool: &str, arguments: Value) -> Exchange {
        let name = format!("{}{tool}", self.tools);
        let meta = json!({"progressToken": "mine"});
        let params = json!({"name": name, "arguments": arguments, "_meta": meta});
        client.send("tools/call", params).await.unwrap()
    }

    /// Returns the messages before the answer. Fails for methods other than these.
    async fn heard(&self, client: &Client, tool: &str, method: &str) -> Vec<Value> {
        let mut exchange = self.begin(client, tool, json!({"steps": 3, "count": 3})).await;
        let (before, answer) = exchange.all().await.unwrap();
        assert!(answer["result"].is_object(), "{self}: {answer}");
        assert!(before.iter().all(|one| one["method"] == method), "{self}: {before:?}");
        before
    }

    fn uri(&self, own: &str) -> Value {
        json!({"uri": format!("{}{own}", self.uris)})
    }

    async fn touch(&self, client: &Client, own: &str) {
        // The argument belongs to the tool and is not translated.
        self.begin(client, "touch", json!({"uri": own})).await.answer().await.unwrap();
    }

    /// A client that only listens gets changed lists and its own subscriptions.
    async fn assert_silent(&self, client: &Client, stream: &mut Reply) {
        client.request("resources/subscribe", self.uri("mis://two")).await.unwrap();
        self.touch(client, "mis://two").await;
        loop {
            let message = stream.message().await.unwrap().expect("the stream goes on");
            if message["method"] == "notifications/resources/updated" {
                assert_eq!(message["params"], self.uri("mis://two"), "{self}");
                return;
            }
            assert_eq!(message["method"], "notifications/tools/list_changed", "{self}: {message}");
        }
    }
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at /mcp/{}", self.server, self.address)
    }
}

#[tokio::test]
async fn what_a_server_says_reaches_the_client_it_is_for() {
    let scene = Scene::with(GROUP, &[]).await;
    for view in &VIEWS {
        let (mine, other) = (scene.client(view.address).await, scene.client(view.address).await);
        let mut streams = [mine.listen(None).await.unwrap(), other.listen(None).await.unwrap()];

        let progress = view.heard(&mine, "progress", "notifications/progress").await;
        let steps: Vec<_> = progress.iter().map(|one| one["params"]["progress"].clone()).collect();
        assert_eq!(steps, [1, 2, 3], "{view}");
        assert!(progress.iter().all(|one| one["params"]["progressToken"] == "mine"), "{view}");

        mine.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
        other.request("logging/setLevel", json!({"level": "emergency"})).await.unwrap();
        assert_eq!(view.heard(&mine, "flood", "notifications/message").await.len(), 3, "{view}");
        assert_eq!(view.heard(&other, "flood", "").await.len(), 0, "{view}");

        mine.request("resources/subscribe", view.uri("mis://one")).await.unwrap();
        view.touch(&other, "mis://one").await;
        let updated = streams[0].message().await.unwrap().expect("the stream goes on");
        assert_eq!(updated["params"], view.uri("mis://one"), "{view}");

        view.begin(&other, "change", json!({})).await.answer().await.unwrap();
        let changed = streams[0].message().await.unwrap().expect("the stream goes on");
        assert_eq!(changed["method"], "notifications/tools/list_changed", "{view}");
        view.assert_silent(&other, &mut streams[1]).await;
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_a_client_says_reaches_the_server_it_is_for() {
    let scene = Scene::with(GROUP, &[]).await;
    for view in &VIEWS {
        let (mine, other) = (scene.client(view.address).await, scene.client(view.address).await);
        let begun = scene.count(view.server, "tool hang_until_cancelled").await;
        let cancelled = scene.count(view.server, "cancelled calls").await;
        let call = {
            let (mine, name) = (mine.clone(), format!("{}hang_until_cancelled", view.tools));
            let params = json!({"name": name, "arguments": {}});
            tokio::spawn(async move {
                mine.send_as(json!("c"), "tools/call", params).await.unwrap().next().await.unwrap()
            })
        };
        scene.seen(view.server, "tool hang_until_cancelled", begun + 1).await;
        let told = json!({"requestId": "c"});
        // The id belongs to the client, so other clients can't answer.
        other.notify("notifications/cancelled", told.clone()).await.unwrap();
        view.begin(&other, "echo", json!({})).await.answer().await.unwrap();
        assert_eq!(scene.count(view.server, "cancelled calls").await, cancelled, "{view}");
        mine.notify("notifications/cancelled", told).await.unwrap();
        assert_eq!(call.await.unwrap(), None, "{view}");
        scene.seen(view.server, "cancelled calls", cancelled + 1).await;
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn each_question_reaches_the_client_whose_call_it_belongs_to() {
    let scene = Scene::with(GROUP, &[]).await;
    for view in &VIEWS {
        let asked = scene.able(view.address, "2025-11-25", able()).await;
        let other = scene.able(view.address, "2025-11-25", able()).await;
        let plain = scene.client(view.address).await;
        let mut streams = [other.listen(None).await.unwrap(), plain.listen(None).await.unwrap()];
        for (tool, method) in QUESTIONS {
            let mut exchange = view.begin(&asked, tool, json!({})).await;
            let question = exchange.next().await.unwrap().expect("a question");
            assert_eq!(question["method"], method, "{view}");
            other.respond(&question["id"], json!({"said": "other"})).await.unwrap();
            asked.respond(&question["id"], json!({"said": "asked"})).await.unwrap();
            let answer = exchange.answer().await.unwrap();
            let answer = &answer["result"]["structuredContent"]["answer"];
            assert_eq!(answer["said"], "asked", "{view} {tool}");
        }
        view.assert_silent(&other, &mut streams[0]).await;
        view.assert_silent(&plain, &mut streams[1]).await;
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn word_of_changed_roots_reaches_servers_that_know_them() {
    const METHOD: &str = "notifications/roots/list_changed";
    let scene = Scene::with(GROUP, &[]).await;
    for view in &VIEWS {
        let client = scene.able(view.address, "2025-11-25", able()).await;
        let plain = scene.client(view.address).await;
        // The server learns the capabilities from a call. It knows nothing about a client that never called
        // it.
        let mut exchange = view.begin(&client, "ask_roots", json!({})).await;
        let question = exchange.next().await.unwrap().expect("a question");
        client.notify(METHOD, json!({})).await.unwrap();
        client.respond(&question["id"], json!({"roots": []})).await.unwrap();
        exchange.answer().await.unwrap();
        let mut stats = view.begin(&client, "stats", json!({})).await;
        let stats = stats.answer().await.unwrap();
        let seen = stats["result"]["structuredContent"]["counts"][METHOD].as_u64().unwrap_or(0);
        assert!(seen >= 1, "{view}");
        plain.notify(METHOD, json!({})).await.unwrap();
        view.begin(&plain, "echo", json!({})).await.answer().await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_tool_for_clients_that_can_be_asked_is_theirs_wherever_they_are() {
    let scene = Scene::with(GROUP, &["--more-for-asked"]).await;
    let list = async |client: &Client| {
        let list = client.request("tools/list", json!({})).await.unwrap();
        let tools = list["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for view in &VIEWS[2..] {
        let tool = format!("{}added_0", view.tools);
        let plain = scene.client(view.address).await;
        let before = list(&plain).await;
        assert!(!before.contains(&tool), "{view}");
        let able = scene.able(view.address, "2025-11-25", able()).await;
        let theirs = list(&able).await;
        assert_eq!(theirs.iter().filter(|name| **name == tool).count(), 1, "{view}: {theirs:?}");
        assert!(before.iter().all(|name| theirs.contains(name)), "{view}: {theirs:?}");
        let called = view.begin(&able, "added_0", json!({"n": 1})).await.answer().await.unwrap();
        assert_eq!(called["result"]["structuredContent"]["echo"]["n"], 1, "{view}: {called}");
        assert_eq!(list(&plain).await, before, "{view}: nobody else's list is another");
        // The item that only its own instance has later is listed when the client is notified.
        let mut stream = able.listen(None).await.unwrap();
        view.begin(&able, "change", json!({})).await.answer().await.unwrap();
        let told = stream.message().await.unwrap().expect("the stream goes on");
        assert_eq!(told["method"], "notifications/tools/list_changed", "{view}");
        let later = list(&able).await;
        assert!(later.iter().any(|name| name.ends_with("added_1")), "{view}: {later:?}");
    }
    scene.undisturbed().await;
}
