//! Mounts the admin side in the gateway, which hands over every request that is not MCP.

use std::net::Ipv4Addr;

use http::{Request, Response};
use http_body_util::BodyExt;
use mainstay_admin::web::Body;
use mainstay_admin::{Admin, Asked, Peer};
use mainstay_gateway::{BodyError, Caller, NonMcp, NonMcpBody};
use mainstay_telemetry::CorrelationId;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

/// The admin side as the gateway mounts it.
pub(super) fn mounted(admin: Admin) -> NonMcp {
    let (paths, below) = (admin.paths().to_vec(), vec![Admin::BELOW.to_owned()]);
    let service = admin.map_request(request).map_response(response);
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
