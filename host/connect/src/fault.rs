//! Places where a test stops this process dead, to see what is left behind; and a time that a test shortens.
//!
//! `KEYPORT_TEST_HALT_AT=<name>` makes whoever reaches that place wait for ever; the test then kills the process from
//! outside (SIGKILL) and starts it again. The places are between a provider's answer and the commit that keeps it, where a
//! crash costs most.
//!
//! Threat: somebody who can set a variable stops a host. So this exists in builds with debug assertions only; of a
//! release build nothing is left, not even the variable's name.

/// How long a renewed token is left alone; `KEYPORT_TEST_COOLDOWN_MS` shortens it where a test renews one several times.
#[cfg(not(debug_assertions))]
pub(crate) fn cooldown_ms(usual: i64) -> i64 {
    usual
}

/// How long a renewed token is left alone; `KEYPORT_TEST_COOLDOWN_MS` shortens it where a test renews one several times.
#[cfg(debug_assertions)]
pub(crate) fn cooldown_ms(usual: i64) -> i64 {
    static SET: std::sync::LazyLock<Option<i64>> = std::sync::LazyLock::new(|| {
        let text = std::env::var("KEYPORT_TEST_COOLDOWN_MS").ok()?;
        text.parse().ok()
    });
    SET.unwrap_or(usual)
}

/// A place that has a name.
#[cfg(not(debug_assertions))]
pub(crate) async fn point(_: &'static str) {}

/// A place that has a name.
#[cfg(debug_assertions)]
pub(crate) async fn point(name: &'static str) {
    static HALT_AT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("KEYPORT_TEST_HALT_AT").ok());
    if HALT_AT.as_deref() == Some(name) {
        tracing::warn!(at = name, "halted for a test");
        std::future::pending::<()>().await;
    }
}
