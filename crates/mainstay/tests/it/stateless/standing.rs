//! Open listens: they are visible, bounded in number, and end with their clients.

use mainstay_testkit::Daemon;
use mainstay_testkit::client::{Connection, Reply, SseClient};
use serde_json::{Value, json};

use super::{PATIENCE, Scene, until};

/// Sends a listen with the id that identifies it in the log, and returns the answer.
async fn ask(scene: &Scene, name: &str, wanted: Value, request_id: &str) -> Reply {
    let request = scene.request(name, "subscriptions/listen", json!({"notifications": wanted}));
    request.header("x-request-id", Some(request_id)).send().await
}

/// Opens a listen and waits for its acknowledgement.
async fn listen(scene: &Scene, name: &str, request_id: &str) -> Reply {
    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://one"]});
    let mut reply = ask(scene, name, wanted, request_id).await;
    assert!(reply.is_stream(), "{}", reply.status);
    let first = reply.message().await.unwrap().expect("an acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    reply
}

/// Waits for a notification, dropping earlier ones.
async fn heard(reply: &mut Reply, method: &str) {
    while reply.message().await.unwrap().expect("the stream goes on")["method"] != method {}
}

/// Returns the refusal in an answer.
async fn refusal(mut reply: Reply) -> Value {
    assert_eq!((reply.status, reply.is_stream()), (200, false));
    reply.json().await.unwrap()["error"].clone()
}

/// Opens a listen for this resource on its own connection, which is never read.
async fn unread(scene: &Scene, name: &str, uri: &str) -> Connection {
    let wanted = json!({"notifications": {"resourceSubscriptions": [uri]}});
    let request = scene.request(name, "subscriptions/listen", wanted);
    let body = request.body.to_string();
    let length = body.len().to_string();
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend([("content-type", "application/json"), ("content-length", &length)]);
    let mut connection = request.to.raw().await.unwrap();
    let head = request.to.head("POST", &headers, &[]);
    connection.send((head + &body).as_bytes()).await.unwrap();
    connection
}

/// Waits for a line of the log that contains all of these texts.
async fn told(daemon: &Daemon, all: &[&str]) {
    until(&format!("a line with {all:?}"), async || {
        daemon.log().lines().any(|line| all.iter().all(|part| line.contains(part)))
    })
    .await;
}

impl Scene {
    async fn get(&self, path: &str) -> Reply {
        let client = mainstay_testkit::Client::new(self.daemon.base()).unwrap();
        client.plain("GET", path).await.unwrap()
    }

    /// Returns the value of one series, named as at `/metrics`.
    async fn metric(&self, series: &str) -> u64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    async fn open(&self, endpoint: &str, kind: &str) -> u64 {
        let labels = format!("endpoint=\"{endpoint}\",kind=\"{kind}\"");
        self.metric(&format!("mainstay_streams_open{{{labels}}}")).await
    }

    async fn ended(&self, kind: &str, reason: &str) -> u64 {
        let labels = format!("kind=\"{kind}\",reason=\"{reason}\"");
        self.metric(&format!("mainstay_streams_ended_total{{{labels}}}")).await
    }

    /// Returns the number of answered listens by outcome.
    async fn answered(&self, outcome: &str) -> u64 {
        let labels = format!("server=\"*\",method=\"subscriptions/listen\",outcome=\"{outcome}\"");
        self.metric(&format!("mcp_requests_total{{{labels}}}")).await
    }

    /// Returns the number of listens that a server reports.
    async fn listens_at(&self, server: &str) -> u64 {
        let ended = self.count(server, "listens cancelled").await;
        let ended = ended + self.count(server, "listens left").await;
        self.count(server, "subscriptions/listen").await - ended
    }

    /// Waits until the daemon listens to a server and no client does.
    async fn listens_itself(&self, server: &str) {
        until("the daemon listens", async || self.listens_at(server).await == 1).await;
    }

    async fn status(&self) -> Value {
        self.get("/api/status").await.json().await.unwrap()
    }

    fn page(&self) -> String {
        String::from_utf8(self.daemon.run(&["status"]).unwrap().stdout).unwrap()
    }
}

#[tokio::test]
async fn what_is_open_is_seen_everywhere_and_its_end_has_a_reason() {
    let scene = Scene::start().await;
    let status = scene.status().await;
    assert_eq!(
        (&status["sessions"]["listens"], &status["sessions"]["streams"]),
        (&json!(0), &json!(0))
    );
    assert!(scene.page().contains("0 listens, 0 open streams, "), "{}", scene.page());
    for (endpoint, kind) in [("/mcp", "listen"), ("/mcp/near", "get"), ("/mcp/old", "sse")] {
        assert_eq!(scene.open(endpoint, kind).await, 0);
    }

    let near = [listen(&scene, "near", "one").await, listen(&scene, "near", "two").await];
    let all = listen(&scene, "", "three").await;
    let session = scene.daemon.client("near").await.unwrap();
    let mut get = session.listen(None).await.unwrap();
    assert!(get.is_stream());
    let sse = format!("{}/sse/old", scene.daemon.base());
    let sse = SseClient::connect(&sse, &json!({})).await.unwrap();
    for (endpoint, kind, count) in [
        ("/mcp/near", "listen", 2),
        ("/mcp", "listen", 1),
        ("/mcp/far", "listen", 0),
        ("/mcp/near", "get", 1),
        ("/mcp/old", "sse", 1),
    ] {
        assert_eq!(scene.open(endpoint, kind).await, count, "{endpoint} {kind}");
    }
    assert_eq!(scene.metric("mainstay_streams_opened_total{kind=\"listen\"}").await, 3);
    let status = scene.status().await;
    assert_eq!(
        (&status["sessions"]["listens"], &status["sessions"]["streams"]),
        (&json!(3), &json!(2))
    );
    let of = |path: &str| {
        let all = status["endpoints"].as_array().unwrap();
        let endpoint = all.iter().find(|endpoint| endpoint["path"] == path).unwrap();
        (endpoint["listens"].clone(), endpoint["streams"].clone())
    };
    assert_eq!(of("/mcp/near"), (json!(2), json!(1)));
    assert_eq!(of("/mcp/old"), (json!(0), json!(1)));
    let sessions = scene.get("/api/sessions").await.json().await.unwrap();
    assert_eq!((&sessions["listens"], &sessions["streams"]), (&json!(3), &json!(2)));
    let page = scene.page();
    assert!(page.contains("3 listens, 2 open streams, "), "{page}");
    assert!(page.contains("\nADDRESS    LISTENS  OPEN STREAMS\n/mcp       1        0\n"), "{page}");

    drop((near, all, sse));
    until("all are let go", async || scene.page().contains(" 0 listens, 1 open stream, ")).await;
    assert_eq!((scene.ended("listen", "client").await, scene.ended("sse", "client").await), (3, 1));
    assert_eq!(scene.answered("cancelled").await, 3);
    session.delete().await.unwrap();
    assert!(get.message().await.unwrap().is_none());
    until("the session's stream is", async || scene.ended("get", "session").await == 1).await;
    assert_eq!(scene.open("/mcp/near", "get").await, 0);
    for (what, more) in [("stream opened", ""), ("stream ended", r#""reason":"client""#)] {
        for id in ["one", "two", "three"] {
            let id = format!("\"request_id\":\"{id}\"");
            told(&scene.daemon, &[what, &id, more]).await;
        }
    }
}

#[tokio::test]
async fn past_the_most_listens_the_next_is_refused_and_the_others_go_on() {
    let scene = Scene::with("[gateway]\nmax_sessions = 3", &[]).await;
    for name in ["near", "far"] {
        scene.listens_itself(name).await;
    }
    let mut standing = vec![
        listen(&scene, "near", "a").await,
        listen(&scene, "", "b").await,
        listen(&scene, "far", "c").await,
    ];
    let asked = [
        scene.count("near", "subscriptions/listen").await,
        scene.count("far", "subscriptions/listen").await,
    ];
    for (name, id) in [("near", "too-many-1"), ("", "too-many-2"), ("far", "too-many-3")] {
        let wanted = json!({"resourceSubscriptions": ["test://one"]});
        let error = refusal(ask(&scene, name, wanted, id).await).await;
        assert_eq!(
            (&error["code"], &error["data"]["code"]),
            (&json!(1012), &json!("SESSION_LIMIT"))
        );
        assert_eq!(error["data"]["limit"], "max_sessions: 3", "{error}");
        assert_eq!(error["data"]["request_id"], id, "{error}");
        assert!(error["data"]["retry_after_ms"].as_u64().unwrap() > 0, "{error}");
        assert!(error["data"]["hint"].as_str().unwrap().contains("max_sessions"), "{error}");
        told(&scene.daemon, &["WARN", "stream refused", id]).await;
    }
    assert_eq!(scene.metric("mainstay_streams_refused_total{kind=\"listen\"}").await, 3);
    assert_eq!(scene.metric("mcp_errors_total{server=\"*\",code=\"SESSION_LIMIT\"}").await, 3);
    assert_eq!(scene.answered("refused").await, 3);
    for (name, before) in [("near", asked[0]), ("far", asked[1])] {
        let now = scene.count(name, "subscriptions/listen").await;
        assert_eq!(now, before, "{name} was not asked for those");
    }
    // Sessions and calls are counted separately.
    let session = scene.daemon.client("near").await.unwrap();
    session.call("echo", json!({})).await.unwrap();
    scene.call("near", "change", json!({})).await;
    for reply in &mut standing[..2] {
        heard(reply, "notifications/tools/list_changed").await;
    }

    // A listen that ends makes room for another one.
    standing.remove(0);
    until("it is let go", async || scene.open("/mcp/near", "listen").await == 0).await;
    standing.push(listen(&scene, "near", "d").await);
    let error = refusal(ask(&scene, "near", json!({"toolsListChanged": true}), "e").await).await;
    assert_eq!(error["code"], 1012);
    scene.call("far", "touch", json!({"uri": "test://one"})).await;
    heard(&mut standing[1], "notifications/resources/updated").await;
}

#[tokio::test]
async fn many_at_once_get_no_more_places_than_there_are() {
    let scene = Scene::with("[gateway]\nmax_sessions = 5", &[]).await;
    // A listen takes its slot before the servers are asked, which takes a while.
    let wanted = || json!({"resourceSubscriptions": ["test://one"]});
    let all = (0..20).map(|_| ask(&scene, "near", wanted(), "many"));
    let all = futures_util::future::join_all(all).await;
    let (standing, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Reply::is_stream);
    assert_eq!((standing.len(), refused.len()), (5, 15));
    assert_eq!(scene.open("/mcp/near", "listen").await, 5);
    drop(standing);
    until("all are let go", async || scene.open("/mcp/near", "listen").await == 0).await;
    let again = futures_util::future::join_all((0..5).map(|_| listen(&scene, "near", "again")));
    assert_eq!(again.await.len(), 5);
}

#[tokio::test]
async fn a_listener_that_vanishes_without_a_word_is_let_go() {
    let scene = Scene::with("[gateway]\nmax_sessions = 1\nreceive_timeout = \"2s\"", &[]).await;
    for name in ["near", "far"] {
        let endpoint = format!("/mcp/{name}");
        let stands = async || scene.open(&endpoint, "listen").await == 1;
        let gone = async || scene.open(&endpoint, "listen").await == 0;
        scene.listens_itself(name).await;

        // Closed with unread data, so the connection is reset.
        let connection = unread(&scene, name, "test://one").await;
        until("it stands", stands).await;
        drop(connection);
        until("a reset is noticed", gone).await;
        // Closed in one direction, which a listening client never does.
        let mut connection = unread(&scene, name, "test://one").await;
        until("it stands", stands).await;
        connection.half_close().await.unwrap();
        until("half a goodbye is noticed", gone).await;
        drop(connection);
        let left = scene.ended("listen", "client").await;
        // The client is connected but reads nothing.
        let uri = format!("test://{}", "x".repeat(128 << 10));
        let connection = unread(&scene, name, &uri).await;
        until("it stands", stands).await;
        let slow = scene.ended("listen", "slow_client").await;
        until("nothing is kept for it", async || {
            for _ in 0..20 {
                scene.call(name, "touch", json!({"uri": uri})).await;
            }
            gone().await
        })
        .await;
        assert_eq!(scene.ended("listen", "client").await, left);
        assert_eq!(scene.ended("listen", "slow_client").await, slow + 1);
        drop(connection);
        // The server has no listens left either, and there is room.
        until("the server is let go, too", async || scene.listens_at(name).await == 1).await;
        drop(listen(&scene, name, "next").await);
        until("it is let go", gone).await;
    }
}

#[tokio::test]
async fn a_stream_that_gives_way_to_another_is_no_loss() {
    let scene = Scene::start().await;
    let session = scene.daemon.client("near").await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..9 {
        streams.push(session.listen(None).await.unwrap());
    }
    until("the oldest gives way", async || scene.ended("get", "displaced").await == 1).await;
    assert_eq!(scene.open("/mcp/near", "get").await, 8);
    drop(streams);
    until("all are let go", async || scene.open("/mcp/near", "get").await == 0).await;
    assert_eq!(scene.ended("get", "client").await, 8);
    assert_eq!(scene.metric("mainstay_streams_opened_total{kind=\"get\"}").await, 9);
    // The same stream, resumed on another connection: only one reads it at a time.
    let mut first = session.listen(None).await.unwrap();
    let id = first.event().await.unwrap().unwrap().id;
    let again = session.listen(Some(&id)).await.unwrap();
    assert!(again.is_stream());
    assert_eq!(scene.open("/mcp/near", "get").await, 1);
    assert_eq!(scene.ended("get", "displaced").await, 2);
    assert!(first.event().await.unwrap().is_none());
    drop(again);
    until("it is let go", async || scene.open("/mcp/near", "get").await == 0).await;
}

#[tokio::test]
async fn a_daemon_that_stops_says_of_each_stream_that_it_has_ended() {
    let mut scene = Scene::start().await;
    let mut reply = listen(&scene, "near", "last").await;
    scene.daemon.term().unwrap();
    while reply.message().await.unwrap().is_some() {}
    scene.daemon.wait(PATIENCE).await.unwrap();
    told(&scene.daemon, &["stream ended", "last", "stopped"]).await;
}
