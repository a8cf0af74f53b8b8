//! Counters in the Prometheus text format, written by hand: two series do not earn a dependency.
//!
//! Labels are the route's template, the method and the status, all from closed sets, so the number of series
//! is bounded by the number of routes whatever callers send. No owner, app or id ever becomes a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

#[derive(Default)]
pub(crate) struct Metrics {
    answered: Mutex<BTreeMap<Labels, Sums>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Default)]
struct Sums {
    count: u64,
    seconds: f64,
}

/// A method as a label: what HTTP itself defines, all else as one.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

impl Metrics {
    /// Counts one answer. `route` is a template such as `/v1/connections/{id}`, never a path.
    pub(crate) fn answered(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let labels = Labels {
            route: route.to_owned(),
            method: method_label(method),
            status,
        };
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = answered.entry(labels).or_default();
        sums.count += 1;
        sums.seconds += took.as_secs_f64();
    }

    /// The whole page, `text/plain; version=0.0.4`.
    pub(crate) fn render(&self) -> String {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = String::from(
            "# HELP keyport_http_requests_total Requests answered.\n# TYPE keyport_http_requests_total counter\n",
        );
        let mut seconds = String::from(
            "# HELP keyport_http_request_seconds_total Time until the answer's headers.\n\
             # TYPE keyport_http_request_seconds_total counter\n",
        );
        for (
            Labels {
                route,
                method,
                status,
            },
            sums,
        ) in answered.iter()
        {
            let labels = format!("{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}");
            let _ = writeln!(count, "keyport_http_requests_total{labels} {}", sums.count);
            let _ = writeln!(
                seconds,
                "keyport_http_request_seconds_total{labels} {:.6}",
                sums.seconds
            );
        }
        count + &seconds
    }
}

/// The keys that everything is sealed with: when each was made, how often it was used at most. For alarms on a rotation schedule.
pub(crate) fn keys(keys: &keyport_connect::Inventory) -> String {
    let mut made = String::from(
        "# HELP keyport_vault_term_created_seconds When a term of the keyring was made.\n# TYPE keyport_vault_term_created_seconds gauge\n",
    );
    let mut uses = String::from(
        "# HELP keyport_vault_term_uses The most often that a term can have sealed.\n# TYPE keyport_vault_term_uses gauge\n",
    );
    for term in &keys.terms {
        let labels = format!("{{term=\"{}\",state=\"{}\"}}", term.id, term.state);
        if let Some(since_ms) = term.since_ms {
            let _ = writeln!(
                made,
                "keyport_vault_term_created_seconds{labels} {}",
                since_ms / 1000
            );
        }
        if let Some(used) = term.uses {
            let _ = writeln!(uses, "keyport_vault_term_uses{labels} {used}");
        }
    }
    let _ = write!(
        uses,
        "# HELP keyport_vault_key_uses_max After how many uses a key is replaced.\n# TYPE keyport_vault_key_uses_max gauge\n\
         keyport_vault_key_uses_max {}\n\
         # HELP keyport_vault_root_keys How many root keys open; two while it is changed.\n# TYPE keyport_vault_root_keys gauge\n\
         keyport_vault_root_keys {}\n",
        keys.uses_max, keys.root_keys
    );
    made + &uses
}

/// Whether the store was older at the start than this host had seen it.
pub(crate) fn older(older: bool) -> String {
    format!(
        "# HELP keyport_vault_older_than_seen 1: an older copy of the store was put back; see `keyport vault status`.\n\
         # TYPE keyport_vault_older_than_seen gauge\nkeyport_vault_older_than_seen {}\n",
        u8::from(older)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_template_method_and_status() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(250);
        metrics.answered("/v1/apps/{app}", &Method::GET, 200, took);
        metrics.answered("/v1/apps/{app}", &Method::GET, 200, took);
        metrics.answered(
            "/v1/apps/{app}",
            &Method::from_bytes(b"BREW").unwrap(),
            405,
            took,
        );
        let page = metrics.render();
        let get = "{route=\"/v1/apps/{app}\",method=\"GET\",status=\"200\"}";
        assert!(
            page.contains(&format!("keyport_http_requests_total{get} 2\n")),
            "{page}"
        );
        assert!(
            page.contains(&format!(
                "keyport_http_request_seconds_total{get} 0.500000\n"
            )),
            "{page}"
        );
        assert!(
            page.contains("method=\"other\",status=\"405\"} 1\n"),
            "{page}"
        );
    }
}
