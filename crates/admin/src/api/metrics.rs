//! Metrics for Prometheus.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{Forbidden, Standard};
use crate::context::Shared;

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(metrics))
}

/// Gives all metrics as OpenMetrics text.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "status",
    responses(
        (
            status = 200,
            description = "Every metric, also those that are still zero.",
            body = String,
            content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn metrics(State(admin): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, mainstay_telemetry::metrics::CONTENT_TYPE)], admin.source.metrics())
}
