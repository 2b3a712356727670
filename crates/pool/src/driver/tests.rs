//! Faults of our own while an instance is driven.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{Budget, InstanceId, Name};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_supervisor::backoff::Backoff;
use mainstay_telemetry::Metrics;
use mainstay_upstream::host::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use mainstay_upstream::process::{ExecCommand, GuardCommand, ProcessHost};
use mainstay_upstream::{Asker, Link, LinkLimits, Listener, SessionNo};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::instance::Instance;
use crate::observer::PoolObserver;
use crate::pool::{Parts, Pool};

/// Longest wait for something that must come true.
const CAP: Duration = Duration::from_secs(30);

/// Starts servers inside of the test; the first `faults` starts panic.
#[derive(Debug, Default)]
struct Faulty {
    faults: usize,
    /// Whether servers end when they are asked for tools, which they do not declare.
    end_when_asked: bool,
    starts: AtomicUsize,
    stops: Arc<AtomicUsize>,
}

struct Inside {
    server: Server,
    stop: CancellationToken,
    stops: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
struct Server {
    start: usize,
    ends_when_asked: bool,
    /// Cancelled when the server has ended, a moment before its pipes are closed.
    ended: CancellationToken,
}

/// Panics the first `faults` times that it hears of lists.
#[derive(Debug)]
struct FaultyHub {
    faults: usize,
    heard: AtomicUsize,
}

impl Host for Faulty {
    fn abilities(&self) -> HostAbilities {
        let wait = Duration::from_millis(10);
        HostAbilities {
            kind: "test",
            has_pid: false,
            shares_questions: true,
            end_is_answer: true,
            restarts: Restarts::Endless(Backoff::try_new(wait, wait).unwrap()),
        }
    }

    fn target(&self) -> String {
        String::new()
    }

    fn transport(&self) -> Option<&'static mainstay_upstream::TransportAbilities> {
        None
    }

    fn start(&self, _: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            assert!(start >= self.faults, "start {start} goes wrong");
            let stop = CancellationToken::new();
            let ends_when_asked = self.end_when_asked;
            let server = Server { start, ends_when_asked, ended: CancellationToken::new() };
            let inside = Inside { server, stop, stops: self.stops.clone() };
            Ok(Box::new(inside) as Box<dyn Running>)
        })
    }
}

impl Running for Inside {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn open(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>> {
        let (requests, input) = std::io::pipe().unwrap();
        let (output, answers) = std::io::pipe().unwrap();
        tokio::spawn(serve(requests.into(), answers.into(), self.server.clone()));
        let link = mainstay_upstream::stdio::open(
            input.into(),
            output.into(),
            limits,
            listener,
            self.stop.clone(),
        );
        Box::pin(std::future::ready(link.map_err(|error| error.to_string())))
    }

    fn ended(&self) -> Boxed<'_, String> {
        Box::pin(async {
            self.server.ended.cancelled().await;
            "it ended".to_owned()
        })
    }

    fn end_after_link(&self) -> Boxed<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn has_ended(&self) -> bool {
        self.server.ended.is_cancelled()
    }

    fn last_words(&self) -> Vec<String> {
        Vec::new()
    }

    fn stop(&mut self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.cancel();
        self.stops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server with one tool, another one in each run, and one entry without a name.
async fn serve(requests: OwnedFd, answers: OwnedFd, server: Server) {
    let start = server.start;
    let tools = format!(
        r#"{{"tools":[{{"name":"of run {start}","inputSchema":{{"type":"object"}}}},{{"title":"no name"}}]}}"#
    );
    let mut lines = BufReader::new(pipe::Receiver::from_owned_fd(requests).unwrap()).lines();
    let mut answers = pipe::Sender::from_owned_fd(answers).unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let request = Message::parse(line.into_bytes().into()).unwrap();
        let result = match request.method() {
            "initialize" if server.ends_when_asked => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}"#
            }
            "tools/list" if server.ends_when_asked => {
                server.ended.cancel();
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
            "initialize" => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{}}"#
            }
            "tools/list" => &*tools,
            _ => continue,
        };
        let id = request.id_number().unwrap();
        let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n");
        if answers.write_all(answer.as_bytes()).await.is_err() {
            return;
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
    host: Arc<Faulty>,
    processes: Arc<ProcessHost>,
    _hub: Arc<FaultyHub>,
    _state: tempfile::TempDir,
}

