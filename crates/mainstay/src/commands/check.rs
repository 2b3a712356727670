//! `mainstay check`: lists every problem of the configuration with its place.

use mainstay_config::{Loaded, Place, Problem, Problems, Severity, from_system};
use mainstay_model::Name;
use mainstay_model::settings::{ProcessSpec, Runtime};
use mainstay_upstream::process::{SpawnError, check_account};
use serde_json::json;

use crate::cli::{CheckArgs, Shared};
use crate::compose::limits;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, format};

pub(super) fn run(shared: &Shared, args: &CheckArgs, out: &Output) -> Result<Exit, Failure> {
    let Some(file) = &args.file else { return check(shared, args, out) };
    if shared.config.is_some() {
        return Err(Failure::new(Exit::Usage, "both --config and FILE name a configuration")
            .hint("leave one of them out"));
    }
    let shared = Shared { config: Some(file.clone()), ..shared.clone() };
    check(&shared, args, &Output::new(&shared))
}

fn check(shared: &Shared, args: &CheckArgs, out: &Output) -> Result<Exit, Failure> {
    match from_system(shared.request(None)) {
        Ok(mut loaded) => {
            let unknown = unknown_accounts(&loaded);
            loaded.warnings.extend(unknown);
            let settings = &loaded.settings.gateway.limits;
            let budget = limits::memory_budget(settings);
            loaded.warnings.extend(limits::beyond_budget(settings, &loaded.origins, budget));
            limits::show_effective(settings, &mut loaded.origins);
            if let Some(problem) = loaded.no_server() {
                loaded.warnings.push(problem);
                nothing_to_run(&loaded, args, out);
                return Ok(Exit::Usage);
            }
            holds(&loaded, args, out);
            Ok(Exit::Done)
        }
        Err(problems) => {
            does_not_hold(&problems, out);
            Ok(Exit::Usage)
        }
    }
}

/// Users and groups that this machine does not have. What runs as them fails there, and the rest runs.
fn unknown_accounts(loaded: &Loaded) -> Vec<Problem> {
    let place = || match &loaded.file {
        Some(file) => Place::File { file: file.clone() },
        None => Place::Settings,
    };
    let problem = |kind: &str, name: &Name, process: &ProcessSpec| {
        let error = check_account(process).err()?;
        let key = if matches!(error, SpawnError::UnknownGroup { .. }) { "group" } else { "user" };
        let key = format!("{kind}.{name}.{key}");
        Some(Problem {
            severity: Severity::Warning,
            place: place(),
            message: format!("{key}: {error}"),
            key,
            help: error.hint(),
        })
    };
    let settings = &loaded.settings;
    let servers = settings.servers.iter().filter_map(|server| match &server.runtime {
        Runtime::Process(process) => problem("servers", &server.name, process),
        Runtime::Remote(_) => None,
    });
    let services = settings.services.iter();
    let services = services.filter_map(|it| problem("services", &it.name, &it.process));
    servers.chain(services).collect()
}

fn holds(loaded: &Loaded, args: &CheckArgs, out: &Output) {
    if out.json {
        let file = &loaded.file;
        let mut answer = json!({ "ok": true, "file": file, "problems": loaded.warnings });
        if args.resolved {
            answer["resolved"] = json!(loaded.origins.resolved());
        }
        out.value(&answer);
        return;
    }
    if !out.is_quiet() {
        list(&loaded.warnings, out);
    }
    if args.resolved {
        out.line(loaded.origins.resolved().to_string().trim_end());
        return;
    }
    let settings = &loaded.settings;
    let file = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "no configuration file, so the defaults".to_owned(),
    };
    let servers = format::count(settings.servers.len(), "server");
    let verdict = out.paint(Look::Good, "ok");
    let others: String = [
        (settings.services.len(), "service"),
        (settings.externals.len(), "external"),
        (settings.volumes.len(), "volume"),
        (settings.endpoints.len(), "group"),
        (settings.notify.len(), "notification"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, noun)| format!(", {}", format::count(count, noun)))
    .collect();
    out.line(format!("{file}: {verdict}: {servers}{others}{}", tally(&loaded.warnings)));
    out.next(&["mainstay up", "mainstay check --resolved"]);
}

/// Reports a configuration without servers, which `mainstay up` refuses, too.
fn nothing_to_run(loaded: &Loaded, args: &CheckArgs, out: &Output) {
    let problems = &loaded.warnings;
    if out.json {
        let mut answer = json!({ "ok": false, "file": loaded.file, "problems": problems });
        if args.resolved {
            answer["resolved"] = json!(loaded.origins.resolved());
        }
        return out.value(&answer);
    }
    if args.resolved {
        out.line(loaded.origins.resolved().to_string().trim_end());
    }
    list(problems, out);
    out.line(tally(problems).trim_start_matches(", "));
    out.next(&["mainstay init", "mainstay add NAME -- COMMAND", "mainstay demo"]);
}

fn does_not_hold(problems: &Problems, out: &Output) {
    if out.json {
        out.value(&json!({ "ok": false, "problems": problems }));
        return;
    }
    list(&problems.problems, out);
    out.line(tally(&problems.problems).trim_start_matches(", "));
}

fn list(problems: &[Problem], out: &Output) {
    for problem in problems {
        out.line(problem.to_string());
        out.line("");
    }
}

/// Counts problems, as in `, 2 errors, 1 warning`. Empty when there are none.
fn tally(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let parts = [(errors, "error"), (problems.len() - errors, "warning")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, noun)| format!(", {}", format::count(count, noun))).collect()
}
