//! The declaration of every key: the one list from which all else is made.
//!
//! To add a key, add a line to its section and read it in `assemble`. Nothing else needs a change.

use std::time::Duration;

mod breaker;
mod checks;
mod gateway;
mod limits;
mod notify;
mod others;
mod pages;
mod probes;
mod servers;
mod services;
mod tools;

pub(crate) use checks::{CHECK, KINDS, OF_SERVERS, PARTS};
pub(crate) use gateway::GATEWAY;
pub(crate) use notify::NOTIFY;
pub(crate) use others::{ENDPOINT, VOLUME};
pub(crate) use pages::METHODS_KNOWN;
pub(crate) use probes::{CHECKS, DETAILS, EXTERNAL};
pub(crate) use servers::{SERVER, published_revision};
pub(crate) use services::SERVICE;

/// A table of the file, and its keys.
pub(crate) struct Section {
    /// The section's title in messages: `gateway`, `servers.NAME`.
    pub(crate) title: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// Tables of this kind as they may look, for the starter file and the reference.
    pub(crate) example: &'static str,
}

/// A table at the top of the file. A named one holds a table for each name.
pub(crate) struct TopLevel {
    pub(crate) name: &'static str,
    pub(crate) named: bool,
    /// Whether it is a list of tables, as in `[[notify]]`.
    pub(crate) listed: bool,
    /// Whether the starter file names its keys and shows an example.
    pub(crate) is_started_with: bool,
    pub(crate) section: &'static Section,
}

pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default as TOML. None when the key is unset by default.
    pub(crate) default: Option<&'static str>,
    /// An example value as TOML.
    pub(crate) example: &'static str,
    pub(crate) doc: &'static str,
}

/// The type of a value.
pub(crate) enum Kind {
    Bool,
    /// One of several words.
    Choice(&'static [Word]),
    Count {
        min: u64,
        max: u64,
    },
    Size {
        min: u64,
        max: u64,
    },
    /// A part of the machine's CPUs, in thousandths.
    Cpus {
        min: u32,
        max: u32,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    /// An address to listen on; empty means unset.
    Listen,
    /// A user or group of this machine; empty means unset.
    Account,
    /// `host:port` of something to connect to.
    HostPort,
    /// An address with one of these schemes and no password in it; empty means unset.
    Url(&'static [&'static str]),
    /// An address with one of these schemes that may hold keys. References in it are not replaced
    /// where it is shown.
    KeyedUrl(&'static [&'static str]),
    /// Such an address whose path is a key, too. No more than scheme, host and port is ever shown.
    HookUrl(&'static [&'static str]),
    /// An address with one of these schemes that may hold a password.
    SecretUrl(&'static [&'static str]),
    /// A short text that is shown; never empty.
    Text,
    /// A name of a signal, with or without `SIG`, in any case.
    Signal,
    /// Arguments of a tool: a table, or the text of a JSON object.
    Args,
    /// Members of a JSON object and their allowed values.
    Expected,
    /// `~` counts from the home folder, a relative path from the folder of the file.
    Path,
    /// A program followed by its arguments.
    Command,
    List(Item),
    /// A table of texts that are never shown.
    Secrets(Map),
    Table(&'static Section),
    /// Tables of this kind, each under a pattern of the user's for names of tools.
    Patterns(&'static Section),
    /// The largest allowed amounts, each under the path of an argument.
    Maxima(Amount),
    /// Known, but not possible in this version.
    Refused {
        why: &'static str,
        instead: &'static str,
    },
}

pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) doc: &'static str,
}

/// The items of a list.
#[derive(Clone, Copy)]
pub(crate) enum Item {
    Host,
    Origin,
    /// A range of IP addresses.
    Network,
    Server,
    Need,
    /// A path that is passed through: `/health` or `/web-ui/*`.
    PagePath,
    /// A method of HTTP.
    Method,
    /// A name of a tool, which may be any text.
    Tool,
    /// One of several words.
    Word(&'static [Word]),
}

/// What is limited: a number, or a size in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    Count,
    Size,
}

/// The keys of a table of secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    Variables,
    Headers,
}

/// All top-level tables, in the order in which they are documented.
pub(crate) static TOP_LEVEL: [TopLevel; 8] = [
    TopLevel {
        name: "gateway",
        named: false,
        listed: false,
        is_started_with: true,
        section: &GATEWAY,
    },
    TopLevel {
        name: "servers",
        named: true,
        listed: false,
        is_started_with: true,
        section: &SERVER,
    },
    TopLevel {
        name: "endpoints",
        named: true,
        listed: false,
        is_started_with: true,
        section: &ENDPOINT,
    },
    TopLevel {
        name: "services",
        named: true,
        listed: false,
        is_started_with: false,
        section: &SERVICE,
    },
    TopLevel {
        name: "volumes",
        named: true,
        listed: false,
        is_started_with: false,
        section: &VOLUME,
    },
    TopLevel {
        name: "externals",
        named: true,
        listed: false,
        is_started_with: false,
        section: &EXTERNAL,
    },
    TopLevel {
        name: "notify",
        named: false,
        listed: true,
        is_started_with: true,
        section: &NOTIFY,
    },
    TopLevel { name: "checks", named: false, listed: true, is_started_with: true, section: &CHECK },
];

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

// === impl Key ===

impl Key {
    const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: None, example, doc }
    }

    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

// === impl Section ===

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn key_names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }
}

// === impl TopLevel ===

impl TopLevel {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        TOP_LEVEL.iter().find(|top| top.name == name)
    }

    /// The noun for one table of this kind.
    pub(crate) fn noun(&self) -> &'static str {
        self.name.strip_suffix('s').unwrap_or(self.name)
    }
}

// === impl Kind ===

impl Kind {
    /// A value of this kind is never shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Secrets(_) | Self::SecretUrl(_))
    }
}
