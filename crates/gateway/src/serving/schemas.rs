//! Compiled schemas of tools, for those whose arguments are compared with them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mainstay_model::{Name, ServerId};
use mainstay_protocol::Era;
use mainstay_session::validation::schema::{Compared, ToolSchema, UnusableSchema};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most schemas that are kept, and their bytes as text. When there are more, all are forgotten and compiled anew as
/// they are needed.
const KEPT_MAX: usize = 1_000;
const KEPT_BYTES_MAX: usize = 16 << 20;

/// How many schemas are compiled, and how many large arguments compared, at the same time.
const WORKERS: usize = 2;

/// How long a call waits until its schema is compiled. Later calls find it.
const COMPILE_WAIT: Duration = Duration::from_secs(5);

/// The schemas that are known.
pub(crate) struct Schemas {
    by_tool: ArcSwap<HashMap<Box<str>, Vec<Known>>>,
    /// Held while a schema is added.
    adding: Mutex<()>,
    workers: Arc<Semaphore>,
}

/// A tool, as one server lists it to clients of one era.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedTool<'a> {
    pub(crate) server: (ServerId, Era),
    pub(crate) server_name: &'a Name,
    pub(crate) name: &'a str,
    /// The JSON text of the tool.
    pub(crate) text: &'a str,
}

#[derive(Clone)]
struct Known {
    server: (ServerId, Era),
    /// What the server listed when the schema was compiled.
    text: Arc<str>,
    /// None: it can't be used, which was logged.
    schema: Option<Arc<ToolSchema>>,
}

// === impl Schemas ===

impl Schemas {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            by_tool: ArcSwap::default(),
            adding: Mutex::default(),
            workers: Arc::new(Semaphore::new(WORKERS)),
        })
    }

    /// Compares arguments with the schema of a tool. None: there is no schema that can be used.
    pub(crate) async fn compare(
        self: &Arc<Self>,
        tool: ListedTool<'_>,
        arguments: &str,
    ) -> Option<Compared> {
        let schema = match self.find(tool) {
            Some(known) => known.schema?,
            None => self.compile(tool).await?,
        };
        if !schema.is_slow_for(arguments) {
            return Some(schema.compare(arguments));
        }
        let worker = self.workers.clone().acquire_owned().await.ok()?;
        let arguments = arguments.to_owned();
        let work = move || {
            let _worker = worker;
            schema.compare(&arguments)
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn find(&self, tool: ListedTool<'_>) -> Option<Known> {
        let by_tool = self.by_tool.load();
        let known = by_tool.get(tool.name)?;
        let of_server = known.iter().find(|known| known.server == tool.server)?;
        (*of_server.text == *tool.text).then(|| of_server.clone())
    }

    /// Compiles the schema of a tool on a thread of its own. None: it can't be used, or takes too long this time.
    async fn compile(self: &Arc<Self>, tool: ListedTool<'_>) -> Option<Arc<ToolSchema>> {
        let compiled = async {
            let worker = self.workers.clone().acquire_owned().await.ok()?;
            // Another call may have compiled it meanwhile.
            if let Some(known) = self.find(tool) {
                return known.schema;
            }
            let (schemas, server) = (self.clone(), tool.server);
            let (name, text): (Box<str>, Arc<str>) = (tool.name.into(), tool.text.into());
            let server_name = tool.server_name.clone();
            let work = move || {
                let _worker = worker;
                let schema = match ToolSchema::compile(&text) {
                    Ok(schema) => Some(Arc::new(schema)),
                    Err(error) => {
                        note_unusable(&server_name, &name, &error);
                        None
                    }
                };
                schemas.add(name, Known { server, text, schema: schema.clone() });
                schema
            };
            tokio::task::spawn_blocking(work).await.ok().flatten()
        };
        timeout(COMPILE_WAIT, compiled).await.ok().flatten()
    }

    fn add(&self, name: Box<str>, known: Known) {
        let _adding = self.adding.lock();
        let mut all = HashMap::clone(&self.by_tool.load());
        let count = all.values().map(Vec::len).sum::<usize>();
        let bytes = all.values().flatten().map(|known| known.text.len()).sum::<usize>();
        if count >= KEPT_MAX || bytes + known.text.len() > KEPT_BYTES_MAX {
            all.clear();
        }
        let of_name = all.entry(name).or_default();
        of_name.retain(|other| other.server != known.server);
        of_name.push(known);
        self.by_tool.store(Arc::new(all));
    }
}

fn note_unusable(server: &Name, tool: &str, error: &UnusableSchema) {
    tracing::warn!(
        target: "mainstay",
        %server, tool, reason = %error,
        "arguments are not compared with the inputSchema of the tool, which can't be used"
    );
}
