//! A gateway on a free port, with servers that misbehave as configured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_gateway::{Gateway, Layout, Parts, Serves, listener};
use mainstay_model::settings::{
    EndpointSpec, GatewaySettings, Limits, NameRule, Prefix, ProcessSpec, Runtime, ServerSpec,
};
use mainstay_model::{Budget, Name};
use mainstay_pool::Pool;
use mainstay_session::SealKey;
use mainstay_store::Backend;
use mainstay_telemetry::Metrics;
use mainstay_testkit::{Client, MemoryStore, programs};
use mainstay_upstream::process::{GuardCommand, ProcessHost};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::exec;

/// The longest time for which a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Scene {
    pub(crate) gateway: Arc<Gateway>,
    parts: mainstay_pool::Parts,
    backend: Backend,
    address: String,
    _folder: TempDir,
}

impl Scene {
    /// Starts a gateway without servers. Calls in flight get `drain` to finish when their server is
    /// removed.
    pub(crate) async fn start(drain: Duration) -> Self {
        Self::with_store(drain, &MemoryStore::default()).await
    }

    /// Starts a gateway with state that earlier daemons stored.
    pub(crate) async fn with_store(drain: Duration, store: &MemoryStore) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new("0", []));
        // What a guard is for is shown elsewhere: this one only waits.
        let waits = ["-c", "cat > /dev/null"].map(Into::into).to_vec();
        let guard = GuardCommand { program: "/bin/sh".into(), args: waits };
        let host = ProcessHost::open(folder.path(), guard, exec::command()).await.unwrap();
        let limits = Limits { drain, ..Limits::default() };
        let backend = store.open();
        let parts = mainstay_pool::Parts {
            host,
            metrics: metrics.clone(),
            message_bytes_max: limits.message_bytes_max,
            depth_max: limits.depth_max,
            budget: Budget::UNLIMITED,
            instance_ids: Arc::default(),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: Arc::default(),
            needs: Arc::default(),
            seed: 1,
        };
        let gateway = Gateway::new(Parts {
            settings: GatewaySettings { limits, ..GatewaySettings::default() },
            layout: Layout::default(),
            metrics,
            budget: Budget::UNLIMITED,
            key: SealKey::new([7; SealKey::BYTES]),
            backend: backend.clone(),
        })
        .await;
        gateway.start();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", tcp.local_addr().unwrap());
        let serves = Serves { http: true, sse: true };
        tokio::spawn(listener::serve_tcp(gateway.clone(), tcp, serves));
        Self { gateway, parts, backend, address, _folder: folder }
    }

    /// Creates the runtime of a server with this name. Nothing runs before it is installed.
    pub(crate) fn pool(&self, name: &str, flags: &[&str]) -> Arc<Pool> {
        self.pool_with(name, flags, |_| {})
    }

    /// As [`Self::pool`], with a specification that `change` has changed.
    pub(crate) fn pool_with(
        &self,
        name: &str,
        flags: &[&str],
        change: impl FnOnce(&mut ServerSpec),
    ) -> Arc<Pool> {
        let program = programs::misbehave().unwrap().display().to_string();
        let words = [program, "stdio".to_owned()].into_iter();
        let command = words.chain(flags.iter().map(|&flag| flag.to_owned())).collect();
        let runtime = Runtime::Process(ProcessSpec { command, ..ProcessSpec::default() });
        let mut spec = ServerSpec::new(Name::try_new(name).unwrap(), runtime);
        change(&mut spec);
        Pool::new(spec, &self.parts)
    }

    pub(crate) fn install(&self, pools: &[&Arc<Pool>], groups: &[(&str, &[&str])]) {
        let name = |name: &str| Name::try_new(name).unwrap();
        let groups = groups.iter().map(|(group, servers)| EndpointSpec {
            name: name(group),
            servers: servers.iter().map(|server| name(server)).collect(),
            prefix: Prefix::Auto,
            names: NameRule::Spec,
        });
        let pools = pools.iter().map(|&pool| pool.clone()).collect();
        assert!(self.gateway.install(Layout {
            pools,
            groups: groups.collect(),
            names: NameRule::Spec
        }));
    }

    /// Returns the number of a server's notifications that no client received.
    pub(crate) fn unheard(&self, server: &str) -> u64 {
        let series = format!(
            "mainstay_dropped_notifications_total{{server=\"{server}\",reason=\"no_listener\"}} "
        );
        let metrics = self.parts.metrics.encode();
        let found = metrics.lines().find_map(|line| line.strip_prefix(&series));
        found.map_or(0, |count| count.parse().unwrap())
    }

    /// Returns the value of one series, named as at `/metrics`; 0 if it does not exist yet.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let metrics = self.parts.metrics.encode();
        let mut lines = metrics.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    /// Opens a session of this revision with these client capabilities.
    pub(crate) async fn client_of(&self, path: &str, revision: &str, can: &Value) -> Client {
        let mut client = self.stranger(path);
        client.initialize(revision, can).await.unwrap();
        client
    }

    /// Creates a client without a session.
    pub(crate) fn stranger(&self, path: &str) -> Client {
        Client::new(&format!("{}{path}", self.address)).unwrap()
    }

    pub(crate) async fn client(&self, path: &str) -> Client {
        Client::connect(&format!("{}{path}", self.address)).await.unwrap()
    }

    /// Ends everything that was started.
    pub(crate) async fn end(self) {
        self.gateway.drain_and_stop().await;
        self.backend.upkeep.close().await;
        self.parts.host.shutdown().await;
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "{caller}: {what} never came to be");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
