//! A component's log: its own lines, and what it prints.
//!
//! The threats are a flood, a line that forges another line or drives a terminal, and a secret that an app echoed. So
//! lines are counted and cut, control characters are escaped, and the call's secrets are searched for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use keyport_egress::{Scrubber, Secret};
use serde_json::Value;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::call::{LogLevel, LogLine, LogSink};
use crate::limits::CallLimits;

/// The lines of one call.
pub struct Lines {
    app: String,
    sink: LogSink,
    secrets: Vec<Secret>,
    /// Made when the first line comes: most calls log nothing, and it costs more than starting the guest.
    scrubber: OnceLock<Scrubber>,
    line_bytes: usize,
    left: Mutex<u32>,
}

impl Lines {
    pub fn new(app: &str, sink: LogSink, secrets: Vec<Secret>, limits: &CallLimits) -> Self {
        Self {
            app: app.to_owned(),
            sink,
            secrets,
            scrubber: OnceLock::new(),
            line_bytes: limits.log_line_bytes,
            left: Mutex::new(limits.log_lines),
        }
    }

    /// Takes one line, or several where the text has breaks. Over the cap, one line says so and the rest is dropped.
    pub fn write(&self, level: LogLevel, text: &str, data: Value) {
        let mut data = Some(data);
        for line in text
            .split('\n')
            .map(|line| line.trim_end_matches('\r'))
            .filter(|line| !line.is_empty())
        {
            if !self.take() {
                return;
            }
            let data = data.take().map_or(Value::Null, |data| self.data(data));
            (self.sink)(LogLine {
                level,
                text: self.clean(line),
                data,
            });
        }
    }

    fn scrubber(&self) -> &Scrubber {
        self.scrubber.get_or_init(|| Scrubber::new(&self.secrets))
    }

    fn take(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match *left {
            0 => false,
            1 => {
                *left = 0;
                let text = format!(
                    "the component of {} logs too much; the rest of this call is dropped",
                    self.app
                );
                (self.sink)(LogLine {
                    level: LogLevel::Warn,
                    text,
                    data: Value::Null,
                });
                false
            }
            _ => {
                *left -= 1;
                true
            }
        }
    }

    /// Scrubbed first, so that a cut or an escape cannot hide a secret from the search. Of a long line no more is searched than
    /// could be kept; what of a secret begins there and goes on beyond is held back by the search.
    fn clean(&self, line: &str) -> String {
        let searched = line.floor_char_boundary(2 * self.line_bytes);
        let mut stream = self.scrubber().stream();
        let mut scrubbed = stream.push(line.as_bytes().get(..searched).unwrap_or_default());
        let cut = searched < line.len();
        if !cut {
            scrubbed.extend(stream.finish());
        }
        let mut out = String::new();
        for c in String::from_utf8_lossy(&scrubbed).chars() {
            if out.len() + c.len_utf8() > self.line_bytes {
                out.push('…');
                return out;
            }
            if c.is_control() || is_direction(c) {
                out.extend(c.escape_default())
            } else {
                out.push(c)
            }
        }
        if cut {
            out.push('…');
        }
        out
    }

    fn data(&self, data: Value) -> Value {
        let text = data.to_string();
        if data.is_null() || text.len() > self.line_bytes {
            return Value::Null;
        }
        let scrubbed = self.scrubber().text(&text);
        // Escapes within JSON could hide a value that the text search does not see; then the attachment is left out.
        serde_json::from_str(&scrubbed).unwrap_or(Value::Null)
    }
}

/// Characters that reorder what is shown (CVE-2021-42574).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Stdout or stderr of a guest. It always takes everything: a guest whose print fails would trap over it.
#[derive(Clone)]
pub struct Sink {
    lines: Arc<Lines>,
    level: LogLevel,
    /// A beginning of a line. Shared by all streams of one kind, as they are one file to the guest.
    held: Arc<Mutex<Vec<u8>>>,
}

impl Sink {
    pub fn new(lines: Arc<Lines>, level: LogLevel) -> Self {
        Self {
            lines,
            level,
            held: Arc::default(),
        }
    }

