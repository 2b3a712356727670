//! The log of events.

use mainstay_store::events::{EVENTS_MAX, EVENTS_OF_ONE_MAX, PAGE_MAX};
use mainstay_store::{Answer, Event, EventLog, EventPage, EventsAsked, Stored, StoredEvent};

use super::MemoryStore;

impl EventLog for MemoryStore {
    fn record(&self, event: Event) {
        let event = event.cut();
        self.note(|data| {
            let since_ms = event.keeps_since_ms();
            let id = data.events.last().map_or(0, |last| last.id) + 1;
            let server = event.server.clone();
            data.events.push(StoredEvent { id, event });
            let mut of_one = data.events.iter().rev().filter(|it| it.event.server == server);
            let beyond = of_one.nth(EVENTS_OF_ONE_MAX as usize).map_or(0, |oldest| oldest.id);
            data.events.retain(|it| {
                it.event.at_ms >= since_ms && (it.id > beyond || it.event.server != server)
            });
            let beyond = data.events.len().saturating_sub(EVENTS_MAX as usize);
            data.events.drain(..beyond);
        });
    }

    fn page(&self, asked: EventsAsked) -> Answer<'_, EventPage> {
        Box::pin(async move {
            self.answers().await?;
            let limit = asked.limit.min(PAGE_MAX);
            Ok(self.read(|data| {
                let all = data.events.iter().filter(|event| asked.includes(event));
                let mut events: Vec<_> = all.cloned().collect();
                let beyond = events.len().saturating_sub(limit);
                match asked.after {
                    None => _ = events.drain(..beyond),
                    Some(_) => events.truncate(limit),
                }
                EventPage { events, is_cut: beyond > 0 }
            }))
        })
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}
