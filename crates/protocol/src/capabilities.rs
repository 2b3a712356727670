//! The capabilities of clients and servers, as far as a gateway acts on them.
//!
//! Where capabilities are passed on, the original JSON is kept beside these types. The JSON that is built
//! here is for handshakes and responses of our own.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::revision::Rules;

/// The capabilities that a client declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities {
    pub roots: bool,
    pub roots_list_changed: bool,
    pub sampling: bool,
    /// `sampling.context`: the server may ask for the context of the conversation.
    pub sampling_context: bool,
    pub sampling_tools: bool,
    /// Elicitation with forms. An empty `elicitation` object means forms, too.
    pub elicitation: bool,
    /// Elicitation that sends the user to a URL.
    pub elicitation_url: bool,
}

/// The capabilities that a server declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ServerCapabilities {
    pub tools: bool,
    pub tools_list_changed: bool,
    pub resources: bool,
    pub resources_subscribe: bool,
    pub resources_list_changed: bool,
    pub prompts: bool,
    pub prompts_list_changed: bool,
    pub logging: bool,
    pub completions: bool,
}

/// The members of a JSON object. Empty for any other value.
struct Members<'a>(BTreeMap<String, &'a RawValue>);

// === impl ClientCapabilities ===

impl ClientCapabilities {
    /// Parses the JSON of `capabilities`. A member with an unexpected shape counts as absent.
    pub fn from_json(json: &str) -> Self {
        let all = Members::parse(json);
        let (roots, sampling) = (all.inside("roots"), all.inside("sampling"));
        let elicitation = all.inside("elicitation");
        let has_url = elicitation.has("url");
        Self {
            roots: all.has("roots"),
            roots_list_changed: roots.says("listChanged"),
            sampling: all.has("sampling"),
            sampling_context: sampling.has("context"),
            sampling_tools: sampling.has("tools"),
            elicitation: all.has("elicitation") && (elicitation.has("form") || !has_url),
            elicitation_url: has_url,
        }
    }

    /// Whether a server may send requests to this client. Calls of such a client can share a connection
    /// with other clients' calls only if each question can be attributed to its call.
    pub fn is_interactive(self) -> bool {
        self.roots || self.sampling || self.elicitation || self.elicitation_url
    }

    /// Keeps only the capabilities that a revision defines.
    #[must_use]
    pub fn within(self, rules: &Rules) -> Self {
        let knows = |name| rules.client_capabilities.contains(&name);
        Self {
            roots: self.roots && knows("roots"),
            roots_list_changed: self.roots_list_changed && rules.server_requests,
            sampling: self.sampling && knows("sampling"),
            sampling_context: self.sampling_context && rules.sampling_tools,
            sampling_tools: self.sampling_tools && rules.sampling_tools,
            elicitation: self.elicitation && knows("elicitation"),
            elicitation_url: self.elicitation_url && rules.url_elicitation,
        }
    }

    /// The JSON that declares these and nothing else.
    pub fn to_json(self) -> String {
        let roots = object(&[self.roots_list_changed.then_some(r#""listChanged":true"#)]);
        let sampling = object(&[
            self.sampling_context.then_some(r#""context":{}"#),
            self.sampling_tools.then_some(r#""tools":{}"#),
        ]);
        // An empty object means forms in every revision that knows elicitation.
        let elicitation = object(&[
            (self.elicitation && self.elicitation_url).then_some(r#""form":{}"#),
            self.elicitation_url.then_some(r#""url":{}"#),
        ]);
        let elicits = self.elicitation || self.elicitation_url;
        object(&[
            self.roots.then(|| format!(r#""roots":{roots}"#)),
            self.sampling.then(|| format!(r#""sampling":{sampling}"#)),
            elicits.then(|| format!(r#""elicitation":{elicitation}"#)),
        ])
    }
}

// === impl ServerCapabilities ===

impl ServerCapabilities {
    /// Parses the JSON of `capabilities`. A member with an unexpected shape counts as absent.
    pub fn from_json(json: &str) -> Self {
        let all = Members::parse(json);
        let resources = all.inside("resources");
        Self {
            tools: all.has("tools"),
            tools_list_changed: all.inside("tools").says("listChanged"),
            resources: all.has("resources"),
            resources_subscribe: resources.says("subscribe"),
            resources_list_changed: resources.says("listChanged"),
            prompts: all.has("prompts"),
            prompts_list_changed: all.inside("prompts").says("listChanged"),
            logging: all.has("logging"),
            completions: all.has("completions"),
        }
    }

    /// Whether the server has a list of this kind.
    pub fn has_list(self, kind: crate::list::ListKind) -> bool {
        use crate::list::ListKind;
        match kind {
            ListKind::Tools => self.tools,
            ListKind::Prompts => self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => self.resources,
        }
    }

    /// Whether a list of this kind stays valid until the server sends `list_changed`. True if the server
    /// announces changes, or has no such list.
    pub fn tells_of(self, kind: crate::list::ListKind) -> bool {
        use crate::list::ListKind;
        match kind {
            ListKind::Tools => self.tools_list_changed || !self.tools,
            ListKind::Prompts => self.prompts_list_changed || !self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => {
                self.resources_list_changed || !self.resources
            }
        }
    }

    /// Whether the server announces changes of its list of this kind (`listChanged`).
    pub fn has_changes_of(self, kind: crate::list::ListKind) -> bool {
        use crate::list::ListKind;
        match kind {
            ListKind::Tools => self.tools_list_changed,
            ListKind::Prompts => self.prompts_list_changed,
            ListKind::Resources | ListKind::ResourceTemplates => self.resources_list_changed,
        }
    }

    /// The union of the capabilities of two servers.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            tools_list_changed: self.tools_list_changed || other.tools_list_changed,
            resources: self.resources || other.resources,
            resources_subscribe: self.resources_subscribe || other.resources_subscribe,
            resources_list_changed: self.resources_list_changed || other.resources_list_changed,
            prompts: self.prompts || other.prompts,
            prompts_list_changed: self.prompts_list_changed || other.prompts_list_changed,
            logging: self.logging || other.logging,
            completions: self.completions || other.completions,
        }
    }

    /// The JSON that declares these and nothing else.
    pub fn to_json(self) -> String {
        let changes = |changes: bool| changes.then_some(r#""listChanged":true"#);
        let tools = object(&[changes(self.tools_list_changed)]);
        let prompts = object(&[changes(self.prompts_list_changed)]);
        let resources = object(&[
            self.resources_subscribe.then_some(r#""subscribe":true"#),
            changes(self.resources_list_changed),
        ]);
        object(&[
            self.tools.then(|| format!(r#""tools":{tools}"#)),
            self.resources.then(|| format!(r#""resources":{resources}"#)),
            self.prompts.then(|| format!(r#""prompts":{prompts}"#)),
            self.logging.then(|| r#""logging":{}"#.to_owned()),
            self.completions.then(|| r#""completions":{}"#.to_owned()),
        ])
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    fn parse(json: &'a str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// Whether a capability is declared: by an object, or by `true` as some implementations do.
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.starts_with('{') || value == "true")
    }

    fn says(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    fn inside(&self, name: &str) -> Self {
        Self::parse(self.get(name).unwrap_or_default())
    }
}

/// Builds a JSON object from the members that are present.
fn object<const N: usize, T: AsRef<str>>(members: &[Option<T>; N]) -> String {
    let mut json = String::from("{");
    for member in members.iter().flatten() {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(member.as_ref());
    }
    json.push('}');
    json
}

#[cfg(test)]
mod tests;
