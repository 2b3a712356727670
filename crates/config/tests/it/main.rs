//! Configuration as a whole: from text to settings or to problems.

mod cases;
mod files;
mod generated;
mod layers;
mod robustness;
mod secrets;
mod world;
