//! What every backend promises, tried on each of them.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

mod faults;
mod places;
mod suite;

suite::store_suite!(embedded, crate::places::StateFolder::new());
suite::store_suite!(memory, crate::places::InMemory::default());
suite::failing_suite!(embedded_failing, Some(crate::places::StateFolder::new()));
suite::failing_suite!(memory_failing, Some(crate::places::InMemory::default()));
suite::hanging_suite!(embedded_hanging, crate::places::StateFolder::whose_threads_freeze());
suite::hanging_suite!(memory_hanging, Some(crate::places::InMemory::default()));
