//! Generates the configuration of nginx from settings. Does no I/O.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use mainstay_model::PublicUrl;
use mainstay_model::settings::GatewaySettings;

/// The usual place of the generated file.
pub(super) const FILE: &str = "/etc/nginx/conf.d/mainstay.conf";

/// Idle connections that each worker of nginx keeps to each daemon. Enough for bursts of short
/// calls.
const KEPT: u32 = 64;

/// The settings of one daemon that matter to a proxy.
#[derive(Debug)]
pub(super) struct Environment<'a> {
    pub(super) url: &'a PublicUrl,
    gateway: &'a GatewaySettings,
    /// The address of streamable HTTP and everything else.
    listen: SocketAddr,
    /// The address of HTTP+SSE.
    sse: SocketAddr,
}

/// The input of one generated file.
pub(super) struct Page<'a> {
    /// The daemons; at least one.
    pub(super) environments: &'a [Environment<'a>],
    /// The files of the certificate and its key. None: certbot's files.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    /// Whether to listen on IPv6, too.
    pub(super) ipv6: bool,
}

/// Why one daemon can't run behind nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WrongEnvironment {
    #[error("`gateway.public_url` is not set; it is the address that clients use")]
    NoPublicUrl,
    #[error("`gateway.{0}` has port 0, so the address changes with each start")]
    NoFixedPort(&'static str),
}

/// Why these daemons can't run behind one nginx.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Clash {
    #[error("two configurations have {0} as their `gateway.public_url`")]
    Url(String),
    #[error("two configurations have {0} to listen on")]
    Listen(SocketAddr),
    #[error("{0:?} can't be written into a configuration of nginx")]
    File(PathBuf),
}

// === impl Environment ===

impl<'a> Environment<'a> {
    pub(super) fn new(gateway: &'a GatewaySettings) -> Result<Self, WrongEnvironment> {
        let url = gateway.public_url.as_ref().ok_or(WrongEnvironment::NoPublicUrl)?;
        let fixed = |key, address: SocketAddr| match address.port() {
            0 => Err(WrongEnvironment::NoFixedPort(key)),
            port => Ok(SocketAddr::new(reached(address.ip()), port)),
        };
        let listen = fixed("listen", gateway.listen)?;
        let own = gateway.sse_listen.filter(|_| gateway.sse);
        let sse = own.map_or(Ok(listen), |address| fixed("sse_listen", address))?;
        Ok(Self { url, gateway, listen, sse })
    }

    /// The suffix of the upstreams' names, as in `mainstay_mcp_dev` for `/mcp/dev`.
    fn label(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let host = self.url.authority().chars().map(plain);
        let path = self.url.path().chars().map(plain);
        format!("mainstay_{}{}", host.collect::<String>(), path.collect::<String>())
    }

    fn has_own_sse(&self) -> bool {
        self.sse != self.listen
    }

    fn upstreams(&self, text: &mut String) {
        upstream(text, &self.label(), self.listen);
        if self.has_own_sse() {
            upstream(text, &format!("{}_sse", self.label()), self.sse);
        }
    }

    /// Writes a location for each address: the public path, passed to the daemon's own path.
    /// The first daemon of a host has its health at the root of the host, too, where monitors look first.
    fn locations(&self, text: &mut String, is_first: bool) {
        let main = self.label();
        let sse = if self.has_own_sse() { format!("{main}_sse") } else { main.clone() };
        let mut own: Vec<(&str, &str)> = Vec::new();
        if self.gateway.http {
            own.extend([("/mcp", &*main), ("/mcp/", &*main)]);
        }
        if self.gateway.sse {
            own.extend([("/sse", &*sse), ("/sse/", &*sse), ("/messages", &*sse)]);
        }
        let mut places: Vec<(String, &str, &str)> = own
            .into_iter()
            .chain(HEALTH.map(|path| (path, &*main)))
            .map(|(path, upstream)| (self.url.public_path(path), path, upstream))
            .collect();
        if is_first {
            places.extend(HEALTH.map(|path| (path.to_owned(), path, &*main)));
        }
        for (public, path, upstream) in places {
            let exactly = if path.ends_with('/') { "" } else { "= " };
            line(text, &format!("    location {exactly}{public} {{"));
            line(text, &format!("        proxy_pass http://{upstream}{path};"));
            self.directives(text);
            line(text, "    }");
        }
    }

    /// Writes the directives of one location. They are repeated in each, because a header directive
    /// in an inner block discards those of outer blocks.
    fn directives(&self, text: &mut String) {
        let body = self.gateway.limits.body_bytes_max;
        let own = [
            format!("client_max_body_size {body};"),
            format!("proxy_set_header X-Forwarded-Prefix {};", self.url.path()),
        ];
        for directive in own.iter().map(String::as_str).chain(DIRECTIVES) {
            line(text, &format!("        {directive}"));
        }
    }
}

