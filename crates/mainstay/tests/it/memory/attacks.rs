//! The attacks. Each returns the connections that keep it going.

use mainstay_testkit::client::{Connection, SseClient};
use mainstay_testkit::{Client, Daemon};
use serde_json::json;

use super::Arena;

/// What keeps an attack going until it is dropped.
#[derive(Default)]
pub(super) struct Held {
    pub(super) connections: Vec<Connection>,
    streams: Vec<SseClient>,
}

/// A POST as it is sent, in the session of a client.
pub(super) fn posted(client: &Client, body: &str) -> String {
    let length = body.len().to_string();
    let own = [("content-type", "application/json"), ("content-length", length.as_str())];
    client.head("POST", &own, &[]) + body
}

pub(super) fn call(id: usize, tool: &str, arguments: &serde_json::Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// Bodies of known length of which the last byte never comes.
pub(super) async fn unfinished_bodies(arena: &Arena, count: usize, bytes: usize) -> Held {
    let client = arena.able("2025-11-25", json!({})).await;
    let length = bytes.to_string();
    let own = [("content-type", "application/json"), ("content-length", length.as_str())];
    let head = client.head("POST", &own, &[]);
    let body = vec![b' '; bytes - 1];
    let mut held = Held::default();
    for _ in 0..count {
        let Ok(mut connection) = client.raw().await else { continue };
        // A refused body is not read to its end.
        if connection.send(head.as_bytes()).await.is_ok() {
            let _ = connection.send(&body).await;
        }
        held.connections.push(connection);
    }
    held
}

/// Large answers to clients that do not read.
pub(super) async fn unread_answers(arena: &Arena, count: usize, bytes: usize) -> Held {
    let client = arena.able("2025-11-25", json!({})).await;
    let mut held = Held::default();
    for id in 0..count {
        let mut connection = client.raw().await.unwrap();
        let body = call(id, "huge", &json!({"bytes": bytes}));
        connection.send(posted(&client, &body).as_bytes()).await.unwrap();
        held.connections.push(connection);
    }
    held
}

/// Large answers on streams of HTTP+SSE that nobody reads.
pub(super) async fn unread_streams(arena: &Arena, count: usize, bytes: usize) -> Held {
    let mut held = Held::default();
    for _ in 0..count {
        let url = format!("{}/sse/far", arena.daemon.base());
        let mut client = SseClient::connect(&url, &json!({})).await.unwrap();
        let params = json!({"name": "huge", "arguments": {"bytes": bytes}});
        // No more is accepted once the memory is used up.
        let _ = client.send("tools/call", params).await;
        held.streams.push(client);
    }
    held
}

/// One batch of calls with large answers, to a client that does not read.
pub(super) async fn batch(arena: &Arena, count: usize, bytes: usize) -> Held {
    let client = arena.able("2025-03-26", json!({})).await;
    let calls: Vec<_> = (0..count).map(|id| call(id, "huge", &json!({"bytes": bytes}))).collect();
    let mut connection = client.raw().await.unwrap();
    let body = format!("[{}]", calls.join(","));
    connection.send(posted(&client, &body).as_bytes()).await.unwrap();
    Held { connections: vec![connection], ..Held::default() }
}

/// Sessions of clients that can be asked questions, each with one call behind it. The server has a session for
/// each of them, which stays as long as the client may come back.
pub(super) async fn interactive_sessions(arena: &Arena, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = arena.able("2025-11-25", json!({"elicitation": {}})).await;
        client.call("echo", json!({})).await.unwrap();
        clients.push(client);
    }
    clients
}

/// Large questions to clients that do not read, so many in each of as many calls of each client.
pub(super) async fn unread_questions(
    clients: &[Client],
    (calls, questions): (usize, usize),
    bytes: usize,
) -> Held {
    let mut held = Held::default();
    for client in clients {
        for id in 0..calls {
            let mut connection = client.raw().await.unwrap();
            let body = call(id, "ask_flood", &json!({"count": questions, "bytes": bytes}));
            connection.send(posted(client, &body).as_bytes()).await.unwrap();
            held.connections.push(connection);
        }
    }
    held
}

/// Streams of calls with so many notifications each, which nobody reads.
pub(super) async fn unread_notifications(arena: &Arena, streams: usize, each: usize) -> Held {
    let mut held = Held::default();
    for _ in 0..streams {
        let client = arena.able("2025-11-25", json!({})).await;
        let mut connection = client.raw().await.unwrap();
        let body = call(1, "flood", &json!({"count": each, "bytes": 15_000}));
        connection.send(posted(&client, &body).as_bytes()).await.unwrap();
        held.connections.push(connection);
    }
    held
}

/// Heads of so many bytes, of which the end never comes.
pub(super) async fn endless_heads(arena: &Arena, count: usize, bytes: usize) -> Held {
    let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
    let head = client.head("GET", &[("x", &"h".repeat(bytes))], &[]);
    let head = head.trim_end().as_bytes();
    let mut held = Held::default();
    for _ in 0..count {
        let Ok(mut connection) = client.raw().await else { continue };
        // One that is too long is refused before it is read.
        let _ = connection.send(head).await;
        held.connections.push(connection);
    }
    held
}

/// Connections on which nothing is sent.
pub(super) async fn connections(arena: &Arena, count: usize) -> Held {
    let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
    let mut held = Held::default();
    for _ in 0..count {
        held.connections.extend(client.raw().await);
    }
    held
}

/// Sessions that are opened and never used. Returns how many there were.
pub(super) async fn initializes(daemon: &Daemon, count: usize) -> usize {
    let mut opened = 0;
    // One connection for all.
    let client = Client::new(&daemon.endpoint("far")).unwrap();
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "stranger", "version": "0"},
    });
    for _ in 0..count {
        let mut exchange = client.send("initialize", params.clone()).await.unwrap();
        let answer = exchange.answer().await.unwrap();
        opened += usize::from(answer["error"].is_null());
    }
    opened
}
