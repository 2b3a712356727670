use std::path::Path;

use super::{Floor, check, judge, purity, wrong_inside};

fn problems(name: &str, floor: Floor, dependencies: &str) -> Vec<String> {
    let manifest = format!("lints.workspace = true\n{dependencies}");
    judge(name, floor, &manifest.parse().unwrap())
}

#[test]
fn arrows_point_down() {
    let table = [
        ("gateway", Floor::Faces, "session", None),
        ("pool", Floor::Works, "upstream", None),
        ("mainstay", Floor::Faces, "demo", None),
        ("bench", Floor::Tools, "gateway", None),
        ("session", Floor::Cores, "protocol", None),
        ("upstream", Floor::Works, "gateway", Some("points up")),
        ("supervisor", Floor::Cores, "config", Some("points up")),
        ("gateway", Floor::Faces, "demo", Some("points up")),
        ("protocol", Floor::Words, "model", Some("words know no other crate")),
        ("gateway", Floor::Faces, "testkit", Some("is for tests and must not be shipped")),
        ("gateway", Floor::Faces, "unheard-of", Some("is not a crate of this workspace")),
    ];
    for (name, floor, other, wrong) in table {
        assert_eq!(wrong_inside(name, floor, other), wrong, "{name} -> {other}");
    }
}

#[test]
fn pure_crates_wait_for_nothing() {
    assert_eq!(problems("session", Floor::Cores, "dependencies.bytes = '1'").len(), 0);
    assert_eq!(problems("session", Floor::Cores, "dev-dependencies.tokio = '1'").len(), 0);
    assert_eq!(problems("pool", Floor::Works, "dependencies.tokio = '1'").len(), 0);
    for dependencies in [
        "dependencies.tokio = '1'",
        "build-dependencies.tokio = '1'",
        "target.'cfg(unix)'.dependencies.tokio.workspace = true",
    ] {
        let problems = problems("session", Floor::Cores, dependencies);
        assert_eq!(
            problems,
            ["session -> tokio: does I/O or waits, which a pure crate must not"],
            "{dependencies}"
        );
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let without = judge("pool", Floor::Works, &"".parse().unwrap());
    assert_eq!(without, ["pool: needs `[lints] workspace = true`"]);
}

#[test]
fn slips_are_found_and_tests_left_aside() {
    let found = |source: &'static str| purity::traces(source).collect::<Vec<_>>();
    let slip = "fn a() {\n    let now = std::time::Instant::now();\n}\n";
    assert_eq!(found(slip), [(2, "Instant::now", "reads a clock")]);
    assert_eq!(found("// never Instant::now\n/// nor std::fs\n"), []);
    assert_eq!(found("mod tests {\n    let now = Instant::now();\n}\n"), []);
}

#[test]
fn our_own_crates_stand_where_they_should() {
    check(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
}
