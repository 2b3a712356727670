//! Says why a node waits or is degraded: which need is missing, and what is wrong at the end of the chain.

use std::sync::Weak;
use std::time::Duration;

use mainstay_model::Need;
use mainstay_model::status::InstanceState;
use mainstay_supervisor::graph::{Loading, NodeNo, Why};

use crate::fleet::Fleet;
use crate::member::Member;

/// The reason of a node that was stopped by hand.
#[derive(Debug)]
pub(crate) struct StoppedByHand;

/// The reason of a node that waits for its needs, or runs without one of them.
#[derive(Debug)]
pub(crate) struct MissingNeeds {
    pub(crate) fleet: Weak<Fleet>,
    pub(crate) node: NodeNo,
}

/// A missing need, with the way to where the trouble is.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The need, what it needs and does not have, and so on. Never empty.
    pub(crate) links: Vec<ChainLink>,
}

#[derive(Debug, Clone)]
pub(crate) struct ChainLink {
    pub(crate) id: Need,
    pub(crate) member: Member,
    pub(crate) is_stopped_by_hand: bool,
}

/// Links of a chain between its ends that are told one by one.
const LINKS_MAX: usize = 2;
/// Missing needs that are told one by one.
const NEEDS_MAX: usize = 3;
/// The longest part of a reason of another node that is quoted, in characters.
const QUOTED_MAX: usize = 300;

/// The reason of a node that is stopped to be started again.
#[derive(Debug)]
pub(crate) struct RestartedByHand;

/// The reason of a node that ends so that one with other settings can take its place.
#[derive(Debug)]
pub(crate) struct BeingChanged;

// === impl StoppedByHand ===

impl Why for StoppedByHand {
    fn reason(&self) -> String {
        "it was stopped by hand".to_owned()
    }

    fn brief(&self) -> String {
        self.reason()
    }

    fn loading(&self) -> Option<Loading> {
        None
    }
}

// === impl RestartedByHand ===

impl Why for RestartedByHand {
    fn reason(&self) -> String {
        "it is restarted by hand".to_owned()
    }

    fn brief(&self) -> String {
        self.reason()
    }

    fn loading(&self) -> Option<Loading> {
        let what = "the server".to_owned();
        Some(Loading { what, usual: None, so_far: Duration::ZERO })
    }
}

// === impl BeingChanged ===

impl Why for BeingChanged {
    fn reason(&self) -> String {
        "its configuration is being changed".to_owned()
    }

    fn brief(&self) -> String {
        self.reason()
    }

    fn loading(&self) -> Option<Loading> {
        let what = "the server".to_owned();
        Some(Loading { what, usual: None, so_far: Duration::ZERO })
    }

    fn is_handed_over(&self) -> bool {
        true
    }
}

// === impl MissingNeeds ===

impl MissingNeeds {
    fn chains(&self) -> Vec<Chain> {
        self.fleet.upgrade().map(|fleet| fleet.chains(self.node)).unwrap_or_default()
    }

    fn say(&self, whole: bool) -> String {
        let chains = self.chains();
        let mut each: Vec<_> = chains.iter().take(NEEDS_MAX).map(|it| it.say(whole)).collect();
        if let Some(more) = chains.len().checked_sub(NEEDS_MAX).filter(|more| *more > 0) {
            each.push(format!("{more} others that are not ready"));
        }
        match each.as_slice() {
            // What was missing is there again, and the node is told at once.
            [] => "what it needs is ready again".to_owned(),
            each => format!("it needs {}", each.join(", and ")),
        }
    }
}

impl Why for MissingNeeds {
    fn reason(&self) -> String {
        self.say(true)
    }

    fn brief(&self) -> String {
        self.say(false)
    }

    fn loading(&self) -> Option<Loading> {
        let chains = self.chains();
        let all = chains.iter().map(|chain| chain.end().loading()).collect::<Option<Vec<_>>>()?;
        // What takes longest is what is waited for.
        let left = |it: &Loading| it.usual.unwrap_or_default().saturating_sub(it.so_far);
        all.into_iter().max_by_key(left)
    }
}

// === impl Chain ===

impl Chain {
    /// Where the trouble is.
    pub(crate) fn end(&self) -> &ChainLink {
        &self.links[self.links.len() - 1]
    }

    /// "service:db, which waits for external:disk, which is unhealthy: …"
    pub(crate) fn say(&self, whole: bool) -> String {
        let mut said = self.links[0].id.to_string();
        let verb = |link: &ChainLink| if link.runs() { "runs without" } else { "waits for" };
        match self.links.as_slice() {
            [first, between @ .., last] if between.len() > LINKS_MAX => said.push_str(&format!(
                ", which {} {} through {} others",
                verb(first),
                last.id,
                between.len()
            )),
            links => {
                for two in links.windows(2) {
                    said.push_str(&format!(", which {} {}", verb(&two[0]), two[1].id));
                }
            }
        }
        format!("{said}, which {}", self.end().trouble(whole))
    }
}

// === impl ChainLink ===

impl ChainLink {
    fn runs(&self) -> bool {
        matches!(self.member.own_state(), InstanceState::Ready | InstanceState::Idle)
    }

    /// How far its start is, if it may be ready soon.
    fn loading(&self) -> Option<Loading> {
        use InstanceState::{Handshaking, Ready, Starting, Stopped};
        let starts = matches!(self.member.own_state(), Starting | Handshaking | Stopped | Ready)
            || self.member.was_interrupted();
        let (usual, so_far) = self.member.start();
        let loading = Loading { what: self.id.to_string(), usual, so_far };
        (starts && !self.is_stopped_by_hand).then_some(loading)
    }

    /// What is wrong with it, as the rest of a sentence.
    fn trouble(&self, whole: bool) -> String {
        if self.is_stopped_by_hand {
            return "was stopped by hand".to_owned();
        }
        let Some(sight) = self.member.sight() else { return "is a volume".to_owned() };
        let is = match sight.state {
            InstanceState::Starting | InstanceState::Handshaking => "is starting".to_owned(),
            InstanceState::BackingOff => "was lost and is tried again soon".to_owned(),
            InstanceState::Stopped => "is not running".to_owned(),
            InstanceState::Failed => "failed".to_owned(),
            state => format!("is {}", state.as_str()),
        };
        let why = if whole { sight.reason } else { sight.brief };
        match why.as_deref().and_then(|why| why.lines().next()) {
            Some(why) if !why.is_empty() => format!("{is}: {}", cut(why)),
            _ => is,
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
