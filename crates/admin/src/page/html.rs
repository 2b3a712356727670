//! The page as HTML. Does no I/O.

use std::fmt::{self, Display, Write};

use mainstay_model::status::{Health, InstanceState};

use super::STYLE;
use crate::api::breakers::CircuitBreaker;
use crate::api::servers::Server;
use crate::api::status::{DaemonStatus, Endpoint};

/// A text with the characters that mean something in HTML escaped, within tags and attributes.
struct Escaped<'a>(&'a str);

/// A green, round icon, so that browsers don't ask for one.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle \
                    cx='8' cy='8' r='6' fill='%231a7f37'/%3E%3C/svg%3E";

/// What is there beside MCP, with what it is for.
const BESIDE: [(&str, &str); 7] = [
    ("/health", "the state in one word; 503 while clients can't be served"),
    ("/health/live", "whether the process works"),
    ("/health/detailed", "everything that <code>mainstay status</code> shows, as JSON"),
    ("/metrics", "metrics for Prometheus"),
    ("/stats/pool", "how many instances of servers are busy and idle"),
    ("/api/sessions", "the sessions of clients"),
    ("/openapi.json", "the description of the admin API"),
];

/// The whole page. `base` is the address of the daemon without a path.
pub(super) fn page(status: &DaemonStatus, base: &str) -> String {
    let mut page = String::with_capacity(8 << 10);
    write_page(&mut page, status, base).expect("a text takes everything");
    page
}

fn write_page(to: &mut String, status: &DaemonStatus, base: &str) -> fmt::Result {
    let word = status.status.as_str();
    write!(
        to,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Mainstay: {word}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<header>\n<h1>Mainstay</h1>\n<span class=\"{}\">{word}</span>\n\
         <span class=\"faint\">version {}, up {}</span>\n</header>\n\
         <p>One daemon between MCP clients and MCP servers. It starts the servers, keeps them running and \
         shares them among all clients. This page shows its state at the time it was loaded.</p>\n",
        health_class(status.status),
        Escaped(&status.version),
        Uptime(status.uptime_ms),
    )?;
    connect(to, base)?;
    addresses(to, &status.endpoints, base)?;
    servers(to, &status.servers)?;
    breakers(to, &status.tripped_breakers)?;
    beside(to)?;
    to.write_str("</body>\n</html>\n")
}

fn connect(to: &mut String, base: &str) -> fmt::Result {
    let base = Escaped(base);
    write!(
        to,
        "<h2>Connect a client</h2>\n<p>Give it the address <code>{base}/mcp</code>, or let Mainstay write the \
         client's file:</p>\n<pre>mainstay export                  # lists the known clients\n\
         mainstay export cursor --write   # connects one of them\n\
         claude mcp add --transport http mainstay {base}/mcp</pre>\n\
         <p>Or put this among its servers:</p>\n\
         <pre>{{ &quot;mcpServers&quot;: {{ &quot;mainstay&quot;: {{ &quot;url&quot;: &quot;{base}/mcp&quot; }} }} }}</pre>\n\
         <p>Clients of the older transport (HTTP+SSE) use <code>{base}/sse</code>.</p>\n"
    )
}

fn addresses(to: &mut String, endpoints: &[Endpoint], base: &str) -> fmt::Result {
    to.write_str(
        "<h2>Addresses</h2>\n<div class=\"scroll\"><table>\n<tr><th>Address</th><th>Servers</th></tr>\n",
    )?;
    for endpoint in endpoints {
        let names: Vec<_> = endpoint.servers.iter().map(ToString::to_string).collect();
        writeln!(
            to,
            "<tr><td><code>{}{}</code></td><td class=\"words\">{}</td></tr>",
            Escaped(base),
            Escaped(&endpoint.path),
            Escaped(&names.join(", "))
        )?;
    }
    to.write_str("</table></div>\n")
}

