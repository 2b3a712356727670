//! A peer at the other end of two pipes.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_protocol::Message;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Ears, LIMITS, Open, Peer, QUEUE, Received};
use crate::link::Link;

pub(super) struct Pipes;

impl Open for Pipes {
    async fn open(ears: Arc<Ears>, stop: CancellationToken) -> (Arc<Link>, Peer) {
        let (requests, input) = std::io::pipe().unwrap();
        let (output, answers) = std::io::pipe().unwrap();
        let link = crate::stdio::open(input.into(), output.into(), LIMITS, ears, stop).unwrap();
        let requests = pipe::Receiver::from_owned_fd(requests.into()).unwrap();
        let answers = pipe::Sender::from_owned_fd(answers.into()).unwrap();
        let (tell, received) = mpsc::channel(QUEUE);
        let (cut, left) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(run(requests, answers, tell, cut.clone(), left.clone()));
        (link, Peer { received, cut, left })
    }
}

async fn run(
    requests: pipe::Receiver,
    mut answers: pipe::Sender,
    tell: mpsc::Sender<Received>,
    cut: CancellationToken,
    left: CancellationToken,
) {
    let (say, mut messages) = mpsc::channel::<String>(QUEUE);
    let mut lines = BufReader::new(requests).lines();
    let _left = left.drop_guard();
    loop {
        tokio::select! {
            () = cut.cancelled() => return,
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let message = Message::parse(Bytes::from(line)).unwrap();
                tell.send(Received { message, say: say.clone() }).await.unwrap();
            }
            Some(text) = messages.recv() => {
                if answers.write_all(format!("{text}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}
