//! Reads a server's standard output and hands each message on.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use mainstay_protocol::framing::lines::{LineDecoder, LineTooLong};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::link::{Link, LinkLimits};
use crate::turn::{Pace, Turn};

/// Runs until the output ends or `stop` is cancelled; then the link is closed.
pub(super) async fn run(
    link: Weak<Link>,
    mut output: pipe::Receiver,
    limits: LinkLimits,
    stop: CancellationToken,
) {
    let mut decoder = LineDecoder::new(limits.message_bytes_max);
    let mut intake = Intake::new(limits.budget);
    let (mut turn, mut pace) = (Turn::default(), Pace::default());
    let is_awaited = || link.upgrade().is_some_and(|link| link.is_awaited());
    let reason = loop {
        turn.pass(&mut pace, is_awaited).await;
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break "stopped".to_owned(),
            read = poll_fn(|cx| poll_read(&mut output, &mut decoder, cx)) => read,
        };
        let Some(link) = link.upgrade() else { return };
        match read {
            Ok(0) => {
                while let Some(line) = decoder.finish() {
                    hand_on(&link, &mut intake, line);
                }
                break "the server closed its output".to_owned();
            }
            Ok(bytes) => {
                turn.add_parsed(bytes);
                while let Some(line) = decoder.next_line() {
                    turn.add_message(0);
                    hand_on(&link, &mut intake, line);
                    turn.pass(&mut pace, is_awaited).await;
                }
                if intake.note_held(decoder.held_bytes()).is_err() {
                    decoder.give_up_line();
                }
            }
            Err(error) => break format!("reading the server's output failed: {error}"),
        }
    };
    if let Some(link) = link.upgrade() {
        link.close(&reason);
    }
}

/// Reads into the decoder. While the server is silent, no buffer is held for it.
fn poll_read(
    output: &mut pipe::Receiver,
    decoder: &mut LineDecoder,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let read = pin!(output.read_buf(decoder.buffer_mut())).poll(cx);
    if read.is_pending() {
        decoder.release_empty();
    }
    read
}

fn hand_on(link: &Arc<Link>, intake: &mut Intake, line: Result<Bytes, LineTooLong>) {
    match line {
        Ok(line) => intake.dispatch(link, &line),
        Err(LineTooLong { max_bytes, ends }) => {
            link.dispatch_discarded(&ends, intake.discarded(max_bytes));
        }
    }
}
