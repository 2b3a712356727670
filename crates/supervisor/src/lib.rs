//! Decides which instances should live and what comes next. Reads no clock, starts no process.
