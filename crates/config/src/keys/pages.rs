//! Pages that are passed through.

use super::{Item, Key, Kind, Section};

pub(crate) static SERVER_PAGES: Section = Section {
    title: "servers.NAME.pages",
    doc: "Pages that the server serves beside MCP and that clients reach at `/pages/NAME/…`: its web page, its own \
          health. Nothing is passed but the paths and methods written here, to those who may use `/mcp`.",
    keys: &[
        PATHS,
        Key::new(
            "target",
            TARGET,
            "'http://127.0.0.1:9100'",
            "Where the pages are: scheme, host and port. Unset: those of `url`; a server with `command` needs it.",
        ),
        METHODS,
    ],
    example: r#"[servers.browser]
url = "http://127.0.0.1:9100/mcp"
pages = { paths = ["/web-ui/*", "/health"] }
"#,
};

pub(crate) static SERVICE_PAGES: Section = Section {
    title: "services.NAME.pages",
    doc: "Pages of the service that clients reach at `/services/NAME/…`. Nothing is passed but the paths and \
          methods written here, to those who may use `/mcp`.",
    keys: &[
        PATHS,
        Key::new(
            "target",
            TARGET,
            "'http://127.0.0.1:9200'",
            "Where the pages are: scheme, host and port. Unset: those of the `http` probe; a service without one \
             needs it.",
        ),
        METHODS,
    ],
    example: "",
};

const TARGET: Kind = Kind::Url(&["http", "https"]);

const PATHS: Key = Key::new(
    "paths",
    Kind::List(Item::PagePath),
    "['/health', '/web-ui/*']",
    "The paths that are passed, at least one. `/health` is this path alone; `/web-ui/*` is everything below \
     `/web-ui/`, and that path itself. Case counts.",
);

const METHODS: Key = Key::new(
    "methods",
    Kind::List(Item::Method),
    "['GET', 'HEAD', 'POST']",
    "The methods that are passed: of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.",
)
.or("['GET', 'HEAD']");

/// Methods that can be passed.
pub(crate) const METHODS_KNOWN: [&str; 7] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
