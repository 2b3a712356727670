//! `/`: a page for browsers, and MCP for clients that know only the host.

use mainstay_testkit::Client;
use serde_json::json;

use super::{ask, serving, token};

/// As Firefox and Chromium send it.
const BROWSER: (&str, &str) =
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

#[tokio::test]
async fn a_browser_gets_a_page_and_clients_get_mcp() {
    let daemon = serving().await;
    for accept in [BROWSER, ("accept", "*/*")] {
        let (code, headers, page) = ask(&daemon, "GET /", &[accept], "").await;
        let page = page.as_str().unwrap();
        assert_eq!(code, 200, "{page}");
        assert!(page.contains("<td>one</td><td class=\"good\">ready</td>"), "{page}");
        assert!(page.contains("<code>http://localhost/mcp/one</code>"), "{page}");
        let policy = headers.iter().find(|(name, _)| name == "content-security-policy").unwrap();
        assert!(policy.1.starts_with("default-src 'none';"), "{policy:?}");
        assert!(!page.contains(daemon.state().to_str().unwrap()), "{page}");
    }
    // Every address on the page answers.
    let (_, _, page) = ask(&daemon, "GET /", &[BROWSER], "").await;
    for link in page.as_str().unwrap().split("href=\"/").skip(1) {
        let line = format!("GET /{}", link.split('"').next().unwrap());
        assert_eq!(ask(&daemon, &line, &[], "").await.0, 200, "{line}");
    }
    // A client that was given the bare address.
    let client = Client::connect(&format!("{}/", daemon.base())).await.unwrap();
    client.call("test_simple_text", json!({})).await.unwrap();
    assert!(client.listen(None).await.unwrap().is_stream());
    assert_eq!(client.delete().await.unwrap().status, 200);
}

#[tokio::test]
async fn from_elsewhere_the_page_needs_a_token() {
    let daemon = serving().await;
    let through = ("x-forwarded-for", "10.0.0.9");
    assert_eq!(ask(&daemon, "GET /", &[BROWSER, through], "").await.0, 401);
    let bearer = format!("Bearer {}", token(&daemon, &["--read"]));
    let known = ("authorization", bearer.as_str());
    assert_eq!(ask(&daemon, "GET /", &[BROWSER, through, known], "").await.0, 200);
}
