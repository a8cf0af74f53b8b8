//! Documents that servers publish about themselves: fetched under one set of limits, remembered for a while.
//!
//! Whoever types an address decides whom this host asks, so these are the least trusted requests that it makes (A21): https,
//! one host, no redirects, 64 kB, 5 seconds, JSON, public addresses only (egress sees to the last), and nothing of the
//! answer is used but what its reader picks out. A copy is remembered for at most an hour, for one owner alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyport_manifest::{PlainRequest, PlainResponse};
use keyport_vault::Owner;
use url::Url;

use super::failure::TokenFailure;
use crate::engine::Engine;

/// The largest document.
const LARGEST: u64 = 64 << 10;
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a copy is good.
const GOOD_MS: i64 = 60 * 60 * 1000;
/// Most copies that are kept.
const MOST: usize = 256;

/// What is asked for, and how old an answer may be.
pub(super) struct Fetch<'a> {
    pub(super) owner: &'a Owner,
    pub(super) url: &'a Url,
    /// A copy that is at most this old will do; an hour, if not said.
    pub(super) at_most: Option<i64>,
}

/// A document as it was fetched.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) document: Vec<u8>,
    /// Whether it was fetched just now.
    pub(super) fresh: bool,
    at: i64,
}

/// Copies, by owner and address.
#[derive(Default)]
pub(crate) struct Copies(Mutex<HashMap<(String, String), Kept>>);

impl Copies {
    fn get(&self, key: &(String, String), now: i64, at_most: i64) -> Option<Kept> {
        let copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = copies.get(key)?;
        (now.saturating_sub(kept.at) < at_most).then(|| Kept {
            fresh: false,
            ..kept.clone()
        })
    }

    fn put(&self, key: (String, String), kept: Kept) {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.len() >= MOST {
            let oldest = copies.iter().min_by_key(|(_, kept)| kept.at);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                copies.remove(&oldest);
            }
        }
        copies.insert(key, kept);
    }
}

impl Engine {
    /// Fetches a document that a server publishes; 200 and JSON, or an error.
    pub(super) async fn fetch_document(
        &self,
        fetch: &Fetch<'_>,
        request: PlainRequest,
    ) -> Result<Kept, TokenFailure> {
        let key = (fetch.owner.to_string(), fetch.url.to_string());
        let at_most = fetch.at_most.unwrap_or(GOOD_MS);
        let now = self.now();
        if let Some(kept) = self.inner.copies.get(&key, now, at_most) {
            return Ok(kept);
        }
        let response = self.fetch(fetch.owner, fetch.url, request).await?;
        if response.status != 200 {
            return Err(match response.status {
                408 | 425 | 429 | 500..=599 => TokenFailure::Down {
                    code: format!("http_{}", response.status),
                    unseen: false,
                    retry_after_ms: None,
                },
                status => TokenFailure::Unreadable {
                    code: format!("http_{status}"),
                },
            });
        }
        let json = serde_json::from_slice::<serde_json::Value>(&response.body);
        if !json.is_ok_and(|document| document.is_object()) {
            return Err(TokenFailure::Unreadable {
                code: "not_json".into(),
            });
        }
        let kept = Kept {
            document: response.body,
            fresh: true,
            at: now,
        };
        self.inner.copies.put(key, kept.clone());
        Ok(kept)
    }

    /// One request to one host that somebody named, under the limits of this module.
    pub(super) async fn fetch(
        &self,
        owner: &Owner,
        url: &Url,
        request: PlainRequest,
    ) -> Result<PlainResponse, TokenFailure> {
        let mut pass = self.own_pass(owner, url)?;
        pass.limits.total = LONGEST.min(self.inner.options.token_request);
        pass.limits.response_body = LARGEST;
        self.send_own(&pass, request).await
    }
}
