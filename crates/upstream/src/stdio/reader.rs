//! Reads a server's standard output and hands each message on.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mainstay_protocol::framing::lines::{LineDecoder, LineTooLong};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::link::{Link, LinkLimits};
use crate::turn::{Pace, Turn};

/// A server that was silent for this long, and up to twice as long, holds no buffer for its output.
const SILENT_AFTER: Duration = Duration::from_secs(1);

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
    let mut silence = pin!(sleep(SILENT_AFTER));
    let (mut is_buffered, mut was_silent) = (true, false);
    let reason = loop {
        turn.pass(&mut pace, is_awaited).await;
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break "stopped".to_owned(),
            read = read(&mut output, &mut decoder, is_buffered) => read,
            () = &mut silence, if is_buffered => {
                if was_silent {
                    decoder.release_empty();
                    is_buffered = false;
                } else {
                    was_silent = true;
                    silence.as_mut().reset(Instant::now() + SILENT_AFTER);
                }
                continue;
            }
        };
        was_silent = false;
        if !is_buffered {
            is_buffered = true;
            silence.as_mut().reset(Instant::now() + SILENT_AFTER);
        }
        let Some(link) = link.upgrade() else { return };
        match read {
            Ok(0) => {
                while let Some(line) = decoder.finish() {
                    hand_on(&link, &mut intake, line);
                }
                break "the server closed its output".to_owned();
            }
            Ok(bytes) => {
                link.life().note_heard();
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

/// Reads into the decoder. Waits first without a buffer if there is none.
async fn read(
    output: &mut pipe::Receiver,
    decoder: &mut LineDecoder,
    is_buffered: bool,
) -> io::Result<usize> {
    if !is_buffered {
        output.readable().await?;
    }
    output.read_buf(decoder.buffer_mut()).await
}

fn hand_on(link: &Arc<Link>, intake: &mut Intake, line: Result<Bytes, LineTooLong>) {
    match line {
        Ok(line) => intake.dispatch(link, &line),
        Err(LineTooLong { max_bytes, ends }) => {
            link.dispatch_discarded(&ends, intake.discarded(max_bytes));
        }
    }
}
