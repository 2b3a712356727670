//! Fetches a server's lists, page by page.
//!
//! A list that can't be fetched is no reason to give up the server: it is empty, and says why it is.
//! Only the loss of the link is an error.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_model::{Budget, Charge, MemoryKind};
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::{Caching, ListKind, ListPage};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_protocol::{Era, build, codes};

use super::ask::{ErrorAnswer, HandshakeError, ask_within};
use crate::facts::{Cut, Item, ItemFit, List, ListFailure, Lists};
use crate::link::Link;

/// How long to wait for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For each page.
    pub page: Duration,
    /// For all pages together.
    pub whole: Duration,
}

/// How the lists are fetched at the start of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstLists {
    /// For the tools, retries included.
    pub tools: Patience,
    /// For each of the other lists, which are fetched at the same time.
    pub others: Patience,
    /// Whether to ask a server for tools that does not declare any.
    pub ask_undeclared: bool,
}

/// A list of more pages, items or bytes than this is cut: a server that always names a next page
/// must not keep us for ever, nor fill the memory.
pub(super) const PAGES_MAX: usize = 2_000;
pub(super) const ITEMS_MAX: usize = 50_000;
pub(super) const BYTES_MAX: usize = 64 << 20;

/// The part of the memory budget for lists that one list may take, as a divisor: no server can take
/// all of it.
const LIST_SHARE: usize = 8;

/// What an item takes beside its text.
const ITEM_BYTES: usize = 160;

/// The waits before tools are asked for again at the start of a run. Some servers answer the first
/// question before they are ready for it.
const ASK_AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// Longest text of a server that is repeated in a failure, in characters.
const SAID_CHARS_MAX: usize = 300;

// === impl FirstLists ===

impl FirstLists {
    /// Shares the time limit of a start among the lists: a server whose lists hang still starts.
    #[must_use]
    pub fn within(start: Duration) -> Self {
        let tools = (start / 2).min(Duration::from_secs(30));
        let others = (start / 4).min(Duration::from_secs(5));
        Self {
            tools: Patience { page: tools, whole: tools },
            others: Patience { page: others, whole: others },
            ask_undeclared: true,
        }
    }
}

/// Fetches every list that the server declares in its capabilities, and tools in any case: many
/// clients ask for them without looking. Tools that are there although they are not declared are
/// added to `capabilities`.
///
/// # Errors
/// When the link is lost.
pub(super) async fn lists(
    link: &Arc<Link>,
    capabilities: &mut ServerCapabilities,
    first: FirstLists,
) -> Result<Lists, HandshakeError> {
    let mut lists = Lists::default();
    if capabilities.tools {
        lists.set(ListKind::Tools, tools(link, first.tools).await?);
    } else if first.ask_undeclared
        && let Some(list) = undeclared_tools(link, first.others).await?
    {
        lists.set(ListKind::Tools, list);
        capabilities.tools = true;
    }
    let declared = *capabilities;
    let other = async |kind| match declared.has_list(kind) {
        true => list(link, kind, first.others).await.map(Some),
        false => Ok(None),
    };
    let kinds = [ListKind::Resources, ListKind::ResourceTemplates, ListKind::Prompts];
    let [one, two, three] = kinds;
    let fetched = tokio::join!(other(one), other(two), other(three));
    for (kind, list) in kinds.into_iter().zip([fetched.0, fetched.1, fetched.2]) {
        if let Some(list) = list? {
            lists.set(kind, list);
        }
    }
    Ok(lists)
}

/// Fetches the tools, and again after a pause if they can't be listed. A server that does not answer
/// at all is not asked twice.
async fn tools(link: &Arc<Link>, patience: Patience) -> Result<List, HandshakeError> {
    let end = Instant::now() + patience.whole;
    let left = || end.saturating_duration_since(Instant::now());
    let mut pauses = ASK_AGAIN.into_iter();
    loop {
        let list = list(link, ListKind::Tools, Patience { whole: left(), ..patience }).await?;
        match (&list.gaps.failed, pauses.next()) {
            (None | Some(ListFailure::Silent { .. } | ListFailure::Slow { .. }), _) => {
                return Ok(list);
            }
            (Some(_), Some(pause)) if pause < left() => tokio::time::sleep(pause).await,
            _ => return Ok(list),
        }
    }
}

