//! Pages that servers and services have beside MCP, passed through from real HTTP servers.

mod site;
mod streams;

use mainstay_admin::Action;
use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use crate::shared::{PATIENCE, daemon, eventually, misbehave, until};
use site::Site;

/// A daemon whose service `search` and whose server `browser` have their pages at one site.
async fn daemon_of(site: &Site, more: &str) -> Daemon {
    let url = site.url();
    daemon()
        .config(&format!(
            "[services.search]\n\
             command = ['sleep', '1000']\n\
             [services.search.pages]\n\
             target = '{url}'\n\
             paths = ['/health', '/web-ui/*', '/login', '/echo', '/broken', '/stream', '/drip', '/hang']\n\
             methods = ['GET', 'HEAD', 'POST']\n\
             [services.bare]\n\
             command = ['sleep', '1000']\n\
             {more}"
        ))
        .command_server("browser", &misbehave(&[]))
        .config(&format!("pages = {{ target = '{url}', paths = ['/web-ui/*'] }}"))
        .start()
        .await
        .unwrap()
}

fn stranger(daemon: &Daemon) -> Client {
    Client::new(&format!("{}/mcp", daemon.base())).unwrap()
}

/// Sends a head as it is, and returns the status, the answer's head, and its body.
async fn sent(daemon: &Daemon, request: &str) -> (u16, mainstay_testkit::client::Reply, String) {
    let mut connection = stranger(daemon).raw().await.unwrap();
    connection.send(request.as_bytes()).await.unwrap();
    let mut reply = connection.reply().await.unwrap();
    let text = match request.starts_with("HEAD") {
        true => String::new(),
        false => reply.text().await.unwrap(),
    };
    (reply.status, reply, text)
}

async fn got(daemon: &Daemon, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let (status, _, text) = sent(daemon, &request).await;
    (status, text)
}

async fn runs(daemon: &Daemon, path: &str) {
    until("the service runs", async || got(daemon, path).await.0 == 200).await;
}

#[tokio::test]
async fn declared_paths_and_methods_pass_and_nothing_else() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    assert_eq!(got(&daemon, "/services/search/health?deep=1&x=%2e%2e").await.0, 200);
    assert!(site.last().starts_with("GET /health?deep=1&x=%2e%2e HTTP/1.1\r\n"), "{}", site.last());
    let (status, text) = got(&daemon, "/services/search/web-ui/a%20b/index.html").await;
    assert_eq!((status, &*text), (200, "page of /web-ui/a%20b/index.html"));
    runs(&daemon, "/pages/browser/web-ui/").await;

    let before = site.count();
    for (path, lists) in [
        ("/services/search/admin", "paths"),
        ("/services/search", "paths"),
        ("/services/search/", "paths"),
        ("/services/search/HEALTH", "paths"),
        ("/services/search/web-ui", "paths"),
        ("/pages/browser/health", "paths"),
        ("/pages/search/health", "pages"),
        ("/services/browser/web-ui/", "pages"),
        ("/services/bare/health", "pages"),
        ("/services/Search/health", "pages"),
        ("/services/%73earch/health", "pages"),
        ("/services/nobody/", "pages"),
        ("/services/", "pages"),
        ("/pages//health", "pages"),
    ] {
        let (status, text) = got(&daemon, path).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &body["data"]["code"]), (404, &json!("NOT_FOUND")), "{path}: {body}");
        assert!(body[lists].as_array().is_some_and(|all| !all.is_empty()), "{path}: {body}");
    }
    let (_, text) = got(&daemon, "/pages/browser/x").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["paths"], json!(["/pages/browser/web-ui/*"]));
    let (_, text) = got(&daemon, "/services/nobody/").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["pages"], json!(["/pages/browser/", "/services/search/"]));

    for (method, path) in [
        ("DELETE", "/services/search/health"),
        ("TRACE", "/services/search/health"),
        ("POST", "/pages/browser/web-ui/"),
    ] {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
        let (status, reply, text) = sent(&daemon, &request).await;
        assert_eq!(status, 405, "{method} {path}: {text}");
        assert!(reply.header("allow").unwrap().starts_with("GET, HEAD"), "{text}");
    }
    assert_eq!(site.count(), before, "nothing of that reached the site");
}

