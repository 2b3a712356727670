//! The server over streamable HTTP.

mod exchange;
mod odd;
mod older;
mod reply;
mod sessions;
mod site;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming as Body;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::reply::{HttpReply, plain, session_of};
use self::sessions::Sessions;
use self::site::HttpServer;
use super::flags::Flags;
use super::flood::Flood;
use super::message::Outlet;
use super::server::Server;
use crate::accept;

/// Serves until `shutdown`, which closes all connections. A server in the test's own process must
/// not use faults that exit.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    flags: Flags,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    flags.pause("slow-start").await;
    let (server, sessions) = (Server::new(flags), Sessions::default());
    let site = Arc::new(HttpServer { server, sessions, signed_out: AtomicBool::new(false) });
    accept::serve(listener, shutdown, move |request| site.clone().answer(request)).await?;
    Ok(())
}

// === impl HttpServer ===

impl HttpServer {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> HttpReply {
        let is_control = request.uri().path().starts_with("/control/");
        if let Some(redirect) = odd::redirect(&self.server.flags, &request).filter(|_| !is_control)
        {
            self.server.count("redirected");
            return redirect;
        }
        match (request.method(), request.uri().path()) {
            (_, "/control/stats") => {
                let mut stats = self.server.stats();
                stats["sessions"] = self.sessions.len().into();
                plain(StatusCode::OK, "application/json", stats.to_string())
            }
            (_, "/control/forget") => {
                self.sessions.forget_all();
                plain(StatusCode::OK, "text/plain", String::new())
            }
            (_, "/control/sign-out") => {
                self.signed_out.fetch_xor(true, Ordering::Relaxed);
                plain(StatusCode::OK, "text/plain", String::new())
            }
            _ if self.signed_out.load(Ordering::Relaxed) => sessions::login_page(),
            _ if self.server.flags.has("only-sse") => older::answer(&self, request).await,
            (&Method::POST, _) => exchange::post(&self, request).await,
            (&Method::GET, _) => self.get(&request),
            (&Method::DELETE, _) => self.delete(&request),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new()),
        }
    }

    fn get(&self, request: &Request<Body>) -> HttpReply {
        let flags = &self.server.flags;
        self.server.count("GET");
        if flags.has("no-get") {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
        }
        if flags.has("empty-get") {
            return stream::events(Outlet::new().1, false, None);
        }
        if flags.has("get-404") {
            return plain(StatusCode::NOT_FOUND, "text/plain", "no such page".to_owned());
        }
        match self.sessions.side_stream(session_of(request)) {
            Some(messages) => {
                let flood = Flood::new(flags, true, &self.server.called);
                odd::dress(flags, stream::events(messages, flags.has("odd-sse"), flood), false)
            }
            None => sessions::lost(flags),
        }
    }

    fn delete(&self, request: &Request<Body>) -> HttpReply {
        self.server.count("DELETE");
        if self.server.flags.has("no-delete") {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
        }
        if self.sessions.forget(session_of(request)) {
            plain(StatusCode::OK, "text/plain", String::new())
        } else {
            sessions::lost(&self.server.flags)
        }
    }
}
