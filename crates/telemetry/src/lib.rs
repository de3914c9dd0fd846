//! What a running Billet tells of itself, for every floor above.
//!
//! Three things, none of which knows what a node is: the table of metrics ([`table`]), which everybody counts in and one route shows;
//! the request that is being answered ([`request`]), so that what is written down on its behalf can name it; and the target of
//! spans ([`SPANS`]), which the binary sends elsewhere if it is told to.
//!
//! A metric is a static. Counting in it is a hash of its labels and an atomic addition; nothing is sent, kept or computed until
//! somebody asks ([`expose`]).

#![forbid(unsafe_code)]

mod metric;
pub mod process;
pub mod request;
pub mod span;
pub mod table;
mod vocabulary;

pub use metric::{Buckets, Counter, Gauge, Histogram, Kind, Metric, Timer, Total};
pub use vocabulary::Vocabulary;

/// Target of the spans that go to a tracing system. Where none is configured nobody listens to it, and a span costs one comparison.
pub const SPANS: &str = "billet_span";

/// Target of the lines that tell what happened to a node, one for each event of its log.
pub const EVENTS: &str = "event";

/// `Content-Type` of what [`expose`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric that has a value, in Prometheus's text format (version 0.0.4).
pub fn expose() -> String {
    let families: Vec<_> = table::TABLE.iter().filter_map(|metric| metric.family()).collect();
    let mut text = String::with_capacity(64 << 10);
    if let Err(error) = prometheus::TextEncoder::new().encode_utf8(&families, &mut text) {
        // It fails where a family is empty or has no name, which `family` and the table's test exclude.
        tracing::error!(%error, "the metrics could not be written");
    }
    text
}
