//! The stored form of names: JSON objects whose members have the order of publication.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Names, ServerNames, owners_of};

/// Published names by server and by the server's own name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredNames {
    published: BTreeMap<Box<str>, Ordered>,
    /// Names that were replaced, by server, with the server's own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    former: BTreeMap<Box<str>, Ordered>,
}

/// The members of an object, in their order.
#[derive(Debug)]
struct Ordered(Vec<(Arc<str>, Arc<str>)>);

struct Members;

impl From<Names> for StoredNames {
    fn from(names: Names) -> Self {
        let owned = |(one, other): (&Arc<str>, &Arc<str>)| (one.clone(), other.clone());
        let published = names.servers.iter().map(|(server, of)| {
            (server.clone(), Ordered(of.in_order().into_iter().map(owned).collect()))
        });
        let replaced = names.servers.iter().filter(|(_, of)| !of.former.is_empty());
        let former = replaced
            .map(|(server, of)| (server.clone(), Ordered(of.former.iter().map(owned).collect())));
        Self { published: published.collect(), former: former.collect() }
    }
}

impl From<StoredNames> for Names {
    fn from(mut stored: StoredNames) -> Self {
        let mut servers = BTreeMap::new();
        for (server, names) in stored.published {
            let mut of = ServerNames::default();
            for (own, published) in names.0 {
                of.insert(own, published);
            }
            let former = stored.former.remove(&server).map(|former| former.0);
            for (published, own) in former.into_iter().flatten() {
                of.insert_former(&published, own);
            }
            servers.insert(server, Arc::new(of));
        }
        let owners = Arc::new(owners_of(&servers));
        let bytes = servers.values().map(|of| of.bytes).sum();
        Self { servers, owners, bytes }
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (one, other) in &self.0 {
            map.serialize_entry(&**one, &**other)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
        let mut members = Vec::new();
        while let Some((one, other)) = map.next_entry::<String, String>()? {
            let one: Arc<str> = one.into();
            // Most names are published unchanged.
            let other = if *one == *other { one.clone() } else { other.into() };
            members.push((one, other));
        }
        Ok(Ordered(members))
    }
}
