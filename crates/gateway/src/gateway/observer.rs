//! Forwards background messages of servers to the sessions they concern.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::{Name, ServerId};
use mainstay_pool::{Instance, PoolObserver};
use mainstay_protocol::build::string;
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message, Notification};
use mainstay_session::LogLevel;
use mainstay_telemetry::{Dropped, events};
use mainstay_upstream::{Asker, SessionNo};

use super::Gateway;
use crate::endpoint::Endpoint;
use crate::session::{Session, placement, questions};

impl PoolObserver for Gateway {
    fn lists_changed(&self, server: &Name, era: Era, kinds: &[ListKind]) {
        let topology = self.topology();
        let Some(server) = topology.server_named(server) else { return };
        for endpoint in topology.endpoints_with(server.id) {
            endpoint.note_changes(kinds);
            endpoint.start_build(&self.serving.tasks);
        }
        match era {
            Era::Modern => {
                let concerned: Vec<_> =
                    topology.endpoints_with(server.id).map(|at| at.id).collect();
                self.stateless.listens.lists_changed(&concerned, kinds);
            }
            Era::Legacy => {
                for endpoint in topology.endpoints_with(server.id) {
                    endpoint.state.audience.lists_changed(kinds);
                }
            }
        }
    }

    fn resource_updated(&self, server: &Name, owners: &[SessionNo], message: &Message) {
        let topology = self.topology();
        let Some(server) = topology.server_named(server) else { return };
        for session in owners.iter().filter_map(|owner| self.sessions.table.by_number(*owner)) {
            let Some(endpoint) = topology.endpoint_by_id(session.endpoint) else { continue };
            let published = published_update(endpoint, server.id, message);
            session.notify_resource_updated(&published);
        }
    }

    fn background(&self, server: &Name, instance: &Arc<Instance>, message: &Message) {
        if message.method() == Notification::Cancelled.as_str() {
            return self.question_taken_back(instance, message);
        }
        let level = message
            .params()
            .ok()
            .and_then(|params| params.level)
            .and_then(|level| LogLevel::parse(level.raw));
        let is_log = message.method() == "notifications/message";
        let topology = self.topology();
        let Some(of) = topology.server_named(server) else { return };
        let (mut heard, mut unheard) = (false, false);
        let mut tell = |session: &Session| {
            if placement::is_served_by(session, &of.pool, instance) {
                let has_it = session.queue_background(message.bytes());
                heard |= has_it;
                unheard |= !has_it;
            }
        };
        if is_log {
            // Log lines outside of calls have no owner, so only sessions that asked for logs get them, if
            // they have a stream. Of these two groups, the smaller is looked through.
            let levels = self.sessions.levels.for_server(of.id);
            let listening = || topology.endpoints_with(of.id).map(|at| at.state.audience.len());
            if listening().sum::<usize>() < levels.owners() {
                for endpoint in topology.endpoints_with(of.id) {
                    endpoint.state.audience.for_each(|session| {
                        if levels.wants(session.number, level) && session.has_background_stream() {
                            tell(session);
                        }
                    });
                }
            } else {
                for owner in levels.wanting(level) {
                    let session = self.sessions.table.by_number(owner);
                    if let Some(session) = session.filter(|it| it.has_background_stream()) {
                        tell(&session);
                    }
                }
            }
        } else {
            for endpoint in topology.endpoints_with(of.id) {
                endpoint.state.audience.for_each(&mut tell);
            }
        }
        // Whether a session without a stream wanted the log line is not checked, because the check would
        // run for every such session.
        if unheard || !(heard || is_log) {
            let metrics = self.serving.metrics.server(server);
            let reason = Dropped::NoListener;
            events::NotificationDropped { method: message.method(), reason }.emit(&metrics);
        }
    }

    fn question(&self, server: &Name, owner: SessionNo, asker: Asker, message: &Message) -> bool {
        let Some(session) = self.sessions.table.by_number(owner) else { return false };
        if !session.accepts_question(message.method()) {
            return false;
        }
        let number = self.sessions.question_numbers.next();
        match session.open_question(number, None, &asker, message, self.serving.budget) {
            Ok(bytes) if session.send_background(&bytes) => true,
            Ok(_) => {
                session.close_question(number);
                false
            }
            Err(why) => {
                questions::refuse_unopened(
                    &asker,
                    message,
                    why,
                    &self.serving.metrics.server(server),
                );
                true
            }
        }
    }
}

impl Gateway {
    /// Forwards the cancellation of a question that a server asked outside of calls to the session
    /// that was asked.
    fn question_taken_back(&self, instance: &Instance, message: &Message) {
        if let Some(asker) = instance.asker()
            && let Some(session) = self.sessions.table.by_number(instance.held_by())
            && let Some(taken_back) = session.cancel_question(&asker, message)
        {
            session.queue_background(&taken_back);
        }
    }
}

/// Returns a notification that a resource changed with the URI under which clients of the endpoint know the
/// resource.
fn published_update(endpoint: &Endpoint, server: ServerId, message: &Message) -> Bytes {
    let unchanged = message.bytes().clone();
    let Some(uri) = message.params().ok().and_then(|params| params.uri) else {
        return unchanged;
    };
    let own = uri.text().unwrap_or_default();
    match endpoint.published_uri(server, &own) {
        Some(published) => {
            splice(message.bytes(), &mut [Edit::new(uri.span, string(&published).as_bytes())])
        }
        None => unchanged,
    }
}
