//! The names under which a merged endpoint publishes its servers' items.
//!
//! A published name never changes while its server is configured, because models remember tools by name
//! and users approve them by name.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_model::Name;
use mainstay_model::settings::Prefix;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::template;

/// The published names of one [`ListKind`](mainstay_protocol::list::ListKind) at one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Published names by server and by the server's own name.
    published: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(skip)]
    taken: BTreeSet<String>,
}

/// The maximum length of a published name, in characters. Clients refuse or cut longer names.
pub const LENGTH_MAX: usize = 64;
/// The number of characters kept of a longer name, before `_` and eight digits of its hash.
const KEPT: usize = 55;

// === impl Names ===

impl Names {
    /// The published name for `server`'s own name `own`. The first call assigns it; later calls return the
    /// same name.
    ///
    /// Call this for servers in the order of the configuration file: the first server keeps a name that
    /// collides.
    pub fn publish(&mut self, server: &Name, own: &str, prefix: Prefix) -> String {
        if let Some(name) = self.published.get(server.as_str()).and_then(|of| of.get(own)) {
            return name.clone();
        }
        let bare = shorten(own);
        let prefixed = shorten(&format!("{server}_{own}"));
        let mut name = match prefix {
            Prefix::Never => bare,
            Prefix::Always => prefixed,
            Prefix::Auto if self.taken.contains(&bare) => prefixed,
            Prefix::Auto => bare,
        };
        // Two prefixed names can still meet ("a_b" + "c", "a" + "b_c"): the hash tells them apart.
        if prefix != Prefix::Never && self.taken.contains(&name) {
            name = with_hash(&name, &format!("{server}\0{own}"));
        }
        self.taken.insert(name.clone());
        self.published
            .entry(server.as_str().to_owned())
            .or_default()
            .insert(own.to_owned(), name.clone());
        name
    }

    /// The published form of a URI or URI template. A URI that collides gets the prefix
    /// `mainstay://{server}/`. URIs are not shortened.
    pub fn publish_uri(&mut self, server: &Name, own: &str, prefix: Prefix) -> String {
        if let Some(uri) = self.published.get(server.as_str()).and_then(|of| of.get(own)) {
            return uri.clone();
        }
        let collides = self.taken.contains(own);
        let uri = match prefix {
            Prefix::Always => format!("mainstay://{server}/{own}"),
            Prefix::Auto if collides => format!("mainstay://{server}/{own}"),
            Prefix::Auto | Prefix::Never => own.to_owned(),
        };
        self.taken.insert(uri.clone());
        self.published
            .entry(server.as_str().to_owned())
            .or_default()
            .insert(own.to_owned(), uri.clone());
        uri
    }

    /// Removes servers that are no longer configured, and rebuilds the index after deserialization.
    pub fn retain(&mut self, configured: impl Fn(&str) -> bool) {
        self.published.retain(|server, _| configured(server));
        self.taken = self.published.values().flat_map(|of| of.values().cloned()).collect();
    }

    /// Whether both have published the same names.
    pub fn is_same(&self, other: &Self) -> bool {
        self.published == other.published
    }

    /// The published name for `server`'s own name `own`, if there is one.
    pub fn find(&self, server: &Name, own: &str) -> Option<&str> {
        self.published.get(server.as_str())?.get(own).map(String::as_str)
    }

    /// The server and its own name for a published name.
    pub fn whose(&self, published: &str) -> Option<(&str, &str)> {
        self.published.iter().find_map(|(server, of)| {
            let (own, _) = of.iter().find(|(_, name)| *name == published)?;
            Some((server.as_str(), own.as_str()))
        })
    }

