use super::{Item, Key, Kind, Section, Word};

pub(crate) static ENDPOINT: Section = Section {
    title: "endpoints.NAME",
    doc: "A named group of servers, served at `/mcp/NAME`. Endpoints and servers share \
         one namespace.",
    keys: &[
        Key::new(
            "servers",
            Kind::List(Item::Server),
            "['everything', 'files']",
            "The names of the servers in the group, at least one.",
        ),
        Key::new(
            "prefix",
            Kind::Choice(&PREFIX),
            "'always'",
            "When the names of tools, prompts and resources get the name of their server as a \
             prefix.",
        )
        .or("'auto'"),
        Key::new(
            "names",
            Kind::Choice(&NAMES),
            "'strict'",
            "Which names of tools and prompts are published unchanged, as for `/mcp`.",
        )
        .or("'spec'"),
    ],
    example: "[endpoints.work]\nservers = [\"everything\", \"files\"]\n",
};

static PREFIX: [Word; 3] = [
    Word {
        word: "auto",
        doc: "only if names collide; the first server in the file keeps the bare name",
    },
    Word { word: "always", doc: "on all names" },
    Word { word: "never", doc: "on no names; of two equal names, the first server's is served" },
];

pub(super) static NAMES: [Word; 3] = [
    Word {
        word: "spec",
        doc: "characters that the specification does not allow in names of tools become `_`, an \
              empty name becomes that of the server; names that clients have seen stay",
    },
    Word {
        word: "strict",
        doc: "names match `[a-zA-Z0-9_-]{1,64}`, as most model APIs require; names that clients \
              have seen and that do not match are replaced",
    },
    Word { word: "as-is", doc: "all names, whatever their characters and length" },
];

pub(crate) static VOLUME: Section = Section {
    title: "volumes.NAME",
    doc: "A path with data that servers read or write. This version validates the settings, but \
          does not monitor volumes.",
    keys: &[
        Key::new("path", Kind::Path, "'/mnt/archive'", "The path of the data."),
        Key::new(
            "fallback",
            Kind::Path,
            "'/var/cache/archive'",
            "The path to use while `path` is unavailable.",
        ),
    ],
    example: "",
};

pub(crate) static EXTERNAL: Section = Section {
    title: "externals.NAME",
    doc: "A dependency of servers that Mainstay does not run. Exactly one key sets how to check \
          its health. This version validates the settings, but does not probe externals.",
    keys: &[
        Key::new(
            "http",
            Kind::Url(&["http", "https"]),
            "'http://127.0.0.1:9200/health'",
            "Healthy if a GET returns status 200.",
        ),
        Key::new("tcp", Kind::HostPort, "'127.0.0.1:5432'", "Healthy if it accepts a connection."),
        Key::new("command", Kind::Command, "['pg_isready']", "Healthy if it exits with code 0."),
        Key::new(
            "redis",
            Kind::SecretUrl(&["redis", "rediss"]),
            "'redis://127.0.0.1:6379'",
            "Healthy if it answers PING. The value is never shown.",
        ),
        Key::new(
            "postgres",
            Kind::SecretUrl(&["postgres", "postgresql"]),
            "'secret:env:DATABASE_URL'",
            "Healthy if it answers a query. The value is never shown.",
        ),
    ],
    example: "",
};
