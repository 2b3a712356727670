//! The target host of a request: RFC 9112, section 3.2.

use serde_json::Value;

use super::{Scene, whole};

async fn answer_to(scene: &Scene, head: &str) -> (u16, Value) {
    let mut connection = scene.stranger("near").raw().await.unwrap();
    connection.send(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    whole(connection.reply().await.unwrap()).await
}

#[tokio::test]
async fn a_request_says_once_which_host_it_is_for() {
    let scene = Scene::start().await;
    for (head, status) in [
        ("GET /health HTTP/1.1\r\nhost: localhost", 200),
        ("GET /health HTTP/1.0\r\nhost: localhost", 200),
        ("GET /health HTTP/1.0", 200),
        ("GET /health HTTP/1.1", 400),
        ("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost", 400),
        ("GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example", 400),
        ("GET /health HTTP/1.0\r\nhost: localhost\r\nhost: localhost", 400),
        (
            "GET /health HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\norigin: http://localhost",
            400,
        ),
        // The address in the first line counts, and not the header.
        ("GET http://localhost:1/health HTTP/1.1\r\nhost: evil.example", 200),
        ("GET http://evil.example/health HTTP/1.1\r\nhost: localhost", 421),
        ("GET http://evil.example/health HTTP/1.0", 421),
        ("GET http://localhost/health HTTP/1.1", 400),
        ("GET http://localhost@evil.example/health HTTP/1.1\r\nhost: localhost", 421),
    ] {
        let (got, answer) = answer_to(&scene, head).await;
        assert_eq!(got, status, "{head}: {answer}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_page_that_is_refused_for_two_origins_may_not_read_the_refusal() {
    let scene = Scene::start().await;
    let mut connection = scene.stranger("near").raw().await.unwrap();
    let head = "GET /health HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\
                origin: http://localhost\r\n\r\n";
    connection.send(head.as_bytes()).await.unwrap();
    let reply = connection.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (400, None));
    scene.undisturbed().await;
}
