//! Addresses and paths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use mainstay_model::settings::Lack;

use super::Reader;
use super::values::shown;
use crate::document::{Node, Value};
use crate::typed::{ListenAddress, Typed};

impl Reader<'_> {
    pub(super) fn listen(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "an address such as \"127.0.0.1:8000\"")?;
        // A key that may be unset is empty by default; `listen` itself has an address there.
        if text.is_empty() && path != "gateway.listen" {
            return None;
        }
        match parse_listen(&text) {
            Ok(listen) => Some(Typed::Listen(listen)),
            Err(why) => {
                let message =
                    format!("{} is not an address to listen on: {why}", shown(node, &text));
                self.notes.error(&node.at, path, message).help(
                    "write IP:PORT or localhost:PORT, as in \"127.0.0.1:8000\", \"[::1]:8000\" or \"0.0.0.0:8000\""
                        .to_owned(),
                );
                None
            }
        }
    }

    pub(super) fn host_port(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "an address such as \"127.0.0.1:5432\"")?;
        let split = text.rsplit_once(':').filter(|(host, _)| is_host(host));
        if split.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port != 0)) {
            return Some(Typed::Text(text));
        }
        let message = format!("{} is not HOST:PORT", shown(node, &text));
        self.notes
            .error(&node.at, path, message)
            .help("write HOST:PORT, as in \"127.0.0.1:5432\"; the port is 1 to 65535".to_owned());
        None
    }

    /// A user or a group of this machine, which may exist later; empty means unset.
    pub(super) fn account(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "a name such as \"nobody\", or a number as text")?;
        if text.is_empty() {
            return None;
        }
        let inner = text.strip_suffix('$').unwrap_or(&text);
        let is_fit =
            inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte));
        if is_fit && !inner.is_empty() && !inner.starts_with(['-', '.', '@']) {
            return Some(Typed::Text(text));
        }
        let message = format!("{} is not a name of a user or group", shown(node, &text));
        self.notes
            .error(&node.at, path, message)
            .help("write a name of letters, digits, `_`, `.` and `-`, or a number".to_owned());
        None
    }

    pub(super) fn url(
        &mut self,
        text: &str,
        schemes: &[&str],
        may_be_secret: bool,
        node: &Node,
        path: &str,
    ) -> bool {
        let wanted =
            schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        let fault = match url::Url::parse(text) {
            Err(error) => format!("is not an address: {error}"),
            Ok(url) if !schemes.contains(&url.scheme()) => {
                format!("does not begin with {wanted}")
            }
            Ok(url) if url.host_str().is_none_or(str::is_empty) => "names no host".to_owned(),
            Ok(url) if !may_be_secret && has_credentials(&url) => {
                let message = "an address must not hold a user or password, because it is shown";
                let is_server = path.starts_with("servers.") && path.ends_with(".url");
                let help = if is_server {
                    "use headers: Authorization = \"secret:env:NAME\""
                } else if path.ends_with(".http") {
                    "write a reference to the whole address, as \"secret:env:NAME\""
                } else {
                    "remove the part before the @"
                };
                self.notes.error(&node.at, path, message).help(help.to_owned());
                return false;
            }
            Ok(_) => return true,
        };
        let help = format!("write an address such as \"{}://host/path\"", schemes[0]);
        let references = match &node.value {
            Value::Text(written) => self.references(written),
            _ => None,
        };
        match references.filter(|_| self.lacks.is_some()) {
            // As one that is not there, it concerns its owner only.
            Some(reference) => {
                self.note_lack(Lack::Value { reference, fault }, &node.at, path, Some(help));
            }
            None => {
                self.notes.error(&node.at, path, format!("it {fault}")).help(help);
            }
        }
        false
    }

    pub(super) fn path(&mut self, node: &Node, path: &str) -> Option<Typed> {
        let text = self.text(node, path, "a path")?;
        if text.is_empty() || text.contains('\0') {
            self.notes.error(&node.at, path, "this is not a path");
            return None;
        }
        self.resolve_path(&text, node, path).map(Typed::Path)
    }

    /// `~` counts from the home folder, a relative path from the folder of the file.
    pub(super) fn resolve_path(&mut self, text: &str, node: &Node, path: &str) -> Option<PathBuf> {
        let Some(below) = text.strip_prefix('~') else {
            // Collecting leaves out `.` on the way, and only that.
            return Some(self.base.join(text).components().collect());
        };
        match (below.strip_prefix('/').or(below.is_empty().then_some("")), self.home) {
            (Some(""), Some(home)) => Some(home.to_owned()),
            (Some(below), Some(home)) => Some(home.join(below)),
            (Some(_), None) => {
                self.notes.error(
                    &node.at,
                    path,
                    "`~` can't be expanded: the home folder is unknown",
                );
                None
            }
            (None, _) => {
                self.notes
                    .error(&node.at, path, "`~` stands only for your own home folder")
                    .help("write the path in full, or as ~/…".to_owned());
                None
            }
        }
    }
}

fn has_credentials(url: &url::Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn parse_listen(text: &str) -> Result<ListenAddress, &'static str> {
    if let Ok(address) = text.parse() {
        return Ok(ListenAddress { address, is_localhost: false });
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|_| text.parse::<IpAddr>().is_err())
    else {
        return Err("the port is missing");
    };
    let port = match port.parse::<u16>() {
        Ok(port) => port,
        Err(_) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            return Err("the port must be 0 to 65535");
        }
        Err(_) => return Err("the port must be a number, 0 to 65535"),
    };
    match host {
        "localhost" => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            Ok(ListenAddress { address, is_localhost: true })
        }
        "" => Err("the IP address before the port is missing"),
        _ => Err("the part before the port is not an IP address"),
    }
}

/// Whether a text is a host name or IP address that may stand before a port.
pub(super) fn is_host(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text.len() <= 253
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}
