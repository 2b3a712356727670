//! Servers over HTTP+SSE of 2024-11-05. Their messages arrive on one stream, which is also the
//! session. Messages to them are posted to the address in the stream's first event.

mod posts;
mod stream;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mainstay_model::{Budget, MemoryKind};
use mainstay_protocol::edit::splice;
use mainstay_protocol::{Kind, Message};
use mainstay_telemetry::Dropped;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::posts::{Posting, Posts};
pub use self::stream::NoStream;
use self::stream::SseStream;
use super::connection::Idle;
use super::session::HttpSession;
use super::{SEND_DEADLINE, Target};
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::request::{Fate, Lost, Outgoing};
use crate::transport::{Boxed, Call, OwnExchange, Transport, TransportAbilities};

/// The sending side of a link over HTTP+SSE.
#[derive(Debug)]
pub(crate) struct Sse {
    postings: mpsc::Sender<Posting>,
    /// Bytes of messages that are queued or being posted.
    unsent_bytes: Arc<AtomicUsize>,
    unsent_bytes_max: usize,
    budget: Budget,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Deadline for the stream to open and to name the address for messages.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// Messages that wait to be posted. Each call has one, and a link takes 4096 calls.
const QUEUE_MAX: usize = 4096;

/// The abilities of HTTP+SSE.
pub(crate) const ABILITIES: TransportAbilities = TransportAbilities {
    name: "HTTP+SSE",
    calls_apart: false,
    ending_cancels: false,
    mirrors_arguments: false,
    speaks_modern: false,
};

/// Opens a link to `target`: opens the stream and waits for the address to post to.
///
/// # Errors
/// When the server is not reached, or gives no such stream within five seconds.
pub async fn open(
    target: Arc<Target>,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> Result<Arc<Link>, NoStream> {
    let session = Arc::new(HttpSession::new(target, limits));
    let opening = SseStream::open(&session);
    let (stream, address) =
        tokio::time::timeout(OPEN_DEADLINE, opening).await.map_err(|_| {
            NoStream::NotOffered(format!(
                "a GET brought no event that names an address within {OPEN_DEADLINE:?}"
            ))
        })??;
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let unsent_bytes = Arc::<AtomicUsize>::default();
    let posts = Posts::new(session.clone(), address, waiting, unsent_bytes.clone());
    let (tasks, of_tasks) = (session.tasks.clone(), stop.clone());
    let sse = Sse {
        postings: queue,
        unsent_bytes,
        unsent_bytes_max: limits.unread_bytes_max,
        budget: limits.budget,
        stop,
        tasks: tasks.clone(),
    };
    let link = Arc::new(Link::new(limits, listener, Arc::new(sse)));
    tasks.spawn(Idle::prune(Arc::downgrade(&session.idle), of_tasks.clone()));
    tasks.spawn(run(Arc::downgrade(&link), (stream, posts), of_tasks));
    Ok(link)
}

/// Reads and posts until one of both fails.
async fn run(
    link: Weak<Link>,
    (mut stream, mut posts): (SseStream, Posts),
    stop: CancellationToken,
) {
    let work = async {
        let reason = tokio::select! {
            reason = stream.read(&link) => reason,
            reason = posts.run(&link) => reason,
        };
        if let Some(link) = link.upgrade() {
            posts.finish(&link).await;
            link.close(&reason);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

// === impl Sse ===

impl Sse {
    /// Queues a notification or an answer; `done` is notified when the server has acknowledged it.
    fn queue(&self, link: &Link, body: Bytes, done: Option<oneshot::Sender<()>>) {
        let in_order =
            Message::parse(body.clone()).is_ok_and(|message| message.kind() == Kind::Notification);
        if self.put(Posting { body, id: None, in_order, done }).is_err() {
            link.listener().dropped(Dropped::NotDelivered);
        }
    }

    fn put(&self, posting: Posting) -> Result<(), Lost> {
        use mpsc::error::TrySendError;
        let full = || Lost::new("the server does not take its messages", Fate::Refused, false);
        if self.unsent_bytes.load(Ordering::Relaxed) > self.unsent_bytes_max {
            return Err(full());
        }
        let length = posting.body.len();
        self.unsent_bytes.fetch_add(length, Ordering::Relaxed);
        self.postings.try_send(posting).map_err(|error| {
            self.unsent_bytes.fetch_sub(length, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => full(),
                TrySendError::Closed(_) => {
                    Lost::new("the server's stream has ended", Fate::Unsent, true)
                }
            }
        })
    }
}

impl Transport<Link> for Sse {
    fn abilities(&self) -> &'static TransportAbilities {
        &ABILITIES
    }

    /// Queues the request.
    fn call(&self, call: &Call<'_>) -> Result<Option<Box<dyn OwnExchange<Link>>>, Lost> {
        let request: &Outgoing<'_> = call.request;
        let body = splice(request.message.bytes(), &mut request.edits(call.id_text));
        let body = self.budget.hold_over(MemoryKind::Bodies, body);
        self.put(Posting { body, id: Some(call.id), in_order: false, done: None })?;
        Ok(None)
    }

    fn send(&self, link: &Arc<Link>, message: Bytes) {
        self.queue(link, message, None);
    }

    /// Completes when the server has acknowledged the message, or after [`SEND_DEADLINE`].
    fn deliver<'a>(&'a self, link: &'a Arc<Link>, message: Bytes) -> Boxed<'a, ()> {
        Box::pin(async move {
            let (done, acknowledged) = oneshot::channel();
            self.queue(link, message, Some(done));
            // An undelivered message was counted by the task that posted it.
            let _ = tokio::time::timeout(SEND_DEADLINE, acknowledged).await;
        })
    }

    /// Closes the stream, which ends the session at the server, and all that runs here.
    fn goodbye(&self) -> Boxed<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
        })
    }
}
