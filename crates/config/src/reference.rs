//! The reference page, `docs/configuration.md`.

use mainstay_model::settings::Cpus;

use crate::document::{declared_json, toml_text};
use crate::keys::{Amount, Item, Key, Kind, Map, Section, TOP_LEVEL};
use crate::units::{format_duration, format_size};

const HEAD: &str = r#"# Configuration

<!-- Generated from the declarations in crates/config/src/keys. `MAINSTAY_BLESS=1 cargo test -p mainstay-config` writes it anew. -->

Mainstay reads one file, `mainstay.toml`.

- `mainstay init` writes a starter file.
- `mainstay check` reports all problems at once, each with its line.
- `mainstay check --resolved` shows each value in force and where it comes from.
- `mainstay schema` prints a JSON Schema for editors.

## Where the file is

Mainstay uses the first of these that exists: `--config FILE`, `./mainstay.toml`,
`$XDG_CONFIG_HOME/mainstay/mainstay.toml` (by default `~/.config/mainstay/mainstay.toml`), `/etc/mainstay/mainstay.toml`.
Without a file, all settings have their defaults and there are no servers.

The state folder is `--state DIR`, or else `MAINSTAY_STATE`, or else `/var/lib/mainstay` for root and
`$XDG_STATE_HOME/mainstay` (by default `~/.local/state/mainstay`) for other users.

## Precedence

Flags override the environment, the environment overrides the file, and the file overrides the defaults.

The variable for a key is `MAINSTAY__` and the path of the key in capitals, with two underscores between its parts:

| variable | key |
| --- | --- |
| `MAINSTAY__GATEWAY__LISTEN=127.0.0.1:9000` | `gateway.listen` |
| `MAINSTAY__SERVERS__WEATHER__REQUIRED=true` | `servers.weather.required` |
| `MAINSTAY__SERVERS__WEATHER__COMMAND='["npx", "weather"]'` | `servers.weather.command` |
| `MAINSTAY__SERVERS__WEATHER__ENV__API_KEY=…` | `servers.weather.env.API_KEY` |
| `MAINSTAY__SERVERS__WEATHER__HEADERS__X_API_KEY=…` | `servers.weather.headers.X-API-KEY` |
| `MAINSTAY__GATEWAY__ALLOWED_HOSTS=a.example,b.example` | `gateway.allowed_hosts` |

A rule of `[servers.NAME.tools]` is found by the letters and digits of its pattern: `"search_*"` by `SEARCH`.

Server names in variables are case-insensitive, and `_` matches `-`. A name that is not in the file adds a server. A name
with two consecutive underscores can only be set in the file. An unknown key or variable is an error, which suggests the
nearest known one.

## Values

| kind | form |
| --- | --- |
| duration | whole numbers with `ms`, `s`, `m`, `h`, `d`: `"500ms"`, `"30s"`, `"1h30m"` |
| size | a whole number with `B`, `KB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB` (of 1024): `"4MiB"` |
| path | `~` is the home folder; relative paths start at the folder of the file |
| variable | `${NAME}` in any text; `${NAME:-default}` if the variable may be missing or empty; `$$` for a dollar sign |
| secret | `"secret:env:NAME"` or `"secret:file:PATH"` as a whole value, for the keys below that allow it; a newline at the end of the file is removed |

Secrets and all values of `env` and `headers` are never shown, neither in problems, logs and status nor by `--resolved`.
Where a server itself prints one, its output is shown and logged with `***` in the place of `secret:` references and of
values whose names say that they are secret, such as `API_KEY`. So is a `command` with such a `${NAME}` in it; other users of
the machine may still see it in the list of processes, so prefer `env`. Keys in a `url` are masked by `--resolved`, too.
"#;

/// The reference page in Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for top in &TOP_LEVEL {
        section(&mut text, top.section);
    }
    text
}

