//! Servers inside of the test: each answers with the texts it is given. Where the text is a request, the
//! server asks the client this first, and answers with what it was told.

use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::{ProcessSpec, Runtime, ServerSpec};
use mainstay_model::{Budget, Name, ServerId};
use mainstay_pool::{Instance, Parts, Pool, PoolObserver};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_telemetry::Metrics;
use mainstay_testkit::inside::{self, InsideHost, Pipes, Script};
use mainstay_upstream::host::{Boxed, Restarts};
use mainstay_upstream::{Asker, SessionNo};
use tokio::sync::Semaphore;

/// What a server answers, by method.
pub(crate) type Answers = &'static [(&'static str, &'static str)];

/// Longest wait for something that must come true.
const CAP: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Scripted(Answers);

#[derive(Debug)]
struct IgnoringObserver;

/// What pools are made of, and the pools.
pub(crate) struct World {
    parts: Parts,
    started: Vec<Arc<Pool>>,
    hub: Arc<IgnoringObserver>,
    _state: tempfile::TempDir,
}

impl PoolObserver for IgnoringObserver {
    fn lists_changed(&self, _: &Name, _: Era, _: &[ListKind]) {}

    fn resource_updated(&self, _: &Name, _: &[SessionNo], _: &Message) {}

    fn background(&self, _: &Name, _: &Arc<Instance>, _: &Message) {}

    fn question(&self, _: &Name, _: SessionNo, _: Asker, _: &Message) -> bool {
        false
    }
}

impl Script for Scripted {
    fn serve(self: Arc<Self>, _: usize, pipes: Pipes) -> Boxed<'static, ()> {
        Box::pin(async move {
            self.answer_all(pipes).await;
        })
    }
}

impl Scripted {
    async fn answer_all(&self, mut pipes: Pipes) -> Option<()> {
        loop {
            let request = pipes.message().await?;
            let Some(id) = request.id_number() else { continue };
            let known = self.0.iter().find(|(method, _)| *method == request.method());
            let answer = match known {
                Some((_, question)) if question.contains(r#""jsonrpc""#) => {
                    pipes.say(question).await?;
                    let told = pipes.line().await?;
                    format!(r#""result":{{"told":{told}}}"#)
                }
                Some((_, result)) => format!(r#""result":{result}"#),
                None => r#""error":{"code":-32601,"message":"unknown"}"#.to_owned(),
            };
            pipes.answer(id, &answer).await?;
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let parts = Parts {
            host: inside::process_host(state.path()).await.unwrap(),
            metrics: Arc::new(Metrics::new("0", [])),
            message_bytes_max: 1 << 20,
            depth_max: 128,
            budget: Budget::UNLIMITED,
            instance_ids: Arc::default(),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: Arc::default(),
            needs: Arc::default(),
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
        let host = InsideHost::new(Scripted(answers), Restarts::Bounded);
        let pool = Pool::with_host(spec, &self.parts, host);
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
