//! The admin side as one service: from an HTTP request to its answer.
//!
//! [`Admin`] is a tower service around an axum router. It knows neither sockets nor the gateway: whatever
//! serves connections mounts it at [`Admin::paths`] and below [`Admin::BELOW`], and adds to each request
//! what is known of its sender ([`Asked`]).

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
pub use axum::body::Body;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderValue, Method};
use http_body::Body as _;
use mainstay_store::{AuditLog, EventLog};
use mainstay_telemetry::{CorrelationId, Metrics, ServerOutput};
use tower::{Service, ServiceExt};
use utoipa::openapi::PathItem;
use utoipa_axum::router::OpenApiRouter;

use crate::access::{Peer, Tokens, Visitor};
use crate::action::Actions;
use crate::api::problem::Rejection;
use crate::api::{actions, audit, events, health, logs, metrics, nodes, numbers, openapi, verify};
use crate::context::{Context, Shared};
use crate::page;
use crate::source::Source;
use crate::verify::Verifier;

pub(crate) mod audited;
mod bounds;
pub(crate) mod follow;
pub(crate) mod read;
pub(crate) mod refusals;
#[cfg(test)]
mod tests;

use self::bounds::{Bounds, Limiter};
use self::follow::Followers;
use self::refusals::Refusals;

/// What the admin side is made of.
pub struct Parts {
    pub source: Arc<dyn Source>,
    pub actions: Arc<dyn Actions>,
    pub verifier: Arc<dyn Verifier>,
    pub audit: Arc<dyn AuditLog>,
    pub events: Arc<dyn EventLog>,
    pub tokens: Tokens,
    pub metrics: Arc<Metrics>,
    /// What servers wrote.
    pub output: ServerOutput,
}

/// The sender of a request, as whatever serves connections knows it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub from: Peer,
    pub request_id: CorrelationId,
}

/// Answers everything that is not MCP, within bounds of time and number.
///
/// The extensions of a request hold [`Asked`].
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    router: Router,
    tokens: Tokens,
    metrics: Arc<Metrics>,
    /// As in `openapi.json`, and that of the page for people.
    paths: Vec<String>,
    /// Of each path.
    methods: Vec<Vec<Method>>,
}

/// For answers from memory.
const READS: Bounds = Bounds { at_once: 64, deadline: Duration::from_secs(10) };
/// For events, which are read from the disk. Bounded apart from the others, so that health is answered while
/// the disk hangs.
const STORED: Bounds = Bounds { at_once: 16, deadline: Duration::from_secs(10) };
/// For answers that wait for servers or the disk. Bounded apart from the others, so that health is answered
/// meanwhile.
const ACTIONS: Bounds = Bounds { at_once: 8, deadline: Duration::from_secs(60) };
/// For actions that wait for calls to finish: as long as `gateway.drain_timeout` may be, and a minute for what
/// comes after. Bounded apart from the others, which take a minute at most.
const DRAINS: Bounds = Bounds { at_once: 64, deadline: Duration::from_secs(3600 + 60) };
/// For checks of the stack: as long as they may take together, and a minute. Bounded apart from the others, since
/// they are many requests themselves. Whoever makes the checks makes fewer at once, and lets the others wait.
const CHECKS: Bounds = Bounds { at_once: 64, deadline: Duration::from_secs(3600 + 60) };
/// For requests whose bodies are still arriving.
const BODIES: Bounds = Bounds { at_once: 64, deadline: read::BODY_WAIT };

// === impl Admin ===

impl Admin {
    /// The beginning of all paths of actions. Those that do not exist are refused here, with those that do.
    pub const BELOW: &str = actions::BELOW;

    pub fn new(parts: Parts) -> Self {
        let document = document();
        let mut paths: Vec<_> = document.paths.paths.keys().cloned().collect();
        let mut methods: Vec<_> = document.paths.paths.values().map(methods).collect();
        paths.push(page::PATH.to_owned());
        methods.push(vec![Method::GET, Method::HEAD]);
        let context = Arc::new(Context {
            source: parts.source,
            actions: parts.actions,
            verifier: parts.verifier,
            audit: parts.audit,
            events: parts.events,
            refusals: Refusals::default(),
            output: parts.output,
            followers: Followers::default(),
            open_followers: Followers::default(),
            metrics: parts.metrics.clone(),
            document: openapi::text(&document).into(),
        });
        let known = paths.clone();
        let router = router(&context).fallback(async move |request: Request| {
            let error = format!("nothing is at {}", request.uri().path());
            Rejection::no_such_path(error, known)
        });
        Self(Arc::new(Inner {
            router: router.with_state(context),
            tokens: parts.tokens,
            metrics: parts.metrics,
            paths,
            methods,
        }))
    }