fn section(text: &mut String, section: &Section) {
    text.push_str(&format!("\n## `[{}]`\n\n", section.title));
    for line in wrap(section.doc, 118) {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str("\n| key | value | default | |\n| --- | --- | --- | --- |\n");
    let inner: Vec<_> = section.keys.iter().filter_map(|key| row(text, key)).collect();
    if !section.example.is_empty() {
        text.push_str(&format!("\n```toml\n{}\n```\n", section.example.trim_end()));
    }
    for table in inner {
        self::section(text, table);
    }
}

/// Writes the row of a key. Returns the table that the key holds, which is documented later.
fn row(text: &mut String, key: &Key) -> Option<&'static Section> {
    let default = key
        .default
        .map_or("–".to_owned(), |toml| format!("`{}`", toml_text(&declared_json(toml))));
    let example = format!("`{}`", toml_text(&declared_json(key.example)));
    let mut doc = match key.kind {
        Kind::Refused { why, instead } => format!("{} Refused: {why}; {instead}.", key.doc),
        _ => key.doc.to_owned(),
    };
    match key.kind {
        Kind::Choice(words) | Kind::List(Item::Word(words)) => {
            for word in words {
                doc.push_str(&format!("<br>`\"{}\"`: {}", word.word, word.doc));
            }
        }
        _ if example != default => doc.push_str(&format!("<br>Example: {example}")),
        _ => {}
    }
    let cells = [format!("`{}`", key.name), kind_text(&key.kind), default, doc]
        .map(|cell| cell.replace('|', "\\|"));
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
    match key.kind {
        Kind::Table(section) | Kind::Patterns(section) => Some(section),
        _ => None,
    }
}

fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Choice(_) => "one word".to_owned(),
        Kind::Count { min, max } => format!("number, {min} to {max}"),
        Kind::Size { min, max } => format!("size, {} to {}", format_size(*min), format_size(*max)),
        Kind::Cpus { min, max } => {
            format!("number, {} to {}", Cpus::from_thousandths(*min), Cpus::from_thousandths(*max))
        }
        Kind::Duration { min, max } => {
            format!("duration, {} to {}", format_duration(*min), format_duration(*max))
        }
        Kind::Listen => "address".to_owned(),
        Kind::HostPort => "host and port".to_owned(),
        Kind::Account => "name or number".to_owned(),
        Kind::Url(schemes) => format!("URL, {}; no password in it", schemes.join(" or ")),
        Kind::KeyedUrl(schemes) | Kind::HookUrl(schemes) => {
            format!("URL, {}; no password in it, `secret:` allowed", schemes.join(" or "))
        }
        Kind::SecretUrl(schemes) => format!("URL, {}; `secret:` allowed", schemes.join(" or ")),
        Kind::Text => "text".to_owned(),
        Kind::Signal => "signal".to_owned(),
        Kind::Args => "table, or JSON as text".to_owned(),
        Kind::Expected => "table of values and lists of values".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Command => "list of strings, at least one".to_owned(),
        Kind::List(Item::Host) => "list of hosts".to_owned(),
        Kind::List(Item::Origin) => "list of origins".to_owned(),
        Kind::List(Item::Network) => "list of IP addresses and ranges".to_owned(),
        Kind::List(Item::Server) => "list of servers".to_owned(),
        Kind::List(Item::Need) => "list of needs".to_owned(),
        Kind::List(Item::PagePath) => "list of paths".to_owned(),
        Kind::List(Item::Method) => "list of methods".to_owned(),
        Kind::List(Item::Tool) => "list of names of tools".to_owned(),
        Kind::List(Item::Word(_)) => "list of words".to_owned(),
        Kind::Secrets(Map::Variables) => "table of variables; `secret:` allowed".to_owned(),
        Kind::Secrets(Map::Headers) => "table of headers; `secret:` allowed".to_owned(),
        Kind::Table(_) => "table, below".to_owned(),
        Kind::Patterns(_) => "table of tables, below".to_owned(),
        Kind::Maxima(Amount::Count) => "table of numbers, by the paths of arguments".to_owned(),
        Kind::Maxima(Amount::Size) => "table of sizes, by the paths of arguments".to_owned(),
        Kind::Refused { .. } => "–".to_owned(),
    }
}

/// Lines of at most `width` characters, broken between words.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
