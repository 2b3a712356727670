//! Starts, stops and restarts servers and services by hand.

use std::sync::Arc;

use mainstay_admin::ActionError;
use mainstay_admin::action::{Done, Drain};
use mainstay_fleet::{Fleet, Stopping, UnknownNode};
use mainstay_model::Need;
use mainstay_supervisor::breaker::ChangeWhy;

use super::actions::Operator;

impl Operator {
    fn fleet(&self) -> Result<Arc<Fleet>, ActionError> {
        let gone = || ActionError::NotNow("the daemon is stopping".to_owned());
        self.fleet.upgrade().ok_or_else(gone)
    }

    pub(super) async fn start_node(&self, name: &str, dry_run: bool) -> Result<Done, ActionError> {
        let fleet = self.fleet()?;
        let Stopping { id, .. } = fleet.stopping(name).map_err(error)?;
        if fleet.is_running(name) {
            return Ok(Done::from(format!("{id} runs already")));
        }
        if dry_run {
            return Ok(Done::from(format!("{id} would be started")));
        }
        fleet.start_by_hand(name).await.map_err(error)?;
        Ok(Done::from(waiting(&fleet, name).unwrap_or_else(|| format!("{id} is starting"))))
    }

    /// Closes the circuit breaker of a node, or of all nodes.
    pub(super) fn reset_breakers(
        &self,
        name: Option<&str>,
        dry_run: bool,
    ) -> Result<Done, ActionError> {
        let all = self.fleet()?.breakers();
        let is_meant =
            |id: &Need| name.is_none_or(|name| id.name.as_str() == name || id.to_string() == name);
        let meant: Vec<_> = all.iter().filter(|breaker| is_meant(breaker.id())).collect();
        if let (true, Some(name)) = (meant.is_empty(), name) {
            let names = all.iter().map(|breaker| breaker.id().name.to_string()).collect();
            return Err(ActionError::NoSuchBreaker { name: name.to_owned(), names });
        }
        let open = meant.iter().filter(|breaker| match dry_run {
            true => !breaker.is_closed(),
            false => breaker.reset(ChangeWhy::Reset),
        });
        let open: Vec<_> = open.map(|breaker| breaker.id().name.to_string()).collect();
        let would = if dry_run { "would be closed" } else { "closed" };
        Ok(Done::from(match (open.as_slice(), name) {
            ([], Some(name)) => format!("the breaker of {name} is closed already"),
            ([], None) => "all breakers are closed already".to_owned(),
            ([one], _) => {
                format!("the breaker of {one} {}{would}", if dry_run { "" } else { "is " })
            }
            (more, _) => {
                format!(
                    "the breakers of {} {}{would}",
                    more.join(", "),
                    if dry_run { "" } else { "are " }
                )
            }
        }))
    }

    pub(super) async fn stop_node(&self, name: &str, dry_run: bool) -> Result<Done, ActionError> {
        let fleet = self.fleet()?;
        let stopping = fleet.stopping(name).map_err(error)?;
        if dry_run {
            let message = format!("{} would be stopped, until it is started again", stopping.id);
            return Ok(done(message, stopping, None));
        }
        // What was begun goes on if the caller does not wait for it.
        let own = (fleet, name.to_owned());
        let stopped = tokio::spawn(async move { own.0.stop_by_hand(&own.1).await });
        let cut_off = stopped.await.map_err(|error| ActionError::NotNow(error.to_string()))?;
        let cut_off = cut_off.map_err(error)?;
        let message = format!("{} is stopped, until it is started again", stopping.id);
        Ok(done(message, stopping, Some(cut_off)))
    }

    pub(super) async fn restart_node(
        &self,
        name: &str,
        dry_run: bool,
    ) -> Result<Done, ActionError> {
        let fleet = self.fleet()?;
        let stopping = fleet.stopping(name).map_err(error)?;
        fleet.check_restart(name).map_err(error)?;
        if dry_run {
            let message = format!("{} would be stopped and started again", stopping.id);
            return Ok(done(message, stopping, None));
        }
        let own = (fleet.clone(), name.to_owned());
        let restarted = tokio::spawn(async move { own.0.restart_by_hand(&own.1).await });
        let cut_off = restarted.await.map_err(|error| ActionError::NotNow(error.to_string()))?;
        let cut_off = cut_off.map_err(error)?;
        let again = waiting(&fleet, name);
        let message = again.unwrap_or_else(|| format!("{} is starting again", stopping.id));
        Ok(done(message, stopping, Some(cut_off)))
    }
}

fn done(message: String, stopping: Stopping, cut_off: Option<usize>) -> Done {
    let Stopping { calls, drain, dependants, .. } = stopping;
    let drain = Some(Drain { calls, timeout: drain });
    Done { drain, cut_off, dependants, ..Done::from(message) }
}

/// What a server or service waits for that was started.
fn waiting(fleet: &Fleet, name: &str) -> Option<String> {
    let node = fleet.view_of(name)?;
    let state = node.state.filter(|state| {
        use mainstay_model::status::InstanceState::{Held, Waiting};
        matches!(state, Held | Waiting)
    })?;
    let why = node.reason.unwrap_or_default();
    Some(format!("{} is {}: {why}", node.id, state.as_str()))
}

fn error(error: UnknownNode) -> ActionError {
    match error {
        UnknownNode::Unknown { name, names } => ActionError::NoSuchNode { name, names },
        UnknownNode::NotRun { .. } => ActionError::Impossible(error.to_string()),
        UnknownNode::Missing { .. } | UnknownNode::Unstored { .. } => {
            ActionError::NotNow(error.to_string())
        }
    }
}
