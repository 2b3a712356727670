//! A server that misbehaves on purpose; `--help` lists how.

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = mainstay_testkit::misbehave::main(&arguments).await;
    if let Err(error) = &done {
        eprintln!("mainstay-misbehave: {error:#}");
    }
    // Exits without returning, which would wait for a thread that may read for ever.
    std::process::exit(if done.is_ok() { 0 } else { 2 });
}
