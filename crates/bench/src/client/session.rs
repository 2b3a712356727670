//! An MCP session: handshake, calls, end.

use std::io;

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

use super::{Connection, Target};
use crate::mcp::{member, unquote};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// An open session. It knows its target, so a lost connection can be replaced.
#[derive(Debug)]
pub(crate) struct Session {
    target: Target,
    /// The header lines of the session, each with its line end.
    headers: String,
}

/// A call ready to be sent: id and text have fixed widths and are overwritten in place.
#[derive(Debug)]
pub(crate) struct Call {
    request: Vec<u8>,
    id_at: usize,
    text_at: usize,
    delay_at: Option<usize>,
    /// `"id":` and the id, to look for in the answer.
    id: [u8; ID_WIDTH + 5],
    text: [u8; TEXT_WIDTH],
}

/// Why a call brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A status other than 200, an error, or not an answer of the echo server.
    Refused,
    /// The answer of another call: another id, or another client's text.
    Astray,
    /// The connection broke.
    Broken,
}

/// Ids have eight digits from the first on; every client counts from the same number.
const ID_FIRST: u64 = 10_000_000;
const ID_WIDTH: usize = 8;
/// Half for the client, half for the call.
const TEXT_WIDTH: usize = 16;
/// Delays have two digits; JSON has no leading zeros, so they begin at 10 ms where there is one.
const DELAY_WIDTH: usize = 2;

// === impl Session ===

impl Session {
    /// Shakes hands over `connection`.
    pub(crate) async fn open(target: &Target, connection: &mut Connection) -> Result<Self> {
        let mut session = Self { target: target.clone(), headers: String::new() };
        let answer = connection
            .exchange(&Self::handshake(target, ""))
            .await
            .context("no answer to initialize")?;
        ensure!(answer.status == 200, "initialize: status {}", answer.status);
        let body = event_data(answer.body);
        let Some(result) = member(body, "result") else {
            bail!("initialize: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
        };
        let revision =
            member(result, "protocolVersion").map(unquote).context("no protocol version")?;
        let mut headers =
            format!("MCP-Protocol-Version: {}\r\n", String::from_utf8_lossy(revision));
        if let Some(id) = answer.session {
            headers.push_str(&format!("Mcp-Session-Id: {id}\r\n"));
        }
        session.headers = headers;
        let answer = connection
            .exchange(&session.post(INITIALIZED))
            .await
            .context("no answer to initialized")?;
        ensure!(answer.status < 300, "initialized: status {}", answer.status);
        Ok(session)
    }

    /// The first request of a session; `headers` are complete lines.
    pub(crate) fn handshake(target: &Target, headers: &str) -> Vec<u8> {
        Self { target: target.clone(), headers: headers.to_owned() }.post(INITIALIZE)
    }

    /// Ends the session.
    pub(crate) async fn close(&self, connection: &mut Connection) -> io::Result<u16> {
        let request = format!(
            "DELETE {} HTTP/1.1\r\nHost: {}\r\n{}\r\n",
            self.target.path, self.target.address, self.headers
        );
        Ok(connection.exchange(request.as_bytes()).await?.status)
    }

    /// Opens the stream for messages outside of calls and leaves it open. The connection carries
    /// nothing else from then on. Returns the status.
    pub(crate) async fn listen(&self, connection: &mut Connection) -> io::Result<u16> {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{}\r\n",
            self.target.path, self.target.address, self.headers
        );
        connection.begin(request.as_bytes()).await
    }

