//! Timeouts of silent connections: minutes between two requests, seconds within the head of one.
//!
//! hyper starts one timer for each head that it reads, and can't tell the time before its first
//! byte from the time after it. So the timer is extended for all but the first head of a
//! connection, and shortened again as soon as bytes arrive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// The timer of one connection. hyper asks it for each wait; [`note_bytes`](Self::note_bytes) tells
/// it that bytes have arrived.
#[derive(Debug, Clone)]
pub(crate) struct IdleTimeout(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Longest time from the first byte of a head to its last, and from the opening of a connection
    /// to its first head.
    head: Duration,
    /// Longest time between two requests.
    idle: Duration,
    /// Whether bytes have arrived since the present wait was last polled.
    bytes_seen: AtomicBool,
    wait: Mutex<Wait>,
}

#[derive(Debug, Default)]
struct Wait {
    /// End of the present wait. None: hyper has not waited yet.
    until: Option<tokio::time::Instant>,
    /// A timer that fires no later than `until`. It is kept from one wait to the next, so that a
    /// request in time costs no new timer.
    clock: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// The future that hyper polls: the present wait.
struct Waiting(Arc<Shared>);

// === impl IdleTimeout ===

impl IdleTimeout {
    /// Creates the timer of a connection. hyper must be given `head` as its timeout for heads.
    pub(crate) fn new(head: Duration, idle: Duration) -> Self {
        let wait = Mutex::default();
        Self(Arc::new(Shared { head, idle, bytes_seen: AtomicBool::new(false), wait }))
    }

    /// Notes that bytes have arrived.
    pub(crate) fn note_bytes(&self) {
        self.0.bytes_seen.store(true, Ordering::Relaxed);
    }
}

impl Timer for IdleTimeout {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let shared = &self.0;
        shared.bytes_seen.store(false, Ordering::Relaxed);
        let mut wait = shared.wait.lock();
        let first = wait.until.is_none();
        let more = if first { Duration::ZERO } else { shared.idle.saturating_sub(shared.head) };
        wait.until = Some((deadline + more).into());
        Box::pin(Waiting(shared.clone()))
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

// === impl Waiting ===

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.0;
        let mut wait = shared.wait.lock();
        let mut until = wait.until.unwrap_or_else(tokio::time::Instant::now);
        if shared.bytes_seen.swap(false, Ordering::Relaxed) {
            until = until.min(tokio::time::Instant::now() + shared.head);
            wait.until = Some(until);
        }
        let clock = wait.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if clock.deadline() > until {
            clock.as_mut().reset(until);
        }
        loop {
            ready!(clock.as_mut().poll(cx));
            if clock.deadline() >= until {
                return Poll::Ready(());
            }
            // The timer was set for an earlier wait.
            clock.as_mut().reset(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http::Response;
    use http_body_util::{Empty, combinators::BoxBody};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};
    use tokio_util::io::InspectReader;

    use super::IdleTimeout;

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(300);

    /// A connection to a server that answers everything with nothing.
    fn connection() -> DuplexStream {
        let (near, far) = duplex(4096);
        let idle_timeout = IdleTimeout::new(HEAD, IDLE);
        let reads = idle_timeout.clone();
        let stream = InspectReader::new(near, move |_: &[u8]| reads.note_bytes());
        tokio::spawn(async move {
            let service = service_fn(async |_| {
                let nothing: BoxBody<bytes::Bytes, Infallible> = BoxBody::new(Empty::new());
                Ok::<_, Infallible>(Response::new(nothing))
            });
            let serving = http1::Builder::new()
                .timer(idle_timeout)
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let _ = serving.await;
        });
        far
    }

    async fn request(connection: &mut DuplexStream) {
        connection.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }

    /// How long it takes to be closed from now on, sending a byte every so often.
    async fn closed_after(mut connection: DuplexStream, every: Option<Duration>) -> Duration {
        let begun = Instant::now();
        let mut rest = [0; 1024];
        loop {
            let pause = every.unwrap_or(10 * IDLE);
            match tokio::time::timeout(pause, connection.read(&mut rest)).await {
                Ok(Ok(0) | Err(_)) => return begun.elapsed(),
                Ok(Ok(_)) => {}
                Err(_) => drop(connection.write_all(b"x").await),
            }
        }
    }

    fn about(elapsed: Duration, wanted: Duration) -> bool {
        elapsed >= wanted && elapsed < wanted + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_at_all_has_the_time_of_one_head() {
        let elapsed = closed_after(connection(), None).await;
        assert!(about(elapsed, HEAD), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_are_minutes() {
        let mut connection = connection();
        for pause in [0, 29, 31, 290, 1, 120] {
            sleep(Duration::from_secs(pause)).await;
            request(&mut connection).await;
        }
        let elapsed = closed_after(connection, None).await;
        assert!(about(elapsed, IDLE), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_in_is_cut_off_wherever_it_begins() {
        for (requests, pause) in [(0, 0), (1, 0), (1, 100), (3, 200)] {
            let mut connection = connection();
            for _ in 0..requests {
                request(&mut connection).await;
            }
            sleep(Duration::from_secs(pause)).await;
            connection.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
            let elapsed = closed_after(connection, Some(Duration::from_secs(4))).await;
            assert!(about(elapsed, HEAD), "{requests} requests, then {pause} s: {elapsed:?}");
        }
    }
}
