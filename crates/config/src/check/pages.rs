//! Pages that are passed through.

use crate::notes::Notes;
use crate::typed::Named;

/// Checks the pages of a server or service. `default`: the key that says where they are by default.
pub(super) fn check(
    owner: &Named,
    noun: &str,
    default: &str,
    has_default: bool,
    notes: &mut Notes,
) {
    let Some(table) = owner.table.table("pages") else { return };
    let path = format!("{}.pages", owner.path);
    let at = owner.table.at("pages");
    if !table.is_written("paths") {
        let message = format!("the pages of {noun} `{}` need a list of `paths`", owner.name);
        notes
            .error(at, &path, message)
            .help("nothing is passed that is not written, as in paths = [\"/health\"]".to_owned());
    }
    for key in ["paths", "methods"] {
        if table.is_empty_list(key) {
            let message = format!("`{key}` is empty, so nothing is ever passed");
            notes.error(table.at(key), &format!("{path}.{key}"), message);
        }
    }
    if !table.is_written("target") && !has_default {
        let message = format!("the pages of {noun} `{}` need a `target`", owner.name);
        notes.error(at, &path, message).help(format!(
            "write target = \"http://127.0.0.1:PORT\"; only {default} has a default"
        ));
    }
    let target = table.text("target").and_then(|target| url::Url::parse(target).ok());
    let is_more =
        |url: &url::Url| url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if target.is_some_and(|url| is_more(&url)) {
        let message = "`target` is more than scheme, host and port";
        notes
            .error(table.at("target"), &format!("{path}.target"), message)
            .help("paths are passed as they are; write them into `paths`".to_owned());
    }
}
