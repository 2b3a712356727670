//! An HTTP answer, read as it comes.

use anyhow::{Context, bail};
use serde_json::Value;

use super::connection::{Connection, Idle};
use super::events::{Event, EventParser};

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    framing: Framing,
    connection: Option<Connection>,
    idle: Option<Idle>,
    parser: EventParser,
    body_taken: bool,
}

/// How the end of the body is found.
#[derive(Debug)]
pub(super) enum Framing {
    Length(usize),
    /// Bytes left of the present chunk.
    Chunked(usize),
    UntilClose,
    Done,
}

// === impl Reply ===

impl Reply {
    pub(super) fn parse(head: &str) -> anyhow::Result<(u16, Vec<(String, String)>)> {
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("not an HTTP answer: {first}"))?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok((status, headers.collect()))
    }

    pub(super) fn new(
        status: u16,
        headers: Vec<(String, String)>,
        framing: Framing,
        connection: Connection,
        idle: Option<Idle>,
    ) -> Self {
        let parser = EventParser::default();
        let mut reply = Self {
            status,
            headers,
            framing,
            connection: Some(connection),
            idle,
            parser,
            body_taken: false,
        };
        reply.give_back();
        reply
    }

    /// A header by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// When the body breaks off or stalls.
    pub async fn bytes(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let most = self.piece().await?;
        let Some(connection) = self.connection.as_mut().filter(|_| most > 0) else {
            return Ok(None);
        };
        let bytes = connection.some(most).await?;
        match &mut self.framing {
            Framing::UntilClose if bytes.is_empty() => self.framing = Framing::Done,
            _ if bytes.is_empty() => bail!("the body was cut off"),
            Framing::Length(left) | Framing::Chunked(left) => *left -= bytes.len(),
            Framing::UntilClose | Framing::Done => {}
        }
        if matches!(self.framing, Framing::Length(0)) {
            self.framing = Framing::Done;
        }
        self.give_back();
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// The rest of the body as text.
    ///
    /// # Errors
    /// When the body breaks off or stalls.
    pub async fn text(&mut self) -> anyhow::Result<String> {
        let mut body = Vec::new();
        while let Some(bytes) = self.bytes().await? {
            body.extend(bytes);
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// The rest of the body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub async fn json(&mut self) -> anyhow::Result<Value> {
        let text = self.text().await?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// The next event of a stream; none at its end.
    ///
    /// # Errors
    /// When the stream breaks off or stalls.
    pub async fn event(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            match self.bytes().await? {
                Some(bytes) => self.parser.push(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// The next message, whichever way the answer is given; none at its end. Events without
    /// data are no messages.
    ///
    /// # Errors
    /// When the answer breaks off or is no JSON.
    pub async fn message(&mut self) -> anyhow::Result<Option<Value>> {
        if !self.is_stream() {
            if std::mem::replace(&mut self.body_taken, true) {
                return Ok(None);
            }
            return self.json().await.map(Some);
        }
        while let Some(event) = self.event().await? {
            if !event.data.trim().is_empty() {
                let message = serde_json::from_str(&event.data);
                return message.map(Some).with_context(|| format!("not JSON: {}", event.data));
            }
        }
        Ok(None)
    }

    /// Reads to the end if nothing but the end is left to come.
    pub(super) async fn finish(&mut self) -> anyhow::Result<()> {
        let rest = async {
            while self.bytes().await?.is_some() {}
            anyhow::Ok(())
        };
        // A stream that stays open is not waited for; its connection is dropped.
        tokio::time::timeout(std::time::Duration::from_millis(20), rest).await?
    }

    /// How many bytes may be read now: up to the end of the body or of the chunk.
    async fn piece(&mut self) -> anyhow::Result<usize> {
        let Some(connection) = self.connection.as_mut() else { return Ok(0) };
        if matches!(self.framing, Framing::Chunked(0)) {
            let mut line = connection.line().await?;
            // Every chunk but the first follows the line end of the one before.
            if line.is_empty() {
                line = connection.line().await?;
            }
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size =
                usize::from_str_radix(digits, 16).with_context(|| format!("no chunk: {line}"))?;
            self.framing = Framing::Chunked(size);
            if size == 0 {
                while !connection.line().await?.is_empty() {}
                self.framing = Framing::Done;
                self.give_back();
            }
        }
        Ok(match self.framing {
            Framing::Length(left) | Framing::Chunked(left) => left,
            Framing::UntilClose => usize::MAX,
            Framing::Done => 0,
        })
    }

    /// Returns the connection at the end of the body, for another request.
    fn give_back(&mut self) {
        let closes =
            self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if matches!(self.framing, Framing::Done)
            && let (Some(connection), Some(idle)) = (self.connection.take(), &self.idle)
            && !closes
        {
            idle.lock().push(connection);
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Reads one answer.
    ///
    /// # Errors
    /// When none comes.
    pub async fn reply(self) -> anyhow::Result<Reply> {
        self.reply_into(None).await
    }

    /// Reads one answer; the connection goes to `idle` when the answer was read to its end.
    pub(super) async fn reply_into(mut self, idle: Option<Idle>) -> anyhow::Result<Reply> {
        loop {
            let head = self.head().await?;
            let reply = Reply::parse(&head)?;
            // Interim answers only announce the real one.
            if reply.0 / 100 != 1 {
                let (status, headers) = reply;
                let framing = Framing::of(status, &headers)?;
                return Ok(Reply::new(status, headers, framing, self, idle));
            }
        }
    }
}

// === impl Framing ===

impl Framing {
    pub(super) fn of(status: u16, headers: &[(String, String)]) -> anyhow::Result<Self> {
        let header = |name: &str| headers.iter().find(|(other, _)| other == name);
        if matches!(status, 204 | 304) {
            return Ok(Self::Done);
        }
        if header("transfer-encoding").is_some_and(|(_, value)| value.contains("chunked")) {
            return Ok(Self::Chunked(0));
        }
        match header("content-length") {
            None => Ok(Self::UntilClose),
            Some((_, length)) => match length.parse().context("a length that is no number")? {
                0 => Ok(Self::Done),
                length => Ok(Self::Length(length)),
            },
        }
    }
}
