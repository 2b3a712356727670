//! Servers added to a configuration that is there.

use mainstay_config::import::{SecretHome, parse};

use super::{SAMPLES, check, in_files, parsed, planned, sample};

const CONFIG: &str = "\
# our servers
[gateway]
listen = '127.0.0.1:9000' # not 8000

[servers.filesystem] # the first
command = ['npx', 'something-else']

[endpoints.postgres]
servers = ['filesystem']
# the end
";

#[test]
fn everything_that_is_there_stays_and_a_second_time_adds_nothing() {
    let all = || SAMPLES.map(|(name, _)| parse(&sample(name)).unwrap()).into_iter().collect();
    let first = planned(all(), Some(CONFIG), in_files());
    assert!(first.config.starts_with(CONFIG), "{}", first.config);
    check(&first, &first.config).unwrap();
    let names: Vec<_> = first.added.iter().map(|added| added.name.as_str()).collect();
    for name in ["filesystem-2", "filesystem-3", "filesystem-4", "postgres-2", "linear-remote"] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }
    let there = first.secrets.iter().map(|secret| {
        let name = secret.path.strip_prefix("secrets/").unwrap().to_owned();
        (name, secret.value.expose().clone())
    });
    let home = SecretHome::Files { folder: "secrets".to_owned(), there: there.collect() };
    let second = planned(all(), Some(&first.config), home);
    assert_eq!(second.config, first.config);
    assert!(second.added.is_empty() && second.secrets.is_empty(), "{second:?}");
    assert!(second.already.len() >= first.added.len());
}

#[test]
fn odd_configurations_can_be_added_to() {
    let text = r#"{ "mcpServers": { "a": { "command": "npx", "env": { "TOKEN": "t" } } } }"#;
    for config in [
        "",
        "# only a comment",
        "servers = { b = { command = ['npx'] } }\n",
        "servers.b.command = ['npx']\n",
        "[gateway]\r\nhttp = true\r\n",
        "[servers.b]\ncommand = ['npx']",
    ] {
        let plan = planned(vec![parsed(text)], Some(config), in_files());
        check(&plan, &plan.config).unwrap_or_else(|why| panic!("{config}\n{}\n{why}", plan.config));
        let again = planned(vec![parsed(text)], Some(&plan.config), in_files());
        assert_eq!(again.config, plan.config);
        let is_mixed = plan.config.replace("\r\n", "").contains('\n') && config.contains('\r');
        assert!(!is_mixed, "{:?}", plan.config);
    }
}

#[test]
fn the_same_server_of_two_files_comes_once_and_others_get_another_name() {
    let one = r#"{ "mcpServers": { "git": { "command": "git-mcp", "env": { "TOKEN": "one" } } } }"#;
    let two = one.replace("one", "two");
    let plan = planned(vec![parsed(one), parsed(one), parsed(&two)], None, in_files());
    let names: Vec<_> = plan.added.iter().map(|added| added.name.as_str()).collect();
    assert_eq!(names, ["git", "git-2"]);
    assert!(plan.already[0].is_repeated);
    let paths: Vec<_> = plan.secrets.iter().map(|secret| secret.path.as_str()).collect();
    assert_eq!(paths, ["secrets/git.TOKEN", "secrets/git-2.TOKEN"]);
}
