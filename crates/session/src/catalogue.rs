//! Merged catalogues: the tools, resources, templates and prompts of an endpoint's servers under
//! published names, and the map from a published name back to its server.

use std::collections::HashMap;

use bytes::Bytes;
use mainstay_model::settings::Prefix;
use mainstay_model::{Name, ServerId};
use mainstay_protocol::build::string;
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::list::ListKind;

use crate::names::Names;
use crate::template;

/// An item as its server lists it.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub raw: &'a Bytes,
    /// The item's name, URI or URI template.
    pub key: &'a str,
    /// The byte range of the key in `raw`, including its quotes.
    pub key_span: std::ops::Range<usize>,
    pub may_retry: bool,
}

/// All items that an endpoint publishes.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    kinds: HashMap<u8, Listing>,
}

/// One of the four lists. Items keep the order of the servers.
#[derive(Debug, Clone, Default)]
struct Listing {
    items: Vec<Bytes>,
    by_name: HashMap<Box<str>, Entry>,
    /// Published names in the order of the list. Templates are matched in this order.
    names: Vec<Box<str>>,
}

/// What a published name refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub server: ServerId,
    /// The server's own name for the item.
    pub own: Box<str>,
    /// Whether the server promises that a call may be repeated.
    pub may_retry: bool,
}

/// The published names of an endpoint, by [`ListKind`]. They are stored across restarts of the daemon.
pub type PublishedNames = [Names; 4];

// === impl Catalogue ===

impl Catalogue {
    /// Replaces one list with the items of `servers`. Servers that are unavailable are not in `servers`;
    /// their names stay reserved in `memory`.
    pub fn publish<'a>(
        &mut self,
        kind: ListKind,
        servers: impl IntoIterator<Item = (ServerId, &'a Name, Vec<Source<'a>>)>,
        prefix: Prefix,
        memory: &mut PublishedNames,
    ) {
        let mut listing = Listing::default();
        let names = &mut memory[kind as usize];
        for (server, server_name, sources) in servers {
            for source in sources {
                let name = published(names, kind, server_name, source.key, prefix);
                // Duplicate names within a server, or in a group that never prefixes: the first one wins.
                if listing.by_name.contains_key(name.as_str()) {
                    continue;
                }
                let raw = if name == source.key {
                    source.raw.clone()
                } else {
                    let quoted = string(&name);
                    splice(source.raw, &mut [Edit::new(source.key_span, quoted.as_bytes())])
                };
                listing.items.push(raw);
                let entry = Entry { server, own: source.key.into(), may_retry: source.may_retry };
                listing.names.push(name.as_str().into());
                listing.by_name.insert(name.into(), entry);
            }
        }
        self.kinds.insert(kind as u8, listing);
    }

    /// The items of a list. Only names that had to change differ from what the server sent.
    pub fn items(&self, kind: ListKind) -> &[Bytes] {
        self.kinds.get(&(kind as u8)).map_or(&[], |listing| &listing.items)
    }

    /// Looks up an item by its published name.
    pub fn find(&self, kind: ListKind, name: &str) -> Option<&Entry> {
        self.kinds.get(&(kind as u8))?.by_name.get(name)
    }

    /// Finds the server of a resource by its URI, or else by the first template that matches the URI.
    /// Returns the server and the server's own URI for the resource.
    pub fn find_resource(&self, uri: &str) -> Option<(ServerId, String)> {
        if let Some(entry) = self.find(ListKind::Resources, uri) {
            return Some((entry.server, entry.own.to_string()));
        }
        let templates = self.kinds.get(&(ListKind::ResourceTemplates as u8))?;
        for name in &templates.names {
            if !template::matches(name, uri) {
                continue;
            }
            let entry = &templates.by_name[name];
            let own = template::own_uri(name, &entry.own, uri);
            return Some((entry.server, own.to_owned()));
        }
        None
    }

    /// The published names of a list, for suggestions in error messages.
    pub fn names(&self, kind: ListKind) -> impl Iterator<Item = &str> {
        self.kinds
            .get(&(kind as u8))
            .into_iter()
            .flat_map(|listing| listing.names.iter().map(|name| &**name))
    }
}

