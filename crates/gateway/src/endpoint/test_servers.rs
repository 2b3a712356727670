//! Servers inside of the test: each answers with the texts it is given. Where the text is a request, the
//! server asks the client this first, and answers with what it was told.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec};
use mainstay_model::{Budget, InstanceId, Name, ServerId};
use mainstay_pool::{Instance, Parts, Pool, PoolObserver};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_telemetry::Metrics;
use mainstay_upstream::host::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use mainstay_upstream::process::{ExecCommand, GuardCommand, ProcessHost};
use mainstay_upstream::{Asker, Link, LinkLimits, Listener, SessionNo};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What a server answers, by method.
pub(crate) type Answers = &'static [(&'static str, &'static str)];

/// Longest wait for something that must come true.
const CAP: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Inside(Answers);

struct Run {
    answers: Answers,
    stop: CancellationToken,
}

#[derive(Debug)]
struct IgnoringObserver;

/// What pools are made of, and the pools.
pub(crate) struct World {
    parts: Parts,
    started: Vec<Arc<Pool>>,
    hub: Arc<IgnoringObserver>,
    _state: tempfile::TempDir,
}

impl Host for Inside {
    fn abilities(&self) -> HostAbilities {
        HostAbilities {
            kind: "test",
            has_pid: false,
            shares_questions: true,
            end_is_answer: true,
            restarts: Restarts::Bounded,
        }
    }

    fn target(&self) -> String {
        String::new()
    }

    fn transport(&self) -> Option<&'static mainstay_upstream::TransportAbilities> {
        None
    }

    fn start(&self, _: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        let run = Run { answers: self.0, stop: CancellationToken::new() };
        Box::pin(std::future::ready(Ok(Box::new(run) as Box<dyn Running>)))
    }
}

impl Running for Run {
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
        tokio::spawn(serve(requests.into(), answers.into(), self.answers));
        let stop = self.stop.clone();
        let link =
            mainstay_upstream::stdio::open(input.into(), output.into(), limits, listener, stop);
        Box::pin(std::future::ready(link.map_err(|error| error.to_string())))
    }

    fn ended(&self) -> Boxed<'_, String> {
        Box::pin(std::future::pending())
    }

    fn end_after_link(&self) -> Boxed<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn last_words(&self) -> Vec<String> {
        Vec::new()
    }

    fn stop(&mut self) -> Boxed<'_, ()> {
        self.stop.cancel();
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl PoolObserver for IgnoringObserver {
    fn lists_changed(&self, _: &Name, _: Era, _: &[ListKind]) {}

    fn resource_updated(&self, _: &Name, _: &[SessionNo], _: &Message) {}

    fn background(&self, _: &Name, _: &Arc<Instance>, _: &Message) {}

    fn question(&self, _: &Name, _: SessionNo, _: Asker, _: &Message) -> bool {
        false
    }
}

async fn serve(requests: OwnedFd, out: OwnedFd, answers: Answers) {
    let mut requests = BufReader::new(pipe::Receiver::from_owned_fd(requests).unwrap()).lines();
    let mut out = pipe::Sender::from_owned_fd(out).unwrap();
    while let Ok(Some(line)) = requests.next_line().await {
        let request = Message::parse(line.into_bytes().into()).unwrap();
        let Some(id) = request.id_number() else { continue };
        let known = answers.iter().find(|(method, _)| *method == request.method());
        let answer = match known {
            Some((_, question)) if question.contains(r#""jsonrpc""#) => {
                let line = format!("{question}\n");
                if out.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
                let Ok(Some(told)) = requests.next_line().await else { return };
                format!(r#""result":{{"told":{told}}}"#)
            }
            Some((_, result)) => format!(r#""result":{result}"#),
            None => r#""error":{"code":-32601,"message":"unknown"}"#.to_owned(),
        };
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{answer}}}\n");
        if out.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        // The test starts no process.
        let guard = GuardCommand { program: "/bin/cat".into(), args: Vec::new() };
        let exec = ExecCommand { program: "/bin/false".into(), args: Vec::new() };
        let parts = Parts {
            host: ProcessHost::open(state.path(), guard, exec).await.unwrap(),
            metrics: Arc::new(Metrics::new("0", [])),
            message_bytes_max: 1 << 20,
            depth_max: 128,
            budget: Budget::UNLIMITED,
            instance_ids: Arc::default(),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: Arc::default(),
            seed: 1,
        };
        Self { parts, started: Vec::new(), hub: Arc::new(IgnoringObserver), _state: state }
    }

    /// A server that is not started.
    pub(crate) fn stopped(
        &self,
        name: &str,
        id: ServerId,
        answers: Answers,
    ) -> crate::server::Server {
        let runtime = Runtime::Process(ProcessSpec::default());
        let spec = ServerSpec::new(Name::try_new(name).unwrap(), runtime);
        let pool = Pool::with_host(spec, &self.parts, Arc::new(Inside(answers)));
        crate::server::Server { id, pool }
    }

    /// A server that has said what it has.
    pub(crate) async fn ready(
        &mut self,
        name: &str,
        id: ServerId,
        answers: Answers,
    ) -> crate::server::Server {
        let server = self.stopped(name, id, answers);
        let hub: Arc<dyn PoolObserver> = self.hub.clone();
        server.pool.start(Arc::downgrade(&hub));
        self.started.push(server.pool.clone());
        let ready = server.pool.wait_until(|pool| pool.facts(Era::Legacy).is_some());
        tokio::time::timeout(CAP, ready).await.expect("in time");
        server
    }

    pub(crate) async fn end(self) {
        for pool in &self.started {
            tokio::time::timeout(CAP, pool.stop()).await.expect("in time");
        }
        self.parts.host.shutdown().await;
    }
}
