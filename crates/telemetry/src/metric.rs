//! Kinds of metrics. Each is made in a `static`, and takes its labels as an array of the length that its declaration has.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a metric is, in Prometheus's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Upper bounds of a histogram's buckets.
#[derive(Debug, Clone, Copy)]
pub enum Buckets {
    /// Seconds of what a process does by itself: a tenth of a millisecond to ten seconds.
    Local,
    /// Seconds of a dialog with something else: a millisecond to two minutes.
    Dialog,
    /// Seconds of what machines do: a tenth of a second to a week.
    Work,
    /// Numbers from 1 to 64.
    Few,
}

impl Buckets {
    /// The bounds, ascending; what is larger counts all the same.
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Buckets::Local => {
                &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0]
            }
            Buckets::Dialog => {
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0]
            }
            Buckets::Work => &[
                0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 14400.0,
                86400.0, 604800.0,
            ],
            Buckets::Few => &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
        }
    }
}

/// What the table knows of a metric.
pub trait Metric: Sync {
    /// Its name, unit and `_total` included.
    fn name(&self) -> &'static str;
    /// What it is.
    fn kind(&self) -> Kind;
    /// Names of its labels.
    fn labels(&self) -> &'static [&'static str];
    /// What it tells, in one sentence.
    fn help(&self) -> &'static str;
    /// Its values, if it has any yet.
    fn family(&self) -> Option<MetricFamily>;
}

/// What every kind keeps: its declaration, and its values once there are any.
#[derive(Debug)]
struct Declared<const N: usize, V> {
    name: &'static str,
    labels: &'static [&'static str; N],
    help: &'static str,
    values: OnceLock<Option<V>>,
}

impl<const N: usize, V: Collector> Declared<N, V> {
    const fn new(name: &'static str, labels: &'static [&'static str; N], help: &'static str) -> Self {
        Self { name, labels, help, values: OnceLock::new() }
    }

    /// The values. None only if the declaration is none (a name with a blank in it), which the table's test excludes.
    fn values(&self, make: impl FnOnce(Opts) -> prometheus::Result<V>) -> Option<&V> {
        let made = || {
            make(Opts::new(self.name, self.help))
                .inspect_err(|error| tracing::error!(name = self.name, %error, "this is not measured"))
                .ok()
        };
        self.values.get_or_init(made).as_ref()
    }

    fn family(&self) -> Option<MetricFamily> {
        let families = self.values.get()?.as_ref()?.collect();
        families.into_iter().find(|family| !family.get_metric().is_empty())
    }
}

macro_rules! declared {
    ($kind:ident, $is:expr) => {
        impl<const N: usize> Metric for $kind<N> {
            fn name(&self) -> &'static str {
                self.declared.name
            }

            fn kind(&self) -> Kind {
                $is
            }

            fn labels(&self) -> &'static [&'static str] {
                self.declared.labels
            }

            fn help(&self) -> &'static str {
                self.declared.help
            }

            fn family(&self) -> Option<MetricFamily> {
                self.declared.family()
            }
        }
    };
}

/// Counts.
#[derive(Debug)]
pub struct Counter<const N: usize> {
    declared: Declared<N, IntCounterVec>,
}

declared!(Counter, Kind::Counter);

