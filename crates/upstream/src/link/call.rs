//! How a call begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mainstay_protocol::Method;

use super::Link;
use crate::exchange::Exchange;
use crate::request::{Fate, Incoming, Lost, Outgoing, SessionNo};
use crate::transport::Call;

impl Link {
    /// Sends a request without waiting. Every failure comes back as [`Incoming::Lost`].
    pub fn call(
        self: &Arc<Self>,
        request: &Outgoing<'_>,
        owner: SessionNo,
    ) -> Result<Exchange, Lost> {
        if let Some(reason) = self.closed.get() {
            return Err(Lost::new(reason.clone(), Fate::Unsent, true));
        }
        let listens =
            self.is_modern() && request.message.method() == Method::SubscriptionsListen.as_str();
        let Some(slot) = self.calls.insert(owner, listens) else {
            return Err(Lost::new("too many calls in flight at this server", Fate::Refused, false));
        };
        let mut number = NumberText::default();
        let id = number.write(slot.id);
        let call = Call { request, id: slot.id, id_text: id, modern: self.is_modern() };
        let own = match self.transport.call(&call) {
            Ok(own) => own,
            Err(lost) => {
                self.calls.remove(slot.id);
                if lost.link_dead {
                    self.failing.store(true, Ordering::Release);
                }
                return Err(lost);
            }
        };
        // The link may have closed before the call was registered, and would not end it.
        if let Some(reason) = self.closed.get() {
            // An exchange of its own sends nothing before the first poll.
            let fate = if own.is_some() { Fate::Unsent } else { Fate::Unknown };
            slot.push(Incoming::Lost(Lost::new(reason.clone(), fate, true)));
        }
        Ok(Exchange::new(self.clone(), slot, own))
    }
}

/// The decimal text of a number, without an allocation.
#[derive(Debug, Default)]
struct NumberText {
    digits: [u8; 20],
}

impl NumberText {
    fn write(&mut self, mut number: u64) -> &[u8] {
        let mut at = self.digits.len();
        loop {
            at -= 1;
            self.digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.digits[at..];
            }
        }
    }
}
