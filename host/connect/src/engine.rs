//! The engine: what the host has one of, put together once at start.
//!
//! `Engine` is a cheap clone around its parts. Its methods live beside their subject, one module per subject; this file
//! holds construction only, so that what an engine is made of can be read at a glance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use keyport_egress::Egress;
use keyport_plugin::PluginHost;
use keyport_vault::Vault;
use tokio::sync::broadcast;
use url::Url;

use crate::catalogue::Catalogue;
use crate::clock::{Clock, Entropy, OsEntropy, SystemClock};
use crate::error::ConnectError;
use crate::signing;
use crate::token::gate::Gate;
use crate::view::Change;

/// What an engine is made of.
pub struct EngineParts {
    /// Where everything is kept.
    pub vault: Vault,
    /// The one door out.
    pub egress: Egress,
    /// The sandbox that components run in.
    pub plugins: PluginHost,
    /// The apps.
    pub catalogue: Catalogue,
    /// Where browsers and providers reach this host: scheme, host, port; no path.
    pub public_url: Url,
    /// The time. [`SystemClock`] outside of tests.
    pub clock: Arc<dyn Clock>,
    /// Randomness. [`OsEntropy`] outside of tests.
    pub entropy: Arc<dyn Entropy>,
    /// Limits and times.
    pub options: Options,
}

impl EngineParts {
    /// The parts with the system's clock, the system's randomness and the usual limits.
    pub fn new(
        vault: Vault,
        egress: Egress,
        plugins: PluginHost,
        catalogue: Catalogue,
        public_url: Url,
    ) -> Self {
        EngineParts {
            vault,
            egress,
            plugins,
            catalogue,
            public_url,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            options: Options::default(),
        }
    }
}

/// Limits and times, each with its reason.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a session's link opens it.
    pub session_link: Duration,
    /// How long an opened session may be idle.
    pub session_idle: Duration,
    /// How long a session lasts at most.
    pub session_max: Duration,
    /// How long an authorization may take. RFC 9700 asks for short; people look for their second factor.
    pub flow: Duration,
    /// How long a completion code is good.
    pub completion: Duration,
    /// How long before an access token ends it is refreshed.
    pub refresh_ahead: Duration,
    /// Total time of one token request.
    pub token_request: Duration,
    /// Total time of one component call.
    pub call: Duration,
    /// How many failures in a row make a connection `failing` …
    pub failing_after: u32,
    /// … and over how long at least.
    pub failing_over: Duration,
    /// How long a fresh grant is kept while the app cannot be reached for its test call.
    pub pending_retry: Duration,
    /// How long a token is taken to live whose answer and manifest do not say.
    pub assumed_life: Duration,
    /// After this long a grant is renewed whether or not anybody uses it, so that it does not die of age.
    pub idle_renewal: Duration,
    /// A connection that was used within this time has its token renewed before the next use would wait for it.
    pub warm: Duration,
    /// How often a connection is tested that nobody tests.
    pub test_every: Duration,
    /// How often one is tested that has trouble.
    pub failing_test: Duration,
    /// How long events are kept.
    pub audit_keep: Duration,
    /// How long an app that calls is kept waiting. Slack waits for three seconds, and sends again what took longer.
    pub hook_answer: Duration,
    /// How long what triggers found is kept, and the log of deliveries; longer than a delivery is tried.
    pub trigger_events_keep: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            session_link: Duration::from_secs(60),
            session_idle: Duration::from_secs(30 * 60),
            session_max: Duration::from_secs(8 * 60 * 60),
            flow: Duration::from_secs(10 * 60),
            completion: Duration::from_secs(2 * 60),
            refresh_ahead: Duration::from_secs(60),
            token_request: Duration::from_secs(30),
            call: Duration::from_secs(30),
            failing_after: 3,
            failing_over: Duration::from_secs(2 * 60),
            pending_retry: Duration::from_secs(10 * 60),
            assumed_life: Duration::from_secs(60 * 60),
            idle_renewal: Duration::from_secs(24 * 60 * 60),
            warm: Duration::from_secs(24 * 60 * 60),
            test_every: Duration::from_secs(24 * 60 * 60),
            failing_test: Duration::from_secs(5 * 60),
            // A year, and a month in which to look at it.
            audit_keep: Duration::from_secs(400 * 24 * 60 * 60),
            hook_answer: Duration::from_millis(2500),
            trigger_events_keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

