//! A daemon that answers by a script over the command socket, to test what commands do with answers that
//! are hard to get from a real daemon.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

/// Returns status and JSON body for `METHOD PATH` and the body of the request.
pub(crate) type Script = fn(&str, &str) -> (u16, String);

pub(crate) struct Daemon {
    home: tempfile::TempDir,
    heard: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start(script: Script) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let listener = UnixListener::bind(state.join("control.sock")).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if exchange(stream.unwrap(), script, &log).is_none() {
                    break;
                }
            }
        });
        Self { home, heard, thread: Some(thread) }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the bodies of the requests.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

impl Drop for Daemon {
    /// A connection without a request ends the thread.
    fn drop(&mut self) {
        let connected = UnixStream::connect(self.home.path().join("state/control.sock"));
        drop(connected);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads one request and answers it. `None` if the peer sends none.
fn exchange(stream: UnixStream, script: Script, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|count| *count > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let target = first.rsplit_once(' ').map_or("", |(target, _)| target);
    let (status, answer) = script(target, &body);
    heard.lock().push(format!("{target} {body}"));
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nmcp-session-id: s\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    // The program may have ended, as at the end of a session.
    let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
    Some(())
}
