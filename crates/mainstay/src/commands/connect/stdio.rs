//! Standard input and output, each with a thread of its own.
//!
//! Either may be a pipe, a socket, a file or a terminal, and may be shared with other processes
//! that do not expect it to be non-blocking.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::thread;

use bytes::{Bytes, BytesMut};
use mainstay_protocol::framing::lines::{LineDecoder, LineTooLong, encode_line};
use tokio::sync::mpsc;

/// A line, or the report that one was too long.
pub(super) type Line = Result<Bytes, LineTooLong>;

/// Lines read ahead, so that reading and sending overlap.
const LINES_AHEAD: usize = 16;
/// Messages queued for the writing thread.
const MESSAGES_AHEAD: usize = 16;
const READ_BYTES: usize = 64 << 10;
/// Most bytes written at once. A buffer that grew far beyond it is shrunk.
const WRITE_BYTES: usize = 64 << 10;
/// Stack of each thread; neither calls anything deep.
const STACK_BYTES: usize = 256 << 10;

/// Starts reading lines from standard input. The channel closes at its end.
///
/// # Errors
///
/// When no thread or file can be had.
pub(super) fn lines(bytes_max: usize) -> io::Result<mpsc::Receiver<Line>> {
    let input = own(&io::stdin())?;
    let (lines, read) = mpsc::channel(LINES_AHEAD);
    thread::Builder::new()
        .name("stdin".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || read_lines(input, bytes_max, &lines))?;
    Ok(read)
}

/// Starts writing messages to standard output. The receiver closes when nobody reads any more, or
/// when the sender was dropped and everything is written.
///
/// # Errors
///
/// When no thread or file can be had.
pub(super) fn messages() -> io::Result<(mpsc::Sender<Bytes>, mpsc::Receiver<()>)> {
    let output = own(&io::stdout())?;
    let (send, messages) = mpsc::channel(MESSAGES_AHEAD);
    let (written, all_written) = mpsc::channel(1);
    thread::Builder::new().name("stdout".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        if let Err(error) = write_messages(output, messages) {
            tracing::debug!(%error, "standard output");
        }
        drop(written);
    })?;
    Ok((send, all_written))
}

fn read_lines(mut input: File, bytes_max: usize, lines: &mpsc::Sender<Line>) {
    let mut decoder = LineDecoder::new(bytes_max);
    let mut chunk = vec![0; READ_BYTES];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => decoder.push(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::debug!(%error, "standard input");
                break;
            }
        }
        while let Some(line) = decoder.next_line() {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    }
    while let Some(line) = decoder.finish() {
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

fn write_messages(mut output: File, mut messages: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(WRITE_BYTES);
    while let Some(message) = messages.blocking_recv() {
        encode_line(&message, &mut buffer);
        while buffer.len() < WRITE_BYTES
            && let Ok(message) = messages.try_recv()
        {
            encode_line(&message, &mut buffer);
        }
        output.write_all(&buffer)?;
        buffer.clear();
        if buffer.capacity() > 16 * WRITE_BYTES {
            buffer = BytesMut::with_capacity(WRITE_BYTES);
        }
    }
    Ok(())
}

/// Opens the same file without the standard library's buffer.
fn own(file: &impl AsFd) -> io::Result<File> {
    Ok(File::from(file.as_fd().try_clone_to_owned()?))
}
