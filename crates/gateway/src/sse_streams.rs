//! The streams of clients of HTTP+SSE (2024-11-05). Each is a session of its own.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use mainstay_model::{EndpointId, Principal, Refusal, RefusalCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::session::Session;
use crate::stream::EventStream;

/// Open HTTP+SSE streams, by the session id in the path that each announced.
#[derive(Debug, Default)]
pub(crate) struct SseStreams {
    open: Mutex<HashMap<String, Arc<SseStream>>>,
}

#[derive(Debug)]
pub(crate) struct SseStream {
    pub(crate) endpoint: EndpointId,
    pub(crate) principal: Principal,
    pub(crate) stream: Arc<EventStream>,
    /// The session, once `initialize` has opened it.
    pub(crate) session: OnceLock<Arc<Session>>,
    /// Slots for requests that are being answered.
    pub(crate) request_slots: Arc<Semaphore>,
}

// === impl SseStreams ===

impl SseStreams {
    pub(crate) fn insert(
        &self,
        id: &str,
        sse_stream: SseStream,
        max: usize,
    ) -> Result<(), Refusal> {
        let mut open = self.open.lock();
        if open.len() >= max {
            return Err(Refusal::new(
                RefusalCode::SessionLimit,
                format!("there are {max} sessions already, which is the limit"),
            )
            .limit(format!("max_sessions: {max}")));
        }
        open.insert(id.to_owned(), Arc::new(sse_stream));
        Ok(())
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<SseStream>> {
        self.open.lock().get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Arc<SseStream>> {
        self.open.lock().remove(id)
    }

    /// Ends the streams at endpoints that are gone.
    pub(crate) fn end_at(&self, endpoints: &[EndpointId]) {
        let open = self.open.lock();
        for sse_stream in open.values().filter(|it| endpoints.contains(&it.endpoint)) {
            sse_stream.stream.end();
        }
    }

    /// Ends every stream.
    pub(crate) fn end_all(&self) {
        for sse_stream in self.open.lock().values() {
            sse_stream.stream.end();
        }
    }
}
