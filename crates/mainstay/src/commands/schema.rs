//! `mainstay schema`: the JSON Schema of the configuration, made from its declaration.

use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(out: &Output) -> Result<Exit, Failure> {
    out.value(&mainstay_config::schema());
    Ok(Exit::Done)
}
