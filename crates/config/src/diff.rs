//! Compares two [`Settings`] and returns a [`Plan`] of the changes.
//!
//! The plan names servers, endpoints, services, volumes, externals and keys, and never a value: a command, a URL or a variable
//! may hold a secret. It says what each change requires (a restart of instances, or of the daemon).
//! Nothing is carried out here.

mod compare;
mod plan;
mod show;

use mainstay_model::settings::Settings;

pub use self::compare::gateway_in_force;
use self::compare::{order, shared};
pub use self::plan::{Change, ChangeKind, Effect, Plan, SettingChange};

/// Plans the changes from the settings `old` to `new`.
pub fn diff(old: &Settings, new: &Settings) -> Plan {
    let Settings {
        gateway,
        servers,
        endpoints,
        services,
        volumes,
        externals,
        notify,
        checks,
        state_dir,
    } = new;
    let mut settings = compare::gateway(&old.gateway, gateway);
    if old.notify != *notify {
        settings.push(SettingChange { key: "notify".to_owned(), needs_daemon_restart: false });
    }
    // They are read anew each time they are made.
    if old.checks != *checks {
        settings.push(SettingChange { key: "checks".to_owned(), needs_daemon_restart: false });
    }
    if old.state_dir != *state_dir {
        settings.push(SettingChange { key: "state".to_owned(), needs_daemon_restart: true });
    }
    Plan {
        servers: shared(&old.servers, servers, |it| &it.name, compare::server),
        order: order(&old.servers, servers),
        endpoints: shared(&old.endpoints, endpoints, |it| &it.name, compare::endpoint),
        services: shared(&old.services, services, |it| &it.name, compare::service),
        volumes: shared(&old.volumes, volumes, |it| &it.name, compare::volume),
        externals: shared(&old.externals, externals, |it| &it.name, compare::external),
        gateway: settings,
    }
}
