//! Commands that were written on another system.

/// Programs with the same name on every system. A path to one on another system is dropped.
const EVERYWHERE: [&str; 13] = [
    "bun", "bunx", "deno", "docker", "node", "npm", "npx", "pipx", "pnpm", "python", "python3",
    "uv", "uvx",
];

/// Rewrites a command of another system to how this system starts it.
///
/// # Errors
/// When its program is a file that only the other system has.
pub(super) fn at_home(words: &mut Vec<String>, notes: &mut Vec<String>) -> Result<(), String> {
    without_cmd(words, notes);
    let Some(program) = words.first_mut() else { return Ok(()) };
    let base = program.rsplit(['\\', '/']).next().unwrap_or_default().to_ascii_lowercase();
    let stem = [".exe", ".cmd", ".bat"].iter().find_map(|ending| base.strip_suffix(ending));
    let is_elsewhere = is_on_a_drive(program);
    if let Some(name) = EVERYWHERE.iter().find(|name| **name == stem.unwrap_or(&base))
        && (is_elsewhere || stem.is_some())
    {
        notes.push(format!("replaced by `{name}` of this system"));
        *program = (*name).to_owned();
    } else if is_elsewhere {
        return Err("its program is a file of another operating system".to_owned());
    }
    if words[1..].iter().any(|word| is_on_a_drive(word)) {
        notes.push("an argument is a path on a Windows drive".to_owned());
    }
    Ok(())
}

/// Removes `cmd /c`, which Windows needs to start `npx` and others.
fn without_cmd(words: &mut Vec<String>, notes: &mut Vec<String>) {
    let is_cmd = words.len() > 2
        && ["cmd", "cmd.exe"].contains(&&*words[0].to_ascii_lowercase())
        && words[1].eq_ignore_ascii_case("/c");
    if is_cmd {
        words.drain(..2);
        notes.push("`cmd /c` is left out: this system starts programs without it".to_owned());
    }
}

/// `C:\\…`, also with the other slash.
fn is_on_a_drive(word: &str) -> bool {
    matches!(word.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::at_home;

    #[test]
    fn programs_of_another_system() {
        for (words, expected) in [
            (&["cmd", "/c", "npx", "-y", "x"][..], Ok("npx -y x")),
            (&["CMD.EXE", "/C", "C:\\Program Files\\nodejs\\npx.cmd", "x"], Ok("npx x")),
            (&["npx.cmd", "x"], Ok("npx x")),
            (&["c:/Python312/python.exe", "s.py"], Ok("python s.py")),
            (&["C:\\tools\\server.exe"], Err("its program is a file of another operating system")),
            (&["/usr/bin/npx", "x"], Ok("/usr/bin/npx x")),
            (&["npx", "x", "C:\\Users\\a"], Ok("npx x C:\\Users\\a")),
            (&["tool.exe"], Ok("tool.exe")),
            (&[], Ok("")),
        ] {
            let mut given: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            let done = at_home(&mut given, &mut Vec::new());
            let found = done.as_ref().map(|()| given.join(" ")).map_err(String::as_str);
            assert_eq!(found, expected.map(str::to_owned), "{words:?}");
        }
    }
}