impl World {
    /// A pool whose host and observer go wrong so many times, with its first instance started.
    async fn start(host_faults: usize, hub_faults: usize) -> Self {
        let host = Faulty { faults: host_faults, ..Faulty::default() };
        Self::start_with(host, hub_faults).await
    }

    async fn start_with(host: Faulty, hub_faults: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        // Waits for the end of its input like a guard, and has nothing to end.
        let guard = GuardCommand { program: "/bin/cat".into(), args: Vec::new() };
        let exec = ExecCommand { program: "/bin/false".into(), args: Vec::new() };
        let processes = ProcessHost::open(state.path(), guard, exec).await.unwrap();
        let name = Name::try_new("faulty").unwrap();
        let spec = ServerSpec::new(name.clone(), Runtime::Process(ProcessSpec::default()));
        let parts = Parts {
            host: processes.clone(),
            metrics: Arc::new(Metrics::new("0", [&name])),
            message_bytes_max: 1 << 20,
            depth_max: 128,
            budget: Budget::UNLIMITED,
            instance_ids: Arc::new(AtomicU64::new(0)),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: Arc::default(),
            seed: 1,
        };
        let host = Arc::new(host);
        let pool = Pool::with_host(spec, &parts, host.clone());
        let observer = Arc::new(FaultyHub { faults: hub_faults, heard: AtomicUsize::new(0) });
        pool.start(Arc::downgrade(&observer) as Weak<dyn PoolObserver>);
        Self { pool, host, processes, _hub: observer, _state: state }
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
        let (starts, faults) = (self.host.starts.load(Ordering::SeqCst), self.host.faults);
        let stops = self.host.stops.load(Ordering::SeqCst);
        assert_eq!(stops, starts - faults, "what was started is ended");
    }
}

#[tokio::test]
async fn a_run_that_panics_is_lost_with_a_reason_and_the_next_one_follows() {
    let world = World::start(2, 0).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().any(|reason| reason.contains("error_id")), "{reasons:?}");
    assert!(world.host.starts.load(Ordering::SeqCst) >= 3);
    assert!(world.pool.is_ready());
    world.stop().await;
}

#[tokio::test]
async fn a_driver_that_panics_is_replaced_and_its_run_ended() {
    let world = World::start(0, 1).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().any(|reason| reason.contains("error_id")), "{reasons:?}");
    tokio::time::timeout(CAP, async {
        while world.host.stops.load(Ordering::SeqCst) == 0 || !world.pool.is_ready() {
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
    let host = Faulty { end_when_asked: true, ..Faulty::default() };
    let world = World::start_with(host, 0).await;
    let reasons = world.permit_for(InstanceState::Ready).await;
    assert!(reasons.iter().all(|reason| reason == "it ended"), "{reasons:?}");
    assert_eq!(world.host.starts.load(Ordering::SeqCst), 2);
    world.stop().await;
}

#[tokio::test]
async fn what_a_list_lacks_is_said_in_the_status() {
    let world = World::start(0, 0).await;
    world.permit_for(InstanceState::Ready).await;
    let status = world.pool.status(std::time::Instant::now(), &|_| String::new());
    let note = status.note.expect("a note");
    assert_eq!(note, "lists an entry without a name in its tools, which is left out");
    let [missing] = &status.missing[..] else { panic!("{:?}", status.missing) };
    assert_eq!((&*missing.list, &missing.why), ("tools", &note));
    assert_eq!(status.tools, 1);
    world.stop().await;
}
