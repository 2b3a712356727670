//! `[services.NAME]`.

use super::{Machine, pages, probes, programs};
use crate::notes::Notes;
use crate::typed::Named;

pub(super) fn check(service: &Named, machine: Machine<'_>, notes: &mut Notes) {
    let table = &service.table;
    // `image` is refused where it is read; that `command` is missing is no second mistake.
    if !table.is_written("command") && !table.is_written("image") {
        let message = format!("service `{}` has no `command`", service.name);
        notes
            .error(&service.at, &service.path, message)
            .help("write command = [\"PROGRAM\", \"ARGUMENT\"]".to_owned());
    }
    programs::check(service, "service", machine, notes);
    once(service, notes);
    probes::check(service, "service", machine, notes);
    let is_probed = table.table("probe").is_some_and(|probe| probe.is_written("http"));
    pages::check(service, "service", "a service with an `http` probe", is_probed, notes);
}

/// Reports what a job can't have.
fn once(service: &Named, notes: &mut Notes) {
    let table = &service.table;
    if table.word("kind") != Some("once") {
        return;
    }
    for key in ["probe", "pages"] {
        if table.is_written(key) {
            let message = format!("`{key}` does not apply to a job (`kind = \"once\"`)");
            notes
                .error(table.at(key), &format!("{}.{key}", service.path), message)
                .help("a job is done when it has ended with code 0".to_owned());
        }
    }
    if table.is_written("restart") && table.word("restart") == Some("always") {
        let message = "a job that has ended with code 0 is not started again";
        notes
            .error(table.at("restart"), &format!("{}.restart", service.path), message)
            .help("allowed with `kind = \"once\"`: on-failure, never".to_owned());
    }
}
