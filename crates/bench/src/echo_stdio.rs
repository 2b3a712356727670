//! A tiny MCP server over stdio: one thread reads and answers, a second one delays answers.
//!
//! Plain blocking calls are the shortest way from a pipe to an answer. Everything that arrives in
//! one read is answered in one write.

mod delay;
mod output;

use std::io;
use std::process::exit;

use anyhow::Result;
use memchr::memchr_iter;
use rustix::stdio;

use self::delay::Delayed;
use self::output::Output;
use crate::mcp::{self, Reply, answer};

/// Most bytes of a read: the content of a full default pipe.
const READ_BYTES: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub(crate) struct EchoStdioArgs {
    /// Ignored by the program. Shows in a process list to whom it belongs.
    #[arg(long)]
    mark: Option<String>,
    /// Lists so many tools, whose names begin with the mark, in the place of the usual ones.
    #[arg(long)]
    tools: Option<usize>,
}

/// Serves until standard input ends.
pub(crate) fn main(args: &EchoStdioArgs) -> Result<()> {
    let mark = args.mark.as_deref().unwrap_or_default();
    let tools = args.tools.map(|count| mcp::many_tools(mark, count));
    let tools = tools.as_deref().unwrap_or(mcp::TOOLS);
    let output = Output::default();
    let delayed = Delayed::default();
    std::thread::scope(|scope| {
        scope.spawn(|| delayed.deliver(&output));
        let outcome = serve(&output, &delayed, tools);
        delayed.close();
        outcome
    })?;
    Ok(())
}

fn serve(output: &Output, delayed: &Delayed, tools: &str) -> io::Result<()> {
    let mut input = Vec::with_capacity(2 * READ_BYTES);
    let mut answers = Vec::new();
    loop {
        let known = input.len();
        input.resize(known + READ_BYTES, 0);
        let read =
            rustix::io::retry_on_intr(|| rustix::io::read(stdio::stdin(), &mut input[known..]))?;
        input.truncate(known + read);
        if read == 0 {
            return Ok(());
        }
        let mut begin = 0;
        for end in memchr_iter(b'\n', &input[known..]).map(|at| known + at) {
            handle(&input[begin..end], &mut answers, delayed, tools);
            begin = end + 1;
        }
        input.drain(..begin);
        if !answers.is_empty() {
            output.write(&answers)?;
            answers.clear();
            answers.shrink_to(READ_BYTES);
        }
    }
}

fn handle(line: &[u8], answers: &mut Vec<u8>, delayed: &Delayed, tools: &str) {
    if line.trim_ascii().is_empty() {
        return;
    }
    match answer(line, tools) {
        Reply::Now(reply) | Reply::Welcome(reply) | Reply::Later(0, reply) => {
            answers.extend_from_slice(&reply);
            answers.push(b'\n');
        }
        Reply::Later(millis, mut reply) => {
            reply.push(b'\n');
            delayed.push(millis, reply);
        }
        Reply::Both(reply, millis, mut later) => {
            answers.extend_from_slice(&reply);
            answers.push(b'\n');
            later.push(b'\n');
            delayed.push(millis, later);
        }
        Reply::Nothing | Reply::Never => {}
        Reply::Crash => exit(70),
    }
}
