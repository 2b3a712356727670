//! A DNS server that knows a few names, for programs that read `/etc/resolv.conf`.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A DNS server on loopback. All names that it knows are those of 127.0.0.1. Dropping it ends it.
pub struct NameServer {
    address: Ipv4Addr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Resolvers know no other.
const PORT: u16 = 53;
/// How soon it notices that it has to end.
const TICK: Duration = Duration::from_millis(50);

/// A header of six numbers of two bytes.
const HEADER_BYTES: usize = 12;
const ADDRESS: u16 = 1;
const NO_SUCH_NAME: u8 = 3;

// === impl NameServer ===

impl NameServer {
    /// Starts it at a loopback address of its own. None where this user may not listen on port 53, which is
    /// said on standard error.
    ///
    /// # Panics
    /// When it can't be started for another reason.
    #[must_use]
    pub fn try_start(names: &[&str]) -> Option<Self> {
        let [high, low] = u16::try_from(std::process::id() % 0xffff).ok()?.to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low);
        let socket = match UdpSocket::bind((address, PORT)) {
            Ok(socket) => socket,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{address}: {error}");
                let _ = writeln!(io::stderr(), "SKIPPED: no DNS server can be started: {error}");
                return None;
            }
        };
        socket.set_read_timeout(Some(TICK)).expect("a socket has timeouts");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let ends = Arc::new(AtomicBool::new(false));
        let ending = ends.clone();
        let thread = std::thread::spawn(move || {
            let mut question = [0; 512];
            while !ending.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = answer(&question[..length], &names) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Some(Self { address, ends, thread: Some(thread) })
    }

    /// The content of `/etc/resolv.conf` for those who should ask it.
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\noptions timeout:5 attempts:3\n", self.address)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one question (RFC 1035, section 4.1). None: it is no question.
fn answer(question: &[u8], names: &[String]) -> Option<Vec<u8>> {
    let mut rest = question.get(HEADER_BYTES..)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_lowercase());
    }
    let kind = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let end = question.len() - rest.len() + 4;
    let is_known = names.contains(&labels.join("."));
    let is_answered = is_known && kind == ADDRESS;
    let mut answer = question[..2].to_vec();
    // An answer of a server that asks others for the asker, to one question.
    answer.extend([0x81, 0x80 | if is_known { 0 } else { NO_SUCH_NAME }, 0, 1]);
    answer.extend([0, u8::from(is_answered), 0, 0, 0, 0]);
    answer.extend_from_slice(question.get(HEADER_BYTES..end)?);
    if is_answered {
        // The name of the question, an address of the Internet, not to be kept, of four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}
