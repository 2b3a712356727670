//! Mounts the admin side and the pages that are passed through in the gateway, which hands over every request
//! that is not MCP.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use mainstay_admin::web::Body;
use mainstay_admin::{Admin, Asked, Peer};
use mainstay_gateway::{BodyError, Caller, NonMcp, NonMcpBody};
use mainstay_telemetry::CorrelationId;
use mainstay_upstream::pages::Pages;
use parking_lot::RwLock;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::passed::PassedPages;

/// The admin side and the pages as the gateway mounts them.
pub(super) fn mounted(admin: Admin, pages: Arc<RwLock<Arc<PassedPages>>>) -> NonMcp {
    let paths = admin.paths().to_vec();
    let below = [Admin::BELOW].into_iter().chain(Pages::BELOW).map(str::to_owned).collect();
    let admin = admin.map_request(request).map_response(response);
    let service = tower::service_fn(move |request: Request<NonMcpBody>| {
        let (admin, pages) = (admin.clone(), pages.clone());
        async move {
            match Pages::is_below(request.uri().path()) {
                true => {
                    let pages = pages.read().clone();
                    Ok::<_, Infallible>(pages.answer(request).await)
                }
                false => admin.oneshot(request).await,
            }
        }
    });
    NonMcp { service: BoxCloneSyncService::new(service), paths, below }
}

/// A request as the admin side takes it. A caller that is not known counts as one from elsewhere.
fn request(mut request: Request<NonMcpBody>) -> Request<Body> {
    let asked = match request.extensions_mut().remove::<Caller>() {
        Some(Caller { operator: true, uid, request_id, .. }) => {
            Asked { from: Peer::Socket(uid), request_id }
        }
        Some(Caller { address: Some(address), request_id, .. }) => {
            Asked { from: Peer::Address(address.ip()), request_id }
        }
        _ => Asked {
            from: Peer::Address(Ipv4Addr::UNSPECIFIED.into()),
            request_id: CorrelationId::next(),
        },
    };
    request.extensions_mut().insert(asked);
    request.map(Body::new)
}

fn response(response: Response<Body>) -> Response<NonMcpBody> {
    response.map(|body| body.map_err(BodyError::new).boxed_unsync())
}
