//! Finds the server of a message, and what has to change in the message on the way.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use mainstay_model::{Refusal, RefusalCode, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::build::string;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::params::{Field, Params};
use mainstay_protocol::{Era, Message, Method, Revision, codes};

use crate::endpoint::Endpoint;
use crate::server::Server;

#[cfg(test)]
mod tests;

/// Where a message goes.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) server: ServerId,
    pub(crate) pool: Arc<Pool>,
    pub(crate) edits: Vec<(Range<usize>, Bytes)>,
    /// The server's own name of the tool that is called.
    pub(crate) tool: Option<Box<str>>,
    /// Whether the message may be sent again when its response was lost.
    pub(crate) may_retry: bool,
    /// A URI that is published under another name: own, published.
    pub(crate) renamed: Option<(Box<str>, Box<str>)>,
    /// Headers that repeat arguments of the tool.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Route {
    /// Creates a route to a server with nothing changed on the way.
    fn to(server: ServerId, pool: Arc<Pool>) -> Self {
        Self {
            server,
            pool,
            edits: Vec::new(),
            tool: None,
            may_retry: false,
            renamed: None,
            headers: Vec::new(),
        }
    }

    /// Adds the edits that repair members which are present without a value.
    pub(crate) fn repair(&mut self, params: &Params<'_>) {
        let repairs = params.repairs.iter();
        self.edits
            .extend(repairs.map(|repair| (repair.span.clone(), Bytes::from_static(repair.with))));
    }
}

/// Why a message has no route: a JSON-RPC error.
#[derive(Debug)]
pub(crate) struct RouteError {
    pub(crate) code: i32,
    pub(crate) message: String,
    /// The error as a refusal, because the route may be found later.
    pub(crate) refusal: Option<Refusal>,
}

impl RouteError {
    pub(crate) fn new(code: i32, message: String) -> Self {
        Self { code, message, refusal: None }
    }
}

/// The time after which a client may try a name again that no ready server has.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Finds the route of a request.
pub(crate) fn find_route(
    endpoint: &Endpoint,
    era: Era,
    method: Option<Method>,
    params: &Params<'_>,
) -> Result<Route, RouteError> {
    if era == Era::Legacy && method.is_some_and(Method::is_from_modern) {
        let message =
            format!("{} and older revisions have no such method", Revision::LATEST_LEGACY);
        return Err(RouteError::new(codes::METHOD_NOT_FOUND, message));
    }
    if endpoint.single {
        return single_server_route(endpoint, era, method, params);
    }
    let view = (endpoint, era);
    match method {
        Some(Method::ToolsCall) => {
            route_by_name(view, ListKind::Tools, params.name.as_ref(), "tool")
        }
        Some(Method::PromptsGet) => {
            route_by_name(view, ListKind::Prompts, params.name.as_ref(), "prompt")
        }
        Some(Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe) => {
            route_by_uri(view, params.uri.as_ref())
        }
        Some(Method::CompletionComplete) => match &params.reference {
            Some(of) if of.name.is_some() => {
                route_by_name(view, ListKind::Prompts, of.name.as_ref(), "prompt")
            }
            Some(of) => route_by_template(view, of.uri.as_ref()),
            None => Err(invalid("`ref` is missing")),
        },
        _ => {
            let say = "this method does not say which of several servers it is for; \
                       send it to the address of the server: /mcp/{server}";
            Err(RouteError::new(codes::METHOD_NOT_FOUND, say.to_owned()))
        }
    }
}

/// Returns the route to the only server. Nothing is renamed, and unknown methods are left to the
/// server to refuse.
fn single_server_route(
    endpoint: &Endpoint,
    era: Era,
    method: Option<Method>,
    params: &Params<'_>,
) -> Result<Route, RouteError> {
    let Server { id, pool } = endpoint.servers[0].clone();
    let tool = match method {
        Some(Method::ToolsCall) => params.name.as_ref().and_then(Field::text),
        _ => None,
    };
    let may_retry = match (&tool, method) {
        (Some(tool), _) => pool
            .facts(era)
            .is_some_and(|facts| facts.lists.tool(tool).is_some_and(|tool| tool.hints.may_retry())),
        (None, Some(method)) => is_read(method),
        (None, None) => false,
    };
    let tool = tool.map(|tool| tool.as_ref().into());
    Ok(Route { tool, may_retry, ..Route::to(id, pool) })
}

