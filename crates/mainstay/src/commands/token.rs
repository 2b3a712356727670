//! `mainstay token`: what opens the admin API to programs.

use mainstay_admin::Tokens;
use mainstay_admin::api::commands::TokenPrinted;
use mainstay_store::{Folder, KeyName};

use crate::cli::{Shared, TokenArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(shared: &Shared, args: &TokenArgs, out: &Output) -> Result<Exit, Failure> {
    let state = mainstay_config::state_dir(shared.state.as_deref())?;
    let key = Folder::existing_key(&state.path, KeyName::Token).map_err(|error| {
        Failure::of(Exit::Failed, &error)
            .hint("if the file is damaged, remove it: the daemon makes other tokens when it starts")
    })?;
    let Some(key) = key else {
        let message = format!("there are no tokens in {} yet", state.path.display());
        return Err(Failure::new(Exit::Failed, message)
            .hint("a daemon makes them when it starts for the first time: `mainstay up`")
            .hint("a daemon with another state folder is meant with --state DIR"));
    };
    let tokens = Tokens::new(&key);
    let (name, token) = if args.read { ("read", tokens.read()) } else { ("admin", tokens.admin()) };
    if out.json {
        out.value(&TokenPrinted { name, token: token.expose().clone() });
    } else {
        out.line(token.expose());
    }
    Ok(Exit::Done)
}
