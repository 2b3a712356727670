//! Serves the command socket, and creates it again when its file is removed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mainstay_gateway::{Gateway, listener};
use mainstay_store::Folder;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Time between two checks of the file. Commands can't reach the daemon without it.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Device and inode number of the file at the socket's path. `None` if there is none.
type Identity = Option<(u64, u64)>;

/// Serves the command socket until the gateway stops. Programs that clean up folders may remove its file, and
/// nobody can connect to the socket then.
pub(super) async fn serve(gateway: Arc<Gateway>, folder: Arc<Folder>, first: UnixListener) {
    let mut serving = JoinSet::new();
    serving.spawn(listener::serve_unix(gateway.clone(), first));
    let mut known = look(&folder).await.ok().flatten();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            // The gateway stops.
            _ = serving.join_next() => return,
        }
        // A folder that was removed or replaced is reported by whoever writes to it.
        let Ok(found) = look(&folder).await else { continue };
        if found.is_some() && found == known {
            continue;
        }
        match bind(&folder).await {
            Ok((listener, identity)) => {
                tracing::warn!(target: "mainstay", "the command socket was created again: its file had been removed");
                let next = listener::serve_unix(gateway.clone(), listener);
                // Connections that are open have tasks of their own.
                serving.abort_all();
                serving = JoinSet::new();
                serving.spawn(next);
                known = identity;
            }
            Err(error) => tracing::debug!(%error, "the command socket can't be created again"),
        }
    }
}

async fn look(folder: &Arc<Folder>) -> io::Result<Identity> {
    let folder = folder.clone();
    tokio::task::spawn_blocking(move || folder.socket_identity()).await?
}

async fn bind(folder: &Arc<Folder>) -> io::Result<(UnixListener, Identity)> {
    let folder = folder.clone();
    let bound = tokio::task::spawn_blocking(move || {
        let listener = listener::bind_unix(&folder.socket())?;
        Ok((listener, folder.socket_identity()?))
    });
    bound.await?
}
