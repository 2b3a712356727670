//! Connections that carry one stream and nothing else.
//!
//! A client that listens for background messages keeps a connection for hours on which hardly
//! anything happens. hyper holds 16 KiB of buffers for each, more than everything else such a
//! client costs. So once the head of the response is known the connection is taken from hyper, and
//! this module does the rest of HTTP/1.1: chunks (RFC 9112 §7.1), and closing the connection at the
//! end of the stream.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use http::response::Parts;
use http::{Method, Request, Version};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::answer::HttpAnswer;
use crate::answer::body::Body;

/// Events that are ready at once are sent together up to this many bytes; a larger event goes
/// alone.
const TOGETHER_BYTES_MAX: usize = 16 << 10;

/// Whether this module can carry the response to such a request, if it is a stream.
pub(crate) fn can_carry<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET && request.version() == Version::HTTP_11
}

pub(crate) fn is_stream(answer: &HttpAnswer) -> bool {
    matches!(answer.body(), Body::Events(_))
}

/// Sends a response to its end, or until the client disconnects. The future is small, since it
/// lives for hours: it keeps nothing of the response's head.
///
/// # Errors
/// Those of the connection.
pub(crate) fn carry<S>(mut stream: S, answer: HttpAnswer) -> impl Future<Output = io::Result<()>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (parts, mut body) = answer.into_parts();
    let unsent = encode_head(&parts);
    async move {
        stream.write_all(unsent.as_bytes()).await?;
        drop(unsent);
        let mut listens = true;
        let mut discarded = [0; 16];
        loop {
            let event = tokio::select! {
                event = next_event(&mut body) => event,
                // Data that a client sends on such a connection can't be answered. Only a closed connection
                // matters.
                read = stream.read(&mut discarded), if listens => {
                    if read? == 0 {
                        return Ok(());
                    }
                    listens = false;
                    continue;
                }
            };
            let Some(event) = event else { break };
            let (chunks, large) = encode_chunks(event, &mut body);
            stream.write_all(&chunks).await?;
            drop(chunks);
            if let Some(large) = large {
                stream.write_all(&large).await?;
                drop(large);
                stream.write_all(b"\r\n").await?;
            }
            stream.flush().await?;
        }
        stream.write_all(b"0\r\n\r\n").await?;
        stream.shutdown().await
    }
}

async fn next_event(body: &mut Body) -> Option<Bytes> {
    loop {
        // Only bodies of the non-MCP service can fail, and this one is an event stream.
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?.ok()?;
        let data = frame.into_data().unwrap_or_default();
        // An empty chunk would end the body.
        if !data.is_empty() {
            return Some(data);
        }
    }
}

/// Encodes an event, and those that are ready with it, as chunks. A large event is not copied: of its
/// chunk, only the beginning is encoded, and the event is returned.
fn encode_chunks(event: Bytes, body: &mut Body) -> (Vec<u8>, Option<Bytes>) {
    let mut out = Vec::with_capacity(event.len().min(TOGETHER_BYTES_MAX) + 16);
    let mut event = Some(event);
    while let Some(data) = event {
        out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        if data.len() > TOGETHER_BYTES_MAX {
            return (out, Some(data));
        }
        out.extend_from_slice(&data);
        out.extend_from_slice(b"\r\n");
        // The next poll asks for the next event again.
        event = (out.len() < TOGETHER_BYTES_MAX)
            .then(|| next_event(body).now_or_never())
            .flatten()
            .flatten();
    }
    (out, None)
}

fn encode_head(parts: &Parts) -> String {
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status);
    for (name, value) in &parts.headers {
        // The gateway built these headers itself, and all of them are text.
        if let Ok(value) = value.to_str() {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let _ = write!(head, "date: {date}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{TOGETHER_BYTES_MAX, carry};
    use crate::answer;
    use crate::stream::EventStream;

    /// The head and the body of what was sent, its chunks put together, and whether it has an end.
    fn decode(sent: &str) -> (&str, String, bool) {
        let (head, mut rest) = sent.split_once("\r\n\r\n").unwrap();
        let mut body = String::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                assert_eq!(after, "\r\n");
                return (head, body, true);
            }
            body.push_str(&after[..size]);
            rest = after[size..].strip_prefix("\r\n").unwrap();
        }
        (head, body, false)
    }

    #[tokio::test]
    async fn a_stream_is_sent_in_chunks_and_its_end_ends_the_connection() {
        let stream = Arc::new(EventStream::default());
        let (near, mut far) = duplex(1 << 20);
        let carrying = tokio::spawn(carry(near, answer::events(stream.clone())));
        let large = "x".repeat(2 * TOGETHER_BYTES_MAX);
        let mut expected = String::new();
        for event in ["one", "two", &large, "three"] {
            stream.push(Bytes::from(event.to_owned()));
            expected.push_str(event);
            tokio::task::yield_now().await;
        }
        stream.end();
        let mut sent = String::new();
        far.read_to_string(&mut sent).await.unwrap();
        let (head, body, ended) = decode(&sent);
        assert!(ended);
        assert_eq!(body, expected);
        for wanted in [
            "HTTP/1.1 200 OK\r\n",
            "\r\ncontent-type: text/event-stream\r\n",
            "\r\ntransfer-encoding: chunked\r\n",
            "\r\nconnection: close",
            "\r\ndate: ",
        ] {
            assert!(head.contains(wanted), "{wanted}: {head}");
        }
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive_and_whoever_hangs_up_is_let_go() {
        let stream = Arc::new(EventStream::default());
        let (near, mut far) = duplex(1 << 20);
        let carrying = tokio::spawn(carry(near, answer::events(stream.clone())));
        // Other data can't be answered and is no reason to close.
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        let mut sent = vec![0; 4096];
        let length = far.read(&mut sent).await.unwrap();
        let sent = String::from_utf8_lossy(&sent[..length]).into_owned();
        let (_, body, ended) = decode(&sent);
        assert_eq!((body.as_str(), ended), (":\n\n:\n\n", false));
        drop(far);
        let _ = tokio::time::timeout(Duration::from_secs(60), carrying).await.unwrap();
    }

    #[tokio::test]
    async fn who_hangs_up_without_a_word_is_let_go_at_once() {
        let (near, far) = duplex(1 << 20);
        let carrying = tokio::spawn(carry(near, answer::events(Arc::default())));
        drop(far);
        let ended = tokio::time::timeout(Duration::from_secs(10), carrying).await;
        assert!(ended.is_ok());
    }
}