/// The paths of the daemon's health. Without a token, it is one word behind a proxy.
const HEALTH: [&str; 2] = ["/health", "/health/"];

/// Directives that are the same for every daemon.
const DIRECTIVES: [&str; 13] = [
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-Host $http_host;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Real-IP $remote_addr;",
    "proxy_set_header Forwarded \"\";",
    "proxy_set_header Connection \"\";",
    "proxy_http_version 1.1;",
    // Events must be sent on at once, and no answer goes through a file.
    "proxy_buffering off;",
    "proxy_cache off;",
    "proxy_connect_timeout 5s;",
    // Streams have a comment every 15 s.
    "proxy_read_timeout 1h;",
    "proxy_send_timeout 1h;",
];

/// Generates the text for the `http` block of nginx.
pub(super) fn page(page: &Page<'_>) -> Result<String, Clash> {
    clashes(page)?;
    let mut text = String::new();
    line(
        &mut text,
        "# Made by `mainstay service show nginx`; belongs into the http block of nginx.",
    );
    line(&mut text, "# Behind another proxy, X-Forwarded-For is to be $proxy_add_x_forwarded_for.");
    for environment in page.environments {
        text.push('\n');
        environment.upstreams(&mut text);
    }
    let mut done = BTreeSet::new();
    for environment in page.environments {
        if done.insert(environment.url.origin()) {
            server(&mut text, page, environment.url);
        }
    }
    Ok(text)
}

fn clashes(page: &Page<'_>) -> Result<(), Clash> {
    let (mut urls, mut listens) = (BTreeSet::new(), BTreeSet::new());
    for one in page.environments {
        if !urls.insert(one.url.to_string()) {
            return Err(Clash::Url(one.url.to_string()));
        }
        let own_sse = one.has_own_sse().then_some(one.sse);
        for address in std::iter::once(one.listen).chain(own_sse) {
            if !listens.insert(address) {
                return Err(Clash::Listen(address));
            }
        }
    }
    let files = page.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
    let is_fit = |file: &&PathBuf| {
        file.to_str().is_some_and(|text| !text.contains(['"', '\\', '$', '\n', '\r', '\0']))
    };
    match files.into_iter().find(|file| !is_fit(file)) {
        Some(file) => Err(Clash::File(file.clone())),
        None => Ok(()),
    }
}

/// Writes the block of a host with all daemons that it serves.
fn server(text: &mut String, page: &Page<'_>, url: &PublicUrl) {
    let name = url.host();
    let port = url.port().unwrap_or(if url.is_https() { 443 } else { 80 });
    if url.is_https() && port == 443 {
        line(text, "\nserver {");
        listen(text, page, 80, "");
        line(text, &format!("    server_name {name};"));
        line(text, "    return 308 https://$host$request_uri;");
        line(text, "}");
    }
    line(text, "\nserver {");
    listen(text, page, port, if url.is_https() { " ssl" } else { "" });
    line(text, &format!("    server_name {name};"));
    if url.is_https() {
        let (certificate, key) = page.certificate.clone().unwrap_or_else(|| certbot(name));
        line(text, &format!("    ssl_certificate \"{}\";", certificate.display()));
        line(text, &format!("    ssl_certificate_key \"{}\";", key.display()));
    }
    let here = || page.environments.iter().filter(|one| one.url.origin() == url.origin());
    let root_is_free = here().all(|one| !format!("{}/", one.url.path()).starts_with("/health/"));
    for (at, environment) in here().enumerate() {
        text.push('\n');
        line(text, &format!("    # {} is the daemon at {}.", environment.url, environment.listen));
        environment.locations(text, at == 0 && root_is_free);
    }
    line(text, "}");
}

fn listen(text: &mut String, page: &Page<'_>, port: u16, how: &str) {
    line(text, &format!("    listen {port}{how};"));
    if page.ipv6 {
        line(text, &format!("    listen [::]:{port}{how};"));
    }
}

fn upstream(text: &mut String, label: &str, address: SocketAddr) {
    line(text, &format!("upstream {label} {{"));
    // There is only one daemon. Avoiding it for a while after an error would prolong a restart.
    line(text, &format!("    server {address} max_fails=0;"));
    line(text, &format!("    keepalive {KEPT};"));
    line(text, "}");
}

fn certbot(host: &str) -> (PathBuf, PathBuf) {
    let folder = PathBuf::from("/etc/letsencrypt/live").join(host);
    (folder.join("fullchain.pem"), folder.join("privkey.pem"))
}

/// The address to connect to: loopback for a daemon that listens on every address.
fn reached(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a text takes every line");
}

#[cfg(test)]
mod tests;