/// Publishes a key. A tool or prompt that collides gets the server's name as a prefix; a URI that
/// collides is put below `mainstay://{server}/`, so that it stays a valid URI.
fn published(
    names: &mut Names,
    kind: ListKind,
    server: &Name,
    own: &str,
    prefix: Prefix,
) -> String {
    match kind {
        ListKind::Tools | ListKind::Prompts => names.publish(server, own, prefix),
        ListKind::Resources | ListKind::ResourceTemplates => names.publish_uri(server, own, prefix),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mainstay_model::settings::Prefix;
    use mainstay_model::{Ids, Name, ServerId};
    use mainstay_protocol::list::{ListKind, ListPage};

    use super::{Catalogue, PublishedNames, Source};

    /// The catalogue of servers with these lists, and the servers.
    fn publish(kind: ListKind, lists: &[(&str, &str)]) -> (Catalogue, Vec<ServerId>) {
        let mut catalogue = Catalogue::default();
        let mut memory = PublishedNames::default();
        let ids = Ids::default();
        let servers: Vec<_> = lists.iter().map(|_| ids.server()).collect();
        let parsed: Vec<_> = lists
            .iter()
            .map(|(name, list)| {
                (Name::try_new(name).unwrap(), ListPage::parse(list, kind).unwrap())
            })
            .collect();
        let raws: Vec<Vec<Bytes>> = parsed
            .iter()
            .map(|(_, page)| page.items.iter().map(|item| item.raw.to_owned().into()).collect())
            .collect();
        let sources = parsed.iter().zip(&raws).enumerate().map(|(at, ((name, page), raws))| {
            let sources = page
                .items
                .iter()
                .zip(raws)
                .map(|(item, raw)| Source {
                    raw,
                    key: &item.key,
                    key_span: item.key_span_in_item(),
                    may_retry: false,
                })
                .collect();
            (servers[at], name, sources)
        });
        catalogue.publish(kind, sources, Prefix::Auto, &mut memory);
        (catalogue, servers)
    }

    #[test]
    fn only_the_name_changes_and_only_where_it_collides() {
        let (catalogue, servers) = publish(
            ListKind::Tools,
            &[
                ("a", r#"{"tools":[{"z":1.0,"name":"echo","x":{"name":"echo"}}]}"#),
                (
                    "b",
                    r#"{"tools":[{ "name" : "echo", "y":12345678901234567890 },{"name":"sum"}]}"#,
                ),
            ],
        );
        let items: Vec<_> = catalogue.items(ListKind::Tools).to_vec();
        assert_eq!(items[0], r#"{"z":1.0,"name":"echo","x":{"name":"echo"}}"#);
        assert_eq!(items[1], r#"{ "name" : "b_echo", "y":12345678901234567890 }"#);
        assert_eq!(items[2], r#"{"name":"sum"}"#);
        let back = catalogue.find(ListKind::Tools, "b_echo").unwrap();
        assert_eq!((back.server, &*back.own), (servers[1], "echo"));
    }

    #[test]
    fn resources_are_found_by_uri_and_by_template() {
        let list = r#"{"resourceTemplates":[{"name":"t","uriTemplate":"x://{id}/data"}]}"#;
        let (catalogue, servers) =
            publish(ListKind::ResourceTemplates, &[("a", list), ("b", list)]);
        assert_eq!(catalogue.find_resource("x://7/data"), Some((servers[0], "x://7/data".into())));
        assert_eq!(
            catalogue.find_resource("mainstay://b/x://7/data"),
            Some((servers[1], "x://7/data".into()))
        );
        assert_eq!(catalogue.find_resource("y://7"), None);
    }
}
