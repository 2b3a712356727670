//! Settings of plain proxies: connections kept alive, no log, and as many workers as cores, as the
//! daemon and the bare proxy have.

use std::net::SocketAddr;
use std::path::Path;

/// Connections of clients and to the server together: twice the number in a cell, and within the
/// common limit on open files, above which HAProxy does not start.
const CONNECTIONS: usize = 1_024;
/// Connections to the server that each worker of nginx keeps while they are idle: more than there
/// are clients.
const KEPT: usize = 512;

/// A file for `nginx -c` that writes into `folder` only.
pub(super) fn nginx(listen: SocketAddr, server: SocketAddr, folder: &Path) -> String {
    let workers = cores();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("    {what}_temp_path \"{}\";\n", folder.join(what).display()))
        .concat();
    format!(
        "daemon off;
worker_processes {workers};
pid \"{pid}\";
error_log stderr error;
events {{
    worker_connections {CONNECTIONS};
}}
http {{
    access_log off;
{temporary}    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    upstream server {{
        server {server};
        keepalive {KEPT};
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} reuseport;
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
",
        pid = folder.join("nginx.pid").display(),
    )
}

/// The file for `haproxy -f`. Connections to the server are kept and shared between clients, as by
/// default.
pub(super) fn haproxy(listen: SocketAddr, server: SocketAddr) -> String {
    let threads = cores();
    format!(
        "global
    nbthread {threads}
    maxconn {CONNECTIONS}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend clients
    bind {listen}
    default_backend servers
backend servers
    server server {server}
"
    )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_listen_and_pass_on_where_they_are_told() {
        let (listen, server) =
            (SocketAddr::from(([127, 0, 0, 1], 81)), SocketAddr::from(([127, 0, 0, 1], 82)));
        let text = nginx(listen, server, Path::new("/f"));
        for wanted in [
            "listen 127.0.0.1:81 reuseport;",
            "server 127.0.0.1:82;",
            "pid \"/f/nginx.pid\";",
            "proxy_temp_path \"/f/proxy\";",
            &format!("worker_processes {};", cores()),
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        let text = haproxy(listen, server);
        for wanted in [
            "bind 127.0.0.1:81\n",
            "server server 127.0.0.1:82\n",
            &format!("nbthread {}\n", cores()),
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
    }
}
