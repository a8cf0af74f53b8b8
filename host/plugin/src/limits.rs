//! What one call may use, and why each number is what it is.
//!
//! A component is code that nobody here wrote. Every resource it can ask for has a number here, and every number is
//! handed to the engine explicitly: an engine's defaults are sized for trusted code.

use std::time::Duration;

/// Limits of one call into a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Linear memory in bytes. A Rust guest starts at about 1 MiB, CPython at about 12 MiB.
    pub memory_bytes: usize,
    /// Elements of one table. Language runtimes use a few thousand (indirect calls).
    pub table_elements: usize,
    /// Time that the guest itself may compute, not counting what it waits for. Counted in ticks of 10 ms.
    pub cpu: Duration,
    /// Time of the whole call, waiting included. A call may ask for less, never for more.
    pub wall: Duration,
    /// Bytes that the guest may hand to the host in one host call (a request's body, a log line, a result).
    pub hostcall_bytes: usize,
    /// Values in the JSON that the guest hands over at a time: read, each takes up to 225 bytes of the host beside its text.
    pub json_values: usize,
    /// Component-model handles (resources) alive at a time.
    pub handles: usize,
    /// Host resources (streams, pollables) alive at a time.
    pub resources: usize,
    /// Bytes of randomness per request for them.
    pub random_bytes: u64,
    /// HTTP requests per call.
    pub requests: u32,
    /// Of these, how many may be under way at a time (by `wasi:http`; `http` has one). All calls together must stay below the
    /// connections that egress opens, or one app's calls would keep the others' waiting: 64 calls of 6 are 384 of 512.
    pub requests_at_once: usize,
    /// Bytes of one request's body.
    pub request_bytes: u64,
    /// Bytes of one answer's body, decompressed. It must fit into the guest's memory, more than once.
    pub response_bytes: u64,
    /// Headers of one request. (32,768 once crashed hosts: CVE-2026-27572.)
    pub headers: usize,
    /// Bytes that a guest may write into headers, methods and addresses by `wasi:http` in one call: fifty requests' worth.
    pub header_bytes: usize,
    /// Placeholders of secrets per call.
    pub placeholders: u32,
    /// Log lines per call; stdout and stderr count too.
    pub log_lines: u32,
    /// Bytes of one log line; the rest is cut.
    pub log_line_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(60),
            hostcall_bytes: 16 << 20,
            json_values: 250_000,
            handles: 1_000,
            resources: 10_000,
            random_bytes: 64 << 10,
            requests: 50,
            requests_at_once: 6,
            request_bytes: 8 << 20,
            response_bytes: 8 << 20,
            headers: 100,
            header_bytes: 4 << 20,
            placeholders: 100,
            log_lines: 200,
            log_line_bytes: 4 << 10,
        }
    }
}
