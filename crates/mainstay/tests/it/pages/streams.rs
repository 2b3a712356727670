//! Bodies in both directions: they pass as they come, within bounds, and end with whoever wants them.

use super::{Site, daemon_of, got, runs, sent, stranger};
use crate::shared::until;

#[tokio::test]
async fn bodies_pass_in_both_directions_with_a_length_and_in_chunks() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let text = "x".repeat(200_000);
    let request = format!(
        "POST /services/search/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let (status, _, body) = sent(&daemon, &request).await;
    assert!(status == 200 && body == text, "{status} {}", body.len());
    let request = "POST /services/search/echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let (status, _, body) = sent(&daemon, request).await;
    assert_eq!((status, &*body), (200, "hello world"));
    let request = "HEAD /services/search/web-ui/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (status, reply, _) = sent(&daemon, request).await;
    assert_eq!((status, reply.header("content-length")), (200, Some("1234")));
}

#[tokio::test]
async fn a_body_beyond_max_body_is_refused_with_a_length_and_without() {
    let site = Site::start();
    let daemon = daemon_of(&site, "[gateway]\nmax_body = '64KiB'\nreceive_timeout = '1s'").await;
    runs(&daemon, "/services/search/health").await;
    let before = site.count();
    let request =
        "POST /services/search/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n";
    let (status, _, text) = sent(&daemon, request).await;
    assert!(status == 413 && text.contains("max_body"), "{status} {text}");
    assert_eq!(site.count(), before);
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let request = format!(
        "POST /services/search/echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(3)
    );
    let (status, _, text) = sent(&daemon, &request).await;
    assert!(status == 413 && text.contains("max_body"), "{status} {text}");
    // One that never ends.
    let request =
        "POST /services/search/echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf";
    let (status, _, text) = sent(&daemon, request).await;
    assert!(status == 408 && text.contains("receive_timeout"), "{status} {text}");
}

#[tokio::test]
async fn a_stream_arrives_as_it_is_sent_and_ends_when_the_client_leaves() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let mut connection = stranger(&daemon).raw().await.unwrap();
    let request = b"GET /services/search/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.send(request).await.unwrap();
    let mut reply = connection.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let mut text = String::new();
    while !text.contains("data: 5\n") {
        let bytes = reply.bytes().await.unwrap().expect("the stream goes on");
        text.push_str(&String::from_utf8(bytes).unwrap());
    }
    assert!(text.starts_with("data: 0\n\ndata: 1\n\n"), "{text}");
    assert_eq!(site.open(), 1);
    drop(reply);
    until("the site's connection ends", async || site.open() == 0).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let mut connection = stranger(&daemon).raw().await.unwrap();
    let request = b"GET /services/search/drip HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.send(request).await.unwrap();
    // On a busy machine the end may come before the head was passed on.
    let Ok(mut reply) = connection.reply().await else { return };
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("10")));
    assert!(reply.text().await.is_err(), "a cut answer looks whole");
}

#[tokio::test]
async fn a_target_that_never_answers_is_given_up_and_hangs_nothing_else() {
    let site = Site::start();
    let daemon = daemon_of(&site, "[gateway]\ncall_timeout = '1s'").await;
    runs(&daemon, "/services/search/health").await;
    let ready = r#""state":"ready""#;
    until("ready", async || got(&daemon, "/api/services").await.1.contains(ready)).await;
    let hanging = got(&daemon, "/services/search/hang");
    let others = async {
        until("the site is asked", async || site.last().contains("/hang")).await;
        for _ in 0..5 {
            assert_eq!(got(&daemon, "/services/search/web-ui/").await.0, 200);
        }
    };
    let ((status, text), ()) = tokio::join!(hanging, others);
    assert!(status == 504 && text.contains("did not answer within 1s"), "{status} {text}");
    until("its connection ends", async || site.open() == 0).await;
    // A client that leaves leaves nothing behind either.
    let mut connection = stranger(&daemon).raw().await.unwrap();
    let request = b"GET /services/search/hang HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.send(request).await.unwrap();
    until("the site is asked", async || site.open() == 1).await;
    drop(connection);
    until("its connection ends", async || site.open() == 0).await;
}
