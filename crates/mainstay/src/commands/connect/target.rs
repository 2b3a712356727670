//! The address of the daemon: the command socket of a state folder, or a URL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Uri};
use mainstay_model::Name;
use mainstay_upstream::tls::{NoTrust, Trust};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::access::Access;

#[cfg(test)]
mod tests;

/// An endpoint and how to reach it.
#[derive(Debug)]
pub(super) struct Target {
    way: Way,
    /// The daemon's path: `/mcp` or `/mcp/NAME`.
    pub(super) path: Uri,
    pub(super) host: HeaderValue,
    pub(super) access: Access,
}

#[derive(Debug)]
enum Way {
    Socket(PathBuf),
    Tcp {
        host: String,
        port: u16,
        /// None for plain HTTP.
        trust: Option<Trust>,
    },
}

/// A byte stream in both directions, over any transport.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Why an address is not that of an endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("{0:?} can't be the name of a server or group")]
    Name(String),
    #[error("{0:?} is not http://HOST:PORT or https://HOST:PORT, with /mcp or /mcp/NAME behind it")]
    Url(String),
    #[error(
        "{url:?} already names an endpoint; leave out {name:?} or the path of the URL. If the whole \
         URL is a daemon's address, append the name: {url}/{name}"
    )]
    Twice { url: String, name: String },
    #[error("--ca needs an https:// address, and {0:?} is not one")]
    NeedlessCertificates(String),
    #[error(transparent)]
    Trust(#[from] NoTrust),
}

/// Longest time for connecting.
const CONNECT_MAX: Duration = Duration::from_secs(5);

// === impl Target ===

impl Target {
    /// The endpoint of the local daemon of this state folder.
    pub(super) fn of_state(state: &Path, name: Option<&str>) -> Result<Self, Wrong> {
        let path = match name {
            Some(name) => format!("/mcp/{}", checked(name)?),
            None => "/mcp".to_owned(),
        };
        Ok(Self {
            way: Way::Socket(state.join(mainstay_admin::SOCKET)),
            path: path.parse().map_err(|_| Wrong::Name(path))?,
            host: HeaderValue::from_static("localhost"),
            access: Access::default(),
        })
    }

    /// The endpoint at a URL. For https, the certificates in the file `ca` are trusted, or else the
    /// system's.
    pub(super) fn of_url(url: &str, name: Option<&str>, ca: Option<&Path>) -> Result<Self, Wrong> {
        let wrong = || Wrong::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let trust = match (uri.scheme_str(), ca) {
            (Some("http"), None) => None,
            (Some("http"), Some(_)) => return Err(Wrong::NeedlessCertificates(url.to_owned())),
            (Some("https"), Some(file)) => Some(Trust::only(file)?),
            (Some("https"), None) => Some(Trust::system()?),
            _ => return Err(wrong()),
        };
        let authority = uri.authority().filter(|whole| !whole.as_str().contains('@'));
        let authority = authority.ok_or_else(wrong)?;
        let path = match uri.path().trim_end_matches('/') {
            "" => "/mcp",
            path => path,
        };
        let path = match name {
            None => path.to_owned(),
            Some(name) if path.ends_with("/mcp") => format!("{path}/{}", checked(name)?),
            Some(name) => {
                let url = url.trim_end_matches('/').to_owned();
                return Err(Wrong::Twice { url, name: name.to_owned() });
            }
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if trust.is_some() { 443 } else { 80 });
        Ok(Self {
            way: Way::Tcp { host, port, trust },
            path: (path + &query).parse().map_err(|_| wrong())?,
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            access: Access::default(),
        })
    }

    /// Adds a token to the target.
    pub(super) fn with(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Wire>, String> {
        let opened = timeout(CONNECT_MAX, self.open()).await;
        opened.map_err(|_| format!("no connection within {} s", CONNECT_MAX.as_secs()))?
    }

    async fn open(&self) -> Result<Box<dyn Wire>, String> {
        match &self.way {
            Way::Socket(socket) => match UnixStream::connect(socket).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(format!("{}: {error}", socket.display())),
            },
            Way::Tcp { host, port, trust } => {
                let failed = |error: std::io::Error| format!("{host}:{port}: {error}");
                let stream = mainstay_upstream::dial(host, *port).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                match trust {
                    Some(trust) => Ok(Box::new(trust.connect(host, stream).await.map_err(failed)?)),
                    None => Ok(Box::new(stream)),
                }
            }
        }
    }

    /// The message that no daemon can be reached. A missing socket needs no reason.
    pub(super) fn nobody(&self, why: &str) -> String {
        match &self.way {
            Way::Socket(socket) => {
                let state = socket.parent().unwrap_or(socket);
                format!("no daemon is running for {}", state.display())
            }
            Way::Tcp { .. } if !why.is_empty() => format!("no daemon can be reached: {why}"),
            Way::Tcp { host, port, .. } => format!("no daemon can be reached at {host}:{port}"),
        }
    }

    /// The hint for a daemon that can't be reached.
    pub(super) fn remedy(&self, why: &str) -> &'static str {
        match &self.way {
            Way::Socket(_) => "start one with `mainstay up`, or try `mainstay demo`",
            Way::Tcp { trust: Some(_), .. } if why.contains("certificate") => {
                "`--ca FILE` trusts other certificates; the certificate must be for the host in the \
                 URL"
            }
            Way::Tcp { .. } => {
                "`mainstay status` on that machine says whether a daemon runs and where it listens"
            }
        }
    }
}

fn checked(name: &str) -> Result<Name, Wrong> {
    Name::try_new(name).map_err(|_| Wrong::Name(name.to_owned()))
}
