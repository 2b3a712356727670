//! `mainstay schema`: prints the JSON Schema of the configuration.

use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(out: &Output) -> Result<Exit, Failure> {
    out.value(&mainstay_config::schema());
    Ok(Exit::Done)
}
