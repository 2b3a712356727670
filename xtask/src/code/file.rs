//! One file: the paths it names, what it imports, the types and modules it defines.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Module;
use super::token::{is_mark, word};
use super::tree::{self, Import};

/// What a file says, its own tests left out.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) named: Vec<Named>,
    /// What a name stands for in a module of this file, by `use`.
    pub(super) imports: BTreeMap<(Module, String), Vec<String>>,
    /// Types with a `pub` of any kind before them, and the lines.
    pub(super) types: Vec<(String, usize)>,
    pub(super) modules_inside: Vec<Module>,
    /// Modules that are there for tests only.
    pub(super) test_modules: Vec<Module>,
    /// The whole file is for tests.
    pub(super) is_test: bool,
}

/// A path as it stands in a module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) within: Module,
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// Words with which an item begins: what has none of them before it is a field or an expression.
const ITEMS: [&str; 13] = [
    "mod", "fn", "use", "impl", "struct", "enum", "trait", "type", "const", "static", "async",
    "unsafe", "extern",
];

pub(super) fn read(module: &Module, text: &str) -> anyhow::Result<Read> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut read = Read::default();
    read.walk(module, tokens);
    Ok(read)
}

// === impl Read ===

impl Read {
    fn walk(&mut self, within: &Module, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.step(within, &tokens, at);
        }
    }

    /// Reads what begins at a token and returns where the next thing begins.
    fn step(&mut self, within: &Module, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Punct(mark) if mark.as_char() == '#' => self.attribute(within, tokens, at),
            TokenTree::Ident(word) if word == "use" => self.import(within, tokens, at),
            TokenTree::Ident(word) if word == "pub" => self.public(tokens, at),
            TokenTree::Ident(word) if word == "mod" => self.module(within, tokens, at),
            TokenTree::Ident(_) => self.path(within, tokens, at),
            TokenTree::Group(group) => {
                self.walk(within, group.stream());
                at + 1
            }
            _ => at + 1,
        }
    }

    fn attribute(&mut self, within: &Module, tokens: &[TokenTree], at: usize) -> usize {
        let inner = is_mark(tokens.get(at + 1), '!');
        let next = at + 1 + usize::from(inner);
        let Some(TokenTree::Group(group)) = tokens.get(next) else { return at + 1 };
        if !is_for_tests(group.stream()) {
            self.walk(within, group.stream());
            return next + 1;
        }
        if inner {
            self.is_test = true;
            return tokens.len();
        }
        let (end, module) = skip(tokens, next + 1);
        if let Some(name) = module {
            self.test_modules.push([within.as_slice(), &[name]].concat());
        }
        end
    }

    fn import(&mut self, within: &Module, tokens: &[TokenTree], at: usize) -> usize {
        let end = (at..tokens.len()).find(|&end| is_mark(tokens.get(end), ';'));
        let end = end.unwrap_or(tokens.len());
        // `impl Trait + use<'a>` is no import.
        if is_mark(tokens.get(at + 1), '<') {
            return at + 1;
        }
        for Import { path, name, line } in tree::imports(&tokens[at + 1..end]) {
            if let Some(name) = name {
                self.imports.insert((within.clone(), name), path.clone());
            }
            self.named.push(Named { within: within.clone(), path, line });
        }
        end + 1
    }

    /// After `pub`, and the bracket that may follow: the name of a type, if that is what comes.
    fn public(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let mut next = at + 1;
        let in_brackets = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
        if in_brackets(tokens.get(next)) {
            next += 1;
        }
        let after = next;
        if word(tokens.get(next)).is_some_and(|word| word == "unsafe") {
            next += 1;
        }
        let is_type = word(tokens.get(next)).is_some_and(|word| {
            matches!(word.as_str(), "struct" | "enum" | "trait" | "type" | "union")
        });
        if let (true, Some(TokenTree::Ident(name))) = (is_type, tokens.get(next + 1)) {
            self.types.push((name.to_string(), name.span().start().line));
            return next + 2;
        }
        after
    }

    fn module(&mut self, within: &Module, tokens: &[TokenTree], at: usize) -> usize {
        let Some(name) = word(tokens.get(at + 1)) else { return at + 1 };
        if let Some(TokenTree::Group(group)) = tokens.get(at + 2) {
            let inside = [within.as_slice(), &[name]].concat();
            self.modules_inside.push(inside.clone());
            self.walk(&inside, group.stream());
            return at + 3;
        }
        at + 2
    }

    /// `a::b::c`, without what stands between angle brackets.
    fn path(&mut self, within: &Module, tokens: &[TokenTree], at: usize) -> usize {
        let (path, next) = tree::path(tokens, at);
        if let (true, TokenTree::Ident(first)) = (path.len() > 1, &tokens[at]) {
            let line = first.span().start().line;
            self.named.push(Named { within: within.clone(), path, line });
        }
        next
    }
}

/// Whether an attribute is `cfg(test)` or one with more conditions beside that.
fn is_for_tests(attribute: TokenStream) -> bool {
    let mut tokens = attribute.into_iter();
    let is_cfg = word(tokens.next().as_ref()).is_some_and(|word| word == "cfg");
    let conditions = tokens.next().map(|token| token.to_string()).unwrap_or_default();
    let has = |wanted: &str| {
        conditions
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .any(|word| word == wanted)
    };
    is_cfg && has("test") && !has("not")
}

/// Where what an attribute stands before ends, and its name if it is a module.
fn skip(tokens: &[TokenTree], from: usize) -> (usize, Option<String>) {
    let mut words =
        tokens[from..].iter().enumerate().filter_map(|(at, token)| Some((at, word(Some(token))?)));
    let first = words.find(|(_, word)| word != "pub");
    let is_item = first.as_ref().is_some_and(|(_, word)| ITEMS.contains(&word.as_str()));
    let module =
        first.filter(|(_, word)| word == "mod").and_then(|(at, _)| word(tokens.get(from + at + 1)));
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(mark) => mark.as_char() == ';' || (mark.as_char() == ',' && !is_item),
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let end = tokens[from..].iter().position(ends).map_or(tokens.len(), |end| from + end + 1);
    (end, module)
}
