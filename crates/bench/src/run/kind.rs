//! Who is measured, and what each of them can do.

use clap::ValueEnum;
use serde::Serialize;

/// Who stands between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Nobody.
    Direct,
    /// The yardstick.
    Bare,
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

/// What kind of server is behind.
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
    pub(crate) const ALL: [Self; 8] = [
        Self::Direct,
        Self::Bare,
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

    /// Whether it runs on an interpreter, at a tenth of the speed of the others or less: cells that
    /// would only show it queueing are left out.
    pub(crate) fn is_script(self) -> bool {
        matches!(self, Self::McpProxyPypi | Self::Fastmcp | Self::Supergateway | Self::McpProxyNpm)
    }

    /// Nobody but a gateway can put a line server behind HTTP; some do nothing else.
    pub(crate) fn serves(self, upstream: Upstream) -> bool {
        match upstream {
            Upstream::Http => {
                !matches!(self, Self::McpProxyPypi | Self::Supergateway | Self::McpProxyNpm)
            }
            Upstream::Stdio => !matches!(self, Self::Direct | Self::Bare),
        }
    }

    /// The first of these that it serves.
    pub(crate) fn first_of(self, upstreams: [Upstream; 2]) -> Upstream {
        let [first, second] = upstreams;
        if self.serves(first) { first } else { second }
    }
}
