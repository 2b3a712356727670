//! One word for the whole daemon, and what follows from it.

use mainstay_model::status::{Health, InstanceState};

use crate::api::servers::Server;

/// The word for a daemon with these servers.
///
/// A required server that is not ready makes it `loading` as long as it has never been (its
/// revision is not known yet) and is still being tried, and `error` after that.
pub fn of(servers: &[Server], draining: bool) -> Health {
    if draining {
        return Health::Draining;
    }
    let unready = |server: &&Server| !server.state.serves();
    let required = servers.iter().filter(unready).filter(|server| server.required);
    let worst = required.map(|server| match server.state {
        InstanceState::CrashLooping | InstanceState::Failed | InstanceState::Stopped => {
            Health::Error
        }
        _ if server.revision.is_some() => Health::Error,
        _ => Health::Loading,
    });
    let worst = worst.reduce(|a, b| if a == Health::Error { a } else { b });
    let degraded = || servers.iter().any(|server| unready(&server));
    worst.unwrap_or_else(|| if degraded() { Health::Degraded } else { Health::Ok })
}

/// Whether clients should be sent here.
pub fn takes_clients(health: Health) -> bool {
    match health {
        Health::Ok | Health::Degraded => true,
        Health::Loading | Health::Draining | Health::Error => false,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Name;
    use mainstay_model::status::{Health, InstanceState as State};

    use super::of;
    use crate::api::servers::Server;

    fn server(required: bool, state: State, been_ready: bool) -> Server {
        Server {
            name: Name::try_new("s").unwrap(),
            kind: "process".to_owned(),
            target: String::new(),
            required,
            state,
            reason: None,
            note: None,
            missing: Vec::new(),
            since: String::new(),
            retry_in_ms: None,
            transport: None,
            revision: been_ready.then(|| "2025-11-25".to_owned()),
            tools: 0,
            resources: 0,
            prompts: 0,
            restarts: 0,
            calls: 0,
            waiting: 0,
            memory_bytes: 0,
            second_revision: None,
            stray_lines: 0,
            instances: Vec::new(),
        }
    }

    #[test]
    fn the_worst_that_matters_is_the_word() {
        let ready = || server(true, State::Ready, true);
        for (servers, word) in [
            (vec![], Health::Ok),
            (vec![ready()], Health::Ok),
            (vec![ready(), server(true, State::Handshaking, false)], Health::Loading),
            (vec![server(true, State::BackingOff, false)], Health::Loading),
            (vec![server(true, State::BackingOff, true)], Health::Error),
            (vec![server(true, State::Starting, true)], Health::Error),
            (vec![server(true, State::CrashLooping, false)], Health::Error),
            (
                vec![server(true, State::Failed, false), server(true, State::Starting, false)],
                Health::Error,
            ),
            (vec![ready(), server(false, State::Starting, false)], Health::Degraded),
            (vec![server(false, State::Failed, false)], Health::Degraded),
            (vec![server(true, State::Idle, true), server(false, State::Idle, true)], Health::Ok),
        ] {
            assert_eq!(of(&servers, false), word, "{servers:?}");
            assert_eq!(of(&servers, true), Health::Draining);
        }
    }
}
