use std::path::Path;
use std::time::Duration;

use super::super::place::Place;
use super::{Manager, Unit};

fn place(folder: &str, text: &str) -> Place {
    let folder = Path::new(folder);
    let state = Path::new("/var/lib/mainstay");
    Place::new(&folder.join("mainstay"), &folder.join("mainstay.toml"), state, text).unwrap()
}

fn text(place: &Place, manager: Manager, privileged: Option<&str>) -> String {
    let drain = Duration::from_secs(30);
    Unit { place, manager, path: "/opt/100%/bin:/bin", drain, privileged }.text()
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|own| own == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_unit_names_full_paths_and_bounds_its_restarts() {
    let place =
        place("/opt/m", "url = \"${BASE}\"\nenv = { K = \"secret:env:KEY\", P = \"${PATH}\" }");
    let user = text(&place, Manager::User, None);
    has(
        &user,
        &[
            "ExecStart=\"/opt/m/mainstay\" up --config \"/opt/m/mainstay.toml\" --state \
             \"/var/lib/mainstay\"",
            "Environment=\"PATH=/opt/100%%/bin:/bin\"",
            "# Variables that the configuration refers to: BASE, KEY.",
            "EnvironmentFile=-/opt/m/mainstay.env",
            "Restart=always",
            "RestartSec=10s",
            "StartLimitIntervalSec=300",
            "StartLimitBurst=5",
            "KillMode=mixed",
            "Delegate=yes",
            "TimeoutStopSec=60s",
            "LimitNOFILE=1024:65536",
            "NoNewPrivileges=yes",
            "WantedBy=default.target",
        ],
    );
    // A manager of a user has no network target and no folders of the system.
    for absent in ["network-online", "ProtectSystem", "StateDirectory", "User="] {
        assert!(!user.contains(absent), "{absent} is in\n{user}");
    }
    let system = text(&place, Manager::System(Some(1000)), None);
    let own = [
        "User=1000",
        "StateDirectory=mainstay",
        "ProtectSystem=full",
        "WantedBy=multi-user.target",
    ];
    has(&system, &own);
    assert!(!text(&place, Manager::System(None), None).contains("User="));
}

/// `make dist` packs a unit that `install.sh` only puts the path of the program into.
#[test]
fn the_packed_unit_differs_only_in_what_it_can_not_know() {
    let packed = include_str!("../../../../../../packaging/mainstay.service");
    let own = text(&place("/opt/m", ""), Manager::User, None);
    let kept = |text: &str| -> Vec<String> {
        let is_kept = |line: &&str| {
            !["#", "ExecStart=", "Environment=", "EnvironmentFile="]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        text.lines().filter(is_kept).map(str::to_owned).collect()
    };
    assert_eq!(kept(packed), kept(&own));
}

#[test]
fn a_server_that_needs_privileges_is_not_kept_from_them() {
    let text = text(&place("/opt/m", ""), Manager::System(None), Some("podman"));
    assert!(text.contains("`podman` needs privileges"), "{text}");
    for absent in ["NoNewPrivileges", "Protect"] {
        assert!(!text.contains(absent), "{absent} is in\n{text}");
    }
}

#[test]
fn paths_keep_their_meaning() {
    let text = text(&place("/opt/a b/\"c\"/$HOME/50%/d\\e", ""), Manager::User, None);
    has(
        &text,
        &[
            "ExecStart=\"/opt/a b/\\\"c\\\"/$$HOME/50%%/d\\\\e/mainstay\" up --config \
             \"/opt/a b/\\\"c\\\"/$$HOME/50%%/d\\\\e/mainstay.toml\" --state \"/var/lib/mainstay\"",
            "EnvironmentFile=-/opt/a b/\"c\"/$HOME/50%%/d\\e/mainstay.env",
        ],
    );
    let state = Path::new("/s");
    assert!(Place::new(Path::new("/a\nb"), state, state, "").is_err());
}