/// Whatever the spelling, the site only ever sees declared paths.
#[tokio::test]
async fn no_spelling_of_a_path_reaches_what_is_not_declared() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let before = site.count();
    for path in [
        "/services/search/web-ui/../admin",
        "/services/search/web-ui/%2e%2e/admin",
        "/services/search/web-ui/.%2E/admin",
        "/services/search/web-ui/%252e%252e/admin",
        "/services/search/web-ui/..%2fadmin",
        "/services/search/web-ui/..%5cadmin",
        "/services/search/web-ui/..\\admin",
        "/services/search/web-ui/..;/admin",
        "/services/search/web-ui//admin",
        "/services/search//web-ui/",
        "/services/search/./web-ui/",
        "/services/search/x/../web-ui/",
        "/services/search/web-ui/%c0%ae%c0%ae/admin",
        "/services/search/web-ui/%00",
        "/services/search/web-ui/%zz",
        "/services/search%2fweb-ui/",
        "/services/search/web-ui%2f..%2fadmin",
        "/services/../services/search/health",
        "/services/search/../bare/health",
        "/pages/../services/search/health",
        "http://localhost/services/search/web-ui/../admin",
    ] {
        let (status, text) = got(&daemon, path).await;
        assert!(matches!(status, 400 | 404), "{path}: {status} {text}");
    }
    assert_eq!(site.count(), before, "{:?}", site.last());
}

#[tokio::test]
async fn pages_stand_behind_the_gate_of_mcp() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let before = site.count();
    for (headers, status) in [
        ("host: evil.example", 421),
        ("host: localhost\r\norigin: https://evil.example", 403),
        ("host: localhost\r\nhost: localhost", 400),
    ] {
        let request = format!("GET /services/search/health HTTP/1.1\r\n{headers}\r\n\r\n");
        assert_eq!(sent(&daemon, &request).await.0, status, "{headers}");
    }
    assert_eq!(site.count(), before);
}

#[tokio::test]
async fn what_proves_who_a_client_is_stays_here_and_what_targets_set_does_not_come_back() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let token = daemon.run(&["token"]).unwrap().stdout;
    let token = String::from_utf8(token).unwrap();
    let request = format!(
        "GET /services/search/login HTTP/1.1\r\nhost: localhost:9\r\nauthorization: Bearer {}\r\n\
         cookie: a=secret\r\nmcp-session-id: secret\r\nx-forwarded-for: 6.6.6.6\r\naccept: text/html\r\n\
         connection: x-hop\r\nx-hop: 1\r\n\r\n",
        token.trim()
    );
    let (status, reply, _) = sent(&daemon, &request).await;
    let seen = site.last().to_ascii_lowercase();
    assert_eq!(
        (status, reply.header("location")),
        (302, Some("/services/search/web-ui/?from=login"))
    );
    assert_eq!((reply.header("set-cookie"), reply.header("x-site")), (None, Some("yes")));
    for absent in [token.trim(), "secret", "6.6.6.6", "x-hop", "authorization", "cookie"] {
        assert!(!seen.contains(&absent.to_ascii_lowercase()), "{absent} in {seen}");
    }
    let host = site.url().replace("http://", "host: ");
    for present in [
        &*host,
        "accept: text/html",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: localhost:9",
        "x-forwarded-proto: http",
        "x-forwarded-prefix: /services/search",
        "via: 1.1 mainstay-pages",
    ] {
        assert!(seen.contains(&format!("\r\n{present}\r\n")), "{present} is not in {seen}");
    }
}

