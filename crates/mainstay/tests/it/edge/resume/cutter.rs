//! A proxy that cuts connections, as real proxies do with idle ones.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Forwards bytes until it is told otherwise. Stops when the value is dropped.
pub(super) struct Cutter {
    pub(super) address: SocketAddr,
    present: Arc<Mutex<Present>>,
    end: DropGuard,
}

/// Ends the present connections, either by closing them or by silently forwarding nothing more.
#[derive(Clone)]
struct Present {
    cut: CancellationToken,
    silence: CancellationToken,
}

// === impl Cutter ===

impl Cutter {
    pub(super) async fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let end = CancellationToken::new();
        let present = Arc::new(Mutex::new(Present::below(&end)));
        let (of, until, target) = (present.clone(), end.clone(), target.to_owned());
        tokio::spawn(until.run_until_cancelled_owned(async move {
            while let Ok((near, _)) = listener.accept().await {
                let present = of.lock().clone();
                tokio::spawn(pass(near, target.clone(), present));
            }
        }));
        Self { address, present, end: end.drop_guard() }
    }

    /// Cuts all present connections. Later ones are forwarded.
    pub(super) fn cut(&self) {
        self.replace().cut.cancel();
    }

    /// Forwards nothing more on present connections and tells neither end.
    pub(super) fn silence(&self) {
        self.replace().silence.cancel();
    }

    fn replace(&self) -> Present {
        let next = Present::below(self.end.token());
        std::mem::replace(&mut *self.present.lock(), next)
    }
}

impl Present {
    fn below(end: &CancellationToken) -> Self {
        Self { cut: end.child_token(), silence: end.child_token() }
    }
}

async fn pass(mut near: TcpStream, target: String, present: Present) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        () = present.cut.cancelled() => {}
        _ = copy_bidirectional(&mut near, &mut far) => {}
        () = present.silence.cancelled() => present.cut.cancelled().await,
    }
}
