//! The description of the API itself.

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands::{
    FailurePrinted, MergedToolsPrinted, NodesPrinted, StopPrinted, TokenPrinted, ToolsPrinted,
    UpPrinted,
};
use super::problem::{Forbidden, Standard};
use crate::context::Shared;

/// The version of the API: it grows when an answer loses or changes what it had.
const VERSION: &str = "1";

const ABOUT: &str = "\
Health, metrics and the status of the daemon, and actions that change it. Reading is open on loopback; from other \
addresses it needs the `read` or the `admin` token. Actions, the audit log and the logs of servers need the `admin` token, \
except over the command socket. Unknown query parameters are ignored. Unknown members of a body are refused. The header \
`x-request-id` of a request is returned with the answer and appears in the log.";

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(openapi))
}

/// Gives the description of this API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "about",
    responses((status = 200, description = "An OpenAPI document.", body = Object), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn openapi(State(admin): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], admin.document.clone())
}

/// Adds to the paths of the API what it is and what commands print.
pub(crate) fn complete(mut paths: OpenApi) -> OpenApi {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("What `mainstay token` prints, or `mainstay token --read`."))
        .build();
    let mut schemas = Vec::new();
    add::<ToolsPrinted>(&mut schemas);
    add::<MergedToolsPrinted>(&mut schemas);
    add::<TokenPrinted>(&mut schemas);
    add::<StopPrinted>(&mut schemas);
    add::<NodesPrinted>(&mut schemas);
    add::<UpPrinted>(&mut schemas);
    add::<FailurePrinted>(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(scheme))
        .schemas_from_iter(schemas)
        .build();
    let info =
        InfoBuilder::new().title("Mainstay").version(VERSION).description(Some(ABOUT)).build();
    let about = OpenApiBuilder::new().info(info.clone()).components(Some(components)).build();
    paths.merge(about);
    paths.info = info;
    paths
}

/// The text of a document, as it is checked in and served.
///
/// # Panics
/// Never: the document is made of text, numbers and lists.
pub(crate) fn text(document: &OpenApi) -> String {
    document.to_pretty_json().expect("an OpenAPI document is JSON") + "\n"
}

/// Adds a type and all that it is made of.
fn add<T: ToSchema + PartialSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