/// An endpoint, as clients of one era see it.
type EraView<'a> = (&'a Endpoint, Era);

fn route_by_name(
    (endpoint, era): EraView<'_>,
    kind: ListKind,
    name: Option<&Field<'_>>,
    word: &str,
) -> Result<Route, RouteError> {
    let field = name.ok_or_else(|| invalid("`name` is missing"))?;
    let name = field.text().ok_or_else(|| invalid("`name` must be a string"))?;
    let is_tool = kind == ListKind::Tools;
    let found = endpoint.find_in_list(era, kind, |list| list.find(&name).cloned());
    let Some(entry) = found else {
        let Some((server, own)) = endpoint.find_remembered(era, kind, &name) else {
            return Err(unknown_item((endpoint, era), kind, word, &name));
        };
        // The call waits for its server, and either the server or the gateway answers if the item does not
        // exist.
        let edits = vec![(field.span.clone(), string(&own).into())];
        let tool = is_tool.then(|| own.into());
        let route = route_to(endpoint, server)?;
        return Ok(Route { edits, tool, may_retry: !is_tool, ..route });
    };
    let mut edits = Vec::new();
    if *entry.own != *name {
        edits.push((field.span.clone(), string(&entry.own).into()));
    }
    Ok(Route {
        edits,
        tool: is_tool.then(|| entry.own.as_ref().into()),
        may_retry: entry.may_retry || !is_tool,
        ..route_to(endpoint, entry.server)?
    })
}

fn route_by_uri(
    (endpoint, era): EraView<'_>,
    uri: Option<&Field<'_>>,
) -> Result<Route, RouteError> {
    let field = uri.ok_or_else(|| invalid("`uri` is missing"))?;
    let uri = field.text().ok_or_else(|| invalid("`uri` must be a string"))?;
    let Some((server, own)) = find_resource(endpoint, era, &uri) else {
        let mut error = unknown_item((endpoint, era), ListKind::Resources, "resource", &uri);
        if era == Era::Legacy && error.refusal.is_none() {
            error.code = codes::RESOURCE_NOT_FOUND;
        }
        return Err(error);
    };
    let mut edits = Vec::new();
    let mut renamed = None;
    if own != *uri {
        edits.push((field.span.clone(), string(&own).into()));
        renamed = Some((own.into(), uri.as_ref().into()));
    }
    Ok(Route { edits, may_retry: true, renamed, ..route_to(endpoint, server)? })
}

/// Finds the server of a resource, and the server's own URI.
pub(crate) fn find_resource(
    endpoint: &Endpoint,
    era: Era,
    uri: &str,
) -> Option<(ServerId, String)> {
    if endpoint.single {
        return Some((endpoint.servers[0].id, uri.to_owned()));
    }
    listed_resource(endpoint, era, uri)
        .or_else(|| endpoint.find_remembered(era, ListKind::Resources, uri))
        .or_else(|| {
            if !endpoint.loading(era).is_empty() {
                return None;
            }
            // Servers may have resources that they don't list. With only one server the route is clear.
            match &servers_with_resources((endpoint, era))[..] {
                [only] => Some((*only, uri.to_owned())),
                _ => None,
            }
        })
}

/// Finds the server of a resource by its URI, or else by the first template that matches the URI.
fn listed_resource(endpoint: &Endpoint, era: Era, uri: &str) -> Option<(ServerId, String)> {
    let by_uri = endpoint.find_in_list(era, ListKind::Resources, |list| {
        list.find(uri).map(|entry| (entry.server, entry.own.to_string()))
    });
    by_uri.or_else(|| {
        endpoint.find_in_list(era, ListKind::ResourceTemplates, |list| list.match_template(uri))
    })
}

