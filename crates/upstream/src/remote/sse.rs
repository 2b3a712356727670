//! Servers over HTTP+SSE of 2024-11-05. Their messages arrive on one stream, which is also the
//! session. Messages to them are posted to the address in the stream's first event.

mod posts;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mainstay_model::{Budget, MemoryKind};
use mainstay_protocol::edit::splice;
use mainstay_protocol::{Kind, Message, Revision};
use mainstay_supervisor::backoff::Backoff;
use mainstay_telemetry::Dropped;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::posts::{Posting, Posts};
pub use self::stream::NoStream;
use self::stream::SseStream;
use super::connection::Idle;
use super::session::HttpSession;
use super::{SEND_DEADLINE, Target, standing};
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
    liveness: Arc<Liveness>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Signs of life of the server, for the watch.
#[derive(Debug, Default)]
struct Liveness {
    /// The handshake is over: from then on silence is checked.
    settled: AtomicBool,
    /// Bytes have come since the flag was last cleared.
    heard: AtomicBool,
}

/// Deadline for the stream to open and to name the address for messages.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// Messages that wait to be posted. Each call has one, and a link takes 4096 calls.
const QUEUE_MAX: usize = 4096;
/// Mainstay pings a server that was silent this long while no call is in flight. The time doubles
/// with each ping that was answered.
const SILENCE_MIN: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(240);

/// The abilities of HTTP+SSE.
pub(crate) const ABILITIES: TransportAbilities = TransportAbilities {
    name: "HTTP+SSE",
    calls_apart: false,
    ending_cancels: false,
    mirrors_arguments: false,
    notices_end: true,
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
    let liveness = Arc::<Liveness>::default();
    let sse = Sse {
        postings: queue,
        unsent_bytes,
        unsent_bytes_max: limits.unread_bytes_max,
        budget: limits.budget,
        liveness: liveness.clone(),
        stop,
        tasks: tasks.clone(),
    };
    let link = Arc::new(Link::new(limits, listener, Arc::new(sse)));
    tasks.spawn(Idle::prune(Arc::downgrade(&session.idle), of_tasks.clone()));
    tasks.spawn(run(Arc::downgrade(&link), session, (stream, posts), liveness, of_tasks));
    Ok(link)
}

/// Reads and posts until one of both fails.
async fn run(
    link: Weak<Link>,
    session: Arc<HttpSession>,
    (mut stream, mut posts): (SseStream, Posts),
    liveness: Arc<Liveness>,
    stop: CancellationToken,
) {
    let work = async {
        let reason = tokio::select! {
            reason = stream.read(&link, &liveness.heard) => reason,
            reason = posts.run(&link) => reason,
            reason = watch(&link, &session, &liveness) => reason,
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

/// Notices a server that went away without a word. While calls are in flight their own deadlines
/// do: a server that computes may be deaf for as long.
async fn watch(link: &Weak<Link>, session: &HttpSession, liveness: &Liveness) -> String {
    let silence = Backoff::try_new(SILENCE_MIN, SILENCE_MAX).unwrap_or_default();
    let mut pings = 0;
    loop {
        tokio::time::sleep(silence.wait(pings)).await;
        let Some(link) = link.upgrade() else { return String::new() };
        let heard = liveness.heard.swap(false, Ordering::Relaxed);
        if !heard && liveness.settled.load(Ordering::Relaxed) && link.in_flight() == 0 {
            if let Some(reason) = standing::unreachable_reason(&link, session).await {
                return reason;
            }
            pings = pings.saturating_add(1);
        }
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

    fn settle(&self, _: &Arc<Link>, _: Revision) {
        self.liveness.settled.store(true, Ordering::Relaxed);
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
