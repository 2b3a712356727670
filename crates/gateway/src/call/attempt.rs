//! The attempts of a call: a permit for an instance, the request, and what comes back for it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_model::Refusal;
use mainstay_model::settings::ToolTerms;
use mainstay_pool::{AttemptEnd, NeedTickets, Permit, Pool, RetryPlace};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Edit, Message};
use mainstay_upstream::{Asker, Exchange, Incoming, Lost, Outgoing};
use tokio::time::{Instant, sleep_until};

use crate::endpoint::route::{ProgressToken, Route};
use crate::session::control::CallControl;
use crate::session::{Session, levels, placement};

/// A request and the attempts to send it. At most one attempt is under way at a time.
pub(super) struct Attempt {
    message: Message,
    pub(super) route: Route,
    pub(super) token: Option<ProgressToken>,
    /// The place in the retry budget that the next attempt waits for.
    again: Option<RetryPlace>,
    /// Whether the list of tools is fetched again to rebuild the headers before the next attempt.
    headers_are_stale: bool,
    /// A pending permit. It is kept while nobody polls the call, so that the call keeps its place
    /// in the queue.
    acquiring: Option<(Instant, Acquiring)>,
    /// How long the call has waited for permits.
    pub(super) waited: Duration,
    under_way: Option<(Exchange, Permit)>,
    /// Nobody takes what comes from the server at the moment.
    unheard: bool,
}

/// For whom a request is sent, and how long that may take.
pub(super) struct SendContext<'a> {
    pub(super) session: &'a Arc<Session>,
    pub(super) control: &'a CallControl,
    pub(super) deadline: Instant,
    /// Longest wait for a list.
    pub(super) list_wait: Duration,
    /// What is set for the tool.
    pub(super) terms: Option<&'a ToolTerms>,
}

/// Why a request was not sent.
pub(super) enum NotSent {
    Refused(Refusal),
    Lost(Lost),
    Cancelled,
}

type Acquiring = Pin<Box<dyn Future<Output = Result<Permit, Refusal>> + Send>>;

// === impl Attempt ===

