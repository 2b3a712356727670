//! The pages that servers and services declare, as they are passed through.

use std::sync::{Arc, Weak};

use http::{Request, Response, header};
use http_body_util::BodyExt;
use mainstay_fleet::Fleet;
use mainstay_gateway::{BodyError, Caller, NonMcpBody};
use mainstay_model::settings::{GatewaySettings, Runtime, ServerSpec, ServiceSpec};
use mainstay_model::{Name, PublicUrl};
use mainstay_telemetry::CorrelationId;
use mainstay_upstream::pages::{
    Area, Forwarded, InvalidPageTarget, OwnerState, PageLimits, PageOwner, Pages, Sight, Visit,
};

/// Pages, and what targets are told about the gateway.
pub(super) struct PassedPages {
    pages: Pages,
    public: Option<PublicUrl>,
}

impl std::fmt::Debug for PassedPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PassedPages").finish_non_exhaustive()
    }
}

// === impl PassedPages ===

impl PassedPages {
    /// # Errors
    /// When a target is no address of an HTTP server.
    pub(super) fn new(
        owners: Vec<PageOwner>,
        gateway: &GatewaySettings,
        fleet: &Arc<Fleet>,
    ) -> Result<Self, InvalidPageTarget> {
        let limits = &gateway.limits;
        let limits = PageLimits {
            body_bytes_max: limits.body_bytes_max as u64,
            receive: limits.receive,
            answer: limits.call,
            idle: limits.call_max,
        };
        let pages = Pages::new(owners, limits, sight(Arc::downgrade(fleet)))?;
        Ok(Self { pages, public: gateway.public_url.clone() })
    }

    /// Answers a request that the gateway has admitted.
    pub(super) async fn answer(&self, mut request: Request<NonMcpBody>) -> Response<NonMcpBody> {
        let caller = request.extensions_mut().remove::<Caller>();
        let address = caller.as_ref().and_then(|caller| caller.address);
        let request_id = caller.map_or_else(CorrelationId::next, |caller| caller.request_id);
        let forwarded = Forwarded {
            client: address.map(|address| address.ip()),
            host: request.headers().get(header::HOST).cloned(),
            public: self.public.clone(),
        };
        let visit = Visit { forwarded, request_id: request_id.to_string() };
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let answer = self.pages.pass(request, &visit).await;
        answer.map(|body| body.map_err(BodyError::new).boxed_unsync())
    }
}

/// What declares pages.
pub(super) fn owners(servers: &[ServerSpec], services: &[ServiceSpec]) -> Vec<PageOwner> {
    let servers = servers.iter().filter_map(|server| {
        let spec = server.pages.clone()?;
        let is_run = matches!(server.runtime, Runtime::Process(_));
        Some(PageOwner { area: Area::Servers, name: server.name.clone(), spec, is_run })
    });
    let services = services.iter().filter_map(|service| {
        let spec = service.pages.clone()?;
        Some(PageOwner { area: Area::Services, name: service.name.clone(), spec, is_run: true })
    });
    servers.chain(services).collect()
}

fn sight(fleet: Weak<Fleet>) -> Sight {
    Arc::new(move |name: &Name| {
        let view = fleet.upgrade()?.view_of(name.as_str())?;
        Some(OwnerState { state: view.state?, reason: view.brief_reason })
    })
}
