//! Faults of our own while an instance is driven.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{Budget, Name, RefusalCode};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message, build};
use mainstay_supervisor::backoff::Backoff;
use mainstay_telemetry::Metrics;
use mainstay_testkit::inside::{self, InsideHost, Pipes, Script};
use mainstay_upstream::host::{Boxed, Restarts};
use mainstay_upstream::process::ProcessHost;
use mainstay_upstream::{Asker, Outgoing, SessionNo};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::instance::Instance;
use crate::key::Placement;
use crate::observer::PoolObserver;
use crate::pool::{Parts, Pool};

/// Longest wait for something that must come true.
const CAP: Duration = Duration::from_secs(30);

/// A server with one tool, another one in each run, and one entry without a name.
#[derive(Debug, Default)]
struct Server {
    /// So many starts panic.
    faults: usize,
    /// Whether it ends when it is asked for tools, which it does not declare.
    ends_when_asked: bool,
}

/// Panics the first `faults` times that it hears of lists.
#[derive(Debug)]
struct FaultyHub {
    faults: usize,
    heard: AtomicUsize,
}

impl Script for Server {
    fn begin(&self, start: usize) {
        assert!(start >= self.faults, "start {start} goes wrong");
    }

    fn serve(self: Arc<Self>, start: usize, pipes: Pipes) -> Boxed<'static, ()> {
        Box::pin(async move {
            self.answer_all(start, pipes).await;
        })
    }
}

impl Server {
    async fn answer_all(&self, start: usize, mut pipes: Pipes) -> Option<()> {
        let tools = format!(
            r#""result":{{"tools":[{{"name":"of run {start}","inputSchema":{{"type":"object"}}}},{{"title":"no name"}}]}}"#
        );
        let declared = if self.ends_when_asked { "" } else { r#""tools":{}"# };
        let greeting = format!(
            r#""result":{{"protocolVersion":"2025-11-25","capabilities":{{{declared}}},"serverInfo":{{}}}}"#
        );
        loop {
            let request = pipes.message().await?;
            let answer = match request.method() {
                "initialize" => &greeting,
                "tools/list" if self.ends_when_asked => {
                    pipes.announce_end();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return None;
                }
                "tools/list" => &tools,
                _ => continue,
            };
            pipes.answer(request.id_number()?, answer).await?;
        }
    }
}

impl PoolObserver for FaultyHub {
    fn lists_changed(&self, _: &Name, _: Era, _: &[ListKind]) {
        let heard = self.heard.fetch_add(1, Ordering::SeqCst);
        assert!(heard >= self.faults, "hearing of lists goes wrong");
    }

    fn resource_updated(&self, _: &Name, _: &[SessionNo], _: &Message) {}

    fn background(&self, _: &Name, _: &Arc<Instance>, _: &Message) {}

    fn question(&self, _: &Name, _: SessionNo, _: Asker, _: &Message) -> bool {
        false
    }
}

struct World {
    pool: Arc<Pool>,
    host: Arc<InsideHost<Server>>,
    /// The starts that go wrong.
    faults: usize,
    processes: Arc<ProcessHost>,
    _hub: Arc<FaultyHub>,
    _state: tempfile::TempDir,
}

impl World {
    /// A pool whose host and observer go wrong so many times, with its first instance started.
    async fn start(host_faults: usize, hub_faults: usize) -> Self {
        let server = Server { faults: host_faults, ..Server::default() };
        Self::start_with(server, hub_faults).await
    }

    async fn start_with(server: Server, hub_faults: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let processes = inside::process_host(state.path()).await.unwrap();
        let name = Name::try_new("faulty").unwrap();
        let mut spec = ServerSpec::new(name.clone(), Runtime::Process(ProcessSpec::default()));
        spec.concurrency = 1;
        let parts = Parts {
            host: processes.clone(),
            metrics: Arc::new(Metrics::new("0", [&name])),
            message_bytes_max: 1 << 20,
            depth_max: 128,
            budget: Budget::UNLIMITED,
            instance_ids: Arc::new(AtomicU64::new(0)),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: Arc::default(),
            needs: Arc::default(),
            seed: 1,
        };
        let faults = server.faults;
        let wait = Duration::from_millis(10);
        let restarts = Restarts::Endless(Backoff::try_new(wait, wait).unwrap());
        let host = InsideHost::new(server, restarts);
        let pool = Pool::with_host(spec, &parts, host.clone());
        let observer = Arc::new(FaultyHub { faults: hub_faults, heard: AtomicUsize::new(0) });
        pool.start(Arc::downgrade(&observer) as Weak<dyn PoolObserver>);
        Self { pool, host, faults, processes, _hub: observer, _state: state }
    }