impl Attempt {
    pub(super) fn new(message: Message, route: Route, token: Option<ProgressToken>) -> Self {
        Self {
            message,
            route,
            token,
            again: None,
            headers_are_stale: false,
            acquiring: None,
            waited: Duration::ZERO,
            under_way: None,
            unheard: false,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Sets whether the client takes what comes from the server. A server that never pauses is read more
    /// slowly while it does not.
    pub(super) fn set_heard(&mut self, heard: bool) {
        self.unheard = !heard;
        if let Some((exchange, _)) = &self.under_way {
            exchange.set_heard(heard);
        }
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// Prepares another attempt, for when this place in the retry budget comes.
    pub(super) fn send_again(&mut self, place: RetryPlace) {
        self.again = Some(place);
    }

    /// Prepares another attempt with new headers, because these were wrong.
    pub(super) fn renew_headers(&mut self) {
        self.headers_are_stale = true;
    }

    /// Begins an attempt. May be dropped and called again without losing anything.
    pub(super) async fn send(&mut self, context: &SendContext<'_>) -> Result<(), NotSent> {
        if self.headers_are_stale {
            self.refresh_headers(context).await;
        }
        if let Some(place) = &self.again {
            tokio::select! {
                () = sleep_until(place.at().into()) => {}
                () = wait_until_cancelled(context.control) => return Err(NotSent::Cancelled),
            }
            self.again.take().into_iter().for_each(RetryPlace::spend);
        }
        // 1. What its tool needs beside the server.
        let mut needs = self.admit_needs(context)?;
        // 2. The server's breaker, its turn and an instance.
        let mut permit = match placement::try_shared(context.session, &self.route.pool) {
            Some(permit) => permit,
            None => {
                let permit = self.acquire_here_or_there(context).await?;
                needs = self.admit_needs_again(needs)?;
                permit
            }
        };
        permit.set_needs(needs);
        let edits =
            self.route.edits.iter().map(|(span, with)| Edit::new(span.clone(), with)).collect();
        let token = self.token.as_ref().map(|(span, _)| span.clone());
        let headers = self.route.headers.clone();
        let outgoing = Outgoing { message: &self.message, token, edits, headers };
        match permit.call(&outgoing, context.session.number) {
            Ok(exchange) => {
                if self.unheard {
                    exchange.set_heard(false);
                }
                self.under_way = Some((exchange, permit));
                Ok(())
            }
            Err(lost) => {
                permit.finish(&self.route.pool, AttemptEnd::NotTaken);
                Err(NotSent::Lost(lost))
            }
        }
    }

    /// Asks what the tool needs. Nothing of a call is sent that is refused.
    fn admit_needs(&self, context: &SendContext<'_>) -> Result<NeedTickets, NotSent> {
        let needs = context.terms.map_or(&[][..], |terms| &terms.needs);
        match &self.route.tool {
            Some(tool) if !needs.is_empty() => {
                self.route.pool.admit_needs(tool, needs).map_err(NotSent::Refused)
            }
            _ => Ok(NeedTickets::default()),
        }
    }

    fn admit_needs_again(&self, needs: NeedTickets) -> Result<NeedTickets, NotSent> {
        match &self.route.tool {
            Some(tool) if !needs.is_empty() => {
                self.route.pool.admit_needs_again(tool, needs).map_err(NotSent::Refused)
            }
            _ => Ok(needs),
        }
    }

    /// Polls for the next message to the request that is under way.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        match &mut self.under_way {
            Some((exchange, _)) => exchange.poll_next(cx),
            None => Poll::Pending,
        }
    }

    /// Whether the last poll was pending although the server may have sent more.
    pub(super) fn has_yielded(&self) -> bool {
        self.under_way.as_ref().is_some_and(|(exchange, _)| exchange.has_yielded())
    }

    /// Returns the asker of questions in the attempt that is under way.
    pub(super) fn asker(&self) -> Option<Asker> {
        Some(self.under_way.as_ref()?.0.asker())
    }

    /// Refuses a question of the server in the client's place.
    pub(super) fn refuse(&self, question: &Message) {
        if let Some((exchange, _)) = &self.under_way {
            exchange.refuse(question);
        }
    }

    /// Whether the attempt that is under way is the trial of a breaker.
    pub(super) fn is_trial(&self) -> bool {
        self.under_way.as_ref().is_some_and(|(_, permit)| permit.is_trial())
    }

    /// Records how the attempt that was under way ended.
    pub(super) fn end(&mut self, how: AttemptEnd<'_>) {
        if let Some((_, permit)) = self.under_way.take() {
            permit.finish(&self.route.pool, how);
        }
    }

    /// Records that the server answered the attempt that was under way.
    pub(super) fn end_answered(&mut self) {
        let failed_as = self.under_way.as_ref().and_then(|(exchange, _)| exchange.failed_as());
        self.end(failed_as.map_or(AttemptEnd::Answered, AttemptEnd::AnsweredAs));
    }

    /// Cancels the attempt that is under way with a reason for the server.
    pub(super) fn withdraw(&mut self, reason: &str, how: AttemptEnd<'_>) {
        self.again = None;
        if let Some((exchange, permit)) = self.under_way.take() {
            self.route.pool.give_up_call(permit, exchange, reason, how);
        }
    }

    /// Acquires a permit from the pool of the route, or from the one that has taken its place meanwhile.
    async fn acquire_here_or_there(
        &mut self,
        context: &SendContext<'_>,
    ) -> Result<Permit, NotSent> {
        loop {
            if let Some(successor) = self.route.pool.successor() {
                self.route.pool = successor;
            }
            let acquired = self.acquire(context).await;
            let is_refused = matches!(acquired, Err(NotSent::Refused(_)));
            if !is_refused || self.route.pool.successor().is_none() {
                return acquired;
            }
        }
    }

    /// Acquires a permit for an instance that is not the shared one, or is not ready.
    async fn acquire(&mut self, context: &SendContext<'_>) -> Result<Permit, NotSent> {
        let begin = || {
            let is_list = placement::list_kind(self.message.method()).is_some();
            let list_wait = is_list.then_some(context.list_wait);
            let (session, pool) = (context.session.clone(), self.route.pool.clone());
            let permit = Box::pin(permit_for(session, pool, list_wait, context.deadline));
            (Instant::now(), permit as Acquiring)
        };
        let (begun, acquiring) = self.acquiring.get_or_insert_with(begin);
        // A client that cancels the call while it waits for an instance must not keep its place.
        let permit = tokio::select! {
            permit = acquiring => Ok(permit),
            () = wait_until_cancelled(context.control) => Err(NotSent::Cancelled),
        };
        self.waited += begun.elapsed();
        self.acquiring = None;
        permit?.map_err(NotSent::Refused)
    }

    /// Rebuilds the headers that repeat arguments from a newly fetched list.
    async fn refresh_headers(&mut self, context: &SendContext<'_>) {
        let era = context.session.revision.era();
        // Without a new list, the tool is called as it was listed before.
        let _ =
            self.route.pool.refetch_list(era, ListKind::Tools, context.deadline.into_std()).await;
        self.headers_are_stale = false;
        let Some(facts) = self.route.pool.facts(era) else { return };
        let tool = self.route.tool.as_deref().and_then(|tool| facts.lists.tool(tool));
        if let (Some(tool), Ok(params)) = (tool, self.message.params()) {
            let arguments = params.arguments.as_ref().map(|arguments| arguments.raw);
            self.route.headers = tool.headers(arguments);
        }
    }
}

/// Acquires a permit for the instance that a session's call goes to. `list_wait`: the call asks for
/// a list only, and may wait that long to learn whether the server lists the same for all clients.
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
        None => placement::acquire_for_call(&session, &pool, by).await?,
    };
    // A shared instance logs at the most verbose level of its clients.
    if session.revision.rules().stateful_methods && !permit.instance().key().is_base() {
        levels::set_instance_level(session.log_level(), &permit, deadline).await;
    }
    Ok(permit)
}

async fn wait_until_cancelled(control: &CallControl) {
    poll_fn(|cx| if control.poll_cancelled(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}
