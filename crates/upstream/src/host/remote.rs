//! Servers that run somewhere already, spoken to over streamable HTTP or HTTP+SSE of 2024-11-05.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainstay_model::InstanceId;
use mainstay_model::settings::RemoteSpec;
use mainstay_supervisor::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::contract::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::remote::sse::{self, NoStream};
use crate::remote::{self, HttpSession, InvalidTarget, KnownTransport, Target};
use crate::transport::TransportAbilities;

/// An address. Its detected transport is kept across all instances.
#[derive(Debug)]
pub(super) struct AddressHost {
    spec: RemoteSpec,
    /// Created by the first start, which reports an invalid address.
    target: OnceLock<Arc<Target>>,
}

/// An instance of a remote server: a session of Mainstay.
struct RemoteInstance {
    target: Arc<Target>,
    way: Way,
    /// The link that is open, if one is.
    link: Option<Arc<Link>>,
    stop: CancellationToken,
}

/// The transport of the next link, or of the open one.
enum Way {
    Http(Option<Arc<HttpSession>>),
    /// HTTP+SSE. `refused`: why streamable HTTP failed.
    Sse {
        refused: Option<String>,
    },
}

/// Waits between tries of an address that gives no answer.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);

// === impl AddressHost ===

impl AddressHost {
    pub(super) fn new(spec: RemoteSpec) -> Self {
        Self { spec, target: OnceLock::new() }
    }

    fn checked(&self) -> Result<Arc<Target>, InvalidTarget> {
        match self.target.get() {
            Some(target) => Ok(target.clone()),
            None => {
                let target = Arc::new(Target::new(&self.spec)?);
                Ok(self.target.get_or_init(|| target).clone())
            }
        }
    }
}

impl Host for AddressHost {
    fn abilities(&self) -> HostAbilities {
        HostAbilities {
            kind: "remote",
            has_pid: false,
            shares_questions: false,
            end_is_answer: false,
            restarts: Restarts::Endless(Backoff::try_new(WAIT_MIN, WAIT_MAX).unwrap_or_default()),
        }
    }

    fn target(&self) -> String {
        self.spec.written.clone()
    }

    fn hide<'a>(&self, words: &'a str) -> Cow<'a, str> {
        match self.target.get() {
            Some(target) => target.hide(words),
            // Nothing was sent yet that could be repeated.
            None => Cow::Borrowed(words),
        }
    }

    fn transport(&self) -> Option<&'static TransportAbilities> {
        match self.target.get()?.known_transport() {
            KnownTransport::Unknown => None,
            KnownTransport::StreamableHttp => Some(&remote::ABILITIES),
            KnownTransport::Sse => Some(&sse::ABILITIES),
        }
    }

    /// Checks the address; sends nothing yet.
    fn start(&self, _: InstanceId) -> Boxed<'_, Result<Box<dyn Running>, StartError>> {
        let started = self.checked().map(|target| {
            let way = match target.known_transport() {
                KnownTransport::Sse => Way::Sse { refused: None },
                KnownTransport::Unknown | KnownTransport::StreamableHttp => Way::Http(None),
            };
            let stop = CancellationToken::new();
            Box::new(RemoteInstance { target, way, link: None, stop }) as Box<dyn Running>
        });
        let started = started.map_err(|error| StartError {
            reason: error.to_string(),
            brief: "its address or its headers can't be used",
            permanent: true,
        });
        Box::pin(std::future::ready(started))
    }
}

// === impl RemoteInstance ===

impl RemoteInstance {
    async fn take_leave(&mut self) {
        if let Some(link) = self.link.take() {
            link.close("stopped");
            link.goodbye().await;
        }
    }

    async fn open_link(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Result<Arc<Link>, String> {
        self.take_leave().await;
        let target = self.target.clone();
        if let Some(rest) = target.asked_to_rest() {
            return Err(format!(
                "the server asked for a pause, which lasts {rest:.0?} more (Retry-After)"
            ));
        }
        let stop = self.stop.child_token();
        let link = match &mut self.way {
            Way::Http(session) => {
                let (link, opened) = remote::open_known(target, limits, listener, stop);
                *session = Some(opened);
                link
            }
            Way::Sse { refused } => {
                let opened = sse::open(target.clone(), limits, listener, stop).await;
                // The detected transport is kept. One that stopped working is detected again in the
                // next run.
                match &opened {
                    Ok(_) => target.remember(KnownTransport::Sse),
                    Err(NoStream::NotOffered(_)) => target.remember(KnownTransport::Unknown),
                    Err(NoStream::Unreachable(_)) => {}
                }
                opened.map_err(|error| match refused {
                    Some(refused) => format!("{refused}; it is not HTTP+SSE either: {error}"),
                    None => format!("HTTP+SSE: {error}"),
                })?
            }
        };
        self.link = Some(link.clone());
        Ok(link)
    }
}

impl Running for RemoteInstance {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn open(
        &mut self,
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
    ) -> Boxed<'_, Result<Arc<Link>, String>> {
        Box::pin(self.open_link(limits, listener))
    }

    fn has_another_way(&mut self, lost: &str) -> bool {
        let older = matches!(&self.way, Way::Http(Some(session)) if session.may_speak_sse());
        if older {
            self.way = Way::Sse { refused: Some(lost.to_owned()) };
        }
        older
    }

    fn ended(&self) -> Boxed<'_, String> {
        Box::pin(std::future::pending())
    }

    fn end_after_link(&self) -> Boxed<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn has_ended(&self) -> bool {
        false
    }

    /// Servers end sessions that nobody uses; that is no fault of either side.
    fn ended_well(&self) -> bool {
        matches!(&self.way, Way::Http(Some(session)) if session.ended_unused())
    }

    fn last_words(&self) -> Vec<String> {
        Vec::new()
    }

    fn stop(&mut self) -> Boxed<'_, ()> {
        Box::pin(self.take_leave())
    }
}

impl Drop for RemoteInstance {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
