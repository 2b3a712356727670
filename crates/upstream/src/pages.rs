//! Passes requests through to pages that servers and services have beside MCP.
//!
//! Nothing is passed but the paths and methods that the configuration declares. Whoever mounts [`Pages`] has
//! admitted the request: here is only what is passed, and where to.

mod exchange;
mod headers;
mod path;
mod refusal;
mod target;
mod upload;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use mainstay_model::Name;
use mainstay_model::settings::PagesSpec;
use mainstay_model::status::InstanceState;
use tokio::sync::Semaphore;

pub use self::headers::Forwarded;
use self::path::Undeclared;
use self::refusal::PageRefusal;
use self::target::PageTarget;
use self::upload::Upload;

/// All pages that are passed through, and how.
pub struct Pages {
    owners: HashMap<(Area, Name), Owner>,
    limits: PageLimits,
    sight: Sight,
}

/// The body of a request to a page or of its answer.
pub type PageBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Says how a server or a service is. `None`: nothing is known of it.
pub type Sight = Arc<dyn Fn(&Name) -> Option<OwnerState> + Send + Sync>;

/// Where pages are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Area {
    /// `/services/NAME/`
    Services,
    /// `/pages/NAME/`, for servers.
    Servers,
}

/// A server or service that declares pages.
#[derive(Debug, Clone)]
pub struct PageOwner {
    pub area: Area,
    pub name: Name,
    pub spec: PagesSpec,
    /// Whether Mainstay runs it. While it does not run, something else may have its port, so nothing is passed.
    pub is_run: bool,
}

/// How a server or a service is, for the answer where its pages can't be had.
#[derive(Debug, Clone)]
pub struct OwnerState {
    pub state: InstanceState,
    /// Why, for clients.
    pub reason: Option<String>,
}

/// Limits on what is passed.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// The largest body of a request, in bytes.
    pub body_bytes_max: u64,
    /// The time within which the body of a request must arrive.
    pub receive: Duration,
    /// The time within which a target must begin to answer, once it has the request.
    pub answer: Duration,
    /// An answer that pauses for longer is cut off.
    pub idle: Duration,
}

/// The sender's side of a request.
#[derive(Debug, Clone)]
pub struct Visit {
    pub forwarded: Forwarded,
    /// Finds the request in logs.
    pub request_id: String,
}

struct Owner {
    page: PageOwner,
    target: PageTarget,
    /// Bounds the requests to one target at the same time.
    room: Arc<Semaphore>,
}

/// Most requests to one target at the same time, streams included.
const AT_ONCE_MAX: usize = 256;

/// A target that can't be used: it is no `http://` or `https://` with a host.
#[derive(Debug, thiserror::Error)]
#[error("the target of the pages of `{name}` can't be used")]
pub struct InvalidPageTarget {
    pub name: Name,
}

// === impl Pages ===

impl Pages {
    /// What the paths of pages begin with.
    pub const BELOW: [&str; 2] = [Area::Services.below(), Area::Servers.below()];

    /// # Errors
    /// When a target is no address of an HTTP server.
    pub fn new(
        owners: Vec<PageOwner>,
        limits: PageLimits,
        sight: Sight,
    ) -> Result<Self, InvalidPageTarget> {
        let owner = |page: PageOwner| {
            let target = PageTarget::new(&page.spec.target);
            let target = target.ok_or_else(|| InvalidPageTarget { name: page.name.clone() })?;
            let key = (page.area, page.name.clone());
            Ok((key, Owner { page, target, room: Arc::new(Semaphore::new(AT_ONCE_MAX)) }))
        };
        let owners = owners.into_iter().map(owner).collect::<Result<_, _>>()?;
        Ok(Self { owners, limits, sight })
    }

    /// Whether a path of the daemon is one of pages.
    pub fn is_below(path: &str) -> bool {
        Self::BELOW.iter().any(|below| path.starts_with(below))
    }

    /// Passes a request through, or says why not.
    pub async fn pass(&self, request: Request<PageBody>, visit: &Visit) -> Response<PageBody> {
        match self.try_pass(request, visit).await {
            Ok(answer) => answer,
            Err(refused) => refused.into_response(&visit.request_id),
        }
    }

