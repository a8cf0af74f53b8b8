//! How far long work is: a bar on a terminal, a line now and then in a log.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const WIDTH: u64 = 30;
/// How often a terminal is drawn, and a log written.
const DRAW: Duration = Duration::from_millis(100);
const LOG: Duration = Duration::from_secs(10);

/// The progress of one command, on standard error.
pub struct Progress {
    terminal: bool,
    step: &'static str,
    begun: Instant,
    first: u64,
    shown: Option<Instant>,
}

impl Progress {
    /// Nothing is shown before the first step.
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            step: "",
            begun: Instant::now(),
            first: 0,
            shown: None,
        }
    }

    /// Shows how far a step is; `of`: how much it is in all, when that is known.
    pub fn at(&mut self, step: &'static str, done: u64, of: Option<u64>) {
        if self.step != step {
            self.end();
            self.step = step;
            self.begun = Instant::now();
            self.first = done;
            self.shown = None;
        }
        let every = if self.terminal { DRAW } else { LOG };
        let over = of == Some(done);
        if !over && self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = line(step, done, of, self.first, self.begun.elapsed());
        let mut out = std::io::stderr();
        // A terminal that went away stops no work.
        let _ = if self.terminal {
            write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }

    /// The last line stays.
    pub fn end(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(step: &str, done: u64, of: Option<u64>, first: u64, taken: Duration) -> String {
    let seconds = taken.as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "for the eye"
    )]
    let rate = if seconds > 0.2 {
        (done.saturating_sub(first) as f64 / seconds) as u64
    } else {
        0
    };
    let speed = if rate > 0 {
        format!("  {rate}/s")
    } else {
        String::new()
    };
    let Some(of) = of.filter(|of| *of > 0) else {
        return format!("{step}  {done}{speed}");
    };
    let done = done.min(of);
    let filled = usize::try_from(done.saturating_mul(WIDTH) / of).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(filled);
    let left = match (of - done).checked_div(rate) {
        Some(left) if left > 0 => format!("  {left} s left"),
        _ => String::new(),
    };
    format!(
        "{step}  [{}{}] {:>3} %  {done} of {of}{speed}{left}",
        "#".repeat(filled),
        ".".repeat(empty),
        done.saturating_mul(100) / of
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_how_far_how_fast_and_how_long() {
        let at = |done, of, seconds| line("copying", done, of, 0, Duration::from_secs(seconds));
        assert_eq!(at(0, None, 0), "copying  0");
        assert_eq!(
            at(50, Some(100), 5),
            "copying  [###############...............]  50 %  50 of 100  10/s  5 s left"
        );
        assert_eq!(
            at(100, Some(100), 10),
            "copying  [##############################] 100 %  100 of 100  10/s"
        );
        assert_eq!(at(7, Some(0), 0), "copying  7");
    }
}
