//! `mainstay token`: what opens the admin API to programs.

use std::io::ErrorKind;

use mainstay_admin::Tokens;
use mainstay_admin::api::commands::TokenPrinted;
use mainstay_store::{Folder, KeyName, OpenError};

use crate::cli::{Shared, TokenArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(shared: &Shared, args: &TokenArgs, out: &Output) -> Result<Exit, Failure> {
    let state = mainstay_config::state_dir(shared.state.as_deref())?;
    let key = Folder::existing_key(&state.path, KeyName::Token)
        .map_err(|error| Failure::of(Exit::Failed, &error).hint(remedy(&error)))?;
    let Some(key) = key else {
        let message = format!("there are no tokens in {} yet", state.path.display());
        return Err(Failure::new(Exit::Failed, message)
            .hint("a daemon makes them when it starts for the first time: `mainstay up`")
            .hint("use --state DIR for a daemon with another state folder"));
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

/// What to do when the key of the tokens can't be read.
fn remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "run this command as the user that the daemon runs as"
        }
        _ => "if the file is damaged, remove it: the daemon makes other tokens when it starts",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use mainstay_store::OpenError;

    use super::remedy;

    #[test]
    fn a_key_that_may_not_be_read_is_not_to_be_removed() {
        let hint = |kind| {
            let (path, source) = ("/state/token.key".into(), Error::from(kind));
            remedy(&OpenError::Io { step: "read", path, source })
        };
        let other_user = "run this command as the user that the daemon runs as";
        assert_eq!(hint(ErrorKind::PermissionDenied), other_user);
        assert!(hint(ErrorKind::InvalidData).contains("remove it"));
    }
}