/// The tools of a server that declares none. Whatever else it answers means that there are none.
async fn undeclared_tools(
    link: &Arc<Link>,
    patience: Patience,
) -> Result<Option<List>, HandshakeError> {
    let listed = list(link, ListKind::Tools, patience).await;
    let list = listed.map_err(|error| match error {
        HandshakeError::Lost(reason) => HandshakeError::LostUnasked(reason),
        error => error,
    })?;
    let is_there = list.gaps.failed.is_none() && !list.items.is_empty();
    Ok(is_there.then_some(List { undeclared: true, ..list }))
}

/// Fetches one list page by page, up to 2,000 pages, 50,000 items and 64 MiB. The list says what is
/// missing and why. A server that has the capability but not the method has an empty list.
///
/// # Errors
/// When the link is lost.
pub async fn list(
    link: &Arc<Link>,
    kind: ListKind,
    patience: Patience,
) -> Result<List, HandshakeError> {
    let end = Instant::now() + patience.whole;
    let mut fetched = Fetched::default();
    loop {
        let wait = patience.page.min(end.saturating_duration_since(Instant::now()));
        match page(link, kind, fetched.cursor.as_deref(), wait).await? {
            Err(ListFailure::Silent { .. }) if wait < patience.page && fetched.pages > 0 => {
                fetched.list.gaps.failed = Some(ListFailure::Slow { after: patience.whole });
                break;
            }
            Ok(Some(page)) => {
                if !fetched.take(link, kind, &page) {
                    break;
                }
            }
            Ok(None) => break,
            // An empty cursor can also mean that there is no next page.
            Err(ListFailure::Refused { .. }) if fetched.cursor.as_deref() == Some("") => break,
            Err(failure) => {
                fetched.list.gaps.failed = Some(failure);
                break;
            }
        }
    }
    Ok(fetched.finish())
}

