//! CORS preflights: which methods and headers a browser lets a page send.

use mainstay_testkit::client::Reply;

use super::Scene;

async fn preflight(scene: &Scene, path: &str, origin: &str, asked: &str) -> Reply {
    let mut connection = scene.stranger("near").raw().await.unwrap();
    let head = format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: {asked}\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.unwrap();
    connection.reply().await.unwrap()
}

fn allowed(reply: &Reply) -> Vec<&str> {
    reply.header("access-control-allow-headers").unwrap_or_default().split(", ").collect()
}

#[tokio::test]
async fn a_page_may_send_the_headers_that_it_asks_for() {
    let scene = Scene::start().await;
    let asked = "content-type,traceparent, X-Api-Key ,mcp-param-region,b@d,,x-y";
    for path in ["/mcp", "/mcp/near", "/sse", "/messages"] {
        let reply = preflight(&scene, path, "http://localhost:6274", asked).await;
        assert_eq!(reply.status, 204, "{path}");
        let names = allowed(&reply);
        for name in ["content-type", "mcp-session-id", "traceparent", "x-api-key", "x-y"] {
            assert_eq!(
                names.iter().filter(|other| **other == name).count(),
                1,
                "{path}: {names:?}"
            );
        }
        assert!(names.contains(&"mcp-param-region") && !names.contains(&"b@d"), "{names:?}");
        let refused = preflight(&scene, path, "https://evil.example", asked).await;
        assert_eq!((refused.status, allowed(&refused)), (403, vec![""]), "{path}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn the_answer_is_bounded() {
    let scene = Scene::start().await;
    let many: Vec<_> = (0..500).map(|n| format!("x-{n}")).collect();
    let long = "y".repeat(1000);
    let asked = format!("{long},{}", many.join(","));
    let reply = preflight(&scene, "/mcp", "http://localhost:6274", &asked).await;
    let names = allowed(&reply);
    assert!(names.contains(&"x-0") && !names.contains(&"x-499"), "{names:?}");
    assert!(names.len() < 100 && !names.contains(&&*long), "{names:?}");
    scene.undisturbed().await;
}
