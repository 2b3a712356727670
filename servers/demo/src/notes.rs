//! `notes`: short notes in memory, as tools and as resources with subscriptions.

mod book;
mod news;
mod pages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    ErrorData, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::SubscriptionContext;
use rmcp::{Json, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::wire::{Context, about};
use book::{Book, Note};
use news::News;

const INSTRUCTIONS: &str = "A demonstration: notes live in memory and are gone when the server \
stops. Add some, then read notes://all or notes://note/1, or subscribe to them.";

/// The notes of a client.
pub(crate) struct Notes {
    book: Mutex<Book>,
    news: Arc<News>,
    tools: ToolRouter<Self>,
}

#[derive(Deserialize, JsonSchema)]
struct NewNote {
    /// A few words to find it by; the first words of the text if left out
    #[serde(default)]
    title: Option<String>,
    /// The note itself, up to 16 KiB
    text: String,
    /// Words to group notes by
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    /// Only notes with this tag
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// Words that must all occur in the title, the text or the tags
    query: String,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Which {
    /// The number of the note
    id: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Listing {
    /// How many notes follow
    count: usize,
    notes: Vec<Note>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::wire::plain_numbers)]
struct Removed {
    /// The note that is gone
    removed: Note,
    /// How many notes are left
    left: usize,
}

// === impl Notes ===

#[tool_router]
impl Notes {
    pub(crate) fn new() -> Self {
        Self {
            book: Mutex::new(Book::with_examples()),
            news: Arc::default(),
            tools: Self::tool_router(),
        }
    }

    #[tool(
        name = "add_note",
        title = "Add a note",
        description = "Keeps a note until the server stops, and gives back its number.",
        annotations(
            title = "Add a note",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn add_note(
        &self,
        Parameters(new): Parameters<NewNote>,
        context: Context,
    ) -> Result<Json<Note>, String> {
        let note = self.book.lock().add(new.title, new.text, new.tags)?;
        self.news.list_changed(&context).await;
        self.news.updated(&context, pages::ALL).await;
        Ok(Json(note))
    }

    #[tool(
        name = "list_notes",
        title = "List notes",
        description = "All notes, oldest first, or only those with a tag.",
        annotations(title = "List notes", read_only_hint = true, open_world_hint = false)
    )]
    async fn list_notes(&self, Parameters(filter): Parameters<Filter>) -> Json<Listing> {
        let notes = self.book.lock().tagged(filter.tag.as_deref());
        Json(Listing { count: notes.len(), notes })
    }

    #[tool(
        name = "search_notes",
        title = "Search notes",
        description = "Notes in which all the given words occur, whatever their case.",
        annotations(title = "Search notes", read_only_hint = true, open_world_hint = false)
    )]
    async fn search_notes(&self, Parameters(search): Parameters<Search>) -> Json<Listing> {
        let notes = self.book.lock().search(&search.query);
        Json(Listing { count: notes.len(), notes })
    }

    #[tool(
        name = "remove_note",
        title = "Remove a note",
        description = "Takes a note away for good. A second call for the same number reports an error.",
        annotations(
            title = "Remove a note",
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn remove_note(
        &self,
        Parameters(which): Parameters<Which>,
        context: Context,
    ) -> Result<Json<Removed>, String> {
        let (removed, left) = self.book.lock().remove(which.id)?;
        self.news.list_changed(&context).await;
        self.news.updated(&context, pages::ALL).await;
        self.news.updated(&context, &pages::of(removed.id)).await;
        Ok(Json(Removed { removed, left }))
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": {},
            "resources": {"listChanged": true, "subscribe": true},
        });
        about("notes", "Notes (demonstration)", INSTRUCTIONS, &capabilities)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        pages::list(&self.book.lock())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        pages::templates()
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        pages::read(&self.book.lock(), &request.uri)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.news.watch(request.uri).map_err(|why| ErrorData::invalid_params(why, None))
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.news.forget(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.news.listen(&context).await;
        Ok(())
    }
}
