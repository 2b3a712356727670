//! A peer over HTTP+SSE of 2024-11-05: one stream, and an address to post to.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming as RequestBody;
use mainstay_model::settings::RemoteSpec;
use mainstay_protocol::Message;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::http::{Answer, Events, listen, status, stream};
use super::{Ears, LIMITS, Open, Peer, QUEUE, Received};
use crate::link::Link;
use crate::remote::{Target, sse};

pub(super) struct OldSse;

/// State that the requests of one client share.
struct Shared {
    tell: mpsc::Sender<Received>,
    say: mpsc::Sender<String>,
    /// Given to the one stream there is.
    messages: Mutex<Option<mpsc::Receiver<String>>>,
}

impl Open for OldSse {
    async fn open(ears: Arc<Ears>, stop: CancellationToken) -> (Arc<Link>, Peer) {
        let (tell, received) = mpsc::channel(QUEUE);
        let (say, messages) = mpsc::channel(QUEUE);
        let (cut, left) = (CancellationToken::new(), CancellationToken::new());
        let watched = say.clone();
        let shared = Arc::new(Shared { tell, say, messages: Mutex::new(Some(messages)) });
        let url = listen(cut.clone(), move |request| answer(request, shared.clone())).await;
        let spec = RemoteSpec::new(format!("{url}/sse"));
        let target = Arc::new(Target::new(&spec).unwrap());
        let link = sse::open(target, LIMITS, ears, stop).await.unwrap();
        let leaving = left.clone();
        tokio::spawn(async move {
            // The reader goes with the stream.
            watched.closed().await;
            leaving.cancel();
        });
        (link, Peer { received, cut, left })
    }
}

async fn answer(request: Request<RequestBody>, shared: Arc<Shared>) -> Answer {
    if request.method() == Method::GET {
        let Some(messages) = shared.messages.lock().take() else {
            return status(StatusCode::CONFLICT);
        };
        let endpoint = "event: endpoint\ndata: /messages?session=1\n\n";
        shared.say.try_send(endpoint.to_owned()).unwrap();
        return stream(Events { messages, ends_with_answer: false, over: false });
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = Message::parse(body).unwrap();
    shared.tell.send(Received { message, say: shared.say.clone() }).await.unwrap();
    status(StatusCode::ACCEPTED)
}
