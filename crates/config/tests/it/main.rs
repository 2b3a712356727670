//! Configuration as a whole: from text to settings or to problems.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

mod cases;
mod diff;
mod exports;
mod files;
mod generated;
mod imports;
mod layers;
mod robustness;
mod secrets;
mod world;