    /// The server whose published template matches a URI, and the server's own URI. `None` if no template
    /// matches, or templates of more than one server.
    pub fn whose_template(&self, uri: &str) -> Option<(&str, String)> {
        let matching = self.published.iter().filter_map(|(server, of)| {
            let (own, published) = of.iter().find(|(_, name)| template::matches(name, uri))?;
            Some((server.as_str(), template::own_uri(published, own, uri).to_owned()))
        });
        let mut matching = matching.fuse();
        match (matching.next(), matching.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
    }
}

/// Shortens a name to [`LENGTH_MAX`] characters: the first 55 characters, `_`, and eight hex digits of
/// the SHA-256 of the whole name.
pub fn shorten(name: &str) -> String {
    if name.chars().count() <= LENGTH_MAX { name.to_owned() } else { with_hash(name, name) }
}

fn with_hash(name: &str, of: &str) -> String {
    let kept: String = name.chars().take(KEPT).collect();
    let digest = Sha256::digest(of.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{kept}_{hash}")
}

#[cfg(test)]
mod tests {
    use mainstay_model::Name;
    use mainstay_model::settings::Prefix;
    use proptest::prelude::*;

    use super::{Names, shorten};

    fn name(text: &str) -> Name {
        Name::try_new(text).unwrap()
    }

    #[test]
    fn the_first_server_keeps_a_name_that_collides() {
        let mut names = Names::default();
        assert_eq!(names.publish(&name("a"), "echo", Prefix::Auto), "echo");
        assert_eq!(names.publish(&name("b"), "echo", Prefix::Auto), "b_echo");
        assert_eq!(names.publish(&name("b"), "other", Prefix::Auto), "other");
        assert_eq!(names.publish(&name("a"), "echo", Prefix::Auto), "echo");
        assert_eq!(names.whose("b_echo"), Some(("b", "echo")));
        assert_eq!(names.whose("a_echo"), None);
    }

    #[test]
    fn what_was_published_first_stays_whoever_comes_later() {
        let mut names = Names::default();
        assert_eq!(names.publish(&name("late"), "echo", Prefix::Auto), "echo");
        assert_eq!(names.publish(&name("early"), "echo", Prefix::Auto), "early_echo");
        let stored = serde_json::to_string(&names).unwrap();
        let mut names: Names = serde_json::from_str(&stored).unwrap();
        names.retain(|server| server != "early");
        assert_eq!(names.publish(&name("late"), "echo", Prefix::Auto), "echo");
        assert_eq!(names.publish(&name("third"), "echo", Prefix::Auto), "third_echo");
    }

    #[test]
    fn a_uri_is_known_by_the_template_it_was_made_from() {
        let mut names = Names::default();
        names.publish_uri(&name("a"), "x://{id}/data", Prefix::Auto);
        names.publish_uri(&name("b"), "x://{id}/data", Prefix::Auto);
        names.publish_uri(&name("b"), "y://{id}", Prefix::Auto);
        names.publish_uri(&name("c"), "z://{a}", Prefix::Auto);
        names.publish_uri(&name("d"), "z://{+b}", Prefix::Auto);
        let of =
            |uri: &str| names.whose_template(uri).map(|(server, own)| format!("{server} {own}"));
        assert_eq!(of("x://7/data").as_deref(), Some("a x://7/data"));
        assert_eq!(of("mainstay://b/x://7/data").as_deref(), Some("b x://7/data"));
        assert_eq!(of("y://7").as_deref(), Some("b y://7"));
        assert_eq!(of("z://1"), None, "it can be of either");
        assert_eq!(of("w://1"), None);
    }

    #[test]
    fn long_names_are_cut_as_contracted() {
        let long = "x".repeat(65);
        let short = shorten(&long);
        assert_eq!(short.len(), 64);
        assert!(short.starts_with(&"x".repeat(55)));
        assert_eq!(&short[55..56], "_");
        assert_eq!(shorten(&"y".repeat(64)), "y".repeat(64));
    }

    proptest! {
        #[test]
        fn no_two_things_ever_get_one_name(
            asks in proptest::collection::vec(("[ab](_[ab]){0,2}", "[ab](_[ab]){0,3}", any::<bool>()), 1..40)
        ) {
            let mut names = Names::default();
            let mut given = std::collections::BTreeMap::new();
            for (server, own, always) in asks {
                let prefix = if always { Prefix::Always } else { Prefix::Auto };
                let published = names.publish(&name(&server), &own, prefix);
                prop_assert!(published.chars().count() <= 64);
                let owner = given.entry(published).or_insert_with(|| (server.clone(), own.clone()));
                prop_assert_eq!(&*owner, &(server, own));
            }
        }
    }
}
