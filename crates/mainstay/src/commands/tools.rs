//! `mainstay tools`: lists the tools of the servers, as clients see them.

use mainstay_admin::Client;
use mainstay_admin::api::commands::{MergedToolsPrinted, MissingServer, ServerTools, ToolsPrinted};

use super::call::parameters;
use super::daemon::{self, Merged, Tool};
use crate::cli::{Shared, ToolsArgs, shell};
use crate::exit::{Exit, Failure};
use crate::output::table::{Cell, Column};
use crate::output::{Look, Output, format};

/// Most missing items of a server that are named.
const MISSING_ITEMS_MAX: usize = 20;

mod example;
mod one;

/// The tools of one server, or why there are none.
struct Listed {
    name: String,
    tools: Result<Merged, Failure>,
}

pub(super) fn run(shared: &Shared, args: &ToolsArgs, out: &Output) -> Result<Exit, Failure> {
    let client = daemon::client(shared)?;
    if args.merged {
        let merged = daemon::block_on(
            out.waiting("waiting for the servers").during(daemon::merged_tools(&client)),
        )?;
        show_merged(&merged, out);
        return Ok(Exit::Done);
    }
    if let (Some(server), Some(tool)) = (&args.server, &args.tool) {
        let tools = daemon::block_on(tools_of(&client, server, out))?.tools;
        one::show(server, daemon::find(&tools, server, tool)?, out);
        return Ok(Exit::Done);
    }
    let listed = daemon::block_on(async {
        match &args.server {
            Some(name) => {
                let tools = tools_of(&client, name, out).await?;
                Ok(vec![Listed { name: name.clone(), tools: Ok(tools) }])
            }
            None => everything(&client, out).await,
        }
    })?;
    if out.json {
        out.value(&answer(&listed));
    } else {
        print(&listed, out);
    }
    let failed = !listed.is_empty() && listed.iter().all(|server| server.tools.is_err());
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Asks every server. One that fails does not hide the others.
async fn everything(client: &Client, out: &Output) -> Result<Vec<Listed>, Failure> {
    let status = out.waiting("asking the daemon").during(daemon::status(client)).await?;
    let mut listed = Vec::new();
    for server in status.servers {
        let name = server.name.to_string();
        let tools = tools_of(client, &name, out).await;
        listed.push(Listed { name, tools });
    }
    Ok(listed)
}

async fn tools_of(client: &Client, name: &str, out: &Output) -> Result<Merged, Failure> {
    let waiting = out.waiting(format!("waiting for {name}"));
    let listed = Box::pin(async {
        let mut conversation = daemon::converse(client, name).await?;
        let tools = daemon::list(&mut conversation).await;
        conversation.close().await;
        tools
    });
    daemon::waiting(client, name, &waiting, listed).await
}

fn show_merged(merged: &Merged, out: &Output) {
    let Merged { tools, missing, partly, cut } = merged;
    if out.json {
        let (missing, partly) = (missing.clone(), partly.clone());
        let tools = tools.iter().map(|tool| tool.raw.clone()).collect();
        return out.value(&MergedToolsPrinted {
            endpoint: "/mcp".to_owned(),
            tools,
            missing,
            partly,
        });
    }
    let name = out.paint(Look::Strong, "/mcp");
    out.line(format!("{name}: {}", format::count(tools.len(), "tool")));
    if !tools.is_empty() {
        out.line(tool_table(tools, out));
    }
    for (how, servers) in [("missing", missing), ("not for all clients", partly)] {
        if !servers.is_empty() {
            out.line(format!("{how}:"));
        }
        for server in servers {
            for line in missing_lines(server) {
                out.line(format::wrap(&format::harmless(&line), out.columns(), 2));
            }
        }
    }
    if let Some(line) = cut_line(cut.as_deref()) {
        out.line(line);
    }
}

/// The server that is missing or lacks something, and then the missing items, each on a line of its own.
fn missing_lines(missing: &MissingServer) -> Vec<String> {
    let MissingServer { server, state, why, items, .. } = missing;
    let mut lines = vec![match why {
        Some(why) => format!("  {server} is {state}, but {why}"),
        None => format!("  {server} is {state}"),
    }];
    lines.extend(items.iter().take(MISSING_ITEMS_MAX).map(|item| format!("    {item}")));
    if items.len() > MISSING_ITEMS_MAX {
        lines.push(format!("    and {} more", items.len() - MISSING_ITEMS_MAX));
    }
    lines
}

/// Says that a list ends before its end.
fn cut_line(cut: Option<&str>) -> Option<String> {
    Some(format!("cut: the list is incomplete, because {}", cut?))
}

fn answer(listed: &[Listed]) -> ToolsPrinted {
    let servers = listed.iter().map(|server| ServerTools {
        name: server.name.clone(),
        tools: server
            .tools
            .iter()
            .flat_map(|all| &all.tools)
            .map(|tool| tool.raw.clone())
            .collect(),
        cut: server.tools.as_ref().ok().and_then(|all| all.cut.clone()),
        error: server.tools.as_ref().err().map(|failure| failure.message().to_owned()),
    });
    ToolsPrinted { servers: servers.collect() }
}

fn print(listed: &[Listed], out: &Output) {
    if listed.is_empty() {
        out.line("no servers are configured");
    }
    for (at, server) in listed.iter().enumerate() {
        if at > 0 {
            out.line("");
        }
        let name = out.paint(Look::Strong, &server.name);
        match &server.tools {
            Ok(Merged { tools, .. }) if tools.is_empty() => out.line(format!("{name}: no tools")),
            Ok(Merged { tools, cut, .. }) => {
                out.line(format!("{name}: {}", format::count(tools.len(), "tool")));
                out.line(tool_table(tools, out));
                for (at, tool) in tools.iter().enumerate() {
                    if let Some(misfit) = tool.misfit() {
                        let misfit = format::harmless(&misfit.to_string());
                        let which = match tool.name.as_str() {
                            "" => format!("tool {} of the list", at + 1),
                            _ => shown_name(tool),
                        };
                        let text = format!("clients refuse {which}: {misfit}");
                        out.line(format::wrap(&text, out.columns(), 2));
                    }
                }
                if let Some(line) = cut_line(cut.as_deref()) {
                    out.line(line);
                }
            }
            Err(failure) => {
                let text = format!("{}: {}", server.name, format::harmless(failure.message()));
                let text = format::wrap(&text, out.columns(), 2);
                out.line(text.replacen(&server.name, &name, 1));
            }
        }
    }
    let first = listed.iter().find_map(|server| {
        let tools = &server.tools.as_ref().ok()?.tools;
        let tool = tools.iter().find(|tool| example::is_typed(&tool.name))?;
        Some(format!("mainstay tools {} {}", server.name, shell::quoted(&tool.name)))
    });
    if let Some(first) = first {
        out.next(&[&first]);
    }
}

fn shown_name(tool: &Tool) -> String {
    if tool.name.is_empty() { "(no name)".to_owned() } else { one_line(&tool.name) }
}

fn tool_table(tools: &[Tool], out: &Output) -> String {
    let rows = tools.iter().map(|tool| {
        let arguments = parameters::summary(&tool.schema);
        let arguments = arguments.iter().map(|one| one_line(one)).collect();
        [
            format!("  {}", shown_name(tool)).into(),
            Cell::parts(arguments),
            format::first_line(&tool.description).into(),
        ]
    });
    let columns =
        [Column::whole("  TOOL"), Column::spare("ARGUMENTS"), Column::spare("DESCRIPTION")];
    out.table(columns, &rows.collect::<Vec<_>>())
}

/// Foreign text on one line.
fn one_line(text: &str) -> String {
    format::harmless(text).replace(['\n', '\t'], " ")
}
