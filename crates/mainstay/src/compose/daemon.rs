//! The daemon: its parts, its start and its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_admin::{Admin, Client, Tokens};
use mainstay_config::{Origin, Origins};
use mainstay_fleet::{Fleet, FleetParts};
use mainstay_gateway::{Gateway, Layout, Serves, listener};
use mainstay_model::Condition;
use mainstay_model::settings::{Limits, Settings};
use mainstay_pool::{ListFindings, Pool};
use mainstay_session::SealKey;
use mainstay_store::{Backend, Folder, KeyName};
use mainstay_telemetry::events::{
    DaemonChanged, DrainFinished, DrainStarted, Serving, Stopped, Swept,
};
use mainstay_telemetry::{LogControl, Metrics, ServerOutput};
use mainstay_upstream::process::{ExecCommand, GuardCommand, ProcessHost};
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::actions::Operator;
use super::listening::{Addresses, Listeners};
use super::notify::{Notifier, Sections};
use super::passed::PassedPages;
use super::reload::{AskedBy, Begun, Means, Reloader};
use super::signals::{Signals, Wanted};
use super::status::{Places, Status};
use super::verify::{Declared, StackChecks};
use super::{
    announcement, changes, command_socket, limits, passed, release, secrets, startup_errors, state,
    web,
};
use crate::exit::{Exit, Failure};

/// The longest wait for an answer to a check; each check has a shorter one of its own.
const CHECKS: Duration = Duration::from_secs(3600);

/// A daemon that serves.
pub(super) struct Daemon {
    gateway: Arc<Gateway>,
    metrics: Arc<Metrics>,
    fleet: Arc<Fleet>,
    host: Arc<ProcessHost>,
    backend: Backend,
    findings: Arc<ListFindings>,
    pub(super) addresses: Addresses,
    /// The endpoints that the main address serves.
    serves: Serves,
    listeners: Vec<JoinHandle<()>>,
    signals: Signals,
    notifier: Arc<Notifier>,
    /// Cancelled when the admin API is told to stop the daemon.
    stop: CancellationToken,
    /// None for a daemon without a configuration.
    reloader: Option<Reloader>,
    started: Instant,
    /// The lock on the state folder, held until the daemon has ended.
    _folder: Arc<Folder>,
}

