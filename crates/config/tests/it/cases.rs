//! Every file in `tests/cases` loads to what stands beside it: its settings and warnings, or its
//! problems.
//!
//! `MAINSTAY_BLESS=1` writes what stands beside it anew.

use std::path::Path;

use mainstay_config::Loaded;

use crate::world::file;

#[test]
fn each_case_gives_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 10, "the cases are missing from {}", folder.display());
    let wrong: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(case).unwrap();
    let world = file(&text)
        .env("HOME", "/home/user")
        .env("TOKEN", "t0ken-from-the-environment")
        .secret("/run/secrets/key", "k3y-from-a-file\n", false)
        .secret("/run/secrets/open", "k3y-for-everybody\n", true);
    let found = match world.load() {
        Ok(loaded) => show(&loaded),
        Err(problems) => format!("{problems}\n"),
    };
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

fn show(loaded: &Loaded) -> String {
    let settings = serde_json::to_string_pretty(&loaded.settings).unwrap();
    let warnings: String = loaded.warnings.iter().map(|warning| format!("{warning}\n")).collect();
    format!("{warnings}{}\n{settings}\n", loaded.origins.resolved())
}

/// The file of ten mistakes: each is reported once, at the right line and column.
#[test]
fn ten_mistakes_are_reported_at_once() {
    let text = include_str!("../cases/ten_mistakes.toml");
    let problems = file(text).load().unwrap_err();
    let marks = text.lines().enumerate().filter_map(|(index, line)| {
        let (_, mark) = line.split_once("# wrong at ")?;
        Some((index + 1, mark.trim().parse::<usize>().unwrap()))
    });
    let expected: Vec<_> = marks.collect();
    assert_eq!(expected.len(), 10);
    let found: Vec<_> = problems
        .errors()
        .map(|problem| match &problem.place {
            mainstay_config::Place::Line { line, column, .. } => (*line, *column),
            place => panic!("{place}"),
        })
        .collect();
    assert_eq!(found, expected, "{problems}");
}