impl<const N: usize> Counter<N> {
    /// Declares it.
    pub const fn new(name: &'static str, labels: &'static [&'static str; N], help: &'static str) -> Self {
        Self { declared: Declared::new(name, labels, help) }
    }

    /// One more.
    pub fn count(&self, labels: [&str; N]) {
        self.add(labels, 1);
    }

    /// So many more.
    pub fn add(&self, labels: [&str; N], more: u64) {
        let values = self.declared.values(|opts| IntCounterVec::new(opts, self.declared.labels));
        if let Some(values) = values {
            values.with_label_values(&labels).inc_by(more);
        }
    }

    /// The number now; for tests.
    pub fn read(&self, labels: [&str; N]) -> u64 {
        let values = self.declared.values(|opts| IntCounterVec::new(opts, self.declared.labels));
        values.map_or(0, |values| values.with_label_values(&labels).get())
    }
}

/// A count that somebody else keeps, and that is read when it is asked for.
#[derive(Debug)]
pub struct Total<const N: usize> {
    declared: Declared<N, CounterVec>,
}

declared!(Total, Kind::Counter);

impl<const N: usize> Total<N> {
    /// Declares it.
    pub const fn new(name: &'static str, labels: &'static [&'static str; N], help: &'static str) -> Self {
        Self { declared: Declared::new(name, labels, help) }
    }

    /// What it has come to.
    pub fn set(&self, labels: [&str; N], total: f64) {
        let values = self.declared.values(|opts| CounterVec::new(opts, self.declared.labels));
        if let Some(values) = values {
            let value = values.with_label_values(&labels);
            value.inc_by((total - value.get()).max(0.0));
        }
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge<const N: usize> {
    declared: Declared<N, GaugeVec>,
}

declared!(Gauge, Kind::Gauge);

impl<const N: usize> Gauge<N> {
    /// Declares it.
    pub const fn new(name: &'static str, labels: &'static [&'static str; N], help: &'static str) -> Self {
        Self { declared: Declared::new(name, labels, help) }
    }

    fn values(&self) -> Option<&GaugeVec> {
        self.declared.values(|opts| GaugeVec::new(opts, self.declared.labels))
    }

    /// What it is now.
    pub fn set(&self, labels: [&str; N], value: f64) {
        if let Some(values) = self.values() {
            values.with_label_values(&labels).set(value);
        }
    }

    /// So much more, or less.
    pub fn add(&self, labels: [&str; N], more: f64) {
        if let Some(values) = self.values() {
            values.with_label_values(&labels).add(more);
        }
    }

    /// All of its values; what was there and isn't any more goes.
    pub fn replace<'a>(&self, all: impl IntoIterator<Item = ([&'a str; N], f64)>) {
        if let Some(values) = self.values() {
            values.reset();
            for (labels, value) in all {
                values.with_label_values(&labels).set(value);
            }
        }
    }

    /// The number now; for tests.
    pub fn read(&self, labels: [&str; N]) -> f64 {
        self.values().map_or(0.0, |values| values.with_label_values(&labels).get())
    }
}

/// Counts observations by size.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    declared: Declared<N, HistogramVec>,
    buckets: Buckets,
}

declared!(Histogram, Kind::Histogram);

impl<const N: usize> Histogram<N> {
    /// Declares it.
    pub const fn new(
        name: &'static str,
        labels: &'static [&'static str; N],
        buckets: Buckets,
        help: &'static str,
    ) -> Self {
        Self { declared: Declared::new(name, labels, help), buckets }
    }

    fn values(&self) -> Option<&HistogramVec> {
        let bounds = self.buckets.bounds().to_vec();
        self.declared.values(|opts| {
            HistogramVec::new(HistogramOpts { common_opts: opts, buckets: bounds }, self.declared.labels)
        })
    }

    /// One observation.
    pub fn observe(&self, labels: [&str; N], size: f64) {
        if let Some(values) = self.values() {
            values.with_label_values(&labels).observe(size);
        }
    }

    /// One observation of a time.
    pub fn observe_time(&self, labels: [&str; N], took: Duration) {
        self.observe(labels, took.as_secs_f64());
    }

    /// How many observations there were; for tests.
    pub fn read(&self, labels: [&str; N]) -> u64 {
        self.values().map_or(0, |values| values.with_label_values(&labels).get_sample_count())
    }
}

/// Measures from when it is made.
#[derive(Debug, Clone, Copy)]
pub struct Timer(Instant);

impl Timer {
    /// Begins.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time that has passed.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
