//! Collects what the units of service managers are made from, and prints them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mainstay_config::{Loaded, export};
use mainstay_model::settings::{Runtime, Settings};
use rustix::process::getuid;
use serde_json::json;

use super::compose::{ComposeFile, PROGRAM, STATE};
use super::in_full;
use super::place::Place;
use super::systemd::{Manager, Unit};
use crate::cli::{Shared, ShowArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Programs that gain privileges of their own, or make containers without a daemon that has them.
const PRIVILEGED: [&str; 7] = ["buildah", "doas", "nerdctl", "podman", "pkexec", "su", "sudo"];

/// The port inside of the container, for a configuration that leaves the port to the system.
const PORT: u16 = 8000;

/// Prints a unit for systemd.
pub(super) fn systemd(shared: &Shared, args: &ShowArgs, out: &Output) -> Result<(), Failure> {
    let loaded = export::settings(&shared.request(None))?;
    let place = place(&loaded)?;
    let user = getuid();
    let manager = match user.is_root() {
        true => Manager::System(None),
        false if args.system => Manager::System(Some(user.as_raw())),
        false => Manager::User,
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let path = if path.contains(char::is_control) { "" } else { &path };
    let drain = loaded.settings.gateway.limits.drain;
    let privileged = privileged(&loaded.settings, &place.program);
    let text =
        Unit { place: &place, manager, path, drain, privileged: privileged.as_deref() }.text();
    let (file, systemctl) = match manager {
        Manager::User => (user_unit(), "systemctl --user"),
        Manager::System(_) => (PathBuf::from("/etc/systemd/system/mainstay.service"), "systemctl"),
    };
    if out.json {
        out.value(&json!({ "service": "systemd", "file": file, "text": text }));
        return Ok(());
    }
    out.line(text.trim_end());
    let enable = "daemon-reload && ";
    out.remark(format!(
        "save it as {}, then run: {systemctl} {enable}{systemctl} enable --now mainstay",
        file.display()
    ));
    match manager {
        Manager::User => out.remark("to run without a login, too: loginctl enable-linger"),
        Manager::System(None) => out.remark(
            "note: the daemon and its servers would run as root; `User=NAME` below [Service] names another user",
        ),
        Manager::System(Some(_)) => {}
    }
    if !place.variables.is_empty() {
        let names: Vec<_> = place.variables.iter().map(String::as_str).collect();
        out.remark(format!(
            "write NAME=VALUE lines for {} into {}, readable by nobody else",
            names.join(", "),
            place.env_file().display()
        ));
    }
    Ok(())
}

/// Prints a compose file.
pub(super) fn compose(shared: &Shared, out: &Output) -> Result<(), Failure> {
    let loaded = export::settings(&shared.request(None))?;
    let place = place(&loaded)?;
    let gateway = &loaded.settings.gateway;
    let fixed = |port: u16| if port == 0 { PORT } else { port };
    let port = fixed(gateway.listen.port());
    let sse_port = gateway.sse_listen.filter(|_| gateway.sse).map(|address| fixed(address.port()));
    let (built_in, programs) = programs(&loaded.settings, &place.program);
    let file = ComposeFile {
        place: &place,
        built_in: &built_in,
        image: concat!("mainstay:", env!("CARGO_PKG_VERSION")),
        port,
        sse_port: sse_port.filter(|sse| *sse != port),
        drain: gateway.limits.drain,
        user: sole_reader(&place.config)?,
    };
    let text = file.text();
    if out.json {
        out.value(&json!({ "service": "compose", "file": "compose.yaml", "text": text }));
        return Ok(());
    }
    out.line(text.trim_end());
    out.remark("save it as compose.yaml, then run: docker compose up --detach");
    if let Some((server, program)) = programs.first() {
        out.remark(format!(
            "note: the image contains only Mainstay, so `{server}` can't start `{program}` in it. Build an image \
             with both, and write its name behind `image:`. Its Dockerfile:\n  \
             FROM an image that has `{program}`\n  \
             COPY --from={} {PROGRAM} {PROGRAM}\n  \
             RUN mkdir -m 1777 {STATE}",
            file.image
        ));
    }
    Ok(())
}

/// The facts about the daemon of this configuration and state folder.
fn place(loaded: &Loaded) -> Result<Place, Failure> {
    let Some(config) = &loaded.file else {
        let failure =
            Failure::new(Exit::Usage, "there is no configuration for the daemon to run with");
        return Err(
            failure.hint("write one with `mainstay init`, or select one with `--config FILE`")
        );
    };
    let text = fs::read_to_string(config)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", config.display())))?;
    let program = std::env::current_exe().map_err(|error| Failure::of(Exit::Failed, &error))?;
    let state = &loaded.settings.state_dir;
    Place::new(&program, &in_full(config), &in_full(state), &text)
        .map_err(|error| Failure::of(Exit::Failed, &error))
}

/// The user and group of a file that others may not read.
fn sole_reader(file: &Path) -> Result<Option<(u32, u32)>, Failure> {
    const OTHERS_READ: u32 = 0o004;
    let data = fs::metadata(file)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", file.display())))?;
    Ok((data.mode() & OTHERS_READ == 0).then(|| (data.uid(), data.gid())))
}

/// The servers that are commands: those that are built into this program, with their kinds, and all others
/// with their programs.
type Commands = (Vec<(String, String)>, Vec<(String, String)>);

fn programs(settings: &Settings, own: &Path) -> Commands {
    let (mut built_in, mut others) = (Vec::new(), Vec::new());
    let is_own = |program: &str| fs::canonicalize(program).ok() == fs::canonicalize(own).ok();
    for server in &settings.servers {
        let Runtime::Process(process) = &server.runtime else { continue };
        match process.command.as_slice() {
            [program, demo, kind] if demo == "__demo" && is_own(program) => {
                built_in.push((server.name.to_string(), kind.clone()));
            }
            [program, ..] => others.push((server.name.to_string(), program.clone())),
            [] => {}
        }
    }
    (built_in, others)
}

/// The first program of a server that needs privileges of its own.
fn privileged(settings: &Settings, own: &Path) -> Option<String> {
    let (_, others) = programs(settings, own);
    let names = others.into_iter().filter_map(|(_, program)| {
        Path::new(&program).file_name().and_then(|name| name.to_str()).map(str::to_owned)
    });
    names.into_iter().find(|name| PRIVILEGED.contains(&&**name))
}

/// The usual place of a user's unit.
fn user_unit() -> PathBuf {
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_absolute());
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("~")).join(".config");
    folder.unwrap_or_else(home).join("systemd/user/mainstay.service")
}
