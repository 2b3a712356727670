//! A demonstration server without the gateway: `notes`, `clock` or `weather`.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "weather" {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}/mcp", listener.local_addr()?);
        return mainstay_demo::serve_http(listener, CancellationToken::new()).await;
    }
    mainstay_demo::run_stdio(name.parse()?).await
}
