use std::path::PathBuf;

use super::{Code, module_of};

/// The code of a crate with these files, each a path below `src` and a text.
pub(crate) fn code(files: &[(&str, &str)]) -> Code {
    let texts = files.iter().map(|(path, text)| {
        let path = PathBuf::from(path);
        let module = module_of(&path);
        (path, module, (*text).to_owned())
    });
    Code::of(texts.collect()).unwrap()
}

/// Who takes from whom, as `from:line -> to`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let code = code(files);
    let shown = |file| code.path(file).display();
    let uses = code.uses();
    uses.iter()
        .map(|step| format!("{}:{} -> {}", shown(step.from), step.line, shown(step.to)))
        .collect()
}

const LIB: (&str, &str) =
    ("lib.rs", "mod a;\nmod b;\npub use b::part::Deep;\npub use b::Wide as Broad;");
const B: (&str, &str) = ("b.rs", "mod part;\npub struct Wide;");
const PART: (&str, &str) = ("b/part.rs", "pub struct Deep;");

/// What one file takes, with the other files of a small crate beside it.
fn taken_by(text: &str) -> Vec<String> {
    let all = arrows(&[LIB, ("a.rs", text), B, PART]);
    all.into_iter().filter_map(|arrow| Some(arrow.strip_prefix("a.rs:")?.to_owned())).collect()
}

#[test]
fn every_way_to_name_another_file_is_seen() {
    let table = [
        ("use crate::b::Wide;", "1 -> b.rs"),
        ("use super::b::part::Deep;", "1 -> b/part.rs"),
        ("use crate::{b::{part::{self, Deep}}};", "1 -> b/part.rs"),
        ("use crate::b::part as p;\nfn f() { p::Deep; }", "1 -> b/part.rs"),
        ("\nfn f() -> crate::b::Wide { todo!() }", "2 -> b.rs"),
        ("fn f() { vec![g(crate::b::Wide)]; }", "1 -> b.rs"),
        ("use crate::b::*;", "1 -> b.rs"),
        ("pub(crate) use crate::b::Wide;", "1 -> b.rs"),
        ("mod inside {\n    use super::super::b::Wide;\n}", "2 -> b.rs"),
        ("macro_rules! m { () => { $crate::b::Wide } }", "1 -> b.rs"),
    ];
    for (text, expected) in table {
        assert_eq!(taken_by(text), [expected], "{text}");
    }
}

#[test]
fn what_is_handed_on_belongs_to_the_file_that_has_it() {
    assert_eq!(taken_by("use crate::Deep;"), ["1 -> b/part.rs"]);
    assert_eq!(taken_by("fn f(_: crate::Broad) {}"), ["1 -> b.rs"]);
}

#[test]
fn what_only_looks_like_a_use_is_none() {
    for text in [
        "/// See [`crate::b::Wide`].\n// use crate::b::Wide;\nfn f() { \"crate::b::Wide\"; }",
        "use b::Wide;",
        "use std::b::Wide;",
        "pub(in crate::b) fn f() {}",
        "fn f<'a>() -> impl Sized + use<'a> { }",
        "#[cfg(test)]\nuse crate::b::Wide;",
        "#[cfg(test)]\nmod tests {\n    use crate::b::Wide;\n}",
        "#[cfg(all(test, unix))]\nimpl A {\n    fn f() { crate::b::Wide; }\n}",
        "struct A {\n    #[cfg(test)]\n    seen: crate::b::Wide,\n    own: u8,\n}",
        "#![cfg(test)]\nuse crate::b::Wide;",
    ] {
        assert_eq!(taken_by(text), [""; 0], "{text}");
    }
    let shipped = "#[cfg(not(test))]\nuse crate::b::Wide;";
    assert_eq!(taken_by(shipped), ["2 -> b.rs"]);
    let after = "struct A {\n    #[cfg(test)]\n    seen: u8,\n    wide: crate::b::Wide,\n}";
    assert_eq!(taken_by(after), ["4 -> b.rs"]);
}

#[test]
fn files_of_tests_are_left_out() {
    let tests = ("b/tests.rs", "mod deeper;\nuse crate::a::A;");
    let deeper = ("b/tests/deeper.rs", "use crate::a::A;");
    let b = ("b.rs", "#[cfg(test)]\npub(crate) mod tests;");
    let code = code(&[("lib.rs", "mod a;\nmod b;"), ("a.rs", "pub struct A;"), b, tests, deeper]);
    assert_eq!(code.len(), 3);
    assert_eq!(code.uses(), []);
}

#[test]
fn types_are_seen_by_their_pub() {
    let text = "pub struct One;\npub(crate) enum Two {}\npub(super) trait Three { type Item; }\n\
                struct Own;\npub type Four = u8;\npub unsafe trait Five {}\npub fn six() {}\n\
                thing! { pub struct Seven(u8); }";
    let code = code(&[("lib.rs", text)]);
    let found: Vec<String> =
        code.types().iter().map(|(name, places)| format!("{name}:{}", places[0].1)).collect();
    assert_eq!(found, ["Five:6", "Four:5", "One:1", "Seven:8", "Three:3", "Two:2"]);
}
