//! The daemon: its parts, its start and its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mainstay_admin::{Admin, Tokens};
use mainstay_config::{Origin, Origins};
use mainstay_gateway::{Gateway, Layout, Serves, listener};
use mainstay_model::settings::{Limits, Settings};
use mainstay_pool::{ListFindings, Pool};
use mainstay_session::SealKey;
use mainstay_store::{Backend, Folder, KeyName};
use mainstay_telemetry::events::{DrainFinished, DrainStarted, Serving, Stopped, Swept};
use mainstay_telemetry::{LogControl, Metrics};
use mainstay_upstream::process::{ExecCommand, GuardCommand, ProcessHost};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::actions::Operator;
use super::status::{self, Status};
use super::{command_socket, limits, release, secrets, startup_errors, state, web};
use crate::exit::{Exit, Failure};
use crate::output::announce;

/// A daemon that serves.
pub(super) struct Daemon {
    gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    host: Arc<ProcessHost>,
    backend: Backend,
    findings: Arc<ListFindings>,
    /// The main address, then that of HTTP+SSE if it has its own.
    listen: Arc<[SocketAddr]>,
    /// The endpoints that the main address serves.
    serves: Serves,
    listeners: Vec<JoinHandle<()>>,
    signals: Signals,
    /// Cancelled when the admin API is told to stop the daemon.
    stop: CancellationToken,
    drain: std::time::Duration,
    started: Instant,
    /// The lock on the state folder, held until the daemon has ended.
    _folder: Arc<Folder>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Reload and log signals, which have no effect yet and must not end the daemon.
    harmless: [Signal; 3],
}

impl Daemon {
    /// Opens the state folder and the addresses, and starts every server. Returns when the
    /// addresses accept clients; servers become ready later.
    pub(super) async fn start(
        mut settings: Settings,
        origins: &Origins,
        log: LogControl,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let signals = Signals::listen().map_err(|error| Failure::of(Exit::Failed, &error))?;
        let state_dir = settings.state_dir.clone();
        let folder = state::ask(&state_dir, Folder::open).await?;
        let folder = Arc::new(folder.map_err(|error| startup_errors::no_state(&error))?);
        let tcp = bind(settings.gateway.listen).await?;
        let own_sse = settings.gateway.sse_listen.filter(|_| settings.gateway.sse);
        let sse = match own_sse {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let listen = addresses([Some(&tcp), sse.as_ref()])?;
        let serves =
            Serves { http: settings.gateway.http, sse: settings.gateway.sse && own_sse.is_none() };
        let socket = folder.socket();
        let own_socket = socket.clone();
        let unix = state::ask(&state_dir, move |_| listener::bind_unix(&own_socket)).await?;
        let unix = unix.map_err(|error| startup_errors::no_socket(&socket, &error))?;
        let metrics = Arc::new(Metrics::new(
            env!("CARGO_PKG_VERSION"),
            settings.servers.iter().map(|s| &s.name),
        ));
        let host = open_host(&state_dir, &metrics).await?;
        // Raised last, so that servers inherit the limit that the daemon was started with.
        let files = limits::raise_file_limit();
        let own_folder = folder.clone();
        let findings = state::ask(&state_dir, move |_| ListFindings::open(&own_folder)).await?;
        let findings = Arc::new(findings);
        let budget = limits::memory_budget(&settings.gateway.limits);
        for problem in limits::beyond_budget(&settings.gateway.limits, origins, budget) {
            tracing::warn!(target: "mainstay", key = %problem.key, "{}", problem.message);
        }
        let is_chosen =
            origins.of("gateway.max_connections").is_some_and(|from| *from != Origin::Default);
        limits::lower_connections(&mut settings.gateway.limits, is_chosen, files, budget);
        let parts = mainstay_pool::Parts {
            host: host.clone(),
            metrics: metrics.clone(),
            message_bytes_max: settings.gateway.limits.message_bytes_max,
            depth_max: settings.gateway.limits.depth_max,
            budget,
            instance_ids: Arc::default(),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: findings.clone(),
            seed: secrets::random()?,
        };
        let pools = settings.servers.iter().map(|spec| Pool::new(spec.clone(), &parts)).collect();
        let drain = settings.gateway.limits.drain;
        let backend = open_backend(&folder, &settings.gateway.limits, &metrics).await?;
        let key = SealKey::new(secrets::key(&backend, KeyName::Session).await?);
        let tokens = Tokens::new(&secrets::key(&backend, KeyName::Token).await?);
        let gateway = Gateway::new(mainstay_gateway::Parts {
            layout: Layout { pools, groups: settings.endpoints, names: settings.gateway.names },
            settings: settings.gateway,
            metrics: metrics.clone(),
            budget,
            key,
            backend: backend.clone(),
        })
        .await;
        let answers = Status::new(&gateway, metrics.clone(), listen.clone(), &state_dir);
        answers.observe();
        let stop = CancellationToken::new();
        let admin = Admin::new(mainstay_admin::Parts {
            source: Arc::new(answers.clone()),
            actions: Arc::new(Operator::new(&gateway, log, stop.clone(), drain)),
            audit: backend.audit.clone(),
            tokens,
            metrics: metrics.clone(),
        });
        gateway.mount(web::mounted(admin));
        gateway.start();
        let mut listeners = vec![
            tokio::spawn(listener::serve_tcp(gateway.clone(), tcp, serves)),
            tokio::spawn(command_socket::serve(gateway.clone(), folder.clone(), unix)),
            tokio::spawn(answers.watch_memory(host.clone())),
            tokio::spawn(release::give_back_freed(budget)),
        ];
        if let Some(tcp) = sse {
            let serves = Serves { http: false, sse: true };
            listeners.push(tokio::spawn(listener::serve_tcp(gateway.clone(), tcp, serves)));
        }
        Serving { listen: &listen, servers: gateway.pools().len() }.emit(&metrics);
        Ok(Self {
            gateway,
            metrics,
            host,
            backend,
            findings,
            listen,
            serves,
            listeners,
            signals,
            stop,
            drain,
            started,
            _folder: folder,
        })
    }

    /// Prints where clients connect.
    pub(super) fn announce(&self) {
        announce(format!("mainstay is serving at http://{}", self.listen()));
        let own = self.listen.get(1).copied();
        if let Some(own) = own {
            announce(format!(
                "HTTP+SSE of 2024-11-05 is at http://{own}/sse and http://{own}/sse/NAME"
            ));
        }
        let (at, root) = match (self.serves, own) {
            (Serves { http: true, .. }, _) => (self.listen(), "/mcp"),
            (Serves { sse: true, .. }, _) => (self.listen(), "/sse"),
            (_, Some(own)) => (own, "/sse"),
            (_, None) => return,
        };
        if let Some(public) = self.gateway.public_url() {
            announce(format!("clients connect at {public}"));
        }
        for endpoint in status::endpoints(&self.gateway) {
            let own = endpoint.path().replacen("/mcp", root, 1);
            let public = self.gateway.public_url().map(|public| public.url_for(&own));
            let url = public.unwrap_or_else(|| format!("http://{at}{own}"));
            let servers: Vec<_> = endpoint.pools().map(|pool| pool.spec.name.as_str()).collect();
            announce(format!("  {url:<45} {}", servers.join(", ")));
        }
    }

    pub(super) fn listen(&self) -> SocketAddr {
        self.listen[0]
    }

    /// Serves until a signal arrives or the action `stop` is carried out, then drains and stops. A second
    /// signal stops the daemon at once.
    pub(super) async fn run_to_end(mut self) {
        tokio::select! {
            () = self.signals.wanted() => {}
            () = self.stop.cancelled() => {}
        }
        let begun = Instant::now();
        let calls = self.gateway.calls_in_flight();
        DrainStarted { calls, deadline: self.drain }.emit(&self.metrics);
        tokio::select! {
            calls_left = self.gateway.drain_and_stop() => {
                DrainFinished { calls_left, took: begun.elapsed() }.emit(&self.metrics);
            }
            () = self.signals.wanted() => {
                tracing::warn!(target: "mainstay", "second signal: stopping at once");
            }
        }
        for listener in self.listeners {
            listener.abort();
        }
        tokio::join!(self.backend.upkeep.close(), self.findings.close());
        self.host.shutdown().await;
        Stopped { uptime: self.started.elapsed() }.emit(&self.metrics);
    }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            harmless: [
                signal(SignalKind::hangup())?,
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits for a signal that ends the daemon.
    async fn wanted(&mut self) {
        let [hangup, user1, user2] = &mut self.harmless;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = hangup.recv() => {
                    tracing::warn!(target: "mainstay", "HUP: this version reads its configuration only at start");
                }
                // The log goes to standard error, so there is no file to reopen.
                _ = user1.recv() => {}
                _ = user2.recv() => {
                    tracing::warn!(target: "mainstay", "USR2: this version can't be upgraded in place");
                }
            }
        }
    }
}