/// Asks for a page. `None`: the server does not know the method.
async fn page(
    link: &Arc<Link>,
    kind: ListKind,
    cursor: Option<&str>,
    wait: Duration,
) -> Result<Result<Option<Bytes>, ListFailure>, HandshakeError> {
    let method = kind.method().as_str();
    let params = cursor.map(|cursor| format!(r#"{{"cursor":{}}}"#, build::string(cursor)));
    let failure = match ask_within(link, method, params.as_deref(), wait).await {
        Ok(Some(Ok(page))) => return Ok(Ok(Some(page))),
        Ok(Some(Err(ErrorAnswer { code: Some(codes::METHOD_NOT_FOUND), .. }))) => {
            return Ok(Ok(None));
        }
        Ok(Some(Err(ErrorAnswer { code, body }))) => {
            ListFailure::Refused { method, code, error: shortened(&body) }
        }
        Ok(None) => ListFailure::Silent { method, after: rounded(wait) },
        Err(error) if link.is_closed() => return Err(error),
        Err(error) => ListFailure::Lost { reason: shortened(&error.to_string()) },
    };
    Ok(Err(failure))
}

/// The pages of a list so far.
#[derive(Default)]
struct Fetched {
    list: List,
    caching: Option<Caching>,
    pages: usize,
    bytes: usize,
    /// Where the next page begins.
    cursor: Option<String>,
    /// The cursors of all pages.
    seen: HashSet<String>,
    /// What came before has come again.
    repeats: bool,
    /// The memory of the items.
    charge: Option<Charge>,
}

// === impl Fetched ===

impl Fetched {
    /// Adds a page. Returns whether there is a next one to fetch.
    fn take(&mut self, link: &Link, kind: ListKind, page: &Bytes) -> bool {
        let text = String::from_utf8_lossy(page);
        let parsed = match ListPage::parse(&text, kind) {
            Ok(parsed) => parsed,
            Err(error) => {
                let problem = shortened(&error.to_string());
                let method = kind.method().as_str();
                self.list.gaps.failed = Some(ListFailure::NoList { method, problem });
                return false;
            }
        };
        let more = parsed.items.iter().map(|item| item.raw.len()).sum::<usize>();
        let with_items = more + parsed.items.len() * ITEM_BYTES;
        if let Err(cut) = self.charge_items(link.budget(), with_items) {
            self.list.gaps.cut = Some(cut);
            return false;
        }
        self.pages += 1;
        self.caching = Some(self.caching.map_or(parsed.caching, |all| all.and(parsed.caching)));
        self.list.gaps.nameless += parsed.malformed;
        self.bytes += more;
        take_items(link, kind, page, &parsed, &mut self.list);
        let Some(next) = parsed.next_cursor else {
            self.list.gaps.cut = parsed.has_odd_cursor.then_some(Cut::OddCursor);
            return false;
        };
        self.repeats = !self.seen.insert(next.to_string());
        // An empty cursor is as good as any, unless it leads to the same items again: then the
        // server means that there are no more.
        if self.repeats && next.is_empty() && self.brought_nothing_new(parsed.items.len()) {
            return false;
        }
        self.list.gaps.cut = if self.repeats {
            Some(Cut::Circle)
        } else if self.list.items.len() >= ITEMS_MAX {
            Some(Cut::Items(ITEMS_MAX))
        } else if self.bytes >= BYTES_MAX {
            Some(Cut::Bytes(BYTES_MAX))
        } else if self.pages >= PAGES_MAX {
            Some(Cut::Pages(PAGES_MAX))
        } else {
            None
        };
        self.cursor = Some(next.into_owned());
        self.list.gaps.cut.is_none()
    }

    /// Whether the last `count` items were all there before.
    fn brought_nothing_new(&self, count: usize) -> bool {
        let (before, last) = self.list.items.split_at(self.list.items.len().saturating_sub(count));
        let before: HashSet<_> = before.iter().map(|item| &item.key).collect();
        last.iter().all(|item| before.contains(&item.key))
    }

    /// Charges the items of a page for as long as the list is kept.
    fn charge_items(&mut self, budget: Budget, more: usize) -> Result<(), Cut> {
        let list_max = budget.of(MemoryKind::Lists).bytes_max / LIST_SHARE;
        let held = self.charge.as_ref().map_or(0, Charge::bytes);
        if held + more > list_max {
            budget.note_refusal(MemoryKind::Lists);
            return Err(Cut::Memory(list_max));
        }
        let charge = self.charge.get_or_insert_with(|| budget.charge(MemoryKind::Lists));
        charge.try_grow(more).map_err(|exceeded| Cut::Memory(exceeded.bytes_max))
    }

    fn finish(self) -> List {
        let mut list = self.list;
        list.caching = self.caching.unwrap_or_default();
        if self.repeats {
            let mut seen = HashSet::new();
            list.items.retain(|item| seen.insert(item.key.clone()));
        }
        list.compact(self.charge)
    }
}

fn take_items(link: &Link, kind: ListKind, page: &Bytes, parsed: &ListPage<'_>, list: &mut List) {
    let has_mirrors = link.era() == Era::Modern && kind == ListKind::Tools;
    for item in &parsed.items {
        let mirrors = if has_mirrors {
            MirroredArguments::of_tool(item.raw)
        } else {
            Ok(MirroredArguments::default())
        };
        let mirrors = match mirrors {
            Ok(mirrors) => mirrors,
            Err(error) if link.abilities().mirrors_arguments => {
                list.unusable.push((item.key.as_ref().into(), error));
                continue;
            }
            // A process gets no mirrored headers, and clients over HTTP leave the tool out
            // themselves.
            Err(_) => MirroredArguments::default(),
        };
        list.items.push(Item {
            raw: page.slice(item.span.clone()),
            key: item.key.as_ref().into(),
            key_span: item.key_span_in_item(),
            hints: item.hints,
            fit: ItemFit::of(kind, link.era(), item.raw),
            mirrors,
        });
    }
}

/// A time for people.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}

/// The beginning of what a server said, which may be of any length.
fn shortened(said: &str) -> Arc<str> {
    match said.char_indices().nth(SAID_CHARS_MAX) {
        None => said.into(),
        Some((at, _)) => format!("{} …", &said[..at]).into(),
    }
}
