//! A peer over streamable HTTP, which answers each request with a stream of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Empty};
use hyper::body::Incoming as RequestBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_model::settings::RemoteSpec;
use mainstay_protocol::{Kind, Message};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Ears, LIMITS, Open, Peer, QUEUE, Received};
use crate::link::Link;
use crate::remote::{Target, open};

pub(super) struct Http;

/// Texts as events. Ends after an answer.
pub(crate) struct Events {
    pub(crate) messages: mpsc::Receiver<String>,
    pub(crate) ends_with_answer: bool,
    pub(crate) over: bool,
}

pub(crate) type Answer = Response<Either<Events, Empty<Bytes>>>;

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let Poll::Ready(Some(text)) = self.messages.poll_recv(cx) else { return Poll::Pending };
        let message = Message::parse(Bytes::from(text.clone())).ok();
        self.over = self.ends_with_answer && message.is_some_and(|message| message.is_answer());
        let event = if text.starts_with("event:") { text } else { format!("data: {text}\n\n") };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}

impl Open for Http {
    async fn open(ears: Arc<Ears>, stop: CancellationToken) -> (Arc<Link>, Peer) {
        let (tell, received) = mpsc::channel(QUEUE);
        let (cut, left) = (CancellationToken::new(), CancellationToken::new());
        // Without a session there is no connection whose end shows it.
        left.cancel();
        let url = listen(cut.clone(), move |request| answer(request, tell.clone())).await;
        let spec = RemoteSpec::new(format!("{url}/mcp"));
        let link = open(Arc::new(Target::new(&spec).unwrap()), LIMITS, ears, stop);
        (link, Peer { received, cut, left })
    }
}

async fn answer(request: Request<RequestBody>, tell: mpsc::Sender<Received>) -> Answer {
    if request.method() != Method::POST {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = Message::parse(body).unwrap();
    let is_request = message.kind() == Kind::Request;
    let (say, messages) = mpsc::channel(QUEUE);
    tell.send(Received { message, say }).await.unwrap();
    if is_request {
        stream(Events { messages, ends_with_answer: true, over: false })
    } else {
        status(StatusCode::ACCEPTED)
    }
}

pub(crate) fn status(status: StatusCode) -> Answer {
    Response::builder().status(status).body(Either::Right(Empty::new())).unwrap()
}

pub(crate) fn stream(events: Events) -> Answer {
    let response = Response::builder().header(header::CONTENT_TYPE, "text/event-stream");
    response.body(Either::Left(events)).unwrap()
}

/// Serves until it is cut; where.
pub(crate) async fn listen<F: Future<Output = Answer> + Send + 'static>(
    cut: CancellationToken,
    answer: impl Fn(Request<RequestBody>) -> F + Clone + Send + 'static,
) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = tokio::select! {
                () = cut.cancelled() => return,
                accepted = socket.accept() => accepted.unwrap(),
            };
            let (answer, cut) = (answer.clone(), cut.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async { Ok::<_, Infallible>(answer.await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::select! {
                    () = cut.cancelled() => {}
                    _ = http.serve_connection(TokioIo::new(stream), service) => {}
                }
            });
        }
    });
    url
}
