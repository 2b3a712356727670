//! The probe `redis`: it answers PING.
//!
//! Three commands and their one-line answers are all of the protocol that is needed. A client library would bring
//! its own lookups, retries and connections that stay, and each of these is bounded otherwise here.

use mainstay_supervisor::probe::Outcome;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::address::{Address, TlsPeer};
use super::late::Late;
use crate::secrets::decoded;

/// What is sent to a Redis, and to which.
pub(super) struct RedisProbe {
    address: Address,
    tls: Option<TlsPeer>,
    /// All commands.
    request: Vec<u8>,
    /// The answers that come before that to PING.
    answers_before: usize,
}

const DEFAULT_PORT: u16 = 6379;
/// Longest line of an answer.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Longest words of a Redis that are told.
const WORDS_CHARS_MAX: usize = 200;

// === impl RedisProbe ===

impl RedisProbe {
    /// # Errors
    /// Says why the URL can't be used, without repeating it.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("its url is no URL: {error}"))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| "its url has no host".to_owned())?;
        let host = decoded(host);
        let tls = match url.scheme() {
            "redis" => None,
            "rediss" => Some(TlsPeer::checked(&host)?),
            _ => return Err("its url is not redis:// or rediss://".to_owned()),
        };
        let mut request = Vec::new();
        let mut answers_before = 0;
        if let Some(password) = url.password() {
            let (user, password) = (decoded(url.username()), decoded(password));
            match user.as_str() {
                "" => add(&mut request, &["AUTH", &password]),
                user => add(&mut request, &["AUTH", user, &password]),
            }
            answers_before += 1;
        }
        let database = url.path().trim_matches('/');
        if !database.is_empty() {
            let is_number = database.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number {
                return Err("the path of its url is not the number of a database".to_owned());
            }
            add(&mut request, &["SELECT", database]);
            answers_before += 1;
        }
        add(&mut request, &["PING"]);
        let address = Address::new(&host, url.port().unwrap_or(DEFAULT_PORT));
        Ok(Self { address, tls, request, answers_before })
    }

    /// # Errors
    /// The outcome, if it does not answer PING, or with an error.
    pub(super) async fn check(&self, late: &Late) -> Result<(), Outcome> {
        let mut stream = self.address.connect_with(self.tls.as_ref(), late).await?;
        late.is_silence(&format!(
            "{} accepts the connection and does not answer PING",
            self.address
        ));
        stream.write_all(&self.request).await.map_err(|error| self.closed(&error))?;
        for _ in 0..=self.answers_before {
            let line = self.line(&mut stream).await?;
            self.judge(&line)?;
        }
        Ok(())
    }

    /// Reads one line, byte by byte: it is short, and the last of a few.
    async fn line(&self, stream: &mut (impl AsyncRead + Unpin)) -> Result<String, Outcome> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < LINE_BYTES_MAX {
            line.push(stream.read_u8().await.map_err(|error| self.closed(&error))?);
            // Whatever else answers may never send this line end.
            if !matches!(line[0], b'+' | b'-') {
                break;
            }
        }
        let line: String =
            String::from_utf8_lossy(&line).trim_end().chars().take(WORDS_CHARS_MAX).collect();
        Ok(line.replace(char::is_control, " "))
    }

    fn judge(&self, line: &str) -> Result<(), Outcome> {
        match line.as_bytes().first() {
            Some(b'+') => Ok(()),
            Some(b'-') => Err(Outcome::unfit(
                format!("the Redis at {} says: {}", self.address, &line[1..]),
                "its probe got an error of Redis",
            )),
            _ => Err(Outcome::unfit(
                format!("what answers at {} is no Redis", self.address),
                "its probe got an answer that is not of Redis",
            )),
        }
    }

    fn closed(&self, error: &std::io::Error) -> Outcome {
        let reason =
            format!("{} closes the connection instead of answering PING: {error}", self.address);
        Outcome::silent(reason, "its probe got no answer")
    }
}

impl std::fmt::Debug for RedisProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisProbe({})", self.address)
    }
}

/// Adds a command to a request.
fn add(request: &mut Vec<u8>, words: &[&str]) {
    request.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::RedisProbe;

    #[test]
    fn a_url_becomes_commands() {
        for (url, address, request) in [
            ("redis://cache", "cache:6379", "*1\r\n$4\r\nPING\r\n"),
            ("redis://[::1]:7000/", "[::1]:7000", "*1\r\n$4\r\nPING\r\n"),
            (
                "rediss://:p%40ss@cache.example:7000/3",
                "cache.example:7000",
                "*2\r\n$4\r\nAUTH\r\n$4\r\np@ss\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$4\r\nPING\r\n",
            ),
            (
                "redis://app:key@cache",
                "cache:6379",
                "*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$3\r\nkey\r\n*1\r\n$4\r\nPING\r\n",
            ),
        ] {
            let probe = RedisProbe::new(url).unwrap();
            assert_eq!(probe.address.to_string(), address, "{url}");
            assert_eq!(String::from_utf8(probe.request.clone()).unwrap(), request, "{url}");
            assert_eq!(probe.tls.is_some(), url.starts_with("rediss"));
            assert_eq!(format!("{probe:?}"), format!("RedisProbe({address})"));
        }
        for url in ["cache:6379", "http://cache", "redis://", "redis://cache/main", "opensesame"] {
            let error = RedisProbe::new(url).unwrap_err();
            assert!(!error.contains("opensesame"), "{error}");
        }
    }
}
