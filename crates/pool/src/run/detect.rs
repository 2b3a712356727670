//! What the first words of a run say about the server: whether it has a second dialect at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::Era;
use mainstay_supervisor::lifecycle::RunEvent;
use mainstay_upstream::Link;
use mainstay_upstream::facts::Facts;
use mainstay_upstream::handshake::HandshakeError;

use super::Run;

/// How a handshake went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeOutcome {
    Done,
    /// The server speaks, but not like this.
    NotSpoken,
    /// It answered something else.
    Refused,
    /// No answer came.
    Lost,
}

/// A remote server that gave no answer may only have been in trouble: so long it is not asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl HandshakeOutcome {
    pub(super) fn of(shaken: &Result<Facts, HandshakeError>) -> Self {
        match shaken {
            Ok(_) => Self::Done,
            Err(HandshakeError::NotSpoken(_)) => Self::NotSpoken,
            Err(HandshakeError::Protocol(_) | HandshakeError::Unserveable(_)) => Self::Refused,
            Err(HandshakeError::Lost(_)) => Self::Lost,
        }
    }
}

impl Run {
    /// In which era hands are shaken: only the first dialect may find that out by trying.
    pub(super) fn revision_choice(&self) -> RevisionChoice {
        if self.pool.is_primary(&self.instance) {
            let modern_first = self.pool.modern_first.load(Ordering::Acquire);
            return match self.pool.spec.revision {
                RevisionChoice::Auto if modern_first => RevisionChoice::Modern,
                configured => configured,
            };
        }
        match self.instance.key().era {
            Era::Legacy => RevisionChoice::Legacy,
            Era::Modern => RevisionChoice::Modern,
        }
    }

    /// Decides how the next run of a process begins where the configuration leaves it open. Some end
    /// themselves when they are asked to initialize and speak only later revisions: those are asked for
    /// what they are first, until that is no good either.
    pub(super) fn choose_next_handshake(&self, link: &Link) {
        let began_modern = self.revision_choice() == RevisionChoice::Modern;
        let done = self.handshake.get() == Some(&HandshakeOutcome::Done);
        if self.pool.is_primary(&self.instance)
            && self.pool.spec.revision == RevisionChoice::Auto
            && !done
        {
            let refused = link.era() == Era::Modern;
            self.pool.modern_first.store(refused && !began_modern, Ordering::Release);
        }
    }

    /// Draws the conclusion from the end of a run, where it is one about the server. `undetected`: whether
    /// it has this dialect was still to be found out.
    ///
    /// Whatever ends a process that is asked what it does not know is an answer, as is silence until
    /// the lifecycle ended it.
    pub(super) fn conclude_detection(&self, undetected: bool, end: &RunEvent) {
        let (RunEvent::Lost { reason } | RunEvent::Unserveable { reason }) = end else { return };
        if self.instance.stop.is_cancelled() || !self.pool.is_second(&self.instance) {
            return;
        }
        let ends_answer = self.pool.host.abilities().end_is_answer;
        let silent = self.stop.is_cancelled();
        let for_now = match self.handshake.get() {
            Some(HandshakeOutcome::Done) => return,
            Some(HandshakeOutcome::NotSpoken) => None,
            _ if !undetected => return,
            Some(HandshakeOutcome::Refused) => None,
            Some(HandshakeOutcome::Lost) | None if ends_answer || silent => None,
            Some(HandshakeOutcome::Lost) | None => Some(ASK_AGAIN_AFTER),
        };
        let reason = match silent {
            true => format!("it gave no answer within {:?}", self.pool.spec.start_deadline),
            false => reason.clone(),
        };
        self.pool.mark_unsupported(&self.instance, &reason, for_now);
    }
}
