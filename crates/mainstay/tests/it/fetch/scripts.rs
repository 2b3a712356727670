//! Scripts for `npm` and `uv` that answer from files and record their arguments.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// `view` prints the digest in `registry/NAME@VERSION`; `install` creates a package with one program.
/// Installs into the folder in which it is started, as npm does.
const NPM: &str = r#"#!/bin/sh
folder=$PWD
cd "$REGISTRY"
echo "npm $*" >> asked
case "$1 $2" in
"view hangs@1.0.0") sleep 1000 & echo $! > sleeper; wait ;;
"view y") echo '"1.2.3"' ;;
"view y@^1") echo '["1.10.0", "1.2.0", "1.10.0-beta"]' ;;
"view "*)
    [ -f "$2" ] || { echo "npm error E404 no $2" >&2; exit 1; }
    printf '{"dist.integrity": "%s", "dist.shasum": "0"}\n' "$(cat "$2")"
    ;;
"install "*)
    # npm reads another global configuration then, without the machine's registry and certificates.
    for word; do case "$word" in --prefix*) exit 1 ;; esac; done
    [ -f installs ] || cp y@1.0.0 installs
    mkdir -p "$folder/node_modules/.bin" "$folder/node_modules/y"
    echo '{"bin": {"why": "y.js"}}' > "$folder/node_modules/y/package.json"
    [ -f program ] || echo /bin/true > program
    ln -s "$(cat program)" "$folder/node_modules/.bin/why"
    printf '{"packages": {"node_modules/y": {"version": "1.0.0", "integrity": "%s"}}}' \
        "$(cat installs)" > "$folder/package-lock.json"
    ;;
*) exit 1 ;;
esac
"#;

/// `pip compile` prints the digests in `registry/NAME==VERSION`; `tool install` creates a program.
const UV: &str = r#"#!/bin/sh
cd "$REGISTRY"
echo "uv $*" >> asked
case "$1 $2" in
"pip compile")
    read -r wanted
    case "$wanted" in "a" | "a>=1") echo "a==1.5"; exit ;; esac
    [ -f "$wanted" ] || { echo "error: no $wanted" >&2; exit 1; }
    echo "$wanted \\"
    for hash in $(cat "$wanted"); do echo "    --hash=$hash"; done
    ;;
"tool install")
    mkdir -p "$UV_TOOL_BIN_DIR"
    ln -s /bin/true "$UV_TOOL_BIN_DIR/a"
    ;;
*) exit 1 ;;
esac
"#;

/// Writes both scripts into `bin` and creates the folder of their answers.
pub(super) fn write(home: &Path) {
    for folder in ["bin", "registry"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    for (name, script) in [("npm", NPM), ("uv", UV)] {
        let path = home.join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
