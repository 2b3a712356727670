//! Mainstay behind a proxy: a real nginx with the output of `service show nginx`, and proxy headers that
//! are trusted or not.

mod forwarded;
mod nginx;
mod paths;
mod through;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Daemon, programs};
use tokio::net::TcpListener;

use self::nginx::Nginx;
use crate::mainstay;

/// Two daemons behind one nginx, at `/mcp` and `/mcp/dev`, each with a server `tools`.
struct Scene {
    nginx: Nginx,
    _production: Daemon,
    development: Daemon,
}

/// One daemon and its configuration.
struct Plan {
    config: String,
    listen: SocketAddr,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        let front = free_address().await;
        let production = Plan::new(&format!("http://{front}/mcp"), "").await;
        let development = Plan::new(&format!("http://{front}/mcp/dev"), "").await;
        let text = shown(&production, &[&development]);
        Self {
            nginx: Nginx::start(&text, front).await,
            _production: production.builder().start().await.unwrap(),
            development: development.builder().start().await.unwrap(),
        }
    }

    /// Returns an address as clients know it.
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.nginx.address())
    }
}

// === impl Plan ===

impl Plan {
    async fn new(public_url: &str, more: &str) -> Self {
        let listen = free_address().await;
        let config = format!(
            "[gateway]\nlisten = \"{listen}\"\npublic_url = \"{public_url}\"\n\
             trusted_proxies = [\"127.0.0.1\"]\n{more}\n"
        );
        Self { config, listen }
    }

    fn builder(&self) -> Builder {
        let program = programs::misbehave().unwrap();
        Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
            .listen(self.listen)
            .config(&self.config)
            .command_server("tools", &[program.to_str().unwrap(), "stdio"])
    }
}

/// Returns the command's output for one daemon, or several.
#[track_caller]
fn shown(first: &Plan, others: &[&Plan]) -> String {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, plan: &Plan| {
        std::fs::write(home.path().join(name), &plan.config).unwrap();
    };
    write("mainstay.toml", first);
    let mut arguments = vec!["service".to_owned(), "show".to_owned(), "nginx".to_owned()];
    for (number, plan) in others.iter().enumerate() {
        let name = format!("other-{number}.toml");
        write(&name, plan);
        arguments.extend(["--with".to_owned(), name]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    mainstay(home.path(), &arguments).exits(0).out
}

/// Returns an address that nothing listens on. The port is released at once and is not assigned again
/// within this short time.
async fn free_address() -> SocketAddr {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    free.local_addr().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
