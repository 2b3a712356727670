//! Sends a call to its server: a permit for an instance, headers that repeat arguments, the request.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::Refusal;
use mainstay_pool::{Permit, Pool};
use mainstay_protocol::Edit;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::Outgoing;
use std::future::poll_fn;
use std::task::Poll;
use tokio::time::{Instant, sleep_until};

use super::{Call, placement};
use crate::session::{Control, Session, levels};

pub(super) type Acquiring = Pin<Box<dyn Future<Output = Result<Permit, Refusal>> + Send>>;

pub(super) enum NotSent {
    Refused(Refusal),
    Cancelled,
}

impl Call {
    pub(super) async fn send(&mut self) -> Result<(), NotSent> {
        if self.amiss && !self.mirrored_anew {
            self.mirror_anew().await;
        }
        if let Some(at) = self.repeat_at {
            tokio::select! {
                () = sleep_until(at) => {}
                () = cancelled(&self.control) => return Err(NotSent::Cancelled),
            }
        }
        let permit = match placement::shared(&self.session, &self.route.pool) {
            Some(permit) => permit,
            None => self.acquire().await?,
        };
        self.tries += 1;
        let edits =
            self.route.edits.iter().map(|(span, with)| Edit::new(span.clone(), with)).collect();
        let token = self.token.as_ref().map(|(span, _)| span.clone());
        let headers = self.route.headers.clone();
        let outgoing = Outgoing { message: &self.message, token, edits, headers };
        match permit.call(&outgoing, self.session.owner) {
            Ok(exchange) => {
                self.exchange = Some((exchange, permit));
                Ok(())
            }
            Err(lost) => match self.on_lost(&lost, permit) {
                None => Box::pin(self.send()).await,
                Some(refusal) => Err(NotSent::Refused(refusal)),
            },
        }
    }

    /// A permit for an instance that is not the one that everybody shares, or is not ready.
    pub(super) async fn acquire(&mut self) -> Result<Permit, NotSent> {
        let begin = || {
            let is_list = placement::list_kind(self.message.method()).is_some();
            let list_wait = is_list.then_some(self.gateway.settings.limits.list);
            let (session, pool) = (self.session.clone(), self.route.pool.clone());
            Box::pin(permit_for(session, pool, list_wait, self.deadline)) as Acquiring
        };
        let acquiring = self.acquiring.get_or_insert_with(begin);
        // A client that takes the call back while it waits for an instance must not hold its place.
        let permit = tokio::select! {
            permit = acquiring => Ok(permit),
            () = cancelled(&self.control) => Err(NotSent::Cancelled),
        };
        self.acquiring = None;
        permit?.map_err(NotSent::Refused)
    }

    /// Makes the headers anew, from the list as it is now.
    pub(super) async fn mirror_anew(&mut self) {
        let era = self.session.revision.era();
        let deadline = self.deadline.into_std();
        self.route.pool.refetch_list(era, ListKind::Tools, deadline).await;
        self.mirrored_anew = true;
        let Some(facts) = self.route.pool.facts(era) else { return };
        let tool = self.route.tool.as_deref().and_then(|tool| facts.lists.tool(tool));
        if let (Some(tool), Ok(params)) = (tool, self.message.params()) {
            let arguments = params.arguments.as_ref().map(|arguments| arguments.raw);
            self.route.headers = tool.headers(arguments);
        }
    }
}

/// A permit for the instance that a session's call goes to. `list_wait`: the call only asks for a list,
/// and may wait so long to hear whether the server lists the same for all.
async fn permit_for(
    session: Arc<Session>,
    pool: Arc<Pool>,
    list_wait: Option<Duration>,
    deadline: Instant,
) -> Result<Permit, Refusal> {
    let by = deadline.into_std();
    let permit = match list_wait {
        Some(wait) => {
            let known_by = by.min(std::time::Instant::now() + wait);
            placement::acquire_for_list(&session, &pool, known_by, by).await?
        }
        None => placement::acquire(&session, &pool, by).await?,
    };
    // The instance that all share logs as the most talkative of its clients wants.
    if session.revision.rules().stateful_methods && !permit.instance().key().is_base() {
        levels::tell_own(session.log_level(), &permit, deadline).await;
    }
    Ok(permit)
}

async fn cancelled(control: &Control) {
    poll_fn(|cx| if control.poll_cancelled(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}
