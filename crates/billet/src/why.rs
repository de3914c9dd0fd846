//! `billet why`: what happened to a node, from its event log, and what it waits for.

use anyhow::{Context, Result, bail};
use model::event::LogEvent;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

/// Arguments of `billet why`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Name or UUID of the node.
    node: String,
    /// Address of the API.
    #[arg(long, env = "BILLET_URL", default_value = "http://127.0.0.1:6385")]
    url: String,
    /// Token for an API behind Keystone: `openstack token issue -f value -c id`.
    #[arg(long, env = "OS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Events to show, newest last.
    #[arg(long, default_value_t = 40)]
    last: usize,
}

#[derive(Deserialize)]
struct Events {
    #[serde(default)]
    request_id: Option<String>,
    events: Vec<LogEvent>,
}

/// Prints the node's state, its last error, and its newest events.
pub fn main(arguments: Arguments) -> Result<()> {
    if arguments.node.is_empty() || arguments.node.contains(['/', '?', '#', '%']) {
        bail!("\"{}\" is neither a name nor a UUID of a node", arguments.node);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let base = arguments.url.trim_end_matches('/');
    let (node, events) = runtime.block_on(async {
        let http =
            reqwest::Client::builder().default_headers(headers(arguments.token.as_deref())?).build()?;
        let node: Value = fetch(&http, &format!("{base}/v1/nodes/{}", arguments.node)).await?;
        let events: Events =
            fetch(&http, &format!("{base}/billet/v1/nodes/{}/events", arguments.node)).await?;
        anyhow::Ok((node, events))
    })?;
    let text = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
    println!(
        "{} is {}, heading for {}, {}",
        text("uuid"),
        text("provision_state"),
        text("target_provision_state"),
        text("power_state")
    );
    if let Some(error) = node.get("last_error").and_then(Value::as_str) {
        println!("last error: {error}");
    }
    if let Some(request) = &events.request_id {
        println!("asked for by {request}");
    }
    let events = events.events;
    for event in events.iter().skip(events.len().saturating_sub(arguments.last)) {
        println!("{}", line(event));
    }
    Ok(())
}

fn line(event: &LogEvent) -> String {
    let took = event.duration_us.map_or_else(String::new, |us| format!(" {} ms", us / 1000));
    let mark = if event.ok { " " } else { "!" };
    format!("{} {mark} {:<10} {}{took}  {}", event.at, event.kind.as_str(), event.name, event.detail)
}

/// What every request carries.
fn headers(token: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("x-openstack-ironic-api-version", HeaderValue::from_static("latest"));
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token).context("--token is no token")?;
        value.set_sensitive(true);
        headers.insert("x-auth-token", value);
    }
    Ok(headers)
}

async fn fetch<T: serde::de::DeserializeOwned>(http: &reqwest::Client, url: &str) -> Result<T> {
    let response = http.get(url).send().await.with_context(|| format!("asking {url}"))?;
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", String::from_utf8_lossy(&body));
    }
    serde_json::from_slice(&body).with_context(|| format!("reading the answer of {url}"))
}