pub(crate) struct Inner {
    pub(crate) vault: Vault,
    pub(crate) egress: Egress,
    pub(crate) catalogue: Catalogue,
    pub(crate) public_url: Url,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) options: Options,
    pub(crate) changes: broadcast::Sender<Change>,
    /// What servers publish about themselves, remembered for a while.
    pub(crate) copies: crate::token::found::Copies,
    /// Clocks of apps, minted tokens, temporary keys.
    pub(crate) signing: signing::Shared,
    pub(crate) upkeep: crate::upkeep::Upkeep,
    /// Events that this host has lately looked at for the outbox.
    pub(crate) filled: crate::outbox::Filled,
    /// Whose turn it is to renew which token, in this process. Kept only while somebody waits.
    pub(crate) turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// How many token requests go to one host at once, and when it is left alone.
    pub(crate) gate: Gate,
}

/// The product's rules, over its parts. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

impl Engine {
    /// Puts the parts together and loads every app's component, so that nothing is compiled inside a request. An app whose
    /// component does not load is left out ([`Catalogue::left_out`]).
    ///
    /// # Errors
    ///
    /// When `public_url` cannot be one, or the store cannot be read.
    pub async fn new(parts: EngineParts) -> Result<Engine, ConnectError> {
        parts.catalogue.load_components(&parts.plugins).await;
        let engine = Engine::assemble(
            parts.vault,
            parts.egress,
            parts.catalogue,
            parts.public_url,
            (parts.clock, parts.entropy),
            parts.options,
        )?;
        engine.end_cut_off_flows().await?;
        Ok(engine)
    }

    /// [`Engine::new`] once the components are loaded.
    pub(crate) fn assemble(
        vault: Vault,
        egress: Egress,
        catalogue: Catalogue,
        public_url: Url,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        options: Options,
    ) -> Result<Engine, ConnectError> {
        let bare = public_url.path() == "/"
            && public_url.query().is_none()
            && public_url.fragment().is_none();
        if public_url.cannot_be_a_base() || !bare {
            return Err(ConnectError::misconfigured(
                "bad_public_url",
                "public_url must be scheme, host and port only, such as https://connect.example.com",
            ));
        }
        let (changes, _) = broadcast::channel(1024);
        let engine = Engine {
            inner: Arc::new(Inner {
                vault,
                egress,
                catalogue,
                public_url,
                clock,
                entropy,
                options,
                changes,
                copies: crate::token::found::Copies::default(),
                signing: signing::Shared::default(),
                upkeep: crate::upkeep::Upkeep::default(),
                filled: crate::outbox::Filled::default(),
                turns: Mutex::default(),
                gate: Gate::default(),
            }),
        };
        engine.hear();
        Ok(engine)
    }

    /// Changes to flows and connections of every owner, as they happen. A page's stream filters by its session's owner.
    /// A receiver that lags has missed something and should ask again.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Where browsers and providers reach this host.
    pub fn public_url(&self) -> &Url {
        &self.inner.public_url
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.inner.clock.now_ms()
    }

    /// This long from now.
    pub(crate) fn after(&self, span: Duration) -> i64 {
        self.now()
            .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    }

    /// An address on this host.
    pub(crate) fn here(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.inner.public_url.as_str().trim_end_matches('/')
        )
    }

    /// A name that a person typed: trimmed, 1 to 200 characters, no control characters.
    pub(crate) fn check_name(&self, field: &str, name: &str) -> Result<String, ConnectError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(ConnectError::invalid(
                field,
                "use 1 to 200 characters, without line breaks",
            ));
        }
        Ok(name.to_owned())
    }
}
