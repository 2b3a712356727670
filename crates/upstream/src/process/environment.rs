//! The part of the daemon's environment that servers get.
//!
//! Least privilege: the daemon's environment holds tokens and passwords of other servers, so the
//! allowed variables are listed and everything else is withheld. The list has what programs need to
//! find their files (`PATH`, `HOME`, folders, libraries), to speak the user's language, to get
//! through a proxy with the right certificates, and what package runners (`npx`, `uvx`) need to
//! find their caches and interpreters. It has no tokens: `NODE_AUTH_TOKEN`, `NPM_TOKEN` or index
//! passwords belong into the server's own `env`, or into the runner's own file under `HOME`.

use std::ffi::{OsStr, OsString};

/// Inherited when set, by exact name.
const NAMES: &[&str] = &[
    // User and paths.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LD_LIBRARY_PATH",
    // Language and time.
    "LANG",
    "LANGUAGE",
    "TZ",
    // Proxies, in both spellings that programs look for.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    // Certificates.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "UV_NATIVE_TLS",
    // Node and its package runner.
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_ENV",
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "NPM_CONFIG_CACHE",
    "NPM_CONFIG_PREFIX",
    "NPM_CONFIG_USERCONFIG",
    "NPM_CONFIG_GLOBALCONFIG",
    "NPM_CONFIG_CAFILE",
    "npm_config_cache",
    "npm_config_prefix",
    "npm_config_userconfig",
    "npm_config_globalconfig",
    "npm_config_cafile",
    // Python and its package runners.
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "VIRTUAL_ENV",
    "PYENV_ROOT",
    "PIPX_HOME",
    "PIP_CACHE_DIR",
    "UV_CACHE_DIR",
    "UV_CONFIG_FILE",
    "UV_PYTHON",
    "UV_PYTHON_INSTALL_DIR",
    "UV_TOOL_DIR",
    "UV_TOOL_BIN_DIR",
    "UV_OFFLINE",
];

/// Inherited when set, by how the name begins: locales and the user's folders.
const PREFIXES: &[&str] = &["LC_", "XDG_"];

/// The part of `environment` that every server gets.
pub(super) fn base(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    environment.into_iter().filter(|(name, _)| is_inherited(name)).collect()
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::base;

    #[test]
    fn what_programs_need_goes_along_and_secrets_do_not() {
        let kept = ["PATH", "HOME", "LC_ALL", "XDG_CACHE_HOME", "https_proxy", "UV_CACHE_DIR"];
        let left = [
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "NODE_AUTH_TOKEN",
            "NPM_TOKEN",
            "UV_INDEX_MAIN_PASSWORD",
            "NOTIFY_SOCKET",
            "MAINSTAY_MARK",
            "LCX",
        ];
        let all = kept.iter().chain(&left).map(|name| ((*name).into(), "x".into()));
        let names: Vec<_> = base(all).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, kept);
    }
}