    /// Waits until the instance is in this state; every reason there was on the way.
    async fn permit_for(&self, state: InstanceState) -> Vec<String> {
        let reasons = Mutex::new(Vec::new());
        let reached = self.pool.wait_until(|pool| {
            let instance = pool.primary_base().unwrap();
            let lifecycle = instance.lifecycle.lock();
            if let Some(reason) = lifecycle.reason() {
                reasons.lock().push(reason.to_owned());
            }
            lifecycle.state() == state
        });
        tokio::time::timeout(CAP, reached).await.expect("in time");
        reasons.into_inner()
    }

    async fn stop(self) {
        tokio::time::timeout(CAP, self.pool.stop()).await.expect("in time");
        self.processes.shutdown().await;
        let (starts, ends) = (self.host.starts(), self.host.ends());
        assert_eq!(ends, starts - self.faults, "what was started is ended");
    }
}

#[tokio::test]
async fn a_run_that_panics_is_lost_with_a_reason_and_the_next_one_follows() {
    let world = World::start(2, 0).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().any(|reason| reason.contains("error_id")), "{reasons:?}");
    assert!(world.host.starts() >= 3);
    assert!(world.pool.is_ready());
    world.stop().await;
}

#[tokio::test]
async fn a_driver_that_panics_is_replaced_and_its_run_ended() {
    let world = World::start(0, 1).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().any(|reason| reason.contains("error_id")), "{reasons:?}");
    tokio::time::timeout(CAP, async {
        while world.host.ends() == 0 || !world.pool.is_ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the run of the driver before ends");
    world.stop().await;
}

#[tokio::test]
async fn a_driver_that_panics_time_and_again_leaves_a_failed_instance() {
    let world = World::start(0, usize::MAX).await;
    let reasons = world.permit_for(InstanceState::Failed).await;
    assert!(reasons.last().unwrap().contains("error_id"), "{reasons:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_ends_over_a_list_it_does_not_declare_is_asked_once() {
    let server = Server { ends_when_asked: true, ..Server::default() };
    let world = World::start_with(server, 0).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().all(|reason| reason == "it ended"), "{reasons:?}");
    assert_eq!(world.host.starts(), 2);
    world.stop().await;
}

#[tokio::test]
async fn the_turn_of_a_call_that_was_given_up_is_kept_and_given_on_after_ten_seconds() {
    let world = World::start(0, 0).await;
    world.permit_for(InstanceState::Ready).await;
    let (pool, owner) = (&world.pool, SessionNo(1));
    let soon = || Instant::now() + Duration::from_millis(20);
    let base = Placement::base(Era::Legacy, owner);
    let permit = pool.acquire_for_call(&base, Instant::now() + CAP).await.unwrap();
    // The server never answers it.
    let call = Message::parse(build::request(1, "tools/call", None)).unwrap();
    let exchange = permit.call(&Outgoing::plain(&call), owner).unwrap();
    pool.give_up_call(permit, exchange, "cancelled", crate::AttemptEnd::Withdrawn);
    let refused = pool.acquire_for_call(&base, soon()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::QueueTimeout, "{refused:?}");
    assert!(refused.message.contains("given up"), "{refused:?}");
    assert_eq!((pool.in_flight(), pool.calls_waiting()), (1, 0));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    while pool.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    pool.acquire_for_call(&base, Instant::now() + CAP).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn what_a_list_lacks_is_said_in_the_status() {
    let world = World::start(0, 0).await;
    world.permit_for(InstanceState::Ready).await;
    let status = world.pool.status(Instant::now(), &|_| String::new());
    let note = status.note.expect("a note");
    assert_eq!(note, "lists an entry without a name in its tools, which is left out");
    let [missing] = &status.missing[..] else { panic!("{:?}", status.missing) };
    assert_eq!((&*missing.list, &missing.why), ("tools", &note));
    assert_eq!(status.tools, 1);
    world.stop().await;
}
