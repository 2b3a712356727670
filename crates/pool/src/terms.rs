//! The terms of tools in force: what the rules of a server come to for each of its tools.
//!
//! Terms are computed with the first call to a tool and kept from then on. A call to a server without rules
//! pays one relaxed load of a flag; with rules it pays a look-up in a map that is read without a lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use mainstay_model::settings::{ServerSpec, ToolTerms};

/// Most tools whose terms are kept. A client can call names that no tool has; their terms are computed anew.
const KEPT_MAX: usize = 512;

/// The terms of a server's tools, as its settings in force make them.
#[derive(Debug)]
pub(crate) struct TermsInForce {
    /// Whether anything is set for calls of the server.
    is_set: AtomicBool,
    of: ArcSwap<TermsOf>,
}

/// The terms that follow from one version of the settings.
#[derive(Debug)]
struct TermsOf {
    spec: Arc<ServerSpec>,
    /// For requests that call no tool.
    without_tool: Arc<ToolTerms>,
    by_tool: ArcSwap<HashMap<Box<str>, Arc<ToolTerms>>>,
}

// === impl TermsInForce ===

impl TermsInForce {
    pub(crate) fn new(spec: &Arc<ServerSpec>) -> Self {
        let is_set = AtomicBool::new(TermsOf::are_set(spec));
        Self { is_set, of: ArcSwap::from_pointee(TermsOf::new(spec.clone())) }
    }

    /// Puts the terms of other settings in force. Calls that have begun keep theirs.
    pub(crate) fn replace(&self, spec: &Arc<ServerSpec>) {
        self.of.store(Arc::new(TermsOf::new(spec.clone())));
        self.is_set.store(TermsOf::are_set(spec), Ordering::Relaxed);
    }

    /// The terms for a tool, or for a request that calls none. `None` if nothing is set for any.
    pub(crate) fn get(&self, tool: Option<&str>) -> Option<Arc<ToolTerms>> {
        if !self.is_set.load(Ordering::Relaxed) {
            return None;
        }
        let of = self.of.load();
        let Some(tool) = tool else { return Some(of.without_tool.clone()) };
        if let Some(terms) = of.by_tool.load().get(tool) {
            return Some(terms.clone());
        }
        let terms = Arc::new(ToolTerms::of(&of.spec, Some(tool)));
        // Calls at the same moment may each add theirs; what is lost is computed with the next call.
        let known = of.by_tool.load_full();
        if known.len() < KEPT_MAX {
            let mut more = HashMap::clone(&known);
            more.insert(tool.into(), terms.clone());
            of.by_tool.store(Arc::new(more));
        }
        Some(terms)
    }
}

// === impl TermsOf ===

impl TermsOf {
    fn new(spec: Arc<ServerSpec>) -> Self {
        let without_tool = Arc::new(ToolTerms::of(&spec, None));
        Self { spec, without_tool, by_tool: ArcSwap::default() }
    }

    fn are_set(spec: &ServerSpec) -> bool {
        let has_deadline = spec.call_timeout.is_some() || spec.call_timeout_max.is_some();
        has_deadline || !spec.tools.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mainstay_model::settings::{Limits, ProcessSpec, Runtime, ServerSpec, ToolRule};
    use mainstay_model::{Name, Pattern};

    use super::{KEPT_MAX, TermsInForce};

    fn spec(pattern: Option<&str>) -> Arc<ServerSpec> {
        let name = Name::try_new("s").unwrap();
        let runtime = Runtime::Process(ProcessSpec::default());
        let tools = pattern.map(|pattern| ToolRule {
            pattern: Pattern::try_new(pattern).unwrap(),
            call_timeout: Some(Duration::from_secs(600)),
            call_timeout_max: None,
            needs: Vec::new(),
            retry: None,
            validate: None,
        });
        let tools = tools.into_iter().collect();
        Arc::new(ServerSpec { tools, ..ServerSpec::new(name, runtime) })
    }

    fn seconds(terms: &TermsInForce, tool: &str) -> Option<u64> {
        let limits = Limits::default();
        terms.get(Some(tool)).map(|terms| terms.call_limits(&limits).call.as_secs())
    }

    #[test]
    fn terms_follow_the_settings_in_force() {
        let terms = TermsInForce::new(&spec(None));
        assert_eq!(seconds(&terms, "a"), None);
        terms.replace(&spec(Some("a*")));
        assert_eq!((seconds(&terms, "a"), seconds(&terms, "b")), (Some(600), Some(30)));
        assert!(Arc::ptr_eq(&terms.get(Some("a")).unwrap(), &terms.get(Some("a")).unwrap()));
        terms.replace(&spec(Some("b")));
        assert_eq!((seconds(&terms, "a"), seconds(&terms, "b")), (Some(30), Some(600)));
        terms.replace(&spec(None));
        assert_eq!(seconds(&terms, "b"), None);
    }

    #[test]
    fn names_that_clients_make_up_take_bounded_room() {
        let terms = TermsInForce::new(&spec(Some("*")));
        for number in 0..2 * KEPT_MAX {
            assert_eq!(seconds(&terms, &format!("made-up-{number}")), Some(600));
        }
        assert_eq!(terms.of.load().by_tool.load().len(), KEPT_MAX);
    }
}
