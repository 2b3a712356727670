use super::breaker::{SERVICE_BREAKER, breaker};
use super::limits::{LIMITS_EXAMPLE, SERVICE_LIMITS};
use super::pages::SERVICE_PAGES;
use super::probes::SERVICE_PROBE;
use super::servers::{ON_LOST_NEED, RESTART, START_TIMEOUT, STOP_SIGNAL, STOP_TIMEOUT};
use super::{Item, Key, Kind, Map, Section, Word};

pub(crate) static SERVICE: Section = Section {
    title: "services.NAME",
    doc: "What a stack needs that is no MCP server: a database, a vector store, a model server, a job. Mainstay \
          starts, probes, restarts and ends it as it does a server. `command` is required.",
    keys: &KEYS,
    example: r#"[services.database]
command = ["/usr/lib/postgresql/17/bin/postgres", "-D", "/srv/database"]
user = "postgres"
stop_signal = "INT"
probe = { postgres = "secret:env:DATABASE_URL" }

[services.tables]
command = ["/srv/app/create-tables"]
kind = "once"
needs = ["service:database"]

[services.search]
command = ["/usr/local/bin/search", "--port", "9200"]
needs = ["service:tables"]
probe = { http = "http://127.0.0.1:9200/health", json = { status = "ok" } }
"#,
};

static KEYS: [Key; 18] = [
    Key::new(
        "command",
        Kind::Command,
        "['/usr/local/bin/search', '--port', '9200']",
        "A program that stays in the foreground, and its arguments. Each argument is a separate string; no shell is \
         involved. A program with a `/` is a path.",
    ),
    Key::new("image", IMAGE, "'example/service:1'", "A container image."),
    Key::new(
        "kind",
        Kind::Choice(&KIND),
        "'once'",
        "Whether the service runs all the time.",
    )
    .or("'service'"),
    Key::new(
        "env",
        Kind::Secrets(Map::Variables),
        "{ API_KEY = 'secret:env:API_KEY' }",
        "Variables to add to the environment of `command`. Values are never shown.",
    )
    .or("{}"),
    Key::new(
        "cwd",
        Kind::Path,
        "'/srv/search'",
        "The working folder of `command`. Unset: the daemon's.",
    ),
    Key::new(
        "user",
        Kind::Account,
        "'postgres'",
        "The user that `command` runs as, as for servers. Some programs, such as PostgreSQL, refuse to run as root.",
    ),
    Key::new(
        "group",
        Kind::Account,
        "'postgres'",
        "The group that `command` runs as, as for servers.",
    ),
    Key::new("limits", Kind::Table(&SERVICE_LIMITS), LIMITS_EXAMPLE, "What it may use."),
    Key::new("required", Kind::Bool, "true", "The daemon is ready only when this service is ready.")
        .or("false"),
    Key::new(
        "needs",
        Kind::List(Item::Need),
        "['service:database', 'external:models']",
        "What must be ready before the service starts, as for servers.",
    )
    .or("[]"),
    ON_LOST_NEED,
    Key::new(
        "restart",
        RESTART,
        "'on-failure'",
        "When the service is started again after its process ended. A job is never started again once it has \
         ended with code 0; its default is `on-failure`.",
    )
    .or("'always'"),
    Key::new(
        "start_timeout",
        START_TIMEOUT,
        "'10m'",
        "The time limit for one start: process and probe. For a job, the time limit for its whole run.",
    )
    .or("'2m'"),
    STOP_SIGNAL,
    STOP_TIMEOUT,
    Key::new(
        "probe",
        Kind::Table(&SERVICE_PROBE),
        "{ tcp = '127.0.0.1:9200' }",
        "How to check whether it is ready. Not for jobs.",
    ),
    Key::new(
        "pages",
        Kind::Table(&SERVICE_PAGES),
        "{ target = 'http://127.0.0.1:9200', paths = ['/health'] }",
        "Pages that clients reach at `/services/NAME/…`. Not for jobs.",
    ),
    breaker(&SERVICE_BREAKER),
];

const IMAGE: Kind = Kind::Refused {
    why: "containers can't be run by this version",
    instead: "use `command` to start a program",
};

static KIND: [Word; 2] = [
    Word { word: "service", doc: "it does; if its process ends, `restart` decides" },
    Word {
        word: "once",
        doc: "it is a job: what needs it starts when it has ended with code 0. It runs once each time \
              the daemon starts, and when it is restarted by hand",
    },
];
