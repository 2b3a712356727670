//! Reads the body of an answer, up to a bound.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::remote::coding::{BodyDecoder, NotDecoded};

/// A body that is being read.
pub(super) struct Body {
    incoming: Incoming,
    coding: Option<BodyDecoder>,
    read: Vec<u8>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoBody {
    #[error("its body breaks off: {0}")]
    Broken(hyper::Error),
    #[error(transparent)]
    NotDecoded(#[from] NotDecoded),
    #[error("its body has more than {} bytes", BODY_BYTES_MAX)]
    TooLarge,
}

/// Most bytes of a body that are looked at. A health page is far smaller.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

// === impl Body ===

impl Body {
    /// # Errors
    /// When it is encoded in a way that Mainstay does not support.
    pub(super) fn new(response: Response<Incoming>) -> Result<Self, NoBody> {
        let coding = BodyDecoder::new(response.headers())?;
        Ok(Self { incoming: response.into_body(), coding, read: Vec::new() })
    }

    /// Reads it to its end.
    pub(super) async fn read_all(&mut self) -> Result<Vec<u8>, NoBody> {
        while self.read_more().await? {}
        Ok(std::mem::take(&mut self.read))
    }

    /// What has been read so far.
    pub(super) fn read(&self) -> &[u8] {
        &self.read
    }

    /// Reads until it contains a text. The inner error says that it does not.
    pub(super) async fn until_contains(
        &mut self,
        text: &str,
    ) -> Result<Result<(), String>, NoBody> {
        let finder = memchr::memmem::Finder::new(text);
        // Where the text may still begin.
        let mut from = 0;
        loop {
            if finder.find(&self.read[from..]).is_some() {
                return Ok(Ok(()));
            }
            from = (self.read.len() + 1).saturating_sub(text.len().max(1));
            match self.read_more().await {
                Ok(true) => {}
                Ok(false) => return Ok(Err(format!("its body does not contain {text:?}"))),
                Err(NoBody::TooLarge | NoBody::NotDecoded(NotDecoded::TooLarge)) => {
                    return Ok(Err(format!(
                        "the first {BODY_BYTES_MAX} bytes of its body do not contain {text:?}"
                    )));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the next piece. Returns whether there may be more.
    async fn read_more(&mut self) -> Result<bool, NoBody> {
        let Some(frame) = self.incoming.frame().await else { return Ok(false) };
        let data: Bytes = frame.map_err(NoBody::Broken)?.into_data().unwrap_or_default();
        let room = BODY_BYTES_MAX - self.read.len();
        let data = match &mut self.coding {
            None => data,
            Some(coding) => coding.decode(&data, room)?,
        };
        if data.len() > room {
            self.read.extend_from_slice(&data[..room]);
            return Err(NoBody::TooLarge);
        }
        self.read.extend_from_slice(&data);
        Ok(true)
    }
}