impl Daemon {
    /// Opens the state folder and the addresses, and starts every server. Returns when the
    /// addresses accept clients; servers become ready later.
    pub(super) async fn start(
        mut settings: Settings,
        origins: &Origins,
        begun: Option<Begun>,
        log: LogControl,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let signals = Signals::listen().map_err(|error| Failure::of(Exit::Failed, &error))?;
        let state_dir = settings.state_dir.clone();
        let folder = state::ask(&state_dir, Folder::open).await?;
        let folder = Arc::new(folder.map_err(|error| startup_errors::no_state(&error))?);
        let listening = Listeners::bind(&settings.gateway).await?;
        let addresses = listening.addresses(&settings.gateway)?;
        let gateway = &settings.gateway;
        let serves = Serves { http: gateway.http, sse: gateway.sse && addresses.sse.is_empty() };
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
            instance_ids: Arc::<AtomicU64>::default(),
            list_discovery: Arc::new(Semaphore::new(1)),
            findings: findings.clone(),
            needs: Arc::default(),
            seed: secrets::random()?,
        };
        let pools: Vec<_> =
            settings.servers.iter().map(|spec| Pool::new(spec.clone(), &parts)).collect();
        let drain = settings.gateway.limits.drain;
        let config_file = begun.as_ref().and_then(|begun| begun.origin.file());
        let places = Places::new(state_dir.clone(), config_file, addresses.main[0]);
        places.set_mcp_url(&settings.gateway);
        let backend = open_backend(&folder, &settings.gateway.limits, &metrics).await?;
        let key = SealKey::new(secrets::key(&backend, KeyName::Session).await?);
        let tokens = Tokens::new(&secrets::key(&backend, KeyName::Token).await?);
        let declared = Arc::new(RwLock::new(Declared::new(&settings, &host)));
        let owners = passed::owners(&settings.servers, &settings.services);
        let fleet = Fleet::new(FleetParts {
            pools: pools.clone(),
            services: settings.services,
            volumes: settings.volumes,
            externals: settings.externals,
            host: host.clone(),
            metrics: metrics.clone(),
            instance_ids: parts.instance_ids.clone(),
            seed: parts.seed,
            findings: findings.clone(),
            stopped_by_hand: backend.stopped_by_hand.clone(),
            drain,
            needs: parts.needs.clone(),
        })
        .await
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
        let pages = PassedPages::new(owners, &settings.gateway, &fleet)
            .map_err(|error| Failure::of(Exit::Usage, &error))?;
        let pages = Arc::new(RwLock::new(Arc::new(pages)));
        let gateway = Gateway::new(mainstay_gateway::Parts {
            layout: Layout { pools, groups: settings.endpoints, names: settings.gateway.names },
            settings: settings.gateway,
            metrics: metrics.clone(),
            budget,
            key,
            backend: backend.clone(),
        })
        .await;
        changes::store(&metrics, &backend.events);
        let sections = Sections::new(&settings.notify);
        let notifier = Arc::new(Notifier::start(&settings.notify, &sections, &metrics, &host));
        changes::started(&metrics, &backend.events).await;
        let reloader = begun.map(|begun| {
            let means = Means {
                pools: parts,
                pages: pages.clone(),
                notifier: notifier.clone(),
                places: places.clone(),
                declared: declared.clone(),
                files,
                budget,
            };
            Reloader::start(begun, means, &gateway, &fleet, &metrics)
        });
        let answers = Status::new(
            &gateway,
            &fleet,
            metrics.clone(),
            &addresses,
            places,
            (sections, reloader.clone()),
        );
        answers.observe(&host);
        let stop = CancellationToken::new();
        let own_client = Client::new(&state_dir, CHECKS);
        let checks = StackChecks::new(Arc::new(answers.clone()), own_client, declared);
        let admin = Admin::new(mainstay_admin::Parts {
            source: Arc::new(answers.clone()),
            verifier: Arc::new(checks),
            actions: Arc::new(Operator::new(&gateway, &fleet, log, stop.clone(), reloader.clone())),
            audit: backend.audit.clone(),
            events: backend.events.clone(),
            tokens,
            metrics: metrics.clone(),
            output: host.output().clone(),
        });
        gateway.mount(web::mounted(admin, pages));
        gateway.start();
        fleet.start();
        let mut listeners = vec![
            tokio::spawn(command_socket::serve(gateway.clone(), folder.clone(), unix)),
            tokio::spawn(answers.watch_memory(host.clone())),
            tokio::spawn(end_followers(gateway.clone(), host.output().clone(), metrics.clone())),
            tokio::spawn(release::give_back_freed(budget)),
        ];
        for (tcp, serves) in listening.into_parts(serves) {
            listeners.push(tokio::spawn(listener::serve_tcp(gateway.clone(), tcp, serves)));
        }
        Serving { listen: &addresses.all(), servers: gateway.pools().len() }.emit(&metrics);
        Ok(Self {
            gateway,
            fleet,
            metrics,
            host,
            backend,
            findings,
            addresses,
            serves,
            listeners,
            signals,
            notifier,
            stop,
            reloader,
            started,
            _folder: folder,
        })
    }

    /// Prints where clients connect.
    pub(super) fn announce(&self) {
        announcement::print(&self.gateway, &self.addresses, self.serves);
    }

    pub(super) fn listen(&self) -> SocketAddr {
        self.addresses.main[0]
    }

    /// Serves until a signal arrives or the action `stop` is carried out, then drains and stops. Later
    /// signals may stop the daemon at once.
    pub(super) async fn run_to_end(mut self) {
        loop {
            tokio::select! {
                wanted = self.signals.wanted() => match wanted {
                    Wanted::Stop => break,
                    Wanted::Reload => self.reload(),
                },
                () = self.stop.cancelled() => {
                    self.signals.stop_by_action();
                    break;
                }
            }
        }
        if let Some(reloader) = &self.reloader {
            reloader.stop();
        }
        let begun = Instant::now();
        let calls = self.gateway.calls_in_flight();
        DrainStarted { calls, deadline: self.fleet.drain() }.emit(&self.metrics);
        let reason = Some(format!("calls in flight: {calls}"));
        let (from, to) = (Condition::Running, Condition::Draining);
        DaemonChanged { from, to, reason }.emit(&self.metrics);
        tokio::select! {
            () = async {
                let calls_left = self.gateway.drain_and_stop().await;
                DrainFinished { calls_left, took: begun.elapsed() }.emit(&self.metrics);
                if let Some(reloader) = &self.reloader {
                    reloader.until_over().await;
                }
                self.fleet.stop().await;
            } => {}
            () = self.signals.end_wanted() => {
                let calls = self.gateway.calls_in_flight();
                tracing::warn!(target: "mainstay", calls, "signalled again: stopping at once");
            }
        }
        for listener in self.listeners {
            listener.abort();
        }
        self.notifier.end().await;
        let (from, to) = (Condition::Draining, Condition::Stopped);
        DaemonChanged { from, to, reason: None }.emit(&self.metrics);
        tokio::join!(self.backend.upkeep.close(), self.findings.close());
        self.host.shutdown().await;
        Stopped { uptime: self.started.elapsed() }.emit(&self.metrics);
    }
}

impl Daemon {
    /// Reads the configuration again, as HUP asks for.
    fn reload(&self) {
        match &self.reloader {
            Some(reloader) => _ = reloader.ask(AskedBy::Signal),
            None => tracing::info!(
                target: "mainstay", "HUP has no effect: this daemon has no configuration to reload"
            ),
        }
    }
}

/// Ends the streams of those who follow what servers write and what changes, when the daemon stops.
async fn end_followers(gateway: Arc<Gateway>, output: ServerOutput, metrics: Arc<Metrics>) {
    gateway.stopping().await;
    output.close();
    metrics.changes().close();
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
