//! Tests of the gateway in the test's own process, with real servers behind it.

mod ending;
mod exec;
mod hub;
mod non_mcp;
mod restore;
mod scene;
mod topology;