fn addresses<'a>(
    listeners: impl IntoIterator<Item = Option<&'a TcpListener>>,
) -> Result<Arc<[SocketAddr]>, Failure> {
    let addresses = listeners.into_iter().flatten().map(TcpListener::local_addr);
    addresses.collect::<Result<_, _>>().map_err(|error| Failure::of(Exit::Failed, &error))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| startup_errors::no_address(address, &error))
}

async fn open_host(state_dir: &Path, metrics: &Metrics) -> Result<Arc<ProcessHost>, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::of(Exit::Failed, &error))?;
    let args = vec!["__guard".into(), state_dir.as_os_str().to_owned()];
    let guard = GuardCommand { program, args };
    // The kernel's link to this program: another version may have replaced the file at its path.
    let exec = ExecCommand { program: "/proc/self/exe".into(), args: vec!["__exec".into()] };
    let host = ProcessHost::open(state_dir, guard, exec)
        .await
        .map_err(|error| Failure::of(Exit::Failed, &error))?;
    if !host.swept().is_empty() {
        Swept { processes: host.swept().len(), records: 0 }.emit(metrics);
    }
    Ok(host)
}

async fn open_backend(
    folder: &Arc<Folder>,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Result<Backend, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let options = mainstay_store::Options {
        run: secrets::random()?,
        now,
        idle: limits.session_idle,
        sessions_max: limits.sessions_max,
        metrics: metrics.clone(),
    };
    let own = folder.clone();
    let opened = state::ask(folder.path(), move |_| own.backend(options)).await?;
    opened.map_err(|newer| startup_errors::newer_state(&newer))
}