/// `curl -s URL > /dev/null` succeeds whatever the status is, so the status and the body must say it.
#[tokio::test]
async fn t3_6_an_error_of_a_page_is_passed_as_one_and_a_dead_target_is_none_of_200() {
    let mut site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    assert_eq!(
        got(&daemon, "/services/search/broken").await,
        (500, "broken: disk full".to_owned())
    );
    site.stop();
    // While the service starts, that nothing listens yet is told as such.
    let body = eventually("the service is known to run", async || {
        let (status, text) = got(&daemon, "/services/search/health").await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(matches!(status, 502 | 503), "{status} {body}");
        (status == 502).then_some(body)
    })
    .await;
    assert_eq!(body["data"]["code"], "SERVER_UNAVAILABLE", "{body}");
    let error = body["error"].as_str().unwrap();
    assert!(error.contains("service `search`") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn what_was_stopped_by_hand_has_no_pages_even_if_something_else_has_its_port() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let admin = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
    let name = "search".to_owned();
    admin.act(Action::StopNode { name: name.clone() }, false).await.unwrap();
    let before = site.count();
    let (status, text) = got(&daemon, "/services/search/health").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &body["state"]), (503, &json!("stopped")), "{body}");
    assert!(body["data"]["hint"].as_str().unwrap().contains("mainstay start search"), "{body}");
    assert_eq!(site.count(), before);
    admin.act(Action::StartNode { name }, false).await.unwrap();
    runs(&daemon, "/services/search/health").await;
}

#[tokio::test]
async fn a_service_that_dies_at_once_says_so_in_place_of_its_pages() {
    let site = Site::start();
    let more = format!(
        "[services.dead]\ncommand = ['false']\npages = {{ target = '{}', paths = ['/health'] }}",
        site.url()
    );
    let daemon = daemon_of(&site, &more).await;
    until("it is seen to have ended", async || {
        let (status, text) = got(&daemon, "/services/dead/health").await;
        status == 503 && (text.contains("backing-off") || text.contains("crash-looping"))
    })
    .await;
}

#[tokio::test]
async fn websockets_and_circles_are_refused_in_words() {
    let site = Site::start();
    let daemon = daemon_of(&site, "").await;
    runs(&daemon, "/services/search/health").await;
    let request = "GET /services/search/health HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n";
    let (status, _, text) = sent(&daemon, request).await;
    assert!(status == 501 && text.contains("WebSocket"), "{status} {text}");
    let request = "GET /services/search/health HTTP/1.1\r\nhost: localhost\r\nvia: 1.1 mainstay-pages\r\n\r\n";
    let (status, _, text) = sent(&daemon, request).await;
    assert!(status == 508 && text.contains("has been here before"), "{status} {text}");
}

#[tokio::test]
async fn below_a_public_url_pages_and_redirects_have_its_path() {
    let site = Site::start();
    let more = "[gateway]\npublic_url = 'https://tools.example.org/mcp/dev'\ntrusted_proxies = ['127.0.0.1']";
    let daemon = daemon_of(&site, more).await;
    let head = "host: tools.example.org\r\nx-forwarded-for: 10.9.8.7\r\nx-forwarded-proto: https";
    for path in ["/mcp/dev/services/search/login", "/services/search/login"] {
        let request = format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n");
        until("the service runs", async || sent(&daemon, &request).await.0 == 302).await;
        let (_, reply, _) = sent(&daemon, &request).await;
        let led = Some("/mcp/dev/services/search/web-ui/?from=login");
        assert_eq!(reply.header("location"), led, "{path}");
        let seen = site.last().to_ascii_lowercase();
        for present in [
            "x-forwarded-for: 10.9.8.7",
            "x-forwarded-host: tools.example.org",
            "x-forwarded-proto: https",
            "x-forwarded-prefix: /mcp/dev/services/search",
        ] {
            assert!(seen.contains(&format!("\r\n{present}\r\n")), "{present} is not in {seen}");
        }
    }
}
