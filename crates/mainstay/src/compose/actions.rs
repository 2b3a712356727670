//! The one place where changes of the daemon that the admin API offers are carried out.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mainstay_admin::action::{Carrying, Done, Drain, LogLevel};
use mainstay_admin::api::configuration::Reload;
use mainstay_admin::{Action, ActionError, Actions};
use mainstay_fleet::Fleet;
use mainstay_gateway::Gateway;
use mainstay_model::status::InstanceState;
use mainstay_pool::Pool;
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_telemetry::LogControl;
use mainstay_telemetry::logs::Level;
use tokio_util::sync::CancellationToken;

use super::reload::{AskedBy, Reloader};

/// How long a server may take to give its lists.
const LISTS: Duration = Duration::from_secs(30);

/// Changes one daemon.
#[derive(Debug)]
pub(super) struct Operator {
    gateway: Weak<Gateway>,
    pub(super) fleet: Weak<Fleet>,
    log: LogControl,
    /// Cancelled when the daemon is to end.
    stop: CancellationToken,
    pub(super) reloader: Option<Reloader>,
}

// === impl Operator ===

impl Operator {
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        fleet: &Arc<Fleet>,
        log: LogControl,
        stop: CancellationToken,
        reloader: Option<Reloader>,
    ) -> Self {
        let (gateway, fleet) = (Arc::downgrade(gateway), Arc::downgrade(fleet));
        Self { gateway, fleet, log, stop, reloader }
    }

    fn stop(&self, dry_run: bool) -> Done {
        let gateway = self.gateway.upgrade();
        let calls = gateway.as_ref().map_or(0, |gateway| gateway.calls_in_flight());
        let is_stopping =
            self.stop.is_cancelled() || gateway.is_none_or(|gateway| gateway.is_draining());
        if !dry_run {
            self.stop.cancel();
        }
        let message = match (is_stopping, dry_run) {
            (true, _) => format!("the daemon is stopping already; calls in flight: {calls}"),
            (false, true) => format!("the daemon would stop; calls in flight: {calls}"),
            (false, false) => format!("the daemon is stopping; calls in flight: {calls}"),
        };
        let timeout = self.fleet.upgrade().map(|fleet| fleet.drain()).unwrap_or_default();
        let drain = Some(Drain { calls, timeout });
        Done { drain, ..Done::from(message) }
    }

    fn set_log_level(&self, level: LogLevel, dry_run: bool) -> Result<String, ActionError> {
        if !dry_run {
            let set = self.log.set(level_of(level));
            set.map_err(|error| ActionError::Impossible(error.to_string()))?;
        }
        let is = if dry_run { "would be" } else { "is now" };
        Ok(match level {
            LogLevel::Initial => format!("the log level {is} the one that the daemon started with"),
            level => format!("the log level {is} {}", level.as_str()),
        })
    }

    async fn refresh(&self, server: String, dry_run: bool) -> Result<String, ActionError> {
        let pools = self.gateway.upgrade().map(|gateway| gateway.pools()).unwrap_or_default();
        let Some(pool) = pools.iter().find(|pool| pool.name.as_str() == server) else {
            let servers = pools.iter().map(|pool| pool.name.to_string()).collect();
            return Err(ActionError::NoSuchServer { name: server, servers });
        };
        let ready = eras(pool);
        if ready.is_empty() {
            let state = pool.status(Instant::now(), &|_| String::new()).state.as_str();
            return Err(ActionError::NotNow(format!("{server} is not ready: it is {state}")));
        }
        if dry_run {
            return Ok(format!("the lists of {server} would be fetched"));
        }
        let deadline = Instant::now() + LISTS;
        for era in ready {
            for kind in ListKind::ALL.into_iter().filter(|kind| has_list(pool, era, *kind)) {
                if let Err(failure) = pool.refetch_list(era, kind, deadline).await {
                    return Err(ActionError::NotNow(format!("{server}: {failure}")));
                }
            }
        }
        let now = pool.status(Instant::now(), &|_| String::new());
        if now.state != InstanceState::Ready || Instant::now() >= deadline {
            let error = format!("{server} did not give all its lists within {} s", LISTS.as_secs());
            return Err(ActionError::NotNow(error));
        }
        let (tools, resources, prompts) = (now.tools, now.resources, now.prompts);
        Ok(format!("{server} lists {tools} tools, {resources} resources and {prompts} prompts"))
    }
}

impl Operator {
    async fn reload(&self, dry_run: bool) -> Result<Done, ActionError> {
        let Some(reloader) = &self.reloader else {
            let why = "this daemon has no configuration: it was started by `mainstay demo`";
            return Err(ActionError::Impossible(why.to_owned()));
        };
        if dry_run {
            let preview = reloader.preview().await;
            let report = preview.map_err(|error| ActionError::NotNow(error.to_string()))?;
            let message = match (report.is_refused(), report.is_empty()) {
                (true, _) => "the configuration is wrong",
                (false, true) => "nothing would change",
                (false, false) => "the configuration has changed",
            };
            return Ok(Done { reload: Some(Box::new(report)), ..Done::from(message.to_owned()) });
        }
        if self.stop.is_cancelled() {
            return Err(ActionError::NotNow("the daemon is stopping".to_owned()));
        }
        let number = reloader.ask(AskedBy::Command);
        let report = Reload { number, asked_by: "command".to_owned(), ..Reload::default() };
        let message = format!("reload {number} is under way");
        Ok(Done { reload: Some(Box::new(report)), ..Done::from(message) })
    }
}

impl Actions for Operator {
    fn carry_out(&self, action: Action, dry_run: bool) -> Carrying<'_> {
        Box::pin(async move {
            match action {
                Action::Stop => Ok(self.stop(dry_run)),
                Action::SetLogLevel(level) => self.set_log_level(level, dry_run).map(Done::from),
                Action::Refresh { server } => self.refresh(server, dry_run).await.map(Done::from),
                Action::StartNode { name } => self.start_node(&name, dry_run).await,
                Action::StopNode { name } => self.stop_node(&name, dry_run).await,
                Action::RestartNode { name } => self.restart_node(&name, dry_run).await,
                Action::ResetBreaker { name } => self.reset_breakers(name.as_deref(), dry_run),
                Action::Reload => self.reload(dry_run).await,
            }
        })
    }
}

/// The eras of clients for which a server is ready.
fn eras(pool: &Arc<Pool>) -> Vec<Era> {
    let both = [Era::Legacy, Era::Modern];
    both.into_iter()
        .filter(|era| pool.base(*era).is_some_and(|base| base.state().serves()))
        .collect()
}

/// Whether the server declares the list, or has it all the same.
fn has_list(pool: &Pool, era: Era, kind: ListKind) -> bool {
    pool.facts(era).is_some_and(|facts| facts.capabilities.has_list(kind))
}

fn level_of(level: LogLevel) -> Option<Level> {
    Some(match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Trace => Level::Trace,
        LogLevel::Initial => return None,
    })
}
