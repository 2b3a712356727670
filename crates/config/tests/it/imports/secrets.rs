//! Secrets never leave, and always arrive.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_config::import::{PlanRequest, SecretHome, plan};
use mainstay_model::settings::{Runtime, ServerSpec};
use proptest::prelude::*;
use serde_json::json;

use super::{in_files, parsed, planned};
use crate::world::file;

/// Values that are secrets wherever they stand.
fn shaped() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9]{24}A1".prop_map(|rest| format!("ghp_{rest}")),
        "[A-Za-z0-9_-]{24}B2".prop_map(|rest| format!("sk-{rest}")),
        "[0-9a-f]{8}([0-9][a-f]){12}",
        "[A-Za-z0-9]{16}Z9".prop_map(|rest| format!("eyJ{rest}.eyJ{rest}.{rest}")),
    ]
}

/// Values that are secrets only by their name. What refers to a variable or a file is none.
fn named() -> impl Strategy<Value = String> {
    "[!-~]{0,4}[A-Z][a-z0-9$'\" {}]{3,20}[!-~]{4}"
        .prop_map(|value| value.replace("${", "$_").replace(['/', '~'], "!"))
}

/// One server with a secret in every place that can hold one.
fn servers(named: &str, shaped: &str) -> String {
    json!({ "mcpServers": {
        "process": {
            "command": "run",
            "args": [
                "--api-key", named, format!("--token={shaped}"), shaped, "-e", format!("DB_PASSWORD={named}"),
                format!("postgres://u:{shaped}@h/d"), "--header", format!("Authorization: Bearer {shaped}"),
                format!("${{HOME}}/{shaped}"),
            ],
            "env": { "MY_SECRET": named, "ODD": shaped, "DEFAULTED": format!("${{X:-{shaped}}}"),
                     "MIXED": format!("Bearer {shaped}${{Y}}") },
            "disabledTools": [shaped], "description": shaped,
        },
        "remote": {
            "url": format!("https://user:{shaped}@h.example/{shaped}/mcp?k={shaped}&x=1"),
            "headers": { "X-Api-Key": format!("k{shaped}"), "Other": format!("Bearer {shaped}") },
        },
        "bad": { "type": shaped, "url": shaped }, "worse": { "command": [{ "x": named }] },
    }})
    .to_string()
}

fn everything(plan: &mainstay_config::import::ImportPlan) -> String {
    format!("{}{}{plan:?}{}", plan.toml, plan.config, serde_json::to_string(plan).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_secret_is_ever_in_any_output(named in named(), shaped in shaped()) {
        for home in [SecretHome::Environment, in_files()] {
            let plan = planned(vec![parsed(&servers(&named, &shaped))], Some("# mine\n"), home);
            let out = everything(&plan);
            for secret in [&named, &shaped] {
                prop_assert!(!out.contains(secret.as_str()), "{secret} is in\n{out}");
                let quoted = json!(secret).to_string();
                prop_assert!(!out.contains(quoted.trim_matches('"')), "{secret} is in\n{out}");
            }
        }
    }

    #[test]
    fn every_value_arrives_as_it_was(named in named(), plain in "[ -~]{0,30}") {
        // `${word:…}` is what only an editor can fill in, and an entry with one is left out.
        let word = plain.replace(':', ";");
        let text = json!({ "mcpServers": { "s": {
            "command": "run", "args": ["--word", word, "${:}", "${ a:b}"],
            "env": { "API_KEY": named, "PLAIN": format!("a{}", plain.replace('{', "")) },
        }}}).to_string();
        let plan = planned(vec![parsed(&text)], None, in_files());
        let spec = load(&plan, &plan.config)?;
        let Runtime::Process(process) = &spec.runtime else { panic!("{spec:?}") };
        prop_assert_eq!(&process.command[3..], ["${:}", "${ a:b}"]);
        prop_assert_eq!(process.env["API_KEY"].expose(), &named);
        let plain_env = format!("a{}", plain.replace('{', ""));
        prop_assert_eq!(process.env["PLAIN"].expose(), &plain_env);
    }
}

fn load(
    plan: &mainstay_config::import::ImportPlan,
    text: &str,
) -> Result<ServerSpec, TestCaseError> {
    let mut world = file(text).env("HOME", "/home/user");
    for variable in plan.variables.iter().filter(|variable| variable.name != "HOME") {
        world = world.env(&variable.name, "1");
    }
    for secret in &plan.secrets {
        let path = format!("/etc/mainstay/{}", secret.path);
        world = world.secret(&path, &format!("{}\n", secret.value.expose()), false);
    }
    let loaded = world.load().map_err(|problems| TestCaseError::fail(problems.to_string()))?;
    Ok(loaded.settings.servers[0].clone())
}

#[test]
fn a_word_of_a_command_that_is_secret_reaches_the_program() {
    let args = ["--api-key", "it's \"k\" $HOME `x`", "pl ain", "${HOME}/y", "$$", "--token=a b'c"];
    let words: Vec<_> = ["%s|"].iter().chain(&args).collect();
    let text = json!({ "mcpServers": { "s": { "command": "printf", "args": words } } });
    let plan = planned(vec![parsed(&text.to_string())], None, in_files());
    let spec = load(&plan, &plan.config).unwrap();
    let Runtime::Process(process) = &spec.runtime else { panic!("{spec:?}") };
    let env = process.env.iter().map(|(key, value)| (key.clone(), value.expose().clone()));
    let out = std::process::Command::new(&process.command[0])
        .args(&process.command[1..])
        .envs(env)
        .output()
        .unwrap();
    let expected = args.map(|arg| format!("{}|", arg.replace("${HOME}", "/home/user"))).concat();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), expected);
    let shown = format!("{:?}", process.command);
    assert!(!shown.contains("it's") && !shown.contains("a b'c"), "{shown}");
}

#[test]
fn variables_that_are_set_already_need_no_word() {
    let text = r#"{ "mcpServers": { "s": { "command": "x", "env": { "GIT_TOKEN": "one", "B": "${B}", "C": "${C}" } } } }"#;
    let env = BTreeMap::from(
        [("GIT_TOKEN", "one"), ("B", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let request = PlanRequest { config: None, home: SecretHome::Environment, own: &[], env: &env };
    let same = plan(vec![parsed(text)], &request).unwrap();
    assert_eq!(same.variables.iter().map(|v| &*v.name).collect::<Vec<_>>(), ["C"]);
    let env = BTreeMap::from([("GIT_TOKEN".to_owned(), "another".to_owned())]);
    let request = PlanRequest {
        config: Some((Path::new("m"), "")),
        home: SecretHome::Environment,
        own: &[],
        env: &env,
    };
    let other = plan(vec![parsed(text)], &request).unwrap();
    assert!(other.toml.contains("secret:env:S_GIT_TOKEN"), "{}", other.toml);
}
