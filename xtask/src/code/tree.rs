//! Paths, and the trees of `use`.

use proc_macro2::TokenTree;

use super::token::{is_mark, is_separator, word};

/// One path that a `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// What it is called here; nothing for `*` and `_`.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// The names of a path that begins at a token, and where it ends.
pub(super) fn path(tokens: &[TokenTree], from: usize) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    let mut at = from;
    while let Some(name) = word(tokens.get(at)) {
        names.push(name);
        at += 1;
        if !is_separator(tokens, at) || word(tokens.get(at + 2)).is_none() {
            break;
        }
        at += 2;
    }
    (names, at.max(from + 1))
}

/// All that stands between `use` and its semicolon.
pub(super) fn imports(tokens: &[TokenTree]) -> Vec<Import> {
    let mut found = Vec::new();
    branches(&[], tokens, &mut found);
    found
}

/// The branches of a tree, separated by commas, below what stands before the brace.
fn branches(above: &[String], tokens: &[TokenTree], found: &mut Vec<Import>) {
    for branch in tokens.split(|token| is_mark(Some(token), ',')) {
        branch_of(above, branch, found);
    }
}

fn branch_of(above: &[String], mut tokens: &[TokenTree], found: &mut Vec<Import>) {
    if is_separator(tokens, 0) {
        tokens = &tokens[2..];
    }
    let Some(first) = tokens.first() else { return };
    let line = first.span().start().line;
    let (names, mut at) =
        if word(Some(first)).is_some() { path(tokens, 0) } else { (Vec::new(), 0) };
    let mut path = [above, names.as_slice()].concat();
    if is_separator(tokens, at) {
        at += 2;
    }
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            branches(&path, &inside, found);
        }
        Some(TokenTree::Punct(_)) => found.push(Import { path, name: None, line }),
        after => {
            // `a::{self}` is `a`; `super` alone stays what it is.
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let renamed =
                word(after).filter(|word| word == "as").and_then(|_| word(tokens.get(at + 1)));
            let name = renamed.or_else(|| path.last().cloned()).filter(|name| name != "_");
            found.push(Import { path, name, line });
        }
    }
}
