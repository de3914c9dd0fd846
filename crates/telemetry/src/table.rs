//! Every metric, by what it tells of. `docs/METRICS.md` holds the same table; a test compares the two.
//!
//! Names follow Prometheus's conventions: seconds and bytes, `_total` for counters. Labels take few values, and values that nobody
//! from outside can choose: no node, no address, no path. What must be a word from outside (a step of an agent) goes through
//! [`crate::Vocabulary`].

use crate::metric::{Buckets, Counter, Gauge, Histogram, Metric, Total};

macro_rules! table {
    ($($title:literal { $($name:ident: $kind:ident<$count:literal> = ($($argument:expr),+ $(,)?);)+ })+) => {
        $($(
            #[doc = concat!("See [`Metric::help`]; on ", $title, ".")]
            pub static $name: $kind<$count> = $kind::new($($argument),+);
        )+)+

        /// All of them.
        pub static TABLE: &[&dyn Metric] = &[$($(&$name),+),+];

        /// All of them by section, as the documentation has them.
        pub static SECTIONS: &[(&str, &[&dyn Metric])] = &[$(($title, &[$(&$name),+])),+];
    };
}

table! {
    "Nodes" {
        NODES: Gauge<4> = (
            "billet_nodes",
            &["provision_state", "power_state", "maintenance", "fault"],
            "Nodes by what they are in; counted at most once a second.",
        );
        NODES_DUE: Gauge<0> = (
            "billet_nodes_due", &[], "Free nodes that something is to be done about now.",
        );
        DUE_AGE: Gauge<0> = (
            "billet_node_due_age_seconds", &[], "For how long the oldest of them has waited to be claimed.",
        );
        TRANSITIONS: Counter<2> = (
            "billet_node_transitions_total", &["from", "to"], "Changes of the provision state.",
        );
        STATE_TIME: Histogram<1> = (
            "billet_node_state_duration_seconds", &["provision_state"], Buckets::Work,
            "How long nodes were in a provision state, told when they leave it.",
        );
        EVENTS: Counter<2> = (
            "billet_node_events_total", &["kind", "outcome"], "Lines of the event log; outcome is ok or failed.",
        );
    }
    "Work" {
        STEP_TIME: Histogram<2> = (
            "billet_step_duration_seconds", &["step", "outcome"], Buckets::Work,
            "How long steps took; step is interface.step, outcome is ok or failed. Writing an image is deploy.write_image.",
        );
        VISITS: Gauge<0> = (
            "billet_visits_in_progress", &[], "Nodes that are attended to now.",
        );
        VISIT_TIME: Histogram<1> = (
            "billet_visit_duration_seconds", &["provision_state"], Buckets::Dialog,
            "How long a node was attended to at once; the state is that of the beginning.",
        );
        CLAIMS_HELD: Gauge<0> = (
            "billet_claims_held", &[], "Nodes that somebody holds.",
        );
        CLAIMS_TAKEN: Counter<0> = (
            "billet_claims_taken_total", &[], "Claims that this process took.",
        );
        CLAIMS_LOST: Counter<0> = (
            "billet_claims_lost_total", &[], "Claims that another process took over from this one.",
        );
        RENEWALS_FAILED: Counter<0> = (
            "billet_claim_renewals_failed_total", &[], "Times that this process's session, on which its claims hang, could not be prolonged.",
        );
        SESSIONS_LOST: Counter<0> = (
            "billet_sessions_lost_total", &[], "Sessions that ended before this process did, so that others took its nodes.",
        );
        HEARTBEATS: Counter<1> = (
            "billet_heartbeats_total", &["outcome"], "Heartbeats of agents; outcome is ok or refused.",
        );
        LOOKUPS: Counter<1> = (
            "billet_lookups_total", &["outcome"], "Lookups of known machines' ramdisks; outcome is ok or refused.",
        );
        AGENT_TIME: Histogram<2> = (
            "billet_agent_request_duration_seconds", &["command", "outcome"], Buckets::Dialog,
            "Calls of agents; outcome is ok, unreachable, busy, refused or unknown.",
        );
        IMAGE_BYTES: Counter<0> = (
            "billet_image_sent_bytes_total", &[], "Bytes of images that machines fetched from here.",
        );
    }
    "BMCs" {
        BMC_REQUESTS: Counter<3> = (
            "billet_bmc_requests_total", &["interface", "operation", "outcome"],
            "What BMCs were asked; interface is ipmitool, fake …, outcome is ok or the kind of the error.",
        );
        BMC_TIME: Histogram<2> = (
            "billet_bmc_request_duration_seconds", &["interface", "operation"], Buckets::Dialog,
            "How long they took, sessions and retries included.",
        );
    }
    "Power synchronisation" {
        POWER_SWEEPS: Total<0> = ("billet_power_sync_sweeps_total", &[], "Walks over all nodes that have come to their end.");
        POWER_TIME: Gauge<0> = (
            "billet_power_sync_sweep_seconds", &[], "How long the last of them took, the time included over which it was spread.",
        );
        POWER_NODES: Gauge<0> = ("billet_power_sync_nodes", &[], "Nodes that the last of them met.");
        POWER_ANSWERS: Total<1> = (
            "billet_power_sync_answers_total", &["answer"],
            "What BMCs said of the power; answer is agreed, differed (from the record) or failed.",
        );
    }
    "Network boot" {
        NETBOOT: Counter<3> = (
            "billet_netboot_events_total", &["protocol", "event", "outcome"],
            "What the DHCP, TFTP and HTTP boot servers did and saw.",
        );
        NETBOOT_BYTES: Counter<1> = (
            "billet_netboot_sent_bytes_total", &["protocol"], "Bytes of boot files that were sent.",
        );
    }
    "HTTP" {
        HTTP_REQUESTS: Counter<4> = (
            "billet_http_requests_total", &["service", "route", "method", "status"],
            "Requests answered; route is the template of the path, and none where there is no such path.",
        );
        HTTP_TIME: Histogram<3> = (
            "billet_http_request_duration_seconds", &["service", "route", "method"], Buckets::Local,
            "From a request's head to the head of its answer.",
        );
        HTTP_RUNNING: Gauge<1> = (
            "billet_http_requests_in_flight", &["class"], "Requests that are worked on, by class.",
        );
        HTTP_WAITING: Gauge<1> = (
            "billet_http_requests_waiting", &["class"], "Requests that wait for their class to have room.",
        );
        HTTP_QUEUE: Histogram<1> = (
            "billet_http_queue_seconds", &["class"], Buckets::Local, "How long they waited, refused ones included.",
        );
        HTTP_REFUSED: Counter<2> = (
            "billet_http_refused_total", &["class", "reason"],
            "Requests answered 503 for want of room; reason is full, late or memory.",
        );
        HTTP_BODIES: Gauge<1> = (
            "billet_http_body_bytes", &["direction"],
            "Bytes of bodies in memory; in: of requests under way, out: of answers that clients have not taken yet.",
        );
        CONNECTIONS: Gauge<1> = (
            "billet_http_connections", &["listener"], "Open connections; listener is api, machines, metadata or metrics.",
        );
        CONNECTIONS_REFUSED: Counter<2> = (
            "billet_http_connections_closed_total", &["listener", "reason"],
            "Connections closed on purpose; reason is full (there were too many) or slow (the client did not take its answer).",
        );
    }
    "Database" {
        COMMIT_TIME: Histogram<0> = (
            "billet_database_commit_duration_seconds", &[], Buckets::Local, "How long a COMMIT took.",
        );
        COMMIT_CHANGES: Histogram<0> = (
            "billet_database_commit_changes", &[], Buckets::Few, "Changes that one COMMIT acknowledged.",
        );
        WRITE_QUEUE_TIME: Histogram<0> = (
            "billet_database_queue_seconds", &[], Buckets::Local, "How long a change waited for its turn.",
        );
        WRITE_QUEUE: Gauge<0> = (
            "billet_database_queue_length", &[], "Changes that wait for their turn.",
        );
    }
    "The process" {
        BUILD: Gauge<1> = ("billet_build_info", &["version"], "Always 1; the version is the label.");
        PROCESS_CPU: Total<0> = ("process_cpu_seconds_total", &[], "User and system CPU time.");
        PROCESS_RESIDENT: Gauge<0> = ("process_resident_memory_bytes", &[], "Resident memory.");
        PROCESS_VIRTUAL: Gauge<0> = ("process_virtual_memory_bytes", &[], "Virtual memory.");
        PROCESS_FILES: Gauge<0> = ("process_open_fds", &[], "Open file descriptors.");
        PROCESS_FILE_LIMIT: Gauge<0> = ("process_max_fds", &[], "File descriptors that may be open.");
        PROCESS_THREADS: Gauge<0> = ("process_threads", &[], "Threads.");
        PROCESS_START: Gauge<0> = ("process_start_time_seconds", &[], "Start of the process, in seconds since 1970.");
    }
}

/// The table as `docs/METRICS.md` has it, a section a heading.
pub fn markdown() -> String {
    let mut text = String::new();
    for (title, metrics) in SECTIONS {
        text.push_str(&format!("\n## {title}\n| metric | kind | labels | |\n|---|---|---|---|\n"));
        for metric in *metrics {
            let labels: Vec<_> = metric.labels().iter().map(|label| format!("`{label}`")).collect();
            text.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                metric.name(),
                metric.kind().as_str(),
                labels.join(", "),
                metric.help()
            ));
        }
    }
    text
}
