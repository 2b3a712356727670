use super::{Item, Key, Kind, Section, Word};

pub(crate) static ENDPOINT: Section = Section {
    title: "endpoints.NAME",
    doc: "A named group of servers, served at `/mcp/NAME`. Endpoints, servers, services, \
          volumes and externals share one namespace.",
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
          does not watch volumes: a need of one holds nobody up.",
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
