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
    let privileged = privileged(&loaded.settings);
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
    let file = ComposeFile {
        place: &place,
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
    let programs = programs(&loaded.settings);
    if let [first, ..] = &*programs {
        out.remark(format!(
            "note: the image has no program but Mainstay, and `{}` starts `{}`; make one that has it: \
             FROM an image with it, RUN mkdir -m 1777 {STATE}, COPY --from={} {PROGRAM} {PROGRAM}",
            first.0, first.1, file.image
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

/// The servers that are commands, each with its program.
fn programs(settings: &Settings) -> Vec<(String, String)> {
    let program = |runtime: &Runtime| match runtime {
        Runtime::Process(process) => process.command.first().cloned(),
        Runtime::Remote(_) => None,
    };
    let servers = settings.servers.iter();
    servers.filter_map(|one| Some((one.name.to_string(), program(&one.runtime)?))).collect()
}

/// The first program of a server that needs privileges of its own.
fn privileged(settings: &Settings) -> Option<String> {
    let names = programs(settings).into_iter().filter_map(|(_, program)| {
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