    async fn try_pass(
        &self,
        request: Request<PageBody>,
        visit: &Visit,
    ) -> Result<Response<PageBody>, PageRefusal> {
        let (parts, body) = request.into_parts();
        let (owner, path) = self.find(&parts.uri, visit)?;
        owner.admits(&parts.method, path, visit)?;
        headers::check(&parts.headers)?;
        self.check_size(&parts.headers)?;
        self.check_state(owner)?;
        let room = owner.room.clone().try_acquire_owned();
        let room = room.map_err(|_| PageRefusal::busy(&owner.page.name))?;

        let (upload, fault) = Upload::new(body, self.limits.body_bytes_max, self.limits.receive);
        let outgoing = owner.outgoing(&parts, path, upload, visit)?;
        let answer = exchange::exchange(&owner.target, outgoing, self.limits, room).await;
        let mut answer = answer.map_err(|failure| {
            fault.refusal(self.limits).unwrap_or_else(|| {
                PageRefusal::failed(&owner.page, &failure, (self.sight)(&owner.page.name).as_ref())
            })
        })?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(PageRefusal::switched(&owner.page.name));
        }
        let prefix = visit.forwarded.public(&owner.page.prefix());
        headers::returned(answer.headers_mut(), &owner.target, &prefix);
        Ok(answer)
    }

    /// The owner of a path, and the path at its target.
    fn find<'p>(&self, uri: &'p Uri, visit: &Visit) -> Result<(&Owner, &'p str), PageRefusal> {
        let path = uri.path();
        let area = [Area::Services, Area::Servers]
            .into_iter()
            .find(|area| path.starts_with(area.below()))
            .unwrap_or(Area::Services);
        let rest = path.strip_prefix(area.below()).unwrap_or_default();
        let (name, inner) = match rest.find('/') {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let owner = Name::try_new(name).ok().and_then(|name| self.owners.get(&(area, name)));
        owner.map(|owner| (owner, inner)).ok_or_else(|| {
            let prefixes = self
                .owners
                .values()
                .map(|owner| format!("{}/", visit.forwarded.public(&owner.page.prefix())));
            PageRefusal::unknown(path, prefixes.collect())
        })
    }

    fn check_size(&self, headers: &HeaderMap) -> Result<(), PageRefusal> {
        let announced = headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        match announced.is_some_and(|length| length > self.limits.body_bytes_max) {
            true => Err(PageRefusal::too_large(self.limits.body_bytes_max)),
            false => Ok(()),
        }
    }

    /// Refuses what Mainstay runs and knows not to run.
    fn check_state(&self, owner: &Owner) -> Result<(), PageRefusal> {
        use InstanceState as S;
        let sight = (self.sight)(&owner.page.name).filter(|_| owner.page.is_run);
        let is_down = |sight: &OwnerState| {
            matches!(
                sight.state,
                S::Waiting
                    | S::Held
                    | S::BackingOff
                    | S::CrashLooping
                    | S::Failed
                    | S::Stopped
                    | S::Idle
                    | S::Done
            )
        };
        match sight.filter(is_down) {
            Some(sight) => Err(PageRefusal::down(&owner.page, &sight)),
            None => Ok(()),
        }
    }
}

// === impl Owner ===

impl Owner {
    fn admits(&self, method: &Method, path: &str, visit: &Visit) -> Result<(), PageRefusal> {
        let spec = &self.page.spec;
        path::check(&spec.paths, path).map_err(|why| PageRefusal::undeclared(self, visit, why))?;
        match spec.methods.iter().any(|allowed| allowed == method.as_str()) {
            true => Ok(()),
            false => Err(PageRefusal::method(method, &spec.methods)),
        }
    }

    /// The request for the target.
    fn outgoing(
        &self,
        parts: &Parts,
        path: &str,
        upload: Upload,
        visit: &Visit,
    ) -> Result<Request<Upload>, PageRefusal> {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let uri = PathAndQuery::try_from(format!("{path}{query}")).map(Uri::from);
        let mut request = Request::new(upload);
        *request.uri_mut() =
            uri.map_err(|_| PageRefusal::undeclared(self, visit, Undeclared::Form))?;
        *request.method_mut() = parts.method.clone();
        let prefix = self.page.prefix();
        *request.headers_mut() =
            headers::outgoing(&parts.headers, &self.target, &visit.forwarded, &prefix);
        Ok(request)
    }
}

// === impl PageOwner ===

impl PageOwner {
    /// The daemon's own path that stands for the root of the target, without a slash at its end.
    fn prefix(&self) -> String {
        format!("{}{}", self.area.below(), self.name)
    }

    fn noun(&self) -> &'static str {
        match self.area {
            Area::Services => "service",
            Area::Servers => "server",
        }
    }
}

// === impl Area ===

impl Area {
    /// What the paths of its pages begin with.
    pub const fn below(self) -> &'static str {
        match self {
            Self::Services => "/services/",
            Self::Servers => "/pages/",
        }
    }
}