    /// A call of the echo tool, or of the slow one.
    pub(crate) fn prepare(&self, client: u32, slow: bool) -> Call {
        let name = if slow { "slow" } else { "echo" };
        let delay = if slow { r#""ms":10,"# } else { "" };
        let text = format!("{client:08x}{:08x}", 0);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID_FIRST},"method":"tools/call","params":{{"name":"{}{name}","arguments":{{{delay}"text":"{text}"}}}}}}"#,
            self.target.prefix
        );
        Call::new(self.post(&body), slow, &text)
    }

    /// Calls any tool once; the whole answer as text.
    pub(crate) async fn call(
        &self,
        connection: &mut Connection,
        tool: &str,
        arguments: &str,
    ) -> io::Result<(u16, String)> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{}{tool}","arguments":{arguments}}}}}"#,
            self.target.prefix
        );
        let answer = connection.exchange(&self.post(&body)).await?;
        Ok((answer.status, String::from_utf8_lossy(event_data(answer.body)).into_owned()))
    }

    /// Asks for a page of the tools; the whole answer as text.
    pub(crate) async fn list(
        &self,
        connection: &mut Connection,
        cursor: Option<&str>,
    ) -> io::Result<(u16, String)> {
        let params = cursor.map(|cursor| format!(r#"{{"cursor":"{cursor}"}}"#));
        let params = params.as_deref().unwrap_or("{}");
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{params}}}"#);
        let answer = connection.exchange(&self.post(&body)).await?;
        Ok((answer.status, String::from_utf8_lossy(event_data(answer.body)).into_owned()))
    }

    fn post(&self, body: &str) -> Vec<u8> {
        let Self { target, headers } = self;
        format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            target.path,
            target.address,
            body.len()
        )
        .into_bytes()
    }
}

// === impl Call ===

impl Call {
    fn new(request: Vec<u8>, slow: bool, text: &str) -> Self {
        let id_text = format!(r#""id":{ID_FIRST}"#);
        let find =
            |what: &str| memmem::rfind(&request, what.as_bytes()).expect("it was just written");
        let (id_at, text_at) = (find(&id_text) + 5, find(text));
        let delay_at = slow.then(|| find(r#""ms":"#) + 5);
        let id = id_text.into_bytes().try_into().expect("eight digits");
        let text = text.as_bytes().try_into().expect("sixteen digits");
        Self { request, id_at, text_at, delay_at, id, text }
    }

    /// Makes this the `number`th call of its client, with an id that repeats every `ids` calls.
    pub(crate) fn number(&mut self, number: u32, ids: u64) {
        decimal(&mut self.id[5..], ID_FIRST + u64::from(number) % ids);
        hexadecimal(&mut self.text[TEXT_WIDTH / 2..], number);
        self.request[self.id_at..self.id_at + ID_WIDTH].copy_from_slice(&self.id[5..]);
        self.request[self.text_at..self.text_at + TEXT_WIDTH].copy_from_slice(&self.text);
    }

    /// Sets the delay of a slow call: 0 to 9 as such, written with a space before.
    pub(crate) fn delay(&mut self, millis: u8) {
        if let Some(at) = self.delay_at {
            self.request[at..at + DELAY_WIDTH].copy_from_slice(&[b' ', b'0' + millis.min(9)]);
        }
    }

    /// Sends it and checks that the answer is the one to it.
    pub(crate) async fn send(&self, connection: &mut Connection) -> Result<(), Failure> {
        let answer = connection.exchange(&self.request).await.map_err(|_| Failure::Broken)?;
        if answer.status != 200 {
            return Err(Failure::Refused);
        }
        self.check(answer.body)
    }

    /// The quick look suffices for compact answers; anything else is read properly.
    fn check(&self, body: &[u8]) -> Result<(), Failure> {
        let quick = memmem::find(body, &self.id).is_some_and(|at| {
            body.get(at + self.id.len()).is_some_and(|next| !next.is_ascii_digit())
        });
        if quick
            && memmem::find(body, &self.text).is_some()
            && memmem::find(body, br#""result":"#).is_some()
        {
            return Ok(());
        }
        let data = event_data(body);
        let id = member(data, "id");
        let text = memmem::find(data, &self.text);
        match member(data, "result") {
            Some(_) if id == Some(&self.id[5..]) && text.is_some() => Ok(()),
            Some(_) => Err(Failure::Astray),
            None => Err(Failure::Refused),
        }
    }
}

/// The message of an answer: the body itself, or the last `data:` of an event stream with text.
fn event_data(body: &[u8]) -> &[u8] {
    if body.trim_ascii_start().first().is_none_or(|byte| *byte == b'{') {
        return body;
    }
    body.split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(<[u8]>::trim_ascii)
        .rfind(|data| !data.is_empty())
        .unwrap_or(body)
}

fn decimal(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn hexadecimal(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests;
