//! Charges the events of a stream to the memory budget, and gives some of it back early.

use bytes::Bytes;
use mainstay_model::budget::UNCHARGED_BYTES_MAX;
use mainstay_model::{BudgetExceeded, MemoryKind};
use mainstay_protocol::{Notification, build};

use super::queue::Queue;
use super::{EventStream, event};

impl EventStream {
    /// Takes back the questions that are kept, because they are closed: in the place of each, the client
    /// reads that it was cancelled. A closed question would only take up memory.
    pub(crate) fn take_back_questions(&self) {
        let mut queue = self.queue.lock();
        for (number, question) in std::mem::take(&mut queue.questions) {
            let Some(at) = number.checked_sub(queue.dropped) else { continue };
            let at = at as usize;
            let Some(before) = queue.events.get(at).cloned() else { continue };
            let params = format!(r#"{{"requestId":{question}}}"#);
            let notice = build::notification(Notification::Cancelled.as_str(), Some(&params));
            let now = self.charge_anyway(event(&notice));
            self.discharge(&before);
            queue.replace(at, now.clone());
            if let Some(resumable) = &self.resumable {
                resumable.share.sub(before.len());
                resumable.share.add(now.len());
            }
        }
    }

    /// Charges an event, even beyond the budget.
    pub(super) fn charge_anyway(&self, event: Bytes) -> Bytes {
        if event.len() <= UNCHARGED_BYTES_MAX {
            self.charge.grow(event.len());
        }
        self.budget.hold_over(MemoryKind::Streams, event)
    }

    pub(super) fn try_append(&self, queue: &mut Queue, event: Bytes) -> Result<(), BudgetExceeded> {
        if event.len() <= UNCHARGED_BYTES_MAX {
            self.charge.try_grow(event.len())?;
        }
        let event = self.budget.hold(MemoryKind::Streams, event)?;
        self.append(queue, event);
        Ok(())
    }

    /// Gives back the charge of a small event.
    pub(super) fn discharge(&self, event: &Bytes) {
        if event.len() <= UNCHARGED_BYTES_MAX {
            self.charge.shrink(event.len());
        }
    }
}
