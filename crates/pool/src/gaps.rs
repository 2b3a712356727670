//! What is missing in a server's lists: logged when it is new, and shown in the status and in merged
//! lists.

use std::borrow::Cow;

use mainstay_model::settings::RevisionChoice;
use mainstay_model::status::MissingItems;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Revision};
use mainstay_telemetry::events::ListIncomplete;
use mainstay_upstream::facts::{Facts, ItemFit, List};

use crate::pool::Pool;

/// The most items whose reasons for being left out are named.
const REASONS_MAX: usize = 10;

impl Pool {
    /// What is missing in the server's list for clients of an era.
    pub fn missing_items(&self, era: Era, kind: ListKind) -> Vec<MissingItems> {
        self.facts(era).map(|facts| self.gaps_of(&facts, kind)).unwrap_or_default()
    }

    /// Whether the server's list for clients of an era could not be fetched when it was asked for last.
    pub fn has_failed_list(&self, era: Era, kind: ListKind) -> bool {
        self.facts(era).is_some_and(|facts| facts.lists.failure(kind).is_some())
    }

    /// What is missing in the lists of the primary era.
    pub(crate) fn all_missing_items(&self) -> Vec<MissingItems> {
        let facts = self.primary_facts();
        let kinds = ListKind::ALL.into_iter();
        let of = |facts| kinds.clone().flat_map(move |kind| self.gaps_of(facts, kind));
        facts.iter().flat_map(|facts| of(facts)).collect()
    }

    /// Logs what is missing in the lists. Skips what `before` already lacked, unless this is a `new_run`.
    pub(crate) fn log_gaps(&self, before: Option<&Facts>, now: &Facts, new_run: bool) {
        for kind in ListKind::ALL {
            let known = match before {
                Some(before) if !new_run => self.gaps_of(before, kind),
                _ => Vec::new(),
            };
            for missing in self.gaps_of(now, kind).into_iter().filter(|gap| !known.contains(gap)) {
                let (server, list) = (&self.name, kind.method().as_str());
                ListIncomplete { server, list, gaps: &missing.why }.emit(&self.metrics);
            }
        }
    }

    /// What is missing in a list. Secrets that the server was started with are masked in its words.
    fn gaps_of(&self, facts: &Facts, kind: ListKind) -> Vec<MissingItems> {
        let mut gaps = of_list(facts, kind);
        for gap in &mut gaps {
            if let Cow::Owned(hidden) = self.host.hide(&gap.why) {
                gap.why = hidden;
            }
        }
        gaps
    }

    /// A remark for the status, as the rest of a sentence about the server.
    pub(crate) fn note(&self) -> Option<String> {
        self.note_with(|missing| missing.why)
    }

    /// The same for anybody: without what the server may have said about a list.
    pub(crate) fn brief_note(&self) -> Option<String> {
        self.note_with(|missing| missing.brief)
    }

    fn note_with(&self, gap: impl Fn(MissingItems) -> String) -> Option<String> {
        // Most servers support older clients only, so that needs no remark.
        let closed = self.unsupported_reason(Era::Legacy);
        let gaps = self.all_missing_items().into_iter().map(gap);
        let facts = self.primary_facts();
        let tools = facts.as_ref().and_then(|facts| facts.lists.get(ListKind::Tools));
        let undeclared = tools
            .filter(|list| list.undeclared)
            .map(|_| "offers tools, although it does not declare them".to_owned());
        let other = facts.as_ref().and_then(|facts| self.other_revision(facts.revision));
        let all: Vec<String> =
            closed.into_iter().chain(other).chain(gaps).chain(undeclared).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// A remark for a server that answered with another revision than the configuration asks for.
    fn other_revision(&self, answered: Revision) -> Option<String> {
        match self.spec().revision {
            RevisionChoice::Date(asked) if asked != answered.as_str() => {
                Some(format!("answered with {answered} when it was asked for {asked} (`revision`)"))
            }
            _ => None,
        }
    }
}

/// What is missing in a list. Tools that may not be used have a log line of their own.
fn of_list(facts: &Facts, kind: ListKind) -> Vec<MissingItems> {
    let Some(list) = facts.lists.get(kind) else { return Vec::new() };
    let gap = |(why, brief)| {
        let list = kind.member().to_owned();
        MissingItems { list, why, brief, items: Vec::new() }
    };
    reasons(list, kind).into_iter().map(gap).chain(left_out(list, kind)).collect()
}

/// Items that merged lists leave out.
fn left_out(list: &List, kind: ListKind) -> Option<MissingItems> {
    let unfit = list.unfit.iter().map(|at| &list.items[*at as usize]);
    let unfit = unfit.filter_map(|item| match &item.fit {
        ItemFit::Unfit(misfit) => Some((&*item.key, misfit)),
        ItemFit::Fits | ItemFit::Mended(_) => None,
    });
    let unfit: Vec<_> = unfit.collect();
    if unfit.is_empty() {
        return None;
    }
    let mut named: Vec<_> =
        unfit.iter().take(REASONS_MAX).map(|(key, misfit)| format!("{key} ({misfit})")).collect();
    if unfit.len() > REASONS_MAX {
        named.push(format!("{} more", unfit.len() - REASONS_MAX));
    }
    let (count, items) = (unfit.len(), plural(kind));
    let items = if count == 1 { items.trim_end_matches('s') } else { items };
    let brief = format!(
        "lists {count} {items} that clients would refuse, so merged endpoints leave them out"
    );
    Some(MissingItems {
        list: kind.member().to_owned(),
        why: format!("{brief}: {}", named.join(", ")),
        brief,
        items: unfit.iter().map(|(key, _)| (*key).to_owned()).collect(),
    })
}

/// Why items are missing without being known: the whole reason, and the same without the server's words.
fn reasons(list: &List, kind: ListKind) -> Vec<(String, String)> {
    let (gaps, items) = (&list.gaps, plural(kind));
    let failed = gaps.failed.as_ref().map(|failure| {
        let what = match list.items.is_empty() {
            true => format!("offers no {items} now"),
            false => format!("offers {items} that may be outdated or incomplete"),
        };
        (format!("{what}: {failure}"), format!("{what}: {}", failure.brief()))
    });
    let cut = gaps.cut.map(|cut| format!("offers only a part of its {items}: the list was {cut}"));
    let nameless = match gaps.nameless {
        0 => None,
        1 => Some(format!("lists an entry without a name in its {items}, which is left out")),
        count => {
            Some(format!("lists {count} entries without a name in its {items}, which are left out"))
        }
    };
    let ours = [cut, nameless].into_iter().flatten().map(|why| (why.clone(), why));
    failed.into_iter().chain(ours).collect()
}

fn plural(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "tools",
        ListKind::Resources => "resources",
        ListKind::ResourceTemplates => "resource templates",
        ListKind::Prompts => "prompts",
    }
}
