//! `clock`: the time anywhere, and a countdown that shows progress and can be cancelled.

mod moment;
mod prompts;
#[cfg(test)]
mod tests;

use std::time::Duration;

use rmcp::handler::server::router::prompt::PromptRouter;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CompleteRequestParams, CompleteResult, ErrorData, ProgressNotificationParam, ServerConfig,
};
use rmcp::{Json, ServerHandler, prompt_handler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::wire::{Context, about, result};
use moment::Moment;

const INSTRUCTIONS: &str = "A demonstration: time zones by their IANA names, such as \
Europe/Berlin, and a countdown that reports progress every second and can be cancelled.";

/// The maximum length of a countdown, in seconds. Clients time out later.
const COUNTDOWN_SECONDS_MAX: u32 = 240;

pub(crate) struct Clock {
    tools: ToolRouter<Self>,
    prompts: PromptRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// IANA name, such as Asia/Tokyo; UTC if left out
    #[serde(default)]
    time_zone: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Conversion {
    /// Local time where it is given, such as 2026-03-01T15:30; today if only 15:30
    time: String,
    /// IANA name of the zone the time is given in
    from: String,
    /// IANA name of the zone to convert to
    to: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Converted {
    from: Moment,
    to: Moment,
    /// How far the second zone is ahead of the first at that moment, in minutes
    ahead_minutes: i32,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Countdown {
    /// How many seconds, 1 to 240
    #[schemars(range(min = 1, max = 240))]
    seconds: u32,
    /// What to say at the end
    #[serde(default)]
    message: Option<String>,
}

// === impl Clock ===

#[tool_router]
impl Clock {
    pub(crate) fn new() -> Self {
        Self { tools: Self::tool_router(), prompts: Self::prompt_router() }
    }

    #[tool(
        name = "now",
        title = "What time is it?",
        description = "The current time in a time zone.",
        annotations(title = "What time is it?", read_only_hint = true, open_world_hint = false)
    )]
    async fn now(&self, Parameters(place): Parameters<Place>) -> Result<Json<Moment>, String> {
        Moment::now(place.time_zone.as_deref().unwrap_or("UTC")).map(Json)
    }

    #[tool(
        name = "convert_time_zone",
        title = "Convert between time zones",
        description = "What a local time of one zone is in another, daylight saving included.",
        annotations(
            title = "Convert between time zones",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn convert_time_zone(
        &self,
        Parameters(wanted): Parameters<Conversion>,
    ) -> Result<Json<Converted>, String> {
        let from = Moment::at(&wanted.time, &wanted.from)?;
        let to = from.elsewhere(&wanted.to)?;
        let ahead_minutes = to.offset_minutes() - from.offset_minutes();
        Ok(Json(Converted { from, to, ahead_minutes }))
    }

    #[tool(
        name = "countdown",
        title = "Count down",
        description = "Waits for the given seconds, reports progress every second and can be \
                       cancelled at any time.",
        annotations(title = "Count down", read_only_hint = true, open_world_hint = false)
    )]
    async fn countdown(
        &self,
        Parameters(wanted): Parameters<Countdown>,
        context: Context,
    ) -> Result<String, String> {
        let total = wanted.seconds;
        if !(1..=COUNTDOWN_SECONDS_MAX).contains(&total) {
            return Err(format!("seconds must be 1 to {COUNTDOWN_SECONDS_MAX}, not {total}"));
        }
        for gone in 0..total {
            report(&context, gone, total).await;
            tokio::select! {
                () = context.ct.cancelled() => {
                    return Err(format!("cancelled with {} s to go", total - gone));
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
        report(&context, total, total).await;
        Ok(wanted.message.unwrap_or_else(|| format!("{total} s are over")))
    }
}

#[tool_handler(router = self.tools)]
#[prompt_handler(router = self.prompts)]
impl ServerHandler for Clock {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({"tools": {}, "prompts": {}, "completions": {}});
        about("clock", "Clock (demonstration)", INSTRUCTIONS, &capabilities)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let argument = &request.argument;
        let found = prompts::completions(&argument.name, &argument.value);
        let total = found.len();
        // The specification allows at most a hundred values.
        let shown: Vec<String> = found.into_iter().take(100).collect();
        let completion = json!({"values": shown, "total": total, "hasMore": total > shown.len()});
        result(json!({"completion": completion}))
    }
}

/// Sends progress if the caller requested it. Ignores a caller that is gone.
async fn report(context: &Context, gone: u32, total: u32) {
    if let Some(token) = context.meta.get_progress_token() {
        let progress = ProgressNotificationParam::new(token, f64::from(gone))
            .with_total(f64::from(total))
            .with_message(format!("{} s to go", total - gone));
        let _ = context.peer.notify_progress(progress).await;
    }
}
