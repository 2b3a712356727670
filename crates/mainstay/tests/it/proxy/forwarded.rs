//! The headers of proxies, sent by a trusted or untrusted peer.

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, SseClient, programs};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// Longer than anything takes on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

fn builder(gateway: &str) -> Builder {
    let program = programs::misbehave().unwrap();
    Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
        .config(&format!("[gateway]\n{gateway}"))
        .command_server("tools", &[program.to_str().unwrap(), "stdio"])
}

/// Sends a request that is refused, and returns the log line that names its sender.
async fn refused(daemon: &Daemon, headers: &[(&str, &str)]) -> String {
    let client = Client::new(&daemon.endpoint("tools")).unwrap();
    let headers = [headers, &[("origin", "https://evil.example")]].concat();
    assert_eq!(client.post(PING, &headers).await.unwrap().status, 403);
    daemon.wait_for_log("evil.example", PATIENCE).await.unwrap();
    daemon.log()
}

#[tokio::test]
async fn the_log_names_the_client_where_the_proxy_is_trusted() {
    let said = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
    for (trusted, is_named) in [
        ("trusted_proxies = [\"127.0.0.1\"]", true),
        ("trusted_proxies = [\"10.0.0.0/8\"]", false),
        ("", false),
    ] {
        let daemon = builder(trusted).start().await.unwrap();
        let log = refused(&daemon, &said).await;
        assert_eq!(log.contains("203.0.113.9"), is_named, "{trusted}: {log}");
        assert!(
            !log.contains("198.51.100.1"),
            "what a client said itself is never believed: {log}"
        );
    }
}

#[tokio::test]
async fn a_forwarded_host_is_checked_and_does_not_open_the_gate() {
    let trusting = "trusted_proxies = [\"127.0.0.1\"]\nallowed_hosts = [\"tools.example\"]";
    let trusting = builder(trusting).start().await.unwrap();
    let strict = builder("").start().await.unwrap();
    for (daemon, host, forwarded, is_let_in) in [
        (&trusting, "localhost", "tools.example", true),
        (&trusting, "localhost", "evil.example", false),
        (&trusting, "localhost", "tools.example, evil.example", false),
        // A page whose name resolves to loopback can set any header but `Host`.
        (&trusting, "evil.example", "tools.example", false),
        (&strict, "evil.example", "localhost", false),
        (&strict, "localhost", "evil.example", true),
    ] {
        let client = Client::new(&daemon.endpoint("tools")).unwrap();
        for header in ["x-forwarded-host", "forwarded"] {
            let value = match header {
                "forwarded" => forwarded.split(", ").map(|host| format!("host={host}")).collect(),
                _ => vec![forwarded.to_owned()],
            };
            let value = value.join(", ");
            let headers = [("host", host), (header, &*value)];
            let status = client.post(PING, &headers).await.unwrap().status;
            assert_eq!(status != 421, is_let_in, "{host} {header}: {value}: {status}");
        }
    }
}

#[tokio::test]
async fn the_prefix_of_a_trusted_proxy_leads_the_older_transport_back() {
    for (gateway, expected) in [
        ("trusted_proxies = [\"127.0.0.1\"]", "/there/messages?"),
        ("", "/messages?"),
        ("trusted_proxies = [\"127.0.0.1\"]\npublic_url = \"http://x/here\"", "/here/messages?"),
    ] {
        let daemon = builder(gateway).start().await.unwrap();
        let opener = Client::new(&format!("{}/sse/tools", daemon.base())).unwrap();
        let opener = opener.header("x-forwarded-prefix", "/there/");
        let mut stream = opener.listen(None).await.unwrap();
        let first = stream.event().await.unwrap().unwrap();
        assert!(first.data.starts_with(expected), "{gateway}: {}", first.data);
    }
    // Without such headers, nothing changes.
    let daemon = builder("").start().await.unwrap();
    let client = SseClient::open(&format!("{}/sse/tools", daemon.base())).await.unwrap();
    assert!(client.first.data.starts_with("/messages?"), "{}", client.first.data);
}
