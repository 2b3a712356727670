//! A plain HTTP server that remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

/// A site on a port of its own. Dropping it ends it, and all its connections.
pub(super) struct Site {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    /// The heads of all requests, as they came.
    heads: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    /// Connections that are open now.
    open: AtomicUsize,
    is_stopped: AtomicBool,
}

// === impl Site ===

impl Site {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let own = seen.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                own.connections.lock().extend(stream.try_clone());
                let own = own.clone();
                std::thread::spawn(move || {
                    own.open.fetch_add(1, Ordering::SeqCst);
                    // A client that is gone is no fault.
                    let _ = serve(stream, &own);
                    own.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen, accepting: Some(accepting) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests it had.
    pub(super) fn count(&self) -> usize {
        self.seen.heads.lock().len()
    }

    /// The head of the last request.
    pub(super) fn last(&self) -> String {
        self.seen.heads.lock().last().cloned().unwrap_or_default()
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Ends it: nothing listens there any more.
    pub(super) fn stop(&mut self) {
        self.seen.is_stopped.store(true, Ordering::SeqCst);
        // Wakes what accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().unwrap();
        }
        for connection in self.seen.connections.lock().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers one request; the connection ends with it.
fn serve(stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    seen.heads.lock().push(head.clone());
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut out = stream;
    let whole = |status: &str, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
        )
    };
    match &*path {
        "/login" => {
            let headers = "location: /web-ui/?from=login\r\nset-cookie: a=b\r\nx-site: yes\r\n";
            out.write_all(whole("302 Found", headers, "").as_bytes())
        }
        "/broken" => {
            out.write_all(whole("500 Internal Server Error", "", "broken: disk full").as_bytes())
        }
        "/echo" => {
            let body = body_of(&head, &mut reader)?;
            out.write_all(whole("200 OK", "", &body).as_bytes())
        }
        "/stream" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            out.write_all(head.as_bytes())?;
            for index in 0.. {
                let event = format!("data: {index}\n\n");
                out.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        "/drip" => {
            // Promises more than it sends.
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
            out.write_all(head.as_bytes())?;
            // Long enough that the head is passed on before.
            std::thread::sleep(Duration::from_millis(100));
            out.shutdown(Shutdown::Both)
        }
        "/hang" => {
            // Until the other side is gone.
            let mut rest = [0; 64];
            while reader.read(&mut rest)? > 0 {}
            Ok(())
        }
        _ if head.starts_with("HEAD") => {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\nconnection: close\r\n\r\n")
        }
        _ => out.write_all(whole("200 OK", "", &format!("page of {target}")).as_bytes()),
    }
}

/// The body of a request, with a length or in chunks.
fn body_of(head: &str, reader: &mut impl BufRead) -> std::io::Result<String> {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = Vec::new();
    if let Some(length) = length {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    } else {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or_default();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
