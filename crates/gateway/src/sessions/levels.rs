//! The log levels that sessions ask for: noted, forgotten with the session, and told to the servers.

use futures_util::future::join_all;
use mainstay_session::LogLevel;
use mainstay_upstream::SessionNo;

use super::Sessions;
use crate::endpoint::Endpoint;
use crate::server::Server;
use crate::session::Session;

/// Sets the log level of a session at all servers of its endpoint.
pub(crate) fn set(sessions: &Sessions, endpoint: &Endpoint, session: &Session, level: LogLevel) {
    for server in &endpoint.servers {
        sessions.levels.for_server(server.id).set(session.number, level);
    }
    // The session may have ended meanwhile, and its end found no level to forget.
    if session.is_cut_off() {
        forget(sessions, session.number);
    }
}

/// Removes the log level of a session that has ended, and lowers that of servers if nobody else
/// wants more.
pub(crate) fn forget(sessions: &Sessions, owner: SessionNo) {
    for (server, levels) in sessions.levels.all() {
        if levels.remove(owner)
            && !sessions.serving.is_cutting_off()
            && let Some(pool) = sessions.directory.pool(server)
        {
            sessions
                .serving
                .tasks
                .spawn(levels.send_lowest(pool, sessions.serving.settings().limits.call));
        }
    }
}

/// Sends the lowest wanted level to servers. Waits for them as long as a call may take.
pub(crate) async fn send(sessions: &Sessions, servers: Vec<Server>) {
    let within = sessions.serving.settings().limits.call;
    let send = |Server { id, pool }| sessions.levels.for_server(id).send_lowest(pool, within);
    // The change continues even if the client goes away.
    let sent = servers.into_iter().map(|server| sessions.serving.tasks.spawn(send(server)));
    let _ = tokio::time::timeout(within, join_all(sent)).await;
}
