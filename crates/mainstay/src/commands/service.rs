//! `mainstay service`: prints the configuration of programs that run the daemon or stand in front of it.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

mod compose;
mod nginx;
mod place;
mod runner;
mod systemd;

use std::path::{Path, PathBuf};

use mainstay_config::{Loaded, Request, export};
use mainstay_model::settings::GatewaySettings;
use serde_json::json;

use self::nginx::{Environment, Page, WrongEnvironment};
use crate::cli::{ServiceArgs, ServiceCommand, ServiceKind, Shared, ShowArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::output::table::Column;

/// The known programs, with what is printed for each.
const KNOWN: [(&str, &str); 3] = [
    ("systemd", "a unit that runs the daemon as a service"),
    ("compose", "a compose file that runs the daemon in a container and checks its health"),
    ("nginx", "a configuration for nginx in front of one or several daemons"),
];

pub(super) fn run(shared: &Shared, args: &ServiceArgs, out: &Output) -> Result<Exit, Failure> {
    let ServiceCommand::Show(args) = &args.command;
    let Some(service) = args.service else {
        list(out);
        return Ok(Exit::Done);
    };
    if args.system && service != ServiceKind::Systemd {
        return Err(Failure::new(Exit::Usage, "`--system` is for `mainstay service show systemd`"));
    }
    let has_proxy_options = args.certificate.is_some() || !args.with.is_empty();
    if has_proxy_options && service != ServiceKind::Nginx {
        let message = "`--with` and `--certificate` are for `mainstay service show nginx`";
        return Err(Failure::new(Exit::Usage, message));
    }
    match service {
        ServiceKind::Systemd => runner::systemd(shared, args, out)?,
        ServiceKind::Compose => runner::compose(shared, out)?,
        ServiceKind::Nginx => nginx(shared, args, out)?,
    }
    Ok(Exit::Done)
}

fn list(out: &Output) {
    if out.json {
        let services = KNOWN.map(|(name, about)| json!({ "name": name, "about": about }));
        return out.value(&json!({ "services": services }));
    }
    let columns = [Column::whole("SERVICE"), Column::text("WHAT IS SHOWN")];
    out.line(out.table(columns, &KNOWN.map(|(name, about)| [name.into(), about.into()])));
    out.next(&["mainstay service show systemd", "mainstay service show compose"]);
}

fn nginx(shared: &Shared, args: &ShowArgs, out: &Output) -> Result<(), Failure> {
    let own = export::settings(&shared.request(None))?;
    let mut loaded = vec![own];
    for file in &args.with {
        let request =
            Request { config: Some(file.clone()), state: shared.state.clone(), flags: Vec::new() };
        loaded.push(export::settings(&request)?);
    }
    let environments = loaded.iter().map(environment).collect::<Result<Vec<_>, _>>()?;
    let certificate = args.certificate.as_deref().zip(args.certificate_key.as_deref());
    let certificate = certificate.map(|(own, key)| (in_full(own), in_full(key)));
    // Without IPv6 on the machine this file is missing, and nginx can't listen on IPv6.
    let ipv6 = Path::new("/proc/net/if_inet6").exists();
    let text = nginx::page(&Page { environments: &environments, certificate, ipv6 })
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    if out.json {
        let urls: Vec<_> = environments.iter().map(|one| one.url.to_string()).collect();
        out.value(&json!({ "service": "nginx", "file": nginx::FILE, "urls": urls, "text": text }));
        return Ok(());
    }
    out.line(text.trim_end());
    out.remark(format!("save it as {}, then run: nginx -t && nginx -s reload", nginx::FILE));
    for one in &loaded {
        doubts(one, out);
    }
    Ok(())
}

fn environment(loaded: &Loaded) -> Result<Environment<'_>, Failure> {
    let gateway = &loaded.settings.gateway;
    Environment::new(gateway).map_err(|error| {
        let file = match &loaded.file {
            Some(file) => file.display().to_string(),
            None => "the configuration".to_owned(),
        };
        let failure = Failure::new(Exit::Usage, format!("{file}: {error}"));
        match error {
            WrongEnvironment::NoPublicUrl => {
                failure.hint("write it as in public_url = \"https://tools.example.org/mcp\"")
            }
            WrongEnvironment::NoFixedPort(key) => {
                failure.hint(format!("give `gateway.{key}` a port of its own"))
            }
        }
    })
}

/// The absolute path of a file: nginx takes relative ones from its own folder.
fn in_full(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// Warns about settings that are valid and probably not intended.
fn doubts(loaded: &Loaded, out: &Output) {
    if !trusts_loopback(&loaded.settings.gateway) {
        let file = loaded.file.as_ref().map_or("…".into(), |file| file.display().to_string());
        out.remark(format!(
            "note: {file} does not trust nginx, so logs show its address for every client; \
             where it runs on this machine: trusted_proxies = [\"127.0.0.1\"]"
        ));
    }
}

/// Whether the daemon trusts a proxy on its own machine.
fn trusts_loopback(gateway: &GatewaySettings) -> bool {
    let from = if gateway.listen.ip().is_unspecified() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        gateway.listen.ip()
    };
    gateway.trusted_proxies.iter().any(|network| network.contains(from))
}
