use std::path::Path;

use super::{answers, check, modules, names};

#[test]
fn names_are_paths_and_types() {
    let text = "`Plain` and `TwoHumps` and `a::b_c` and `a b` and `/api/*` and `MAINSTAY_LOG`\n```\n`not::this`\n```\n`x::Y`";
    assert_eq!(names(text), ["TwoHumps", "a::b_c", "x::Y"]);
}

#[test]
fn modules_are_read_from_the_tables_of_crates() {
    let text =
        "### `pool`\n| module | x |\n| `run::detect`, `key` | `Other` |\n## Other\n| `no` | |";
    assert_eq!(modules(text), ["crates/pool/src/run/detect.rs", "crates/pool/src/key.rs"]);
}

#[test]
fn answers_are_files_with_names() {
    let text = "`x/y` in prose\n| 1. Where? | `a/b.rs`: `One`, `two`; `c/d.rs`: `Three` |";
    let expected = [("a/b.rs", vec!["One", "two"]), ("c/d.rs", vec!["Three"])];
    let expected = expected.map(|(path, names)| {
        (path.to_owned(), names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(answers(text), expected);
}

#[test]
fn our_own_maps_hold() {
    check(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
}
