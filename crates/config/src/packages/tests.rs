use std::path::Path;

use super::{PackageCommand, Unclear};

fn words(line: &str) -> Vec<String> {
    line.split('|').map(str::to_owned).collect()
}

/// Packages with their versions, the program, and the options of a command whose words `|` parts.
fn read(line: &str) -> Option<Result<String, Unclear>> {
    Some(PackageCommand::parse(&words(line))?.map(|run| {
        let packages = run.packages.iter().map(|package| {
            let version = package.version.as_deref().unwrap_or("?");
            format!("{}{} {version}", package.name, package.extras)
        });
        let packages = packages.collect::<Vec<_>>().join(", ");
        let program = run.program.unwrap_or_default();
        format!("{}: {packages}; {program}; {}", run.runner.name(), run.options.join(" "))
    }))
}

#[test]
fn packages_and_versions_are_found() {
    for (line, expected) in [
        ("npx|-y|@x/y@2026.8.31|--flag|a", "npx: @x/y 2026.8.31; ; "),
        ("npx|y@1.2.3-beta.1", "npx: y 1.2.3-beta.1; ; "),
        ("npx|y", "npx: y ?; ; "),
        ("npx|y@latest", "npx: y ?; ; "),
        ("npx|y@^1.2.3", "npx: y ?; ; "),
        ("npx|y@1.2", "npx: y ?; ; "),
        ("npx|y@1.x.0", "npx: y ?; ; "),
        ("/opt/bin/npx|-p|a@1.0.0|--package=b@2.0.0|run|x", "npx: a 1.0.0, b 2.0.0; run; "),
        ("npx|--registry|http://r/|-y|y@1.0.0", "npx: y 1.0.0; ; --registry=http://r/"),
        ("npm|exec|--yes|--|y@1.0.0|--flag", "npm exec: y 1.0.0; ; "),
        ("npm|exec|y@1.0.0|--|--flag", "npm exec: y 1.0.0; ; "),
        ("npm|x|y@1.0.0|plain", "npm exec: y 1.0.0; ; "),
        ("pnpm|dlx|y@1.0.0", "pnpm dlx: y 1.0.0; ; "),
        ("bunx|y@1.0.0", "bunx: y 1.0.0; ; "),
        ("uvx|mcp-server-time", "uvx: mcp-server-time ?; mcp-server-time; "),
        ("uvx|mcp-server-time@1.2|--tz|x", "uvx: mcp-server-time 1.2; mcp-server-time; "),
        ("uvx|a@latest", "uvx: a ?; a; "),
        ("uvx|a[cli,x]==1.0", "uvx: a[cli,x] 1.0; a; "),
        ("uvx|--from|a==1.0|tool", "uvx: a 1.0; tool; "),
        ("uvx|--from=a==1.*|tool", "uvx: a ?; tool; "),
        ("uvx|-p|3.12|-w|b==2,c|a@1.0", "uvx: a 1.0, b 2, c ?; a; --python=3.12"),
        ("uvx|--index-url=http://i/|-q|a>=1", "uvx: a ?; a; --index-url=http://i/"),
        ("uv|tool|run|a@1.0", "uv tool run: a 1.0; a; "),
        ("pipx|run|a==1.0", "pipx run: a 1.0; a; "),
        ("pipx|run|--spec|a==1.0|tool", "pipx run: a 1.0; tool; "),
        ("sh|-c|exec npx -y y@1.0.0 --key \"$KEY\"", "npx: y 1.0.0; ; "),
    ] {
        assert_eq!(read(line).unwrap().as_deref(), Ok(expected), "{line}");
    }
}

#[test]
fn what_is_no_runner_and_what_is_not_understood() {
    for line in
        ["node|server.js", "npm|start", "uv|run|a", "sh|-c|npx y", "sh|-c|cd /; npx y", "pnpm"]
    {
        assert_eq!(read(line), None, "{line}");
    }
    for (line, why) in [
        ("npx", Unclear::NoPackage),
        ("npx|-y", Unclear::NoPackage),
        ("npx|-c|y --flag", Unclear::Option("-c".to_owned())),
        ("npx|--no-install|y", Unclear::Option("--no-install".to_owned())),
        ("npx|github:x/y", Unclear::NotOfRegistry("github:x/y".to_owned())),
        ("npx|x/y", Unclear::NotOfRegistry("x/y".to_owned())),
        ("npx|./here", Unclear::NotOfRegistry("./here".to_owned())),
        ("npx|y@file:../y", Unclear::NotOfRegistry("y@file:../y".to_owned())),
        ("npm|exec|y@1.0.0|--flag", Unclear::Ambiguous),
        ("uvx|--env-file|x|a", Unclear::Option("--env-file".to_owned())),
        ("uvx|--from|git+https://h/r|a", Unclear::NotOfRegistry("git+https://h/r".to_owned())),
        ("uvx|--from|./here|a", Unclear::NotOfRegistry("./here".to_owned())),
    ] {
        assert_eq!(read(line), Some(Err(why)), "{line}");
    }
}

#[test]
fn a_program_takes_the_place_of_the_runner() {
    for (line, expected) in [
        ("npx|-y|y@1.0.0|--flag|a b", Some("/p/y|--flag|a b")),
        ("npm|exec|y@1.0.0|--|--flag", Some("/p/y|--flag")),
        ("npm|exec|--|y@1.0.0|--flag", Some("/p/y|--flag")),
        ("uvx|--from|a==1|tool|x", Some("/p/y|x")),
        (
            "sh|-c|exec npx -y y@1.0.0 --key \"$KEY\" \"$1\"|sh|one",
            Some("sh|-c|exec /p/y --key \"$KEY\" \"$1\"|sh|one"),
        ),
        ("sh|-c|exec npx y@1.0.0", Some("sh|-c|exec /p/y")),
        ("sh|-c|exec npx  y@1.0.0", None),
        ("sh|-c|exec npx 'y@1.0.0'", None),
        ("sh|-c|exec npx y@1.0.0;ls", None),
    ] {
        let command = words(line);
        let run = PackageCommand::parse(&command).and_then(Result::ok);
        let started = run.and_then(|run| run.started_by(&command, Path::new("/p/y")));
        assert_eq!(started.map(|words| words.join("|")).as_deref(), expected, "{line}");
    }
}

#[test]
fn what_to_write_so_that_it_stays() {
    for (line, wanted, pinned) in [
        ("npx|y", "y", "y@9.9.9"),
        ("npx|@x/y@next", "@x/y@next", "@x/y@9.9.9"),
        ("uvx|a", "a", "a==9.9.9"),
        ("uvx|a@latest", "a", "a==9.9.9"),
        ("uvx|a[cli]>=2", "a[cli]>=2", "a[cli]==9.9.9"),
    ] {
        let run = PackageCommand::parse(&words(line)).unwrap().unwrap();
        assert!(!run.is_pinned(), "{line}");
        assert_eq!((&*run.packages[0].wanted, &*run.packages[0].at("9.9.9")), (wanted, pinned));
    }
}
