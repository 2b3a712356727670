//! Reads answers that go on.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use mainstay_protocol::framing::sse::SseDecoder;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{ANSWER_BYTES_MAX, Client, ClientError, Exchange, request};

/// A daemon that says nothing for this long hangs: it gives signs of life every ten seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);

impl Client {
    /// Hands each item of an event stream to `on_item`, until that returns false or the stream ends, which
    /// is when the daemon does.
    ///
    /// # Errors
    /// When there is no such stream, and when it breaks off.
    pub(super) async fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        on_item: &mut (dyn FnMut(T) -> bool + Send),
    ) -> Result<(), ClientError> {
        let opening = self.exchange(request(Method::GET, path, Bytes::new()));
        let opened = timeout(self.deadline, opening).await;
        let exchange = opened.map_err(|_| ClientError::Deadline(self.deadline))??;
        if !exchange.response.status().is_success() {
            let whole = timeout(self.deadline, exchange.whole()).await;
            let answer = whole.map_err(|_| ClientError::Deadline(self.deadline))??;
            return answer.read::<serde_json::Value>().map(|_| ());
        }
        let Exchange { response, _driver } = exchange;
        let mut body = response.into_body();
        let mut decoder = SseDecoder::new(ANSWER_BYTES_MAX);
        loop {
            let frame = timeout(SILENCE_MAX, body.frame()).await;
            let Some(frame) = frame.map_err(|_| ClientError::Deadline(SILENCE_MAX))? else {
                return Ok(());
            };
            let Ok(data) = frame.map_err(ClientError::Http)?.into_data() else { continue };
            decoder.push(&data);
            while let Some(event) = decoder.next_event() {
                let event = event.map_err(|_| ClientError::TooLarge)?;
                if event.data.is_empty() {
                    continue;
                }
                let item = serde_json::from_slice(&event.data).map_err(ClientError::Unexpected)?;
                if !on_item(item) {
                    return Ok(());
                }
            }
        }
    }
}
