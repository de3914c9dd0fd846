//! Where the seconds went: spans drawn as bars under one another.

use std::fmt::Write;

/// Width of the bars, in characters.
const WIDTH: usize = 48;

/// Something that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What it was.
    pub name: String,
    /// Seconds from the story's start to its start.
    pub start: f64,
    /// Seconds from the story's start to its end.
    pub end: f64,
}

/// Draws spans in order of their start, one line each: name, seconds, bar.
#[must_use]
pub fn render(spans: &[Span]) -> String {
    let mut spans: Vec<&Span> = spans
        .iter()
        .filter(|span| span.end >= span.start && span.start.is_finite() && span.end.is_finite())
        .collect();
    spans.sort_by(|a, b| a.start.total_cmp(&b.start));
    let Some(first) = spans.first().map(|span| span.start) else {
        return String::from("Nothing to show on the timeline.");
    };
    let last = spans.iter().map(|span| span.end).fold(first, f64::max);
    let scale = if last > first { WIDTH as f64 / (last - first) } else { 0.0 };
    let width = spans.iter().map(|span| span.name.chars().count()).max().unwrap_or(0);
    let mut text = String::from("Where the seconds went:\n");
    for span in spans {
        // Between 0 and WIDTH by construction.
        let column = |at: f64| ((at - first) * scale).round() as usize;
        let (from, to) = (column(span.start), column(span.end));
        let bar =
            format!("{}{}", " ".repeat(from), if to > from { "█".repeat(to - from) } else { "▏".into() });
        let pad = " ".repeat(width - span.name.chars().count());
        let _ = writeln!(text, "  {}{pad} {:7.1} s  {bar}", span.name, span.end - span.start);
    }
    let _ = write!(text, "  {:width$} {:7.1} s", "in all", last - first);
    text
}

/// How much the deployment costs beyond what can't be avoided: from the command to `ssh`, against the sum of its parts (two firmware boots,
/// network boot, ramdisk, write, the system's own boot). `None` where the story did not come that far.
///
/// The start of the client and the looks at the node, two a second, are in the first and not in the second.
#[must_use]
pub fn overhead(spans: &[Span]) -> Option<String> {
    let find = |name: &str| spans.iter().find(|span| span.name == name);
    let (deploy, boot) = (find("deploy")?, find("boot to ssh")?);
    let is_part = |span: &&Span| {
        let is_phase = span.name.starts_with("  ") && !span.name.contains("together");
        is_phase && span.start >= deploy.start && span.end <= deploy.end
    };
    let length = |span: &Span| span.end - span.start;
    let parts: f64 = spans.iter().filter(is_part).map(length).sum::<f64>() + length(boot);
    let whole = boot.end - deploy.start;
    (parts > 0.0).then(|| {
        format!(
            "From the deploy command to ssh {whole:.1} s; its unavoidable parts sum to {parts:.1} s, ratio {:.2}.",
            whole / parts
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, start: f64, end: f64) -> Span {
        Span { name: name.into(), start, end }
    }

    #[test]
    fn bars_are_in_order_and_to_scale() {
        let text = render(&[
            span("write", 30.0, 50.0),
            span("firmware", 2.0, 26.0),
            span("odd", f64::NAN, 1.0),
            span("back", 5.0, 4.0),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[1].starts_with("  firmware    24.0 s  █") && lines[1].matches('█').count() == 24,
            "{text}"
        );
        assert!(lines[2].contains("write       20.0 s") && lines[2].matches('█').count() == 20, "{text}");
        assert!(lines[3].contains("in all") && lines[3].contains("48.0 s"), "{text}");
    }

    #[test]
    fn the_overhead_is_what_is_not_a_part() {
        let spans = [
            span("  firmware", 1.0, 3.0),
            span("deploy", 10.0, 30.0),
            span("  firmware", 11.0, 16.0),
            span("  write", 20.0, 25.0),
            span("  all calls to the BMC together", 11.0, 12.0),
            span("boot to ssh", 30.0, 40.0),
        ];
        let text = overhead(&spans).unwrap();
        assert!(text.contains("30.0 s") && text.contains("sum to 20.0 s") && text.contains("1.50"), "{text}");
        assert_eq!(overhead(&spans[..2]), None);
    }

    #[test]
    fn nothing_is_no_panic() {
        assert!(render(&[]).contains("Nothing"));
        assert!(render(&[span("at once", 1.0, 1.0)]).contains("0.0 s"));
    }
}