    fn take(&self, bytes: &[u8]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // What is beyond a line's length is cut anyway, so there is no need to hold it.
        let room = (2 * self.lines.line_bytes).saturating_sub(held.len());
        let (full, rest) = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => bytes.split_at_checked(at + 1).unwrap_or((bytes, &[])),
            None => (&[][..], bytes),
        };
        if full.is_empty() {
            held.extend(rest.iter().take(room));
            return;
        }
        let mut line = std::mem::take(&mut *held);
        line.extend_from_slice(full);
        held.extend(rest.iter().take(2 * self.lines.line_bytes));
        drop(held);
        self.lines
            .write(self.level, &String::from_utf8_lossy(&line), Value::Null);
    }
}

impl Drop for Sink {
    /// The last line of a guest has no end.
    fn drop(&mut self) {
        if Arc::strong_count(&self.held) == 1 {
            let held =
                std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
            self.lines
                .write(self.level, &String::from_utf8_lossy(&held), Value::Null);
        }
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limits: &CallLimits) -> (Lines, Arc<Mutex<Vec<LogLine>>>) {
        let seen: Arc<Mutex<Vec<LogLine>>> = Arc::default();
        let sink: LogSink = {
            let seen = Arc::clone(&seen);
            Arc::new(move |line| seen.lock().unwrap().push(line))
        };
        let secrets = vec![Secret::new("hunter2hunter2")];
        (Lines::new("demo", sink, secrets, limits), seen)
    }

    #[test]
    fn a_line_cannot_forge_another_and_carries_no_secret() {
        let (lines, seen) = lines(&CallLimits::default());
        lines.write(
            LogLevel::Info,
            "a\u{1b}[2Jb hunter2hunter2\r\nsecond",
            serde_json::json!({"k": "hunter2hunter2"}),
        );
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].text, "a\\u{1b}[2Jb [redacted]");
        assert_eq!(seen[0].data, serde_json::json!({"k": "[redacted]"}));
        assert_eq!(seen[1].text, "second");
    }

    /// Wherever the search ends, it ends before a secret or behind it; and secrets that become a mark leave no room for their
    /// ends.
    #[test]
    fn a_long_line_is_searched_as_far_as_it_is_kept_and_no_piece_of_a_secret_is_left() {
        let (lines, _) = lines(&CallLimits {
            log_line_bytes: 100,
            ..CallLimits::default()
        });
        let secret = "hunter2hunter2";
        for before in 0..250 {
            let line = format!("{}{secret}{}", "é".repeat(before), "y".repeat(1_000));
            let clean = lines.clean(&line);
            assert!(!clean.contains("hunter"), "{before}: {clean}");
            assert!(
                clean.len() <= 103 && clean.ends_with('…'),
                "{before}: {clean}"
            );
        }
        let clean = lines.clean(&secret.repeat(1_000));
        assert!(!clean.contains("hunter") && clean.ends_with('…'), "{clean}");
        assert_eq!(lines.clean("hunter"), "hunter");
    }

    #[test]
    fn a_flood_ends_with_one_line_that_says_so() {
        let (lines, seen) = lines(&CallLimits {
            log_lines: 4,
            log_line_bytes: 8,
            ..CallLimits::default()
        });
        for _ in 0..100 {
            lines.write(LogLevel::Info, "0123456789", Value::Null);
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[0].text, "01234567…");
        assert!(seen[3].text.contains("logs too much"));
    }

    #[test]
    fn what_is_printed_piece_by_piece_is_logged_line_by_line() {
        let (lines, seen) = lines(&CallLimits::default());
        let sink = Sink::new(Arc::new(lines), LogLevel::Debug);
        for piece in ["he", "llo\nwor", "ld\n", "end"] {
            sink.take(piece.as_bytes());
        }
        drop(sink);
        let texts: Vec<String> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|l| l.text.clone())
            .collect();
        assert_eq!(texts, ["hello", "world", "end"]);
    }
}
