//! What every backend promises, tried on each of them.

mod faults;
mod places;
mod suite;

suite::store_suite!(embedded, crate::places::StateFolder::new());
suite::store_suite!(memory, crate::places::InMemory::default());
