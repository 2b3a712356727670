//! Detection of a server's eras from the handshakes of its runs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::Era;
use mainstay_supervisor::lifecycle::RunEvent;
use mainstay_upstream::Link;
use mainstay_upstream::facts::Facts;
use mainstay_upstream::handshake::HandshakeError;

use super::Run;

/// The outcome of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeOutcome {
    Done,
    /// The server does not support the era.
    NotSpoken,
    /// The server answered with another error.
    Refused,
    /// The server did not answer.
    Lost,
}

/// How long to wait before detection is repeated after a remote server did not answer. It may have had a
/// temporary fault.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

impl HandshakeOutcome {
    pub(super) fn of(shaken: &Result<Facts, HandshakeError>) -> Self {
        match shaken {
            Ok(_) | Err(HandshakeError::LostUnasked(_)) => Self::Done,
            Err(HandshakeError::NotSpoken(_)) => Self::NotSpoken,
            Err(HandshakeError::Protocol(_) | HandshakeError::Unserveable(_)) => Self::Refused,
            Err(HandshakeError::Lost(_)) => Self::Lost,
        }
    }
}

impl Run {
    /// The era of the handshake. Only the primary instance detects it by trying.
    pub(super) fn revision_choice(&self) -> RevisionChoice {
        if self.pool.is_primary(&self.instance) {
            let modern_first = self.pool.modern_first.load(Ordering::Acquire);
            return match self.pool.spec().revision {
                RevisionChoice::Auto if modern_first => RevisionChoice::Modern,
                configured => configured,
            };
        }
        match (self.pool.spec().revision, self.instance.key().era) {
            (date @ RevisionChoice::Date(_), _) => date,
            (_, Era::Legacy) => RevisionChoice::Legacy,
            (_, Era::Modern) => RevisionChoice::Modern,
        }
    }

    /// Chooses the first request of the primary instance's next run, if the configuration leaves it open.
    /// Some modern servers exit when they receive `initialize`; their next run begins with
    /// `server/discover`, unless that fails, too. A server that exits without an answer is asked in each
    /// legacy revision first.
    pub(super) fn choose_next_handshake(&self, link: &Link) {
        let began_modern = self.revision_choice() == RevisionChoice::Modern;
        let done = self.handshake.get() == Some(&HandshakeOutcome::Done);
        if self.pool.is_primary(&self.instance)
            && self.pool.spec().revision == RevisionChoice::Auto
            && !done
        {
            let refused = link.era() == Era::Modern || self.pool.revisions.was_silent_in_all();
            self.pool.modern_first.store(refused && !began_modern, Ordering::Release);
        }
    }

    /// Records whether a link of the primary instance that ended before the server replied to `initialize`
    /// was ended by the server.
    pub(super) fn note_silence(&self, link: &Link, end: &RunEvent) {
        if !self.pool.is_primary(&self.instance) {
            return;
        }
        let lost = matches!(end, RunEvent::Lost { .. }) && !self.stop.is_cancelled();
        match lost && link.has_been_read() {
            true => _ = self.pool.revisions.note_silence(),
            false => self.pool.revisions.note_unasked(),
        }
    }

    /// Records that the server does not support an era, if the end of a run shows that. `undetected` tells
    /// whether support was unknown when the run started.
    ///
    /// A process that exits during the handshake does not support the era, and neither does one that gave
    /// no answer until the lifecycle ended it.
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
            true => format!("it did not answer within {:?}", self.pool.spec().start_deadline),
            false => reason.clone(),
        };
        let answered = [HandshakeOutcome::NotSpoken, HandshakeOutcome::Refused];
        let for_good = self.handshake.get().is_some_and(|outcome| answered.contains(outcome));
        self.pool.mark_unsupported(&self.instance, &reason, for_now, for_good);
    }
}