    /// The paths that it answers: those in `openapi.json`, and that of the page for people.
    pub fn paths(&self) -> &[String] {
        &self.0.paths
    }
}

impl Service<Request> for Admin {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Some(asked) = request.extensions_mut().remove::<Asked>() else {
            let refused = Rejection::unauthorized("to know who asks", false);
            return Box::pin(ready(Ok(refused.into_response())));
        };
        let inner = self.0.clone();
        Box::pin(async move { Ok(inner.answer(request, asked).await) })
    }
}

// === impl Inner ===

impl Inner {
    /// Answers a request. A panic on the way is answered, too.
    async fn answer(&self, mut request: Request, asked: Asked) -> Response {
        let Asked { from, request_id } = asked;
        let is_head = request.method() == Method::HEAD;
        // Before who asks is looked at: that a path takes another method is no secret.
        let at = self.paths.iter().position(|path| path == request.uri().path());
        if let Some(at) = at
            && !self.methods[at].contains(request.method())
        {
            let problem = Rejection::method_not_allowed(&self.methods[at]);
            return finish(problem.into_response(), is_head);
        }
        let visitor = Visitor::of(from, request.headers(), &self.tokens, request_id.clone());
        request.extensions_mut().insert(visitor);
        let answering = self.router.clone().oneshot(request);
        let answer = bounds::caught(answering, &self.metrics, &request_id).await;
        finish(answer.map_or_else(IntoResponse::into_response, |Ok(answer)| answer), is_head)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("paths", &self.0.paths).finish_non_exhaustive()
    }
}

/// The description of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    let open = open_routes().merge(read_routes()).merge(events::routes());
    let routes =
        open.merge(admin_routes()).merge(node_routes()).merge(verify_routes()).merge(stop_routes());
    openapi::complete(routes.into_openapi())
}

/// Routes that are open to everybody.
fn open_routes() -> OpenApiRouter<Shared> {
    health::open_routes()
}

/// Routes for loopback, the command socket, and callers with a token.
fn read_routes() -> OpenApiRouter<Shared> {
    let numbers = numbers::routes().merge(metrics::routes());
    health::routes().merge(numbers).merge(openapi::routes()).merge(page::routes())
}

/// Routes that need the `admin` token.
fn admin_routes() -> OpenApiRouter<Shared> {
    actions::routes().merge(audit::routes()).merge(logs::routes())
}

/// Routes that start and stop servers and services. They need the `admin` token, too, and may take long.
fn node_routes() -> OpenApiRouter<Shared> {
    nodes::routes()
}

/// The route that checks the stack. It needs the `admin` token, too, since checks call tools and show what they
/// answer.
fn verify_routes() -> OpenApiRouter<Shared> {
    verify::routes()
}

/// The route that stops the daemon. It needs the `admin` token, too, and has bounds of its own: whatever
/// the others wait for, the daemon can be stopped.
fn stop_routes() -> OpenApiRouter<Shared> {
    actions::stop_routes()
}

/// The routes with what stands before them.
fn router(context: &Shared) -> Router<Shared> {
    let keep = |bounds| from_fn_with_state(Limiter::new(bounds), bounds::keep);
    let audited = from_fn_with_state(context.clone(), audited::admin_only);
    let readers = from_fn_with_state(context.clone(), audited::readers);
    let read = read_routes().route_layer(readers.clone());
    let stored = events::routes().route_layer(readers).route_layer(keep(STORED));
    let reads = open_routes().merge(read).route_layer(keep(READS)).merge(stored);
    let arrived = || from_fn_with_state(Limiter::new(BODIES), read::arrived);
    let changing = |routes: OpenApiRouter<Shared>, bounds| {
        let bounded = routes.route_layer(keep(bounds)).route_layer(arrived());
        bounded.route_layer(audited.clone())
    };
    let nodes = changing(node_routes(), DRAINS).merge(changing(verify_routes(), CHECKS));
    let stop = changing(stop_routes(), ACTIONS);
    reads.merge(changing(admin_routes(), ACTIONS)).merge(nodes).merge(stop).into()
}

/// The methods that a path takes. Whatever can be read has a HEAD, too.
fn methods(path: &PathItem) -> Vec<Method> {
    let all = [
        (Method::GET, &path.get),
        (Method::HEAD, &path.get),
        (Method::POST, &path.post),
        (Method::PUT, &path.put),
        (Method::PATCH, &path.patch),
        (Method::DELETE, &path.delete),
    ];
    all.into_iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| method).collect()
}

/// Adds what every answer has. An old answer about health is a wrong one.
fn finish(mut answer: Response, is_head: bool) -> Response {
    let length = answer.body().size_hint().exact();
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(length) = length
        && !is_head
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if is_head { answer.map(|_| Body::empty()) } else { answer }
}
