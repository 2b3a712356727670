//! Assigns names to items that have none yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mainstay_model::settings::{NameRule, Prefix};

use super::fit::{fit, is_strict, shorten, with_hash};
use super::{Names, Owner, URIS_MAX, name_bytes};

/// How an endpoint names the items of its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameStyle {
    pub prefix: Prefix,
    pub rule: NameRule,
}

/// What the items of a list are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// A name. One that collides gets the server's name and `_` before it.
    Name,
    /// A URI template. One that collides gets `mainstay://{server}/` before it, so that it stays a valid
    /// URI.
    Template,
    /// A URI, which is treated as a template is. Where a server has many, one that is published as it is
    /// is remembered only if another server has it too.
    Uri,
}

/// Assigns the names of one list. Items that clients know keep their names; others get theirs in the order
/// of the calls of [`Assignment::publish`], which is that of the configuration file.
pub struct Assignment<'a> {
    known: &'a Names,
    style: NameStyle,
    form: KeyForm,
    /// Returns the server whose URI clients have seen, where that is not remembered.
    seen_uri: &'a dyn Fn(&str) -> Option<Arc<str>>,
    fresh: FreshNames,
}

/// Names that no client has seen yet.
#[derive(Debug, Default)]
pub struct FreshNames {
    by_server: HashMap<Arc<str>, FreshServerNames>,
    owners: HashMap<Arc<str>, Owner>,
    /// Bare URIs that more than one server has. `None`: the names are no URIs.
    contested: Option<HashSet<Arc<str>>>,
}

#[derive(Debug, Default)]
struct FreshServerNames {
    /// In the order of their assignment.
    names: ByOwn,
    /// Positions in `names`.
    index: HashMap<Arc<str>, usize>,
}

/// The names of a server, by own name.
type ByOwn = Vec<(Arc<str>, Arc<str>)>;

// === impl Assignment ===

impl<'a> Assignment<'a> {
    /// Begins with the names that clients know.
    pub fn new(
        known: &'a Names,
        style: NameStyle,
        form: KeyForm,
        seen_uri: &'a dyn Fn(&str) -> Option<Arc<str>>,
    ) -> Self {
        let contested = (form == KeyForm::Uri).then(HashSet::new);
        Self {
            known,
            style,
            form,
            seen_uri,
            fresh: FreshNames { contested, ..FreshNames::default() },
        }
    }

    /// The published name for `server`'s own name `own`. The first call assigns it; later calls return the
    /// same name.
    pub fn publish(&mut self, server: &str, own: &str) -> Arc<str> {
        if let Some(name) = self.find(server, own) {
            return name.clone();
        }
        let published = match self.form {
            KeyForm::Name => self.name(server, own),
            KeyForm::Template | KeyForm::Uri => self.uri(server, own),
        };
        self.fresh.insert(server, own, &published)
    }

    /// The name of an item, if it has one. `names = "strict"` is a demand on known names too.
    fn find(&self, server: &str, own: &str) -> Option<&Arc<str>> {
        let is_strict = self.form == KeyForm::Name && self.style.rule == NameRule::Strict;
        let known = self.known.find(server, own).filter(|name| !is_strict || self::is_strict(name));
        known.or_else(|| self.fresh.find(server, own))
    }

    /// Ends the assignment.
    pub fn into_fresh(self) -> FreshNames {
        self.fresh
    }

    fn owner(&self, published: &str) -> Option<&Owner> {
        self.known.owner(published).or_else(|| self.fresh.owner(published))
    }

    fn name(&self, server: &str, own: &str) -> String {
        let NameStyle { prefix, rule } = self.style;
        let fitted = fit(own, rule, server);
        let prefixed = || shorten(&format!("{server}_{fitted}"), rule);
        let bare = shorten(&fitted, rule);
        let name = match (prefix, self.owner(&bare)) {
            (Prefix::Always, _) => prefixed(),
            (Prefix::Auto, Some(owner)) if *owner.server != *server => prefixed(),
            _ => bare,
        };
        match self.owner(&name) {
            None => name,
            // Of two equal names, the first server's is served.
            Some(owner) if prefix == Prefix::Never && *owner.own == *own => name,
            // Own names can become alike ("a/b", "a b"), and prefixed names can meet ("a_b" + "c",
            // "a" + "b_c"). The hash tells them apart.
            Some(_) => with_hash(&name, &format!("{server}\0{own}")),
        }
    }

    fn uri(&mut self, server: &str, own: &str) -> String {
        let prefixed = || format!("mainstay://{server}/{own}");
        match self.style.prefix {
            Prefix::Always => prefixed(),
            Prefix::Never => own.to_owned(),
            Prefix::Auto => {
                let seen_at = (self.seen_uri)(own);
                if seen_at.as_deref().is_some_and(|seen_at| seen_at == server) {
                    return own.to_owned();
                }
                if seen_at.is_none() && self.owner(own).is_none() {
                    return own.to_owned();
                }
                if let Some(contested) = &mut self.fresh.contested {
                    contested.insert(own.into());
                }
                prefixed()
            }
        }
    }
}

// === impl FreshNames ===

impl FreshNames {
    pub fn find(&self, server: &str, own: &str) -> Option<&Arc<str>> {
        let of = self.by_server.get(server)?;
        of.index.get(own).map(|at| &of.names[*at].1)
    }

    /// The item that a name stands for: of several with this name, the first.
    pub(super) fn owner(&self, published: &str) -> Option<&Owner> {
        self.owners.get(published)
    }

    fn insert(&mut self, server: &str, own: &str, published: &str) -> Arc<str> {
        let own: Arc<str> = own.into();
        let name = if *own == *published { own.clone() } else { published.into() };
        let known = self.by_server.get_key_value(server).map(|(server, _)| server.clone());
        let server = known.unwrap_or_else(|| server.into());
        let owner = Owner { server: server.clone(), own: own.clone() };
        self.owners.entry(name.clone()).or_insert(owner);
        let of = self.by_server.entry(server).or_default();
        of.index.insert(own.clone(), of.names.len());
        of.names.push((own, name.clone()));
        name
    }

    pub(super) fn are_uris(&self) -> bool {
        self.contested.is_some()
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.by_server.values().all(|of| !of.names.iter().any(|name| self.is_remembered(of, name)))
    }

    fn is_remembered(
        &self,
        of: &FreshServerNames,
        (own, published): &(Arc<str>, Arc<str>),
    ) -> bool {
        match &self.contested {
            Some(contested) => {
                of.names.len() <= URIS_MAX || own != published || contested.contains(published)
            }
            None => true,
        }
    }

    /// The memory of the names to remember, in bytes.
    pub fn bytes(&self) -> usize {
        let each = self.remembered();
        let names = each.iter().flat_map(|(_, names)| names);
        names.map(|(own, published)| name_bytes(own, published)).sum()
    }

    /// The names to remember, by server.
    pub(super) fn remembered(&self) -> Vec<(Arc<str>, ByOwn)> {
        let each = self.by_server.iter().map(|(server, of)| {
            let kept = of.names.iter().filter(|name| self.is_remembered(of, name));
            (server.clone(), kept.cloned().collect::<ByOwn>())
        });
        each.filter(|(_, names)| !names.is_empty()).collect()
    }
}
