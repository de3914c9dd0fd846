//! Spans to an OpenTelemetry collector, over OTLP (protobuf over HTTP), if one is configured.
//!
//! Nothing of this exists otherwise: no thread, no buffer, and nobody who listens to spans, so that making one costs a comparison.
//! Where the collector is away spans are dropped, and nothing waits for it.

use crate::configuration::Tracing;
use anyhow::{Context, Result};
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetryLayer;

/// The collector must answer within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// At the end, what is left is sent within this time.
const FAREWELL: Duration = Duration::from_secs(3);
/// A collector's answer is a few bytes; more of it is not read.
const REPLY_BYTES: usize = 64 << 10;

/// Spans on their way out; none are where nobody asked for them.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Begins to send spans as the file says. `runtime` carries the requests.
    pub fn start(section: &Tracing, host: &str, runtime: &Handle) -> Result<Self> {
        let Some((endpoint, sample)) = section.target()? else { return Ok(Self(None)) };
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("tracing.otlp")?;
        let headers =
            section.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector { http, runtime: runtime.clone() })
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE)
            .with_headers(headers)
            .build()
            .context("tracing.otlp")?;
        let resource = Resource::builder_empty()
            .with_service_name("billet")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", host.to_owned()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))))
            .with_resource(resource)
            .build();
        Ok(Self(Some(provider)))
    }

    /// What has spans sent that are made behind it.
    pub fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, SdkTracer>>
    where
        S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer("billet");
        // Where in the source a span was made is of no use to those who read it.
        Some(
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_location(false)
                .with_threads(false)
                .with_target(false),
        )
    }

    /// Sends what is left; waits for it a moment.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(FAREWELL)
        {
            tracing::warn!(%error, "the last spans could not be sent to tracing.otlp");
        }
    }
}

/// A collector, called on the process's runtime: the exporter's own thread has none.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let mut response = http.execute(request.try_into()?).await?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > REPLY_BYTES {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                *headers = response.headers().clone();
            }
            Ok::<_, HttpError>(answer.body(Bytes::from(body))?)
        });
        sent.await?
    }
}
