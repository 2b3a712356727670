//! Answers as event streams, in the plain form and in every odd one that is still allowed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::reply::HttpReply;
use crate::misbehave::flood::Flood;

/// A body made of the frames that arrive on a channel.
struct Frames(mpsc::Receiver<Bytes>);

/// A stream with an event for each message, until there are no more.
pub(super) fn events(
    messages: mpsc::Receiver<Bytes>,
    odd: bool,
    flood: Option<Flood>,
) -> HttpReply {
    let (sender, frames) = mpsc::channel(64);
    tokio::spawn(pump(messages, sender, odd, flood));
    reply(frames)
}

/// As [`events`], after an event that names an address.
pub(super) fn events_after(
    address: String,
    messages: mpsc::Receiver<Bytes>,
    odd: bool,
    flood: Option<Flood>,
) -> HttpReply {
    let (sender, frames) = mpsc::channel(64);
    tokio::spawn(async move {
        let event = format!("event: endpoint\ndata: {address}\n\n");
        if sender.send(event.into()).await.is_ok() {
            pump(messages, sender, odd, flood).await;
        }
    });
    reply(frames)
}

fn reply(frames: mpsc::Receiver<Bytes>) -> HttpReply {
    let mut response = Response::new(Frames(frames).boxed());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

async fn pump(
    mut messages: mpsc::Receiver<Bytes>,
    frames: mpsc::Sender<Bytes>,
    odd: bool,
    flood: Option<Flood>,
) {
    let mut number = 0_u64;
    if odd && send_in_bits(&frames, odd_opening()).await.is_err() {
        return;
    }
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            // The client is gone, so the rest can't be sent.
            () = frames.closed() => return,
            block = Flood::next(flood.as_ref()) => {
                if frames.send(block).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(message) = message else { return };
        number += 1;
        let sent = if odd {
            send_in_bits(&frames, odd_event(number, &String::from_utf8_lossy(&message))).await
        } else {
            let event = [b"event: message\ndata: ", &message[..], b"\n\n"].concat();
            frames.send(event.into()).await.map_err(|_| ())
        };
        if sent.is_err() {
            return;
        }
    }
}

/// An unusual but valid beginning of a stream: a byte order mark, comments, an event without data.
fn odd_opening() -> String {
    "\u{feff}: hello\r\n:\r\n\r\nretry: 3000\r\nid: 0\r\ndata:\r\n\r\n".to_owned()
}

/// The same event as a plain one, written unlike it.
fn odd_event(number: u64, message: &str) -> String {
    match number % 3 {
        0 => format!(": keep-alive\r\n\r\ndata:{message}\r\nunknown: field\r\n\r\n"),
        1 => format!(
            "id: {number}\r\nevent: message\r\ndata: {message}\r\n\r\nid: {number}/1\r\n\r\n"
        ),
        _ => format!("data: {message}\revent: message\rdata\r\r: done\n\n"),
    }
}

/// Sends a text in pieces that end anywhere: inside a character, between CR and LF.
async fn send_in_bits(frames: &mpsc::Sender<Bytes>, text: String) -> Result<(), ()> {
    let text = Bytes::from(text);
    // Short texts byte by byte; long ones in so few pieces that a test still ends.
    let most = (text.len() / 200).max(1);
    let mut start = 0;
    for size in (1..=most.min(7)).cycle().map(|step| step * most.div_ceil(7)) {
        if start >= text.len() {
            return Ok(());
        }
        let end = (start + size).min(text.len());
        frames.send(text.slice(start..end)).await.map_err(|_| ())?;
        tokio::task::yield_now().await;
        start = end;
    }
    Ok(())
}

// === impl Frames ===

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}
