//! Every known client.

use serde_json::json;

use super::{Client, Format, Further, USUAL, typed_http, typed_stdio};

/// The files of OpenCode in one folder. It reads all of them.
const OPENCODE: [&str; 3] = ["opencode.json", "opencode.jsonc", "config.json"];

const UNTRUSTED: &str = "Gemini CLI connects to no server in a folder that it does not trust; `/permissions trust` in \
                         it trusts one";

/// Every known client, in the order in which they are listed.
pub static CLIENTS: [Client; 18] = [
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        takes_url: false,
        files: |at| vec![at.applications.join("Claude/claude_desktop_config.json")],
        ..USUAL
    },
    Client {
        id: "claude-code",
        title: "Claude Code",
        files: |at| vec![at.claude.as_ref().unwrap_or(&at.home).join(".claude.json")],
        by_url: typed_http,
        by_command: typed_stdio,
        project: &[".mcp.json"],
        further: Further::Projects,
        ..USUAL
    },
    Client {
        id: "cursor",
        title: "Cursor",
        files: |at| vec![at.home.join(".cursor/mcp.json")],
        project: &[".cursor/mcp.json"],
        ..USUAL
    },
    Client {
        id: "vscode",
        title: "VS Code",
        table: "servers",
        files: |at| vec![at.applications.join("Code/User/mcp.json")],
        by_url: typed_http,
        by_command: typed_stdio,
        project: &[".vscode/mcp.json"],
        ..USUAL
    },
    Client {
        id: "windsurf",
        title: "Windsurf",
        files: |at| vec![at.home.join(".codeium/windsurf/mcp_config.json")],
        by_url: |url| vec![("serverUrl", json!(url))],
        ..USUAL
    },
    Client {
        id: "zed",
        title: "Zed",
        table: "context_servers",
        files: |at| vec![at.config.join("zed/settings.json")],
        project: &[".zed/settings.json"],
        ..USUAL
    },
    Client {
        id: "codex",
        title: "Codex",
        format: Format::Toml,
        table: "mcp_servers",
        files: |at| {
            let codex = at.codex.clone().unwrap_or_else(|| at.home.join(".codex"));
            vec![codex.join("config.toml")]
        },
        project: &[".codex/config.toml"],
        ..USUAL
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        files: |at| vec![at.home.join(".gemini/settings.json")],
        by_url: |url| vec![("httpUrl", json!(url))],
        project: &[".gemini/settings.json"],
        note: Some(UNTRUSTED),
        ..USUAL
    },
    Client {
        id: "qwen",
        title: "Qwen Code",
        files: |at| vec![at.home.join(".qwen/settings.json")],
        project: &[".qwen/settings.json"],
        by_url: |url| vec![("httpUrl", json!(url))],
        ..USUAL
    },
    Client {
        id: "opencode",
        title: "OpenCode",
        table: "mcp",
        further: Further::Within,
        files: |at| {
            let folder = at.config.join("opencode");
            let usual = OPENCODE.iter().map(|file| folder.join(file));
            at.opencode.iter().cloned().chain(usual).collect()
        },
        project: &[
            "opencode.json",
            "opencode.jsonc",
            ".opencode/opencode.json",
            ".opencode/opencode.jsonc",
        ],
        by_url: |url| vec![("type", json!("remote")), ("url", json!(url))],
        by_command: |program, args| {
            let words: Vec<_> =
                std::iter::once(program).chain(args.iter().map(String::as_str)).collect();
            vec![("type", json!("local")), ("command", json!(words))]
        },
        ..USUAL
    },
    Client {
        id: "copilot-cli",
        title: "GitHub Copilot CLI",
        files: |at| {
            let copilot = at.copilot.clone().unwrap_or_else(|| at.home.join(".copilot"));
            vec![copilot.join("mcp-config.json")]
        },
        by_url: typed_http,
        by_command: typed_stdio,
        at_first: |_| vec![("tools", json!(["*"]))],
        ..USUAL
    },
    Client {
        id: "cline",
        title: "Cline",
        files: |at| {
            let storage = at.applications.join("Code/User/globalStorage");
            vec![storage.join("saoudrizwan.claude-dev/settings/cline_mcp_settings.json")]
        },
        by_url: |url| vec![("type", json!("streamableHttp")), ("url", json!(url))],
        by_command: typed_stdio,
        ..USUAL
    },
    Client {
        id: "continue",
        title: "Continue",
        // A file of its own, which Continue reads beside its `config.yaml`.
        files: |at| vec![at.home.join(".continue/mcpServers/mainstay.json")],
        by_url: typed_http,
        project: &[".continue/mcpServers/mainstay.json"],
        ..USUAL
    },
    Client {
        id: "junie",
        title: "JetBrains Junie",
        // Its editor plugins can't connect to addresses.
        takes_url: false,
        files: |at| vec![at.home.join(".junie/mcp/mcp.json")],
        project: &[".junie/mcp/mcp.json"],
        ..USUAL
    },
    Client {
        id: "lm-studio",
        title: "LM Studio",
        files: |at| vec![at.home.join(".lmstudio/mcp.json")],
        ..USUAL
    },
    Client {
        id: "goose",
        title: "Goose",
        format: Format::Yaml,
        table: "extensions",
        files: |at| vec![at.home.join(".config/goose/config.yaml")],
        by_url: |url| vec![("type", json!("streamable_http")), ("uri", json!(url))],
        by_command: |program, args| {
            vec![("type", json!("stdio")), ("cmd", json!(program)), ("args", json!(args))]
        },
        at_first: |name| {
            vec![("name", json!(name)), ("description", json!("")), ("enabled", json!(true))]
        },
        ..USUAL
    },
    Client {
        id: "inspector",
        title: "MCP Inspector",
        files: |at| vec![at.home.join(".mcp-inspector/mcp.json")],
        by_url: |url| vec![("type", json!("streamable-http")), ("url", json!(url))],
        by_command: typed_stdio,
        ..USUAL
    },
    Client { id: "generic", title: "any other client", by_url: typed_http, ..USUAL },
];
