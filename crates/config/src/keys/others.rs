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
            "The servers of the group, by name; at least one.",
        ),
        Key::new(
            "prefix",
            Kind::Choice(&PREFIX),
            "'always'",
            "When a tool, prompt or resource gets the name of its server in front.",
        )
        .or("'auto'"),
    ],
    example: "[endpoints.work]\nservers = [\"everything\", \"files\"]\n",
};

static PREFIX: [Word; 3] = [
    Word {
        word: "auto",
        doc: "only where names collide; the first server in the file keeps the bare name",
    },
    Word { word: "always", doc: "on every name" },
    Word { word: "never", doc: "on none; of two equal names the first server's is served" },
];

pub(crate) static VOLUME: Section = Section {
    title: "volumes.NAME",
    doc: "A path with data that servers read or write. Read and checked, but not watched \
         by this version.",
    keys: &[
        Key::new("path", Kind::Path, "'/mnt/archive'", "Where the data is."),
        Key::new(
            "fallback",
            Kind::Path,
            "'/var/cache/archive'",
            "Where to look while `path` is away.",
        ),
    ],
    example: "",
};

pub(crate) static EXTERNAL: Section = Section {
    title: "externals.NAME",
    doc: "Something that servers need and Mainstay does not run. Exactly one key says how to \
          see that it is there. Read and checked, but not probed by this version.",
    keys: &[
        Key::new(
            "http",
            Kind::Url(&["http", "https"]),
            "'http://127.0.0.1:9200/health'",
            "Healthy when a GET answers 200.",
        ),
        Key::new(
            "tcp",
            Kind::HostPort,
            "'127.0.0.1:5432'",
            "Healthy when it accepts a connection.",
        ),
        Key::new("command", Kind::Command, "['pg_isready']", "Healthy when it exits with 0."),
        Key::new(
            "redis",
            Kind::SecretUrl(&["redis", "rediss"]),
            "'redis://127.0.0.1:6379'",
            "Healthy when it answers PING. Never shown.",
        ),
        Key::new(
            "postgres",
            Kind::SecretUrl(&["postgres", "postgresql"]),
            "'secret:env:DATABASE_URL'",
            "Healthy when it answers a query. Never shown.",
        ),
    ],
    example: "",
};
