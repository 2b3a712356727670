//! Every file in `tests/cases/diff` holds two configurations; what stands beside it is the plan that
//! leads from one to the other.
//!
//! `MAINSTAY_BLESS=1` writes what stands beside it anew.

use std::collections::BTreeSet;
use std::path::Path;

use mainstay_config::diff::{ChangeKind, Plan, diff};
use mainstay_model::settings::{
    EndpointSpec, GatewaySettings, LimitsSpec, NameRule, Prefix, ProcessSpec, RemoteSpec, Runtime,
    ServerSpec, Settings, Sharing,
};
use mainstay_model::{Name, Redacted};
use proptest::prelude::*;

use crate::world::file;

/// The line between the two.
const BECOMES: &str = "#=> becomes";

#[test]
fn each_pair_gives_the_plan_that_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/diff");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 14, "the cases are missing from {}", folder.display());
    let wrong: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(case).unwrap();
    let (old, new) = text.split_once(BECOMES).unwrap();
    let new = new.split_once('\n').unwrap().1;
    let plan = diff(&file(old).loaded().settings, &file(new).loaded().settings);
    let found = plan.to_string();
    assert!(!found.contains("secret"), "{}: {found}", case.display());
    let beside = case.with_extension("txt");
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(&beside, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&beside).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    Err(format!("{} gives\n{found}\nand not\n{expected}", case.display()))
}

#[test]
fn another_state_folder_needs_another_daemon() {
    let old = file("[servers.a]\ncommand = ['npx']").loaded().settings;
    let new = Settings { state_dir: "/srv/other".into(), ..old.clone() };
    let plan = diff(&old, &new);
    let keys: Vec<_> = plan.needs_daemon_restart().map(|setting| setting.key.as_str()).collect();
    assert_eq!(keys, ["state"]);
}

#[test]
fn a_value_that_is_a_secret_from_now_on_starts_an_instance_that_masks_it() {
    let config = |value: &str| {
        let text = format!("[servers.a]\ncommand = ['npx']\nenv = {{ FOO = '{value}' }}");
        file(&text).env("KEY", "plain-value").loaded().settings
    };
    let plan = diff(&config("plain-value"), &config("secret:env:KEY"));
    assert_eq!(plan.to_string(), "~ server a is restarted: masking of env.FOO changed\n");
    let plan = diff(&config("other"), &config("secret:env:KEY"));
    assert_eq!(plan.to_string(), "~ server a is restarted: env.FOO changed\n");
}

#[test]
fn a_plan_can_be_read_by_programs() {
    let old = file("[servers.a]\ncommand = ['npx']\n[servers.b]\ncommand = ['npx']").loaded();
    let new = file("[servers.a]\ncommand = ['npx']\nenv = { T = 's3cret' }").loaded();
    let plan = serde_json::to_value(diff(&old.settings, &new.settings)).unwrap();
    assert_eq!(
        plan,
        serde_json::json!({
            "servers": [
                { "name": "a", "change": "changed", "effect": "restart", "keys": ["env.T"] },
                { "name": "b", "change": "removed" },
            ],
            "endpoints": [],
            "services": [],
            "volumes": [],
            "externals": [],
            "gateway": [],
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_says_all_that_differs_and_no_more(old in settings(), new in settings()) {
        prop_assert!(diff(&old, &old.clone()).is_empty());
        let plan = diff(&old, &new);
        prop_assert_eq!(plan.is_empty(), old == new, "{}", plan);
        prop_assert_eq!(plan.servers_after(&servers(&old)), servers(&new));
        let after: BTreeSet<_> = plan.endpoints_after(&endpoints(&old)).into_iter().collect();
        prop_assert_eq!(after, endpoints(&new).into_iter().collect::<BTreeSet<_>>());
        prop_assert!(!plan.to_string().contains("s3cret"), "{}", plan);
        prop_assert!(!serde_json::to_string(&plan).unwrap().contains("s3cret"));
        is_mirrored(&plan, &diff(&new, &old))?;
    }
}

/// The way back removes what the way there added, and changes the same keys of the rest.
fn is_mirrored(there: &Plan, back: &Plan) -> Result<(), TestCaseError> {
    let turned = |plan: &Plan, forward: bool| -> BTreeSet<String> {
        let changes = plan.servers.iter().chain(&plan.endpoints);
        changes
            .map(|change| match (&change.kind, forward) {
                (ChangeKind::Added, true) | (ChangeKind::Removed, false) => {
                    format!("+{}", change.name)
                }
                (ChangeKind::Removed, true) | (ChangeKind::Added, false) => {
                    format!("-{}", change.name)
                }
                (ChangeKind::Changed { effect, keys }, _) => {
                    format!("{} {effect:?} {keys:?}", change.name)
                }
            })
            .collect()
    };
    prop_assert_eq!(turned(there, true), turned(back, false));
    prop_assert_eq!(&there.gateway, &back.gateway);
    Ok(())
}

fn servers(settings: &Settings) -> Vec<Name> {
    settings.servers.iter().map(|server| server.name.clone()).collect()
}

fn endpoints(settings: &Settings) -> Vec<Name> {
    settings.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect()
}

/// Few names and few values, so that two of them often have much in common.
fn settings() -> impl Strategy<Value = Settings> {
    let names = Just(vec!["a", "b", "c", "d", "e"]).prop_shuffle();
    let servers = (names, 0..=5usize, prop::collection::vec(runtime(), 5), any::<[bool; 5]>());
    let groups = prop::collection::btree_map("[xyz]", any::<bool>(), 0..3);
    (servers, groups, any::<[bool; 3]>()).prop_map(
        |((names, count, runtimes, flags), groups, [proxied, slow, away])| Settings {
            services: Vec::new(),
            volumes: Vec::new(),
            externals: Vec::new(),
            checks: Vec::new(),
            notify: Vec::new(),
            gateway: GatewaySettings {
                allowed_hosts: if proxied { vec!["h".to_owned()] } else { Vec::new() },
                listen: ([127, 0, 0, 1], if slow { 1 } else { 2 }).into(),
                ..GatewaySettings::default()
            },
            servers: names
                .into_iter()
                .take(count)
                .zip(runtimes)
                .zip(flags)
                .map(|((name, runtime), flag)| ServerSpec {
                    required: flag,
                    sharing: if flag && away { Sharing::Call } else { Sharing::User },
                    ..ServerSpec::new(Name::try_new(name).unwrap(), runtime)
                })
                .collect(),
            endpoints: groups
                .into_iter()
                .map(|(name, always)| EndpointSpec {
                    name: Name::try_new(&name).unwrap(),
                    servers: Vec::new(),
                    prefix: if always { Prefix::Always } else { Prefix::Auto },
                    names: NameRule::Spec,
                })
                .collect(),
            state_dir: "/var/lib/mainstay".into(),
        },
    )
}

fn runtime() -> impl Strategy<Value = Runtime> {
    let values = || prop::collection::btree_map("[AB]", "s3cret[12]".prop_map(Redacted::new), 0..3);
    prop_oneof![
        (any::<bool>(), values()).prop_map(|(more, env)| Runtime::Process(ProcessSpec {
            command: vec!["npx".to_owned(), format!("--key=s3cret{more}")],
            env,
            masked: BTreeSet::default(),
            command_secrets: Vec::new(),
            cwd: None,
            user: None,
            group: None,
            limits: LimitsSpec { processes_max: more.then_some(64), ..LimitsSpec::default() },
        })),
        values().prop_map(|headers| Runtime::Remote(RemoteSpec {
            headers,
            ..RemoteSpec::new("https://example.org/?key=s3cret")
        })),
    ]
}
