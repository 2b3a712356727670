//! One life of an instance at a remote server, in the transport that the server speaks.

use std::sync::Arc;

use mainstay_model::settings::{RemoteSpec, RevisionChoice};
use mainstay_supervisor::lifecycle::News;
use mainstay_upstream::remote::sse::NoStream;
use mainstay_upstream::remote::{self, Target};
use tokio_util::sync::CancellationToken;

use super::{Life, LifeListener, LifeNews};

impl Life {
    pub(super) async fn remote(&self, spec: &RemoteSpec) -> News {
        let target = match self.pool.target(spec) {
            Ok(target) => target,
            Err(error) => return News::Unserveable { reason: error.to_string() },
        };
        self.started(None);
        self.tell(LifeNews::Plain(News::Spawned)).await;
        if target.speaks_sse() {
            return self.over_sse(&target, None).await;
        }
        let listener = Arc::new(LifeListener::new(self));
        let stop = CancellationToken::new();
        let link = remote::open(target.clone(), self.limits(), listener.clone(), stop);
        let news = self.serve(&link, &listener).await;
        let older = link.may_speak_sse() && self.choice() != RevisionChoice::Modern;
        link.close("stopped");
        link.goodbye().await;
        match news {
            News::Lost { reason } if older && !self.stop.is_cancelled() => {
                self.over_sse(&target, Some(reason)).await
            }
            news => news,
        }
    }

    /// Over HTTP+SSE of 2024-11-05. `refused`: what streamable HTTP failed for just now.
    async fn over_sse(&self, target: &Arc<Target>, refused: Option<String>) -> News {
        let listener = Arc::new(LifeListener::new(self));
        let stop = CancellationToken::new();
        let opening =
            remote::sse::open(target.clone(), self.limits(), listener.clone(), stop.clone());
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.stop.cancelled() => return News::Lost { reason: "stopped".to_owned() },
        };
        // What is found stays found; what is no longer so is looked for again in the next life.
        match &opened {
            Ok(_) => target.remember(true),
            Err(NoStream::NotOffered(_)) => target.remember(false),
            Err(NoStream::Unreachable(_)) => {}
        }
        let link = match opened {
            Ok(link) => link,
            Err(error) => {
                let reason = match refused {
                    Some(refused) => format!("{refused}; it is not HTTP+SSE either: {error}"),
                    None => format!("HTTP+SSE: {error}"),
                };
                return News::Lost { reason };
            }
        };
        let news = self.serve(&link, &listener).await;
        link.close("stopped");
        link.goodbye().await;
        news
    }
}
