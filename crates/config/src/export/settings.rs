//! Loads the settings that a client's file needs: the address, and the names of servers and groups.

use std::path::Path;

use crate::load::{LoadRequest, Loaded, load};
use crate::problem::{Problem, Problems};
use crate::stand_in::{EverySecret, stand_in};
use crate::system::{self, Request, from_system};

/// Loads the configuration of this process. Variables and secrets of servers may be missing,
/// because only the daemon may have them. Those of `gateway` are required, as parts of the address.
///
/// # Errors
///
/// As [`from_system`], otherwise.
pub fn settings(request: &Request) -> Result<Loaded, Problems> {
    let problems = match from_system(request.clone()) {
        Ok(loaded) => return Ok(loaded),
        Err(problems) => problems,
    };
    let is_of_gateway = |problem: &Problem| {
        !["servers.", "volumes.", "externals."].iter().any(|begin| problem.key.starts_with(begin))
    };
    if problems.errors().any(is_of_gateway) {
        return Err(problems);
    }
    let Some(file) = system::find_config(request)? else { return Err(problems) };
    let (mut env, home) = system::surroundings();
    stand_in(&file.text, &mut env);
    let mut lenient = LoadRequest::new(system::state_dir(request.state.as_deref())?);
    lenient.base = system::absolute(file.path.parent().unwrap_or(Path::new(".")));
    lenient.disk = Box::new(EverySecret);
    lenient.file = Some(file);
    lenient.env = env;
    lenient.home = home;
    lenient.flags.clone_from(&request.flags);
    load(lenient)
}
