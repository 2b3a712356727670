use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_model::settings::{NotifySpec, NotifyTarget, RemoteSpec};
use mainstay_model::{ChangeKind, Condition, Name};
use mainstay_supervisor::deliveries::{Dated, Deliveries};
use mainstay_supervisor::notices::{Notices, Telling};
use mainstay_telemetry::Metrics;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::deliver::Channel;
use super::{Outbox, Sections, Teller};

/// Longest wait on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A webhook that does not answer the first request, and what it was told: the state, and how many changes are
/// left out.
async fn slow_hook() -> (String, Arc<Mutex<Vec<(String, u64)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let kept = told.clone();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let body: Value = loop {
                stream.read_buf(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
                    break body;
                }
            };
            let state = body["state"].as_str().unwrap().to_owned();
            kept.lock().push((state, body["left_out"].as_u64().unwrap()));
            if silent.is_empty() {
                silent.push(stream);
                continue;
            }
            stream.write_all(b"HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    (url, told)
}

fn teller(url: &str, metrics: &Arc<Metrics>) -> Teller {
    let remote = RemoteSpec::new(url);
    let channel = Channel::to_webhook(&remote, Duration::from_secs(1));
    let spec = NotifySpec {
        number: 1,
        target: NotifyTarget::Webhook(remote),
        on: ChangeKind::TOLD.into_iter().collect(),
        servers: None,
        timeout: Duration::from_secs(1),
    };
    let (to, channel) = (Name::of_notify(1), Arc::new(channel));
    Teller {
        notices: Notices::new(Vec::new()),
        outboxes: vec![Outbox { to, channel, deliveries: Deliveries::default() }],
        attempts: JoinSet::new(),
        under_way: HashMap::new(),
        sections: Sections::new(&[spec]),
        metrics: metrics.clone(),
    }
}

fn dated(from: Condition, to: Condition) -> Dated {
    let server = Name::try_new("files").unwrap();
    let (event, reason) = (ChangeKind::of(from, to), None);
    let telling = Telling { rule: 0, server, event, from, to, reason, left_out: 0 };
    Dated { telling, at: SystemTime::UNIX_EPOCH }
}

/// The receiver of a slow webhook was told that a server is back, and after that that it is not ready.
#[tokio::test]
async fn what_is_told_last_is_true_however_slow_the_webhook_is() {
    let metrics = Arc::new(Metrics::new("1", []));
    let (url, told) = slow_hook().await;
    let mut teller = teller(&url, &metrics);
    teller.outboxes[0].take(dated(Condition::Ready, Condition::NotReady), &metrics);
    teller.begin_attempts();
    teller.outboxes[0].take(dated(Condition::NotReady, Condition::Ready), &metrics);
    teller.begin_attempts();
    while let Some(ended) = timeout(PATIENCE, teller.attempts.join_next_with_id()).await.unwrap() {
        teller.note_end(ended);
        teller.begin_attempts();
    }
    let told: Vec<_> = told.lock().drain(..).collect();
    assert_eq!(told, [("not-ready".to_owned(), 0), ("ready".to_owned(), 1)]);
    let counted = metrics.encode();
    for outcome in ["delivered", "merged"] {
        let line = format!("mainstay_notifications_total{{outcome=\"{outcome}\"}} 1\n");
        assert!(counted.contains(&line), "{counted}");
    }
}
