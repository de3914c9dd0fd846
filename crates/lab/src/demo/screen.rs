//! What a person sees while the story plays: a spinner with the current state on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress is shown.
#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    started: Instant,
    started_at: jiff::Timestamp,
}

impl Default for Screen {
    fn default() -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { is_terminal, started: Instant::now(), started_at: jiff::Timestamp::now() }
    }
}

/// A step that is being played. One that is dropped without [`Step::done`] is shown as failed.
#[derive(Debug)]
pub struct Step {
    title: String,
    started: Instant,
    bar: Option<ProgressBar>,
    last: Mutex<String>,
    is_done: bool,
}

impl Screen {
    /// When the screen, and with it the story, began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The same moment on the calendar's clock.
    #[must_use]
    pub fn started_at(&self) -> jiff::Timestamp {
        self.started_at
    }

    /// Shows text as it is.
    pub fn text(&self, text: &str) {
        say(format_args!("\n{text}"));
    }

    /// Begins a step.
    #[must_use]
    pub fn step(&self, title: &str) -> Step {
        let bar = self.is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix}  {elapsed} {wide_msg:.dim}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(title.to_string());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            say(format_args!("  .. {title}"));
        }
        Step {
            title: title.to_string(),
            started: Instant::now(),
            bar,
            last: Mutex::default(),
            is_done: false,
        }
    }
}

impl Step {
    /// Says what is going on now. Repetitions are not shown again.
    pub fn progress(&self, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last == text {
            return;
        }
        *last = text.to_string();
        match &self.bar {
            Some(bar) => bar.set_message(text.to_string()),
            None => say(format_args!("     {:6.1} s  {text}", self.started.elapsed().as_secs_f64())),
        }
    }

    /// Shows a command line as it is typed, or what it printed.
    pub fn shows(&self, mark: &str, text: &str) {
        for line in text.trim_end().lines() {
            match &self.bar {
                Some(bar) => bar.suspend(|| say(format_args!("     {mark}{line}"))),
                None => say(format_args!("     {mark}{line}")),
            }
        }
    }

    /// Ends the step well; `detail` may be empty.
    pub fn done(mut self, detail: &str) {
        self.is_done = true;
        self.end("ok", detail);
    }

    fn end(&self, mark: &str, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let detail = if detail.is_empty() { String::new() } else { format!("  ({detail})") };
        say(format_args!("  {mark} {}  {:.1} s{detail}", self.title, self.started.elapsed().as_secs_f64()));
    }
}

/// Prints a line. When nobody reads it any more (a closed pipe), the story goes on all the same.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.is_done {
            self.end("FAILED", "");
        }
    }
}
