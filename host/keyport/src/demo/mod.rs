//! The demo platform of `keyport dev`: what a customer of Keyport would build, made small.
//!
//! It runs on another site than Keyport on purpose, holds a platform key of its own and talks to Keyport over
//! `/v1` only, exactly as a customer's backend would: so what works here works for them. It has a small
//! automation builder (pick an app, then an event or an action; connect or choose an account; run the step
//! once, or watch an event and see what it finds) and a link to the hosted Apps page.
//!
//! | file | what it holds |
//! |---|---|
//! | `client.rs` | the backend's calls to Keyport, with the platform key |
//! | `visitor.rs` | who is signed in: one link, one cookie |
//! | `routes.rs` | what the browser asks for |
//! | `../../assets/demo/` | the page itself |
//!
//! Threats it takes care of, as a customer must: the completion code is redeemed for the signed-in user only,
//! and requests that change something come from its own origin. Left out: a database; it forgets everything at exit.

mod client;
mod routes;
mod visitor;

use std::sync::Arc;

use axum::Router;
use url::Url;

pub use client::Keyport;
pub use visitor::Visitors;

/// What the demo platform needs: its own origin, and Keyport as it sees it.
#[derive(Clone)]
pub struct Demo {
    inner: Arc<Inner>,
}

struct Inner {
    /// `http://127.0.0.1:4701`, without a trailing slash.
    origin: String,
    /// The origin at which browsers reach Keyport, without a trailing slash.
    keyport_origin: String,
    keyport: Keyport,
    visitors: Visitors,
}

impl Demo {
    /// `own` and `keyport_public` are origins; `keyport` holds the platform key.
    pub fn new(
        own: &Url,
        keyport_public: &Url,
        keyport: Keyport,
    ) -> Result<Self, getrandom::Error> {
        let inner = Inner {
            origin: own.origin().ascii_serialization(),
            keyport_origin: keyport_public.origin().ascii_serialization(),
            keyport,
            visitors: Visitors::new()?,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The link that signs a browser in as `demo`; to be printed once, at start.
    pub fn entrance(&self) -> String {
        format!(
            "{}/enter?token={}",
            self.inner.origin,
            self.inner.visitors.entrance()
        )
    }

    /// Everything that the demo platform serves.
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }
}
