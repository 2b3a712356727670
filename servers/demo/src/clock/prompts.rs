//! Prompts about time zones, with completion of arguments.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{PromptMessage, Role};
use rmcp::{prompt, prompt_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Clock;
use super::moment::zones_like;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Meeting {
    /// Time zone of the one who asks
    my_zone: String,
    /// Time zone of the other
    their_zone: String,
    /// Minutes the meeting takes
    #[serde(default)]
    duration: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Traveller {
    /// Time zone of the destination
    time_zone: String,
}

// === impl Clock ===

#[prompt_router(vis = "pub(super)")]
impl Clock {
    #[prompt(
        name = "plan_meeting",
        title = "Plan a meeting",
        description = "Finds hours that are in working time for both."
    )]
    async fn plan_meeting(&self, Parameters(meeting): Parameters<Meeting>) -> Vec<PromptMessage> {
        let Meeting { my_zone, their_zone, duration } = meeting;
        let minutes = duration.unwrap_or_else(|| "30".to_owned());
        vec![PromptMessage::new_text(
            Role::User,
            format!(
                "I am in {my_zone}, the other is in {their_zone}. Use the clock's tools to find \
                 three starts tomorrow for a meeting of {minutes} minutes that lie between 9 and \
                 17 o'clock for both of us, and show each in both zones. If there are none, say \
                 which hour is the least bad for whom."
            ),
        )]
    }

    #[prompt(
        name = "jet_lag",
        title = "Prepare for jet lag",
        description = "Asks for a plan for sleep before and after a journey."
    )]
    async fn jet_lag(&self, Parameters(traveller): Parameters<Traveller>) -> Vec<PromptMessage> {
        let zone = traveller.time_zone;
        vec![
            PromptMessage::new_text(
                Role::User,
                format!(
                    "I travel to {zone} tomorrow. What time is it there now, and how far is that from UTC?"
                ),
            ),
            PromptMessage::new_text(Role::Assistant, "I look it up with the clock's tools."),
            PromptMessage::new_text(
                Role::User,
                "Then suggest when to sleep on the next three days.",
            ),
        ]
    }
}

/// The completions of an argument.
pub(super) fn completions(argument: &str, typed: &str) -> Vec<String> {
    match argument {
        "my_zone" | "their_zone" | "time_zone" => zones_like(typed),
        "duration" => ["15", "30", "45", "60", "90"]
            .into_iter()
            .filter(|minutes| minutes.starts_with(typed))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