fn route_by_template(
    (endpoint, era): EraView<'_>,
    uri: Option<&Field<'_>>,
) -> Result<Route, RouteError> {
    let field = uri.ok_or_else(|| invalid("`ref.uri` is missing"))?;
    let uri = field.text().ok_or_else(|| invalid("`ref.uri` must be a string"))?;
    let kind = ListKind::ResourceTemplates;
    let listed = endpoint.find_in_list(era, kind, |list| {
        list.find(&uri).map(|entry| (entry.server, entry.own.to_string()))
    });
    let found = listed.or_else(|| endpoint.find_remembered(era, kind, &uri));
    let Some((server, own)) = found else {
        return Err(unknown_item((endpoint, era), kind, "resource template", &uri));
    };
    let mut edits = Vec::new();
    if own != *uri {
        edits.push((field.span.clone(), string(&own).into()));
    }
    Ok(Route { edits, may_retry: true, ..route_to(endpoint, server)? })
}

fn servers_with_resources((endpoint, era): EraView<'_>) -> Vec<ServerId> {
    let has = |pool: &Pool| pool.facts(era).is_some_and(|facts| facts.capabilities.resources);
    endpoint.servers.iter().filter(|server| has(&server.pool)).map(|server| server.id).collect()
}

/// Returns the route to a server. A server that a catalogue lists may just have been removed.
fn route_to(endpoint: &Endpoint, server: ServerId) -> Result<Route, RouteError> {
    let pool = endpoint
        .pool(server)
        .cloned()
        .ok_or_else(|| invalid("its server was removed from this address; list again"))?;
    Ok(Route::to(server, pool))
}

/// Whether a method changes nothing at the server.
fn is_read(method: Method) -> bool {
    ListKind::from_method(method).is_some()
        || matches!(
            method,
            Method::ResourcesRead | Method::PromptsGet | Method::CompletionComplete | Method::Ping
        )
}

/// Returns the error for a name that no server has. While a server has not listed anything yet, it may be
/// the one that has it.
fn unknown_item(
    (endpoint, era): EraView<'_>,
    kind: ListKind,
    word: &str,
    name: &str,
) -> RouteError {
    let loading = endpoint.loading(era);
    if !loading.is_empty() {
        let names = loading.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let say =
            format!("no server that is ready has the {word} {name:?}; still starting: {names}");
        let mut refusal = Refusal::new(RefusalCode::ServerLoading, say.as_str())
            .retry_after(RETRY_AFTER)
            .hint("try again when they are ready; `mainstay status` shows the progress");
        if let [only] = loading[..] {
            refusal = refusal.server(only);
        }
        return RouteError { code: refusal.code.number(), message: say, refusal: Some(refusal) };
    }
    // Items that merged lists leave out are still found by name, so they are not missing here.
    let items = endpoint.missing_items(era, kind).into_iter();
    let items = items.filter(|(_, items)| items.items.is_empty()).map(|(server, _)| server);
    let missing = endpoint.missing(era).into_iter().chain(items);
    let missing: Vec<_> = missing.map(|missing| missing.to_string()).collect();
    let away = if missing.is_empty() {
        String::new()
    } else {
        format!("; not in the lists now: {}", missing.join(", "))
    };
    RouteError::new(codes::INVALID_PARAMS, format!("unknown {word} {name:?}{away}"))
}

fn invalid(message: &str) -> RouteError {
    RouteError::new(codes::INVALID_PARAMS, message.to_owned())
}

/// The progress token of a request: its span, and its text as the client wrote it.
pub(crate) type ProgressToken = (Range<usize>, Bytes);

pub(crate) fn progress_token(message: &Message, params: &Params<'_>) -> Option<ProgressToken> {
    let token = params.meta.progress_token.as_ref()?;
    Some((token.span.clone(), message.bytes().slice(token.span.clone())))
}
