//! The targets, and what each of them supports.

use clap::ValueEnum;
use serde::Serialize;

use super::process::Ending;

/// The program between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// No program.
    Direct,
    /// The yardstick.
    Bare,
    Nginx,
    Haproxy,
    Mainstay,
    /// The `mcp-proxy` crate.
    McpProxy,
    /// `mcp-proxy` of PyPI.
    McpProxyPypi,
    /// A proxy of `fastmcp`.
    Fastmcp,
    /// `supergateway` of npm.
    Supergateway,
    /// `mcp-proxy` of npm.
    McpProxyNpm,
}

/// The kind of server behind the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Upstream {
    Http,
    Stdio,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Stdio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Stdio => "stdio",
        }
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Direct,
        Self::Bare,
        Self::Nginx,
        Self::Haproxy,
        Self::Mainstay,
        Self::McpProxy,
        Self::McpProxyPypi,
        Self::Fastmcp,
        Self::Supergateway,
        Self::McpProxyNpm,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare hyper proxy",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Mainstay => "Mainstay",
            Self::McpProxy => "mcp-proxy 0.6 of crates.io",
            Self::McpProxyPypi => "mcp-proxy 0.13 of PyPI",
            Self::Fastmcp => "fastmcp 4.1",
            Self::Supergateway => "supergateway 4.0",
            Self::McpProxyNpm => "mcp-proxy 6.7 of npm",
        }
    }

    pub(crate) fn is_peer(self) -> bool {
        self == Self::McpProxy || self.is_script()
    }

    /// Whether the target passes bytes on and knows nothing of MCP.
    pub(crate) fn is_plain_proxy(self) -> bool {
        matches!(self, Self::Bare | Self::Nginx | Self::Haproxy)
    }

    /// Whether the processes that it starts are its own workers, and not servers behind it.
    pub(crate) fn has_workers(self) -> bool {
        self == Self::Nginx
    }

    /// Whether there is something to observe when a server fails: for plain proxies, the bare one
    /// shows it.
    pub(crate) fn has_manners(self) -> bool {
        !matches!(self, Self::Direct | Self::Nginx | Self::Haproxy)
    }

    pub(crate) fn ending(self) -> Ending {
        if self.has_workers() { Ending::Asked } else { Ending::Killed }
    }

    /// Whether the target runs on an interpreter, at a tenth of the speed of the others or less.
    /// Cells in which it would only queue are left out.
    pub(crate) fn is_script(self) -> bool {
        matches!(self, Self::McpProxyPypi | Self::Fastmcp | Self::Supergateway | Self::McpProxyNpm)
    }

    /// Whether the target serves this kind of server. Only gateways put a stdio server behind HTTP;
    /// some do nothing else.
    pub(crate) fn serves(self, upstream: Upstream) -> bool {
        match upstream {
            Upstream::Http => {
                !matches!(self, Self::McpProxyPypi | Self::Supergateway | Self::McpProxyNpm)
            }
            Upstream::Stdio => self != Self::Direct && !self.is_plain_proxy(),
        }
    }

    /// The first of these that it serves.
    pub(crate) fn first_of(self, upstreams: [Upstream; 2]) -> Upstream {
        let [first, second] = upstreams;
        if self.serves(first) { first } else { second }
    }
}
