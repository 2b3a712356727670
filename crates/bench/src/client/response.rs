//! Reads the few lines of an HTTP/1.1 answer that matter here.

use std::io;
use std::ops::Range;

use memchr::memmem;

/// A head longer than this is no answer of any server measured.
const HEAD_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the head with its empty line.
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) body: Body,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(usize),
    Chunked,
}

// === impl Head ===

impl Head {
    /// The head at the start of `bytes`, or none while it is not complete.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES_MAX {
                Err(bad("no end of the head"))
            } else {
                Ok(None)
            };
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_| bad("the head is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1."))
            .and_then(|line| line.get(2..5)?.parse().ok())
            .ok_or_else(|| bad("no status line"))?;
        let mut head = Self { length: end + 4, status, session: None, body: Body::Length(0) };
        for line in lines {
            let (name, value) =
                line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
            head.take(name, value.trim())?;
        }
        Ok(Some(head))
    }

    fn take(&mut self, name: &str, value: &str) -> io::Result<()> {
        if name.eq_ignore_ascii_case("content-length") {
            self.body = Body::Length(value.parse().map_err(|_| bad("no length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.body = Body::Chunked;
        } else if name.eq_ignore_ascii_case("mcp-session-id") {
            self.session = Some(value.to_owned());
        }
        Ok(())
    }
}

/// The range of the chunk's data at `at`, and where the next chunk begins. None while the chunk is
/// incomplete. Empty data is the end of the body.
pub(crate) fn next_chunk(bytes: &[u8], at: usize) -> io::Result<Option<(Range<usize>, usize)>> {
    let Some(line) = memmem::find(&bytes[at..], b"\r\n") else {
        return Ok(None);
    };
    let size = std::str::from_utf8(&bytes[at..at + line])
        .ok()
        .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok())
        .filter(|size| *size <= u32::MAX as usize)
        .ok_or_else(|| bad("no size of a chunk"))?;
    let begin = at + line + 2;
    let end = begin + size + 2;
    Ok((bytes.len() >= end).then_some((begin..begin + size, end)))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_complete() {
        let text = b"HTTP/1.1 200 OK\r\nMCP-Session-ID: s-1\r\ncontent-length: 12\r\n\r\nrest";
        for cut in 0..text.len() - 4 {
            assert_eq!(Head::parse(&text[..cut]).expect("no error on the way"), None, "{cut}");
        }
        let head = Head::parse(text).expect("a head").expect("complete");
        let wanted = Head {
            length: text.len() - 4,
            status: 200,
            session: Some("s-1".to_owned()),
            body: Body::Length(12),
        };
        assert_eq!(head, wanted);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in ["SSH-2.0\r\n\r\n", "HTTP/1.1 xx\r\n\r\n", "HTTP/1.1 200 OK\r\nodd\r\n\r\n"] {
            assert!(Head::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Head::parse(&vec![b'x'; HEAD_BYTES_MAX + 1]).is_err());
        assert!(next_chunk(b"zz\r\n", 0).is_err());
        assert!(next_chunk(b"ffffffffffffffff\r\n", 0).is_err());
    }

    #[test]
    fn chunks_are_found_one_after_the_other() {
        let text = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n";
        assert_eq!(next_chunk(&text[..6], 0).expect("fine"), None);
        assert_eq!(next_chunk(text, 0).expect("fine"), Some((3..8, 10)));
        assert_eq!(next_chunk(text, 10).expect("fine"), Some((17..18, 20)));
        assert_eq!(next_chunk(text, 20).expect("fine"), Some((23..23, 25)));
    }
}
