//! Servers of 2026-07-28, and servers of both eras.

use std::time::Duration;

use mainstay_testkit::client::Exchange;
use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon, programs};
use serde_json::{Value, json};

use super::{
    Site, ask, assert_echo, both_ways, counts, daemon, eventually, in_state, kill, misbehave,
    process, server,
};

const REVISION: &str = "2026-07-28";

/// A client that sends stateless requests.
#[derive(Clone)]
pub(super) struct Modern(Client);

// === impl Modern ===

impl Modern {
    pub(super) fn of(daemon: &Daemon, name: &str) -> Self {
        Self(Client::new(&format!("{}/mcp/{name}", daemon.base())).unwrap())
    }

    /// Returns the status and the response to read.
    async fn send(&self, method: &str, params: Value) -> (u16, Exchange) {
        self.send_with(method, params, &[]).await
    }

    async fn send_with(
        &self,
        method: &str,
        mut params: Value,
        headers: &[(&str, &str)],
    ) -> (u16, Exchange) {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "0"},
        });
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default();
        let name = name.to_owned();
        let mut all = vec![
            ("mcp-protocol-version", REVISION),
            ("mcp-method", method),
            ("mcp-name", name.as_str()),
        ];
        all.extend(headers);
        let body = json!({"jsonrpc": "2.0", "id": "m", "method": method, "params": params});
        let reply = self.0.post(body.to_string(), &all).await.unwrap();
        (reply.status, Exchange { id: json!("m"), reply })
    }

    async fn answer(&self, method: &str, params: Value) -> Value {
        self.send(method, params).await.1.answer().await.unwrap()
    }

    pub(super) async fn ask(&self, tool: &str, arguments: Value) -> Value {
        self.answer("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    pub(super) async fn counts(&self) -> Value {
        self.ask("stats", json!({})).await["result"]["structuredContent"]["counts"].clone()
    }

    /// Returns the answer once the era of a server is known.
    async fn discover(&self) -> (u16, Value) {
        eventually("an answer to server/discover", async || {
            let (status, mut exchange) = self.send("server/discover", json!({})).await;
            let answer = exchange.answer().await.unwrap();
            let loading = answer["error"]["data"]["code"] == "SERVER_LOADING";
            (!loading).then_some((status, answer))
        })
        .await
    }

    async fn tools(&self) -> Vec<String> {
        let answer = self.answer("tools/list", json!({})).await;
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn fixture(only: &[&str]) -> Vec<String> {
    let program = programs::fixture().unwrap().display().to_string();
    let words = [program.as_str(), "stdio"];
    words.iter().chain(only).map(|&word| word.to_owned()).collect()
}

#[tokio::test]
async fn a_server_of_either_generation_is_served_to_its_own_clients() {
    let (site, daemon) = both_ways(&["--modern-only"]);
    let daemon = daemon
        .command_server("told", &misbehave(&["--modern-only"]))
        .config("revision = \"modern\"")
        .command_server("old", &misbehave(&["--dual"]))
        .config("revision = \"legacy\"")
        .start()
        .await
        .unwrap();
    for name in ["pipe", "site", "told"] {
        assert_eq!(in_state(&daemon, name, "ready").await["revision"], REVISION);
        let modern = Modern::of(&daemon, name);
        let (status, greeting) = modern.discover().await;
        assert_eq!((status, &greeting["result"]["supportedVersions"]), (200, &json!([REVISION])));
        assert_echo(&modern.ask("echo", json!({"n": name})).await, &json!({"n": name}));
        assert!(modern.tools().await.contains(&"echo".to_owned()));
        let refused = daemon.client(name).await.err().unwrap().to_string();
        assert!(refused.contains(REVISION), "{refused}");
    }
    in_state(&daemon, "old", "ready").await;
    assert_eq!(Modern::of(&daemon, "old").discover().await.0, 400);
    let old = daemon.client("old").await.unwrap();
    assert!(counts(&old, "stats").await["server/discover"].is_null());
    // Over HTTP the headers matched the bodies, and no session was expected.
    let seen = site.counts().await;
    for never in ["headers amiss", "sessions that were never given out", "GET", "DELETE"] {
        assert!(seen[never].is_null(), "{seen}");
    }
}

#[tokio::test]
async fn a_server_of_both_is_spoken_to_in_both_and_in_each_from_its_first_word_on() {
    let site = Site::start(&["--dual"]);
    let daemon = daemon()
        .command_server("pipe", &misbehave(&["--dual", "--pinned"]))
        .url_server("site", &site.url())
        .command_server("sdk", &fixture(&[]))
        .start()
        .await
        .unwrap();
    for name in ["pipe", "site"] {
        assert_eq!(in_state(&daemon, name, "ready").await["revision"], "2025-11-25");
        let modern = Modern::of(&daemon, name);
        // Many may ask at once, and there is one second dialect.
        let (one, another) = tokio::join!(modern.discover(), modern.discover());
        assert_eq!((one.0, another.0), (200, 200), "{one:?} {another:?}");
        assert_eq!(in_state(&daemon, name, "ready").await["second_revision"], REVISION);
        let (legacy, arguments) = (daemon.client(name).await.unwrap(), json!({"n": name}));
        let (old, new) =
            tokio::join!(ask(&legacy, "echo", arguments.clone()), modern.ask("echo", arguments));
        assert_echo(&old, &json!({"n": name}));
        assert_echo(&new, &json!({"n": name}));
    }
    assert_eq!(server(&daemon, "pipe").await["instances"].as_array().unwrap().len(), 2);
    let (legacy, modern) = (daemon.client("pipe").await.unwrap(), Modern::of(&daemon, "pipe"));
    assert!(counts(&legacy, "stats").await["server/discover"].is_null());
    let seen = modern.counts().await;
    assert_eq!((&seen["server/discover"], &seen["initialize"]), (&json!(1), &Value::Null));
    let sdk = Modern::of(&daemon, "sdk");
    assert_eq!(sdk.discover().await.0, 200);
    let said = sdk.ask("test_simple_text", json!({})).await;
    assert_eq!(said["result"]["content"][0]["type"], "text", "{said}");
}

#[tokio::test]
async fn a_second_face_is_started_again_after_it_was_lost_and_ended_when_nobody_wants_it() {
    let daemon = daemon()
        .command_server("pipe", &misbehave(&["--dual", "--pinned"]))
        .config("[servers.pipe.pool]\nmin = 0\nidle_timeout = \"1s\"")
        .start()
        .await
        .unwrap();
    let first = in_state(&daemon, "pipe", "ready").await["instances"][0]["pid"].clone();
    let modern = Modern::of(&daemon, "pipe");
    assert_eq!(modern.discover().await.0, 200);
    let second = async || {
        let now = server(&daemon, "pipe").await["instances"].clone();
        let others = now.as_array().unwrap().iter().filter(|instance| instance["pid"] != first);
        others.map(|other| other["pid"].as_i64()).collect::<Vec<_>>()
    };
    let pid = second().await[0].unwrap();
    kill(&Process::find(i32::try_from(pid).unwrap()).unwrap());
    eventually("an answer again", async || {
        let answer = modern.ask("echo", json!({"n": 7})).await;
        answer["result"]["structuredContent"]["echo"]["n"].as_u64()
    })
    .await;
    assert_ne!(second().await, [Some(pid)]);
    // The listen for list changes does not count as a use.
    eventually("only the first dialect is left", async || second().await.is_empty().then_some(()))
        .await;
    assert_echo(&modern.ask("echo", json!({"n": 8})).await, &json!({"n": 8}));
    assert_eq!(second().await.len(), 1);
    assert_eq!(server(&daemon, "pipe").await["instances"][0]["pid"], first);
}

#[tokio::test]
async fn lists_are_no_use_of_an_instance_and_start_none() {
    let daemon = daemon()
        .command_server("pipe", &misbehave(&["--dual", "--pinned", "--untold"]))
        .config("[servers.pipe.pool]\nmin = 0\nidle_timeout = \"1s\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "pipe", "ready").await;
    let modern = Modern(Client::new(&format!("{}/mcp", daemon.base())).unwrap());
    assert_eq!(modern.discover().await.0, 200);
    // A server that never announces changes is asked with each list of a client.
    let instances = async || {
        let listed = modern.answer("tools/list", json!({})).await;
        assert!(listed["result"]["tools"].as_array().unwrap().len() > 10, "{listed}");
        server(&daemon, "pipe").await["instances"].as_array().unwrap().len()
    };
    eventually("only the first dialect is left", async || (instances().await == 1).then_some(()))
        .await;
    for _ in 0..5 {
        assert_eq!(instances().await, 1);
    }
    assert_echo(&modern.ask("echo", json!({"n": 8})).await, &json!({"n": 8}));
    assert_eq!(instances().await, 2);
}

#[tokio::test]
async fn what_a_server_does_when_asked_for_the_unknown_is_no_failure_of_it() {
    let faults: [(&str, &[&str]); 5] = [
        ("refuses", &[]),
        ("dies", &["--die-on-discover"]),
        ("garbles", &["--dual", "--wrong-discover"]),
        ("silent", &["--silent-discover"]),
        ("page", &[]),
    ];
    let site = Site::start(&["--only-sse=404"]);
    let mut builder = daemon();
    for (name, flags) in faults {
        builder = match name {
            "page" => builder.url_server(name, &site.url()),
            _ => builder.command_server(name, &misbehave(flags)),
        };
        if name == "silent" {
            builder = builder.config("start_timeout = \"2s\"");
        }
    }
    let daemon = builder.start().await.unwrap();
    for (name, _) in faults {
        in_state(&daemon, name, "ready").await;
        let modern = Modern::of(&daemon, name);
        let (status, answer) = modern.discover().await;
        assert_eq!(status, 400, "{name}: {answer}");
        // The server is not asked a second time.
        assert_eq!(modern.send("tools/list", json!({})).await.0, 400, "{name}");
        eventually("only the first dialect is left", async || {
            let now = server(&daemon, name).await;
            (now["instances"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
        let now = server(&daemon, name).await;
        assert_eq!((&now["state"], &now["restarts"]), (&json!("ready"), &json!(0)), "{now}");
        let legacy = daemon.client(name).await.unwrap();
        assert_echo(&ask(&legacy, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    }
}

#[tokio::test]
async fn a_late_answer_to_the_first_question_is_waited_for() {
    let daemon = daemon()
        .command_server("slow", &misbehave(&["--dual", "--slow-discover=5000"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "slow", "ready").await;
    let modern = Modern::of(&daemon, "slow");
    let (_, mut first) = modern.send("server/discover", json!({})).await;
    let first = first.answer().await.unwrap();
    assert_eq!(first["error"]["data"]["code"], "SERVER_LOADING", "{first}");
    assert_eq!(modern.discover().await.0, 200);
}

#[tokio::test]
async fn changes_of_lists_are_heard_also_after_a_listen_was_dropped() {
    for flags in [&["--modern-only"][..], &["--modern-only", "--drop-listens=300"]] {
        let (_site, daemon) = both_ways(flags);
        let daemon = daemon.start().await.unwrap();
        for name in ["pipe", "site"] {
            in_state(&daemon, name, "ready").await;
            let modern = Modern::of(&daemon, name);
            eventually("a listen", async || {
                let listens = modern.counts().await["subscriptions/listen"].as_u64();
                listens.filter(|listens| *listens >= flags.len() as u64)
            })
            .await;
            modern.ask("change", json!({})).await;
            // The lists of the endpoint with all servers come from what was fetched.
            let all = Modern(Client::new(&format!("{}/mcp", daemon.base())).unwrap());
            eventually("the added tool", async || {
                let tools = all.tools().await;
                let added = |tool: &&String| tool.contains("added_0");
                (tools.iter().filter(added).count() > usize::from(name == "site")).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_to_be_listened_to_is_asked_with_each_list() {
    let daemon = daemon()
        .command_server("mute", &misbehave(&["--modern-only", "--no-listen"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "mute", "ready").await;
    let modern = Modern::of(&daemon, "mute");
    modern.ask("change", json!({})).await;
    let all = Modern(Client::new(&format!("{}/mcp", daemon.base())).unwrap());
    assert!(all.tools().await.contains(&"added_0".to_owned()));
}

#[tokio::test]
async fn calls_go_on_after_a_modern_server_was_lost() {
    let (mut site, daemon) = both_ways(&["--modern-only"]);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let modern = Modern::of(&daemon, name);
        for round in 0..2 {
            assert_echo(&modern.ask("echo", json!({"n": round})).await, &json!({"n": round}));
            if name == "pipe" {
                kill(&process(&daemon, name).await);
            } else {
                site.kill();
                site.revive();
            }
            eventually("an answer again", async || {
                let answer = modern.ask("echo", json!({"n": 7})).await;
                answer["result"]["structuredContent"]["echo"]["n"].as_u64()
            })
            .await;
        }
        assert!(modern.tools().await.contains(&"echo".to_owned()));
    }
}

#[tokio::test]
async fn a_call_that_is_left_is_cancelled_at_the_server() {
    let (_site, daemon) = both_ways(&["--modern-only"]);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let modern = Modern::of(&daemon, name);
        let waiting = json!({"name": "hang_until_cancelled", "arguments": {}});
        let left = modern.send("tools/call", waiting);
        assert!(tokio::time::timeout(Duration::from_millis(500), left).await.is_err());
        eventually("the call is over", async || {
            (server(&daemon, name).await["calls"] == 0).then_some(())
        })
        .await;
        let seen = modern.counts().await;
        // Over HTTP only the closed connection cancels.
        let told = seen["notifications/cancelled"].as_u64().unwrap_or(0);
        assert_eq!(told, u64::from(name == "pipe"), "{name}: {seen}");
    }
}

#[tokio::test]
async fn arguments_that_a_tool_wants_as_headers_are_sent_as_such() {
    let site = Site::start(&["--modern-only", "--mirrors"]);
    let daemon = daemon().url_server("site", &site.url()).start().await.unwrap();
    in_state(&daemon, "site", "ready").await;
    let all = Modern(Client::new(&format!("{}/mcp", daemon.base())).unwrap());
    let tools = all.tools().await;
    assert!(tools.contains(&"extra_mirror".to_owned()), "{tools:?}");
    assert!(!tools.contains(&"extra_wrong".to_owned()), "{tools:?}");
    let call = json!({"name": "extra_mirror", "arguments": {"region": "世"}});
    let header = [("mcp-param-region", "=?base64?5LiW?=")];
    for modern in [&all, &Modern::of(&daemon, "site")] {
        let (status, mut exchange) = modern.send_with("tools/call", call.clone(), &header).await;
        assert_eq!(status, 200);
        assert_echo(&exchange.answer().await.unwrap(), &json!({"region": "世"}));
        let (status, mut exchange) = modern.send("tools/call", call.clone()).await;
        let refused = exchange.answer().await.unwrap();
        assert_eq!((status, &refused["error"]["code"]), (400, &json!(-32020)), "{refused}");
    }
    assert_eq!(site.counts().await["region =?base64?5LiW?="], 2);
}