/// The circuit breakers that are not closed; nothing where all are.
fn breakers(to: &mut String, breakers: &[CircuitBreaker]) -> fmt::Result {
    if breakers.is_empty() {
        return Ok(());
    }
    to.write_str(
        "<h2>Circuit breakers</h2>\n<p>These refuse calls at the moment.</p>\n<div class=\"scroll\"><table>\n\
         <tr><th>Of</th><th>State</th><th>Since</th><th>Last error</th></tr>\n",
    )?;
    for breaker in breakers {
        writeln!(
            to,
            "<tr><td>{}</td><td class=\"bad\">{}</td><td>{}</td><td class=\"words\">{}</td></tr>",
            Escaped(breaker.name.as_str()),
            Escaped(&breaker.state),
            Escaped(&plain_time(&breaker.since)),
            Escaped(breaker.last_error.as_deref().unwrap_or_default()),
        )?;
    }
    to.write_str("</table></div>\n")
}

fn servers(to: &mut String, servers: &[Server]) -> fmt::Result {
    to.write_str("<h2>Servers</h2>\n")?;
    if servers.is_empty() {
        return to.write_str(
            "<p>None is configured. <code>mainstay import FILE</code> adds those of a client.</p>\n",
        );
    }
    to.write_str(
        "<div class=\"scroll\"><table>\n<tr><th>Server</th><th>State</th><th>Since</th><th>Revision</th>\
         <th class=\"number\">Tools</th><th class=\"number\">Restarts</th><th class=\"number\">Calls</th><th></th></tr>\n",
    )?;
    for server in servers {
        let words = server.reason.as_deref().or(server.note.as_deref()).unwrap_or_default();
        writeln!(
            to,
            "<tr><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"words\">{}</td></tr>",
            Escaped(server.name.as_str()),
            state_class(server.state),
            server.state.as_str(),
            Escaped(&plain_time(&server.since)),
            Escaped(server.revision.as_deref().unwrap_or_default()),
            server.tools,
            server.restarts,
            server.calls,
            Escaped(words)
        )?;
    }
    to.write_str(
        "</table></div>\n<p><code>mainstay status NAME</code> shows more of a server, and \
         <code>mainstay tools NAME</code> its tools.</p>\n",
    )
}

fn beside(to: &mut String) -> fmt::Result {
    to.write_str("<h2>Watch it</h2>\n<div class=\"scroll\"><table>\n")?;
    for (path, about) in BESIDE {
        writeln!(to, "<tr><td><a href=\"{path}\">{path}</a></td><td>{about}</td></tr>")?;
    }
    to.write_str(
        "</table></div>\n<p>From other machines these need <code>Authorization: Bearer $(mainstay token \
         --read)</code>.</p>\n",
    )
}

fn health_class(health: Health) -> &'static str {
    match health {
        Health::Ok => "good",
        Health::Loading | Health::Degraded | Health::Draining => "doubtful",
        Health::Error => "bad",
    }
}

fn state_class(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Ready | InstanceState::Idle | InstanceState::Done => "good",
        InstanceState::Waiting
        | InstanceState::Starting
        | InstanceState::Handshaking
        | InstanceState::Degraded
        | InstanceState::BackingOff
        | InstanceState::Draining => "doubtful",
        InstanceState::Stopped
        | InstanceState::Held
        | InstanceState::Unhealthy
        | InstanceState::CrashLooping
        | InstanceState::Failed => "bad",
    }
}

/// A time of RFC 3339 in whole seconds, as people read it.
fn plain_time(time: &str) -> String {
    let seconds = time.split(['.', 'Z', '+']).next().unwrap_or(time);
    format!("{} UTC", seconds.replacen('T', " ", 1))
}

/// Milliseconds in the two largest units that fit.
struct Uptime(u64);

// === impl Uptime ===

impl Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min"),
            (0, ..) => write!(f, "{hours} h {} min", minutes % 60),
            _ => write!(f, "{days} d {} h", hours % 24),
        }
    }
}

// === impl Escaped ===

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
