//! Scripted servers and clients for tests, with seeded faults. Never in a release build.

pub mod fixture;
