//! Charges the messages of a server to the memory budget, from their first bytes on.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::budget::UNCHARGED_BYTES_MAX;
use mainstay_model::{Budget, BudgetExceeded, Charge, MemoryKind};

use crate::link::Link;
use crate::request::Lost;

/// What a reader of messages has charged: the message that it is reading.
#[derive(Debug)]
pub(crate) struct Intake {
    budget: Budget,
    unfinished: Charge,
    /// Why the unfinished message was given up.
    given_up: Option<BudgetExceeded>,
}

// === impl Intake ===

impl Intake {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, unfinished: budget.charge(MemoryKind::Answers), given_up: None }
    }

    /// Charges what is held of the unfinished message.
    ///
    /// # Errors
    /// When there is no room for it. The reader must discard the message then.
    pub(crate) fn note_held(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        let charged = if bytes > UNCHARGED_BYTES_MAX { bytes } else { 0 };
        if charged == self.unfinished.bytes() {
            return Ok(());
        }
        self.unfinished.resize(charged).inspect_err(|exceeded| {
            self.unfinished.shrink(usize::MAX);
            self.given_up = Some(*exceeded);
        })
    }

    /// Charges a finished message and routes it.
    pub(crate) fn dispatch(&mut self, link: &Arc<Link>, message: &Bytes) {
        if message.len() <= UNCHARGED_BYTES_MAX {
            return link.dispatch(message);
        }
        match self.finish(message.clone()) {
            Ok(message) => link.dispatch(&message),
            Err(exceeded) => link.dispatch_unaffordable(message, exceeded),
        }
    }

    /// Charges a finished message for as long as a copy of it exists.
    ///
    /// # Errors
    /// When there is no room for it.
    pub(crate) fn finish(&mut self, message: Bytes) -> Result<Bytes, BudgetExceeded> {
        if message.len() <= UNCHARGED_BYTES_MAX {
            return Ok(message);
        }
        // What was charged while the message was read makes room for it.
        self.unfinished.shrink(message.len());
        self.budget.hold(MemoryKind::Answers, message)
    }

    /// Why a discarded message is lost: there was no room for it, or it has more than `bytes_max`
    /// bytes.
    pub(crate) fn discarded(&mut self, bytes_max: usize) -> Lost {
        self.given_up.take().map_or_else(|| Lost::oversized(bytes_max), Lost::over_budget)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mainstay_model::{Budget, Fate, MemoryKind};

    use super::Intake;

    #[test]
    fn a_message_is_charged_while_it_is_read_and_until_it_is_gone() {
        let budget = Budget::new(1 << 20);
        let used = || budget.of(MemoryKind::Answers).used_bytes;
        let mut intake = Intake::new(budget);
        for held in [10, 20_000, 300_000] {
            intake.note_held(held).unwrap();
        }
        assert_eq!(used(), 300_000);
        let message = intake.finish(Bytes::from(vec![b'x'; 400_000])).unwrap();
        intake.note_held(0).unwrap();
        assert_eq!(used(), 400_000);
        let exceeded = intake.note_held(200_000).unwrap_err();
        assert_eq!(used(), 400_000, "nothing of it is charged");
        assert_eq!(intake.discarded(7).fate, Fate::OverBudget(exceeded));
        assert_eq!(intake.discarded(7).fate, Fate::Oversized);
        assert!(intake.finish(Bytes::from(vec![b'x'; 200_000])).is_err());
        drop(message);
        assert_eq!(used(), 0);
        intake.note_held(200_000).unwrap();
        drop(intake);
        assert_eq!(used(), 0);
    }
}
