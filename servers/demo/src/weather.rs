//! `weather`: simulated weather over HTTP. It demonstrates all kinds of content, and questions to the user
//! and to the client's model.

mod forecast;
mod picture;
mod reports;
mod sound;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::InputResponses;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResponse, ErrorData, ListResourceTemplatesResult, ListResourcesResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerConfig,
};
use rmcp::{Json, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::conversation::{Asked, Question, finished};
use crate::wire::{Context, about};
use forecast::Forecast;

const INSTRUCTIONS: &str = "A demonstration: all weather here is simulated. It depends only on \
the name of the city and the date, so that the same question has the same answer.";

/// The simulated weather. It keeps no state between calls.
pub(crate) struct Weather {
    tools: ToolRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Period {
    /// Name of a city, real or made up
    city: String,
    /// How many days from today, 1 to 7; 3 if left out
    #[serde(default)]
    #[schemars(range(min = 1, max = 7))]
    days: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    /// Name of a city, real or made up
    city: String,
}

// === impl Weather ===

#[tool_router]
impl Weather {
    pub(crate) fn new() -> Self {
        Self { tools: Self::tool_router() }
    }

    #[tool(
        name = "forecast",
        title = "Forecast (simulated)",
        description = "Simulated weather of a city for the next days, as structured data.",
        annotations(
            title = "Forecast (simulated)",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn forecast(
        &self,
        Parameters(period): Parameters<Period>,
    ) -> Result<Json<Forecast>, String> {
        Forecast::from_today(&period.city, period.days.unwrap_or(3)).map(Json)
    }

    #[tool(
        name = "weather_chart",
        title = "Temperature chart (simulated)",
        description = "A small picture of the temperatures of the next seven days: one column a \
                       day, blue for cold and red for hot.",
        annotations(
            title = "Temperature chart (simulated)",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn weather_chart(
        &self,
        Parameters(place): Parameters<Place>,
    ) -> Result<CallToolResponse, String> {
        let forecast = Forecast::from_today(&place.city, 7)?;
        finished(json!({"content": [
            text(&format!("Simulated temperatures of {} for seven days:", forecast.city)),
            chart(&forecast),
        ]}))
    }

    #[tool(
        name = "weather_report",
        title = "Full report (simulated)",
        description = "One answer with every kind of content: text, picture, sound, a resource \
                       inside and a link to another.",
        annotations(
            title = "Full report (simulated)",
            read_only_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn weather_report(
        &self,
        Parameters(place): Parameters<Place>,
    ) -> Result<CallToolResponse, String> {
        let forecast = Forecast::from_today(&place.city, 7)?;
        let today = &forecast.days[0];
        let wind = STANDARD.encode(sound::wind(today.wind_kmh));
        let mut opening = text(&today.sentence(&forecast.city));
        opening["annotations"] = json!({"audience": ["user", "assistant"], "priority": 1.0});
        finished(json!({"content": [
            opening,
            chart(&forecast),
            {"type": "audio", "data": wind, "mimeType": "audio/wav"},
            {"type": "resource", "resource": reports::page(&forecast)},
            reports::link(&forecast.city),
        ]}))
    }

    #[tool(
        name = "plan_trip",
        title = "Plan a trip (asks you)",
        description = "Asks the user where to go, for how long and in what weather (elicitation), \
                       then looks whether the simulated weather fits.",
        annotations(
            title = "Plan a trip (asks you)",
            read_only_hint = true,
            open_world_hint = false
        )
    )]
    async fn plan_trip(
        &self,
        InputResponses(given): InputResponses,
        context: Context,
    ) -> Result<CallToolResponse, String> {
        let given = given.map(|answers| json!(answers));
        let answer = match trip_question().ask(given.as_ref(), &context).await? {
            Asked::Later(response) => return Ok(response),
            Asked::Answer(answer) => answer,
        };
        if answer["action"] != "accept" {
            return finished(json!({"content": [text("No trip, then.")]}));
        }
        let trip = &answer["content"];
        let city = trip["city"].as_str().ok_or("the form came back without a city")?;
        let days = trip["days"].as_u64().and_then(|days| u32::try_from(days).ok()).unwrap_or(3);
        let liked = trip["liked"].as_str().unwrap_or("any");
        let forecast = Forecast::from_today(city, days)?;
        finished(json!({"content": [text(&forecast.verdict(liked))]}))
    }

    #[tool(
        name = "radio_bulletin",
        title = "Radio bulletin (asks your model)",
        description = "Has the client's own model write a bulletin about the simulated weather \
                       (sampling).",
        annotations(
            title = "Radio bulletin (asks your model)",
            read_only_hint = true,
            open_world_hint = false
        )
    )]
    async fn radio_bulletin(
        &self,
        Parameters(place): Parameters<Place>,
        InputResponses(given): InputResponses,
        context: Context,
    ) -> Result<CallToolResponse, String> {
        let forecast = Forecast::from_today(&place.city, 3)?;
        let facts: Vec<String> =
            forecast.days.iter().map(|day| day.sentence(&forecast.city)).collect();
        let question = Question::model(
            "bulletin",
            "You read the weather on the radio. Say that it is simulated. At most five sentences.",
            &facts.join("\n"),
        );
        let given = given.map(|answers| json!(answers));
        match question.ask(given.as_ref(), &context).await? {
            Asked::Later(response) => Ok(response),
            Asked::Answer(answer) => {
                let said = answer["content"]["text"].as_str();
                finished(
                    json!({"content": [text(said.unwrap_or("The model answered without text."))]}),
                )
            }
        }
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Weather {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({"tools": {}, "resources": {}});
        about("weather", "Weather (simulated demonstration)", INSTRUCTIONS, &capabilities)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        reports::list()
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        reports::templates()
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        reports::read(&request.uri)
    }
}

fn trip_question() -> Question {
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "title": "Where to?", "minLength": 1, "maxLength": 80},
            "days": {"type": "integer", "title": "How many days?", "minimum": 1, "maximum": 7, "default": 3},
            "liked": {
                "type": "string",
                "title": "What weather do you like?",
                "enum": ["any", "dry", "warm", "snow"],
                "default": "any",
            },
        },
        "required": ["city"],
    });
    Question::form("trip", "Where shall the (simulated) trip go?", &schema)
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn chart(forecast: &Forecast) -> Value {
    let degrees: Vec<i32> = forecast.days.iter().map(|day| day.high_c).collect();
    json!({
        "type": "image",
        "data": STANDARD.encode(picture::columns(&degrees)),
        "mimeType": "image/png",
    })
}
