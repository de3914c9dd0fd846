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
    fn nothing_is_no_panic() {
        assert!(render(&[]).contains("Nothing"));
        assert!(render(&[span("at once", 1.0, 1.0)]).contains("0.0 s"));
    }
}
