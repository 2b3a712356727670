//! Connections through an HTTP proxy: a tunnel for https, requests with the whole address for http.

use std::io;

use http::HeaderValue;
use mainstay_model::settings::ProxySpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::descriptors;
use crate::dial::dial;

/// A checked proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// The variable that names it.
    variable: String,
    /// The value of `Proxy-Authorization`, if the proxy wants one.
    pub(super) authorization: Option<HeaderValue>,
}

/// Largest head of the answer to CONNECT.
const HEAD_BYTES_MAX: usize = 16 << 10;

// === impl Proxy ===

impl Proxy {
    /// # Errors
    /// When the address can't be used. The error does not repeat it: it may hold a password.
    pub(super) fn new(spec: &ProxySpec) -> Result<Self, String> {
        let unusable = || {
            format!(
                "{} names a proxy that can't be used: write http://HOST:PORT, or set \
                 `http_proxy = false` for this server",
                spec.variable
            )
        };
        let url = Url::parse(&spec.url).map_err(|_| unusable())?;
        let host = url.host_str().filter(|_| url.scheme() == "http").ok_or_else(unusable)?;
        let authorization = match &spec.credentials {
            None => None,
            Some(credentials) => {
                let basic = format!("Basic {}", STANDARD.encode(credentials.expose()));
                let mut value = HeaderValue::from_str(&basic).map_err(|_| unusable())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            variable: spec.variable.clone(),
            authorization,
        })
    }

    /// Connects to the proxy. `tunnel_to`: the authority to open a tunnel to.
    ///
    /// # Errors
    /// Says that it is the proxy that could not be reached, or what it answered.
    pub(super) async fn connect(&self, tunnel_to: Option<&str>) -> io::Result<TcpStream> {
        let mut stream = dial(&self.host, self.port).await.map_err(|error| {
            match descriptors::are_used_up(&error) {
                true => error,
                false => io::Error::new(error.kind(), format!("{self} can't be reached: {error}")),
            }
        })?;
        if let Some(authority) = tunnel_to {
            self.open_tunnel(&mut stream, authority).await?;
        }
        Ok(stream)
    }

    async fn open_tunnel(&self, stream: &mut TcpStream, authority: &str) -> io::Result<()> {
        let mut request =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        let mut head = Vec::new();
        // Byte by byte, because what follows the head belongs to the tunnel. The head is short.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "{self} answered CONNECT with headers that are too long"
                )));
            }
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return Err(io::Error::other(format!("{self} closed the connection"))),
            }
        }
        let status =
            String::from_utf8_lossy(head.split(|byte| *byte == b' ').nth(1).unwrap_or_default())
                .into_owned();
        match status.as_str() {
            "200" => Ok(()),
            "407" => Err(io::Error::other(format!("{self} wants other credentials (HTTP 407)"))),
            status if status.parse::<u16>().is_ok() => {
                Err(io::Error::other(format!("{self} refused a tunnel (HTTP {status})")))
            }
            _ => Err(io::Error::other(format!("{self} does not speak HTTP"))),
        }
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {}:{} (from {})", self.host, self.port, self.variable)
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Redacted;
    use mainstay_model::settings::ProxySpec;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::Proxy;

    fn spec(url: &str, credentials: Option<&str>) -> ProxySpec {
        let credentials = credentials.map(|text| Redacted::new(text.to_owned()));
        ProxySpec { url: url.to_owned(), credentials, variable: "HTTPS_PROXY".to_owned() }
    }

    /// A tunnel through a proxy that answers so, and what the proxy was asked.
    async fn tunnel(answer: &'static str) -> (Result<Vec<u8>, String>, String) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = socket.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(asked[..length].to_vec()).unwrap()
        });
        let proxy = Proxy::new(&spec(&url, Some("ann:opensesame"))).unwrap();
        let through = match proxy.connect(Some("mcp.example:443")).await {
            Ok(mut stream) => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                Ok(rest)
            }
            Err(error) => Err(error.to_string()),
        };
        (through, asked.await.unwrap())
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_begins_after_the_head() {
        let (through, asked) =
            tunnel("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhello").await;
        assert_eq!(through.unwrap(), b"hello");
        let expected = "CONNECT mcp.example:443 HTTP/1.1\r\nHost: mcp.example:443\r\n\
                        Proxy-Authorization: Basic YW5uOm9wZW5zZXNhbWU=\r\n\r\n";
        assert_eq!(asked, expected);
    }

    #[tokio::test]
    async fn a_refusal_says_that_it_is_the_proxys() {
        for (answer, said) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants other credentials"),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused a tunnel (HTTP 502)"),
            ("SSH-2.0\r\n\r\n", "does not speak HTTP"),
            ("HTTP/1.1 200", "closed the connection"),
        ] {
            let (through, _) = tunnel(answer).await;
            let error = through.unwrap_err();
            assert!(error.contains(said) && error.contains("the proxy 127.0.0.1:"), "{error}");
        }
    }

    #[test]
    fn what_is_no_http_proxy_is_refused_without_repeating_it() {
        for url in ["https://h:1", "socks5://opensesame@h", "opensesame", "http://"] {
            let error = Proxy::new(&spec(url, None)).unwrap_err();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("opensesame"), "{error}");
        }
        let shown = format!("{:?}", Proxy::new(&spec("http://h", Some("a:opensesame"))).unwrap());
        assert!(!shown.contains("opensesame"), "{shown}");
    }
}
