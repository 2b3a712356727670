//! What a server asks the client while its call is under way.

use mainstay_protocol::Message;

use super::{ANSWER_GRACE, Call, Progress};
use crate::session::questions::{self, NotAsked};

impl Call {
    pub(super) fn ask(&mut self, question: &Message) -> Option<Progress> {
        let (exchange, _) = self.exchange.as_ref()?;
        let gone = self.stream.as_ref().is_some_and(|stream| !stream.is_heard(ANSWER_GRACE));
        if self.unheard || gone || !self.session.can_be_asked(question.method()) {
            exchange.refuse(question);
            return None;
        }
        let asker = exchange.asker();
        let number = self.gateway.question_numbers.next();
        match self.session.ask(number, Some(&self.control), &asker, question) {
            Ok(message) => {
                // People answer slowly: their time is not the server's.
                self.time.pause(std::time::Instant::now());
                self.deadline = self.time.deadline().into();
                Some(Progress::Event { message, question: Some(number) })
            }
            Err(why) => {
                questions::refuse(&asker, question, why, &self.route.pool.server_metrics);
                None
            }
        }
    }

    /// The server's time goes on once nothing is asked any more.
    pub(super) fn go_on_if_answered(&mut self) {
        if !self.session.is_asked_in(&self.control) {
            self.time.go_on(std::time::Instant::now());
            self.deadline = self.time.deadline().into();
        }
    }

    /// A question could not be brought to the client, which reads too slowly.
    pub(crate) fn withdraw_question(&mut self, question: u64) {
        let why = NotAsked::SlowClient;
        questions::count("", why, &self.route.pool.server_metrics);
        self.session.not_asked(question, why);
        self.go_on_if_answered();
    }

    /// Lets the server hear that its open questions will not be answered.
    pub(crate) fn take_back_questions(&mut self) {
        self.session.refuse_questions_of(&self.control);
        self.go_on_if_answered();
    }
}
