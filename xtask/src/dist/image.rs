//! The container image: nothing but the program, certificates, and what a program expects to find.
//!
//! The file is what `docker save` writes, so `docker load` and `podman load` take it with its entry point, user,
//! volume and health check.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};

use super::pack;
use super::program::Program;

/// Where the program and its files are in the image. `mainstay service show compose` relies on it.
const PROGRAM: &str = "usr/local/bin/mainstay";
const CONFIG: &str = "/etc/mainstay/mainstay.toml";
const STATE: &str = "/var/lib/mainstay";

/// Where Debian keeps the certificates of authorities. The image gets a copy.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Nobody in particular, by the number that images without a system use. Any other user works as well.
const USER: u32 = 65532;

const PORT: u16 = 8000;

/// Nanoseconds, as images count.
const SECOND: u64 = 1_000_000_000;

/// What goes into one image.
pub(super) struct Image<'a> {
    pub(super) program: &'a Program,
    pub(super) time: u64,
}

// === impl Image ===

impl Image<'_> {
    /// Writes the image and its checksum into the folder and returns the name of the file.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<String> {
        let work = folder.join("image");
        let layer = work.join("layer.tar");
        self.write_files(&work.join("files"))?;
        pack::tar(&layer, &work.join("files"), &["etc", "tmp", "usr", "var"], self.time)?;
        let config = self.config(&pack::sha256(&layer)?).to_string();
        pack::put(&work.join("config.json"), 0o644, config.as_bytes())?;
        let id = pack::sha256(&work.join("config.json"))?;
        let config = format!("{id}.json");
        fs::rename(work.join("config.json"), work.join(&config))?;
        let tag = format!("mainstay:{}", self.program.version);
        let manifest = json!([{ "Config": config, "RepoTags": [tag], "Layers": ["layer.tar"] }]);
        pack::put(&work.join("manifest.json"), 0o644, manifest.to_string().as_bytes())?;
        let file = format!("{}-image.tar.gz", self.program.name());
        let members = [&*config, "layer.tar", "manifest.json"];
        pack::tar(&folder.join(&file), &work, &members, self.time)?;
        fs::remove_dir_all(work)?;
        pack::write_checksum(folder, &file)?;
        Ok(file)
    }

    /// Lays out the files of the image.
    fn write_files(&self, inside: &Path) -> anyhow::Result<()> {
        pack::put(&inside.join(PROGRAM), 0o755, &fs::read(&self.program.file)?)?;
        pack::make_folder(&inside.join("tmp"), 0o1777)?;
        // A new volume gets this mode, and any user of the container may keep the state in it.
        pack::make_folder(&inside.join(STATE.trim_start_matches('/')), 0o1777)?;
        let user =
            format!("root:x:0:0:root:{STATE}:\nmainstay:x:{USER}:{USER}:Mainstay:{STATE}:\n");
        pack::put(&inside.join("etc/passwd"), 0o644, user.as_bytes())?;
        let group = format!("root:x:0:\nmainstay:x:{USER}:\n");
        pack::put(&inside.join("etc/group"), 0o644, group.as_bytes())?;
        let certificates = Path::new("/").join(CERTIFICATES);
        ensure!(
            certificates.exists(),
            "{} is missing, and the image needs it to trust remote servers: install ca-certificates",
            certificates.display()
        );
        pack::put(&inside.join(CERTIFICATES), 0o644, &fs::read(certificates)?)
    }

    /// What a container of the image does.
    fn config(&self, layer: &str) -> Value {
        let program = format!("/{PROGRAM}");
        let listen = format!("0.0.0.0:{PORT}");
        let machine = match self.program.machine {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        json!({
            "architecture": machine,
            "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "ExposedPorts": { format!("{PORT}/tcp"): {} },
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", format!("HOME={STATE}"), format!("MAINSTAY_STATE={STATE}")],
                "Entrypoint": [program],
                "Cmd": ["up", "--config", CONFIG, "--listen", listen],
                "Volumes": { STATE: {} },
                "WorkingDir": STATE,
                "StopSignal": "SIGTERM",
                "Healthcheck": {
                    "Test": ["CMD", program, "status", "--healthy"],
                    "Interval": 30 * SECOND,
                    "Timeout": 10 * SECOND,
                    "Retries": 3,
                },
                "Labels": { "org.opencontainers.image.version": self.program.version },
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        })
    }
}
