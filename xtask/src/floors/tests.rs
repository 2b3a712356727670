use std::path::Path;

use super::inside::{self, Inside};
use super::{Floor, check, circles, judge, meanings, purity, wrong_inside};
use crate::code::tests::code;

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

const PLAN: Inside =
    Inside { name: "house", floors: &[&["low", "low::tall"], &["high", "beside"]] };

/// What is wrong in a house of two floors, of which the lower one has this text.
fn house(low: &str, plan: &Inside) -> Vec<String> {
    let lib = "mod low;\nmod high;\nmod beside;";
    let high = "use crate::low::Low;\nuse crate::beside::Beside;\npub struct High;";
    let code = code(&[
        ("lib.rs", lib),
        ("low.rs", low),
        ("low/tall.rs", ""),
        ("high.rs", high),
        ("beside.rs", "use crate::high::High;"),
    ]);
    inside::check(&code, plan)
}

#[test]
fn modules_take_from_below_and_beside_only() {
    assert_eq!(house("pub struct Low;", &PLAN), [""; 0]);
    let up = "mod tall;\n\nuse crate::high::High;";
    let expected = "low.rs:3: `low` takes from `high` (high.rs), which stands above it: move what it \
                    needs down, or have it handed in";
    assert_eq!(house(up, &PLAN), [expected]);
}

#[test]
fn a_part_of_a_module_may_stand_elsewhere_than_the_whole() {
    let apart = Inside { floors: &[&["low"], &["high", "beside"], &["low::tall"]], ..PLAN };
    assert_eq!(house("use tall::Tall;", &apart).len(), 1);
}

#[test]
fn a_plan_names_each_module_and_no_other() {
    let without = Inside { floors: &[&["low"], &["high"]], ..PLAN };
    let problems = house("", &without);
    assert!(
        problems[0].starts_with("beside.rs: has no floor; give its module one"),
        "{problems:?}"
    );
    let with_more = Inside { floors: &[&["low"], &["high", "beside", "attic"]], ..PLAN };
    assert_eq!(house("", &with_more), ["house: the plan names `attic`, which is no module"]);
}

/// Files `a` to `e`, each of which takes from those that are named.
fn ring(uses: [&str; 5]) -> Vec<Vec<usize>> {
    let names = ["a.rs", "b.rs", "c.rs", "d.rs", "e.rs"];
    let texts = uses.map(|used| {
        used.chars().map(|to| format!("use crate::{to}::Of_{to};\n")).collect::<String>()
    });
    let files: Vec<(&str, &str)> =
        names.into_iter().zip(texts.iter().map(String::as_str)).collect();
    circles::too_large(&code(&files))
}

#[test]
fn a_circle_of_five_is_too_large() {
    assert_eq!(ring(["b", "c", "d", "e", "a"]), [[0, 1, 2, 3, 4]]);
    assert_eq!(ring(["b", "ac", "bd", "ce", "d"]), [[0, 1, 2, 3, 4]]);
    assert_eq!(ring(["b", "c", "d", "a", "a"]).len(), 0, "four may");
    assert_eq!(ring(["bcde", "cde", "de", "e", ""]).len(), 0, "no way back");
}

#[test]
fn a_way_around_a_circle_is_shown() {
    let texts = [
        "use crate::b::B;",
        "\nuse crate::c::C;",
        "use crate::d::D;",
        "use crate::e::E;",
        "use crate::a::A;\nuse crate::d::D;",
    ];
    let names = ["a.rs", "b.rs", "c.rs", "d.rs", "e.rs"];
    let files: Vec<(&str, &str)> = names.into_iter().zip(texts).collect();
    let shown = circles::shown(&code(&files), &[0, 1, 2, 3, 4]);
    assert!(shown.ends_with("d.rs:1 takes from e.rs\n    e.rs:2 takes from d.rs"), "{shown}");
}

/// `foo.rs` and the files in `foo/` are one idea: what they take from the first makes no circle.
#[test]
fn parts_may_take_from_the_whole() {
    let whole =
        "mod b; mod c; mod d; mod e;\nfn f() { b::f(); c::f(); d::f(); e::f(); }\nstruct X;";
    let part = "use super::X;";
    let files =
        [("a.rs", whole), ("a/b.rs", part), ("a/c.rs", part), ("a/d.rs", part), ("a/e.rs", part)];
    assert_eq!(circles::too_large(&code(&files)).len(), 0);
}

#[test]
fn a_name_stands_for_one_thing() {
    let files = [
        ("lib.rs", "mod a;\npub struct One;\nstruct Two;"),
        ("a.rs", "pub(crate) enum One {}\npub struct Two;"),
    ];
    assert_eq!(meanings::twofold(&code(&files)), ["`One` stands for 2 things: lib.rs:2, a.rs:1"]);
}

#[test]
fn our_own_crates_stand_where_they_should() {
    check(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
}
