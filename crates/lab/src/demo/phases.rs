//! From the server's event log to the phases of a boot: where between power-on and `ssh` the seconds went.

use super::timeline::Span;
use jiff::Timestamp;
use serde_json::Value;

/// One event of `GET /billet/v1/nodes/{node}/events`.
struct Event<'a> {
    kind: &'a str,
    name: &'a str,
    detail: &'a str,
    start: f64,
    end: f64,
}

/// What is measured next in a boot, and since when.
enum Phase {
    /// Switched off, or the ramdisk is at work.
    Quiet,
    /// Power is on; nothing was seen on the network yet.
    Firmware(f64),
    /// DHCP, TFTP and HTTP, up to the whole ramdisk.
    Netboot(f64),
    /// Kernel and ramdisk, up to the lookup.
    Ramdisk(f64),
}

/// Spans in seconds from `origin`, out of the events as the server lists them (oldest first).
#[must_use]
pub fn spans(document: &Value, origin: Timestamp) -> Vec<Span> {
    let events = document["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut spans = Vec::new();
    let mut phase = Phase::Quiet;
    let mut bmc = 0.0;
    for event in events.iter().filter_map(|event| read(event, origin)) {
        let mut span = |name: &str, start: f64, end: f64| spans.push(Span { name: name.into(), start, end });
        match (event.kind, event.name) {
            ("bmc", name) => {
                bmc += event.end - event.start;
                phase = match name {
                    "power on" => Phase::Firmware(event.end),
                    "power off" => Phase::Quiet,
                    _ => phase,
                };
            }
            ("dhcp", "offer" | "lease") => {
                if let Phase::Firmware(since) = phase {
                    span("  firmware, to the first DHCP request", since, event.start);
                    phase = Phase::Netboot(event.start);
                }
            }
            ("http", "send") if event.detail.contains("initramfs") => {
                if let Phase::Netboot(since) = phase {
                    span("  DHCP, TFTP, HTTP, to the whole ramdisk", since, event.end);
                    phase = Phase::Ramdisk(event.end);
                }
            }
            ("agent", "lookup") => {
                if let Phase::Ramdisk(since) = phase {
                    span("  kernel and ramdisk, to the lookup", since, event.start);
                    phase = Phase::Quiet;
                }
            }
            ("step", "deploy.write_image") if event.end > event.start => {
                span("  write the image", event.start, event.end);
            }
            ("step", name) if event.end > event.start && name.starts_with("deploy.erase") => {
                span("  erase", event.start, event.end);
            }
            _ => {}
        }
    }
    if bmc > 0.0 {
        let start = spans.first().map_or(0.0, |span: &Span| span.start);
        spans.push(Span { name: "  all calls to the BMC together".into(), start, end: start + bmc });
    }
    spans
}

fn read(event: &Value, origin: Timestamp) -> Option<Event<'_>> {
    let at: Timestamp = event["at"].as_str()?.parse().ok()?;
    let start = at.duration_since(origin).as_secs_f64();
    let took = event["duration_us"].as_f64().unwrap_or(0.0) / 1e6;
    Some(Event {
        kind: event["kind"].as_str()?,
        name: event["name"].as_str()?,
        detail: event["detail"].as_str().unwrap_or_default(),
        start,
        end: start + took,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_boot_is_cut_into_its_phases() {
        let event = |at: u32, kind: &str, name: &str, seconds: f64, detail: &str| json!({"at": format!("2026-01-02T03:04:{at:02}Z"), "kind": kind, "name": name, "duration_us": seconds * 1e6, "detail": detail});
        let document = json!({"events": [
            event(0, "bmc", "power on", 1.0, ""),
            event(11, "dhcp", "offer", 0.0, ""),
            event(12, "dhcp", "lease", 0.0, ""),
            event(13, "http", "send", 1.0, "HTTP sent kernel"),
            event(14, "http", "send", 1.0, "HTTP sent initramfs"),
            event(19, "agent", "lookup", 0.0, ""),
            event(20, "step", "deploy.write_image started", 0.0, ""),
            event(20, "step", "deploy.write_image", 5.0, ""),
        ]});
        let origin = "2026-01-02T03:04:00Z".parse().unwrap();
        let lengths: Vec<_> =
            spans(&document, origin).iter().map(|span| (span.end - span.start).round()).collect();
        assert_eq!(lengths, [10.0, 4.0, 4.0, 5.0, 1.0]);
    }

    #[test]
    fn a_strange_document_is_no_panic() {
        assert!(spans(&json!({"events": [1, {"at": "x"}]}), Timestamp::UNIX_EPOCH).is_empty());
        assert!(spans(&json!(null), Timestamp::UNIX_EPOCH).is_empty());
    }
}
