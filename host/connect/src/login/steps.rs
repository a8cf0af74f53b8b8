//! The steps of a log-in, one after the other, and the log-out.
//!
//! Each step sees what the ones before it gave; only declared captures are kept. Whether an answer is a success, and what a
//! refusal means, is the manifest's rule, the same one that `keyport validate` runs over fixtures.

use indexmap::IndexMap;
use keyport_egress::Purpose;
use keyport_manifest::rules::session_step;
use keyport_manifest::{Captures, Failure, Lifetime, Logout, Means, Scope, Session};
use keyport_vault::Owner;
use serde_json::json;

use super::request::own;
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::jose;
use crate::record::{Connection, ConnectionSealed, SessionLife, Stored};
use crate::use_::pass::PassParts;
use crate::use_::scope;
use crate::view::Revoked;

impl Engine {
    /// Logs in with these fields and credentials, and puts what came of it in their place.
    ///
    /// # Errors
    ///
    /// What the app said, in its manifest's words; or that it did not answer.
    pub(crate) async fn log_in(
        &self,
        entry: &AppEntry,
        owner: &Owner,
        method: &str,
        session: &Session,
        sealed: &mut ConnectionSealed,
    ) -> Result<(), ConnectError> {
        let before = sealed.session.as_ref().map_or(0, |life| life.generation);
        let mut from = sealed.clone();
        // The last session's values are of no use to a new log-in, and must not stand in for what it does not answer.
        for (id, _) in session.steps.iter().flat_map(|step| &step.capture) {
            from.capture.shift_remove(id);
        }
        let mut known = entry
            .manifest
            .with_variant(&scope::of_connection(&from, None));
        let mut captured: IndexMap<String, Hidden> = IndexMap::new();
        let mut life = None;
        for (number, step) in session.steps.iter().enumerate() {
            let now = self.now().div_euclid(1000);
            if let Some(jwt) = &step.sign {
                let token = jose::mint(jwt, &known, &[], now)
                    .map_err(|error| ConnectError::invalid("credentials", error.to_string()))?;
                known.set_value("jwt", "token", json!(token.expose()));
            }
            let request = own(entry, method, &step.request, &known)?;
            let answer = self.send_alone(owner, request).await?;
            let step = session_step(session, number, &known, &answer, now).map_err(failed)?;
            keep(step.captures, &mut captured, &mut known);
            life = step.lifetime.or(life);
        }
        let now = self.now();
        let expires_at = match life {
            Some(Lifetime::Seconds(seconds)) => {
                let span = i64::try_from(seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000);
                Some(now.saturating_add(span))
            }
            // Not said: the app's 401 says it.
            Some(Lifetime::Endless | Lifetime::Unknown) | None => None,
        };
        for (id, _) in session.steps.iter().flat_map(|step| &step.capture) {
            sealed.capture.shift_remove(id);
        }
        sealed.capture.extend(captured);
        sealed.session = Some(SessionLife {
            obtained_at: now,
            expires_at,
            generation: before.saturating_add(1),
        });
        Ok(())
    }

    /// Ends a session at the app, where the app lets one. Says what became of it.
    pub(crate) async fn log_out(
        &self,
        stored: &Stored<Connection>,
        sealed: &ConnectionSealed,
        entry: &AppEntry,
        session: &Session,
    ) -> (Revoked, String) {
        let name = &entry.manifest.name;
        let request = match &session.logout {
            Some(Logout::Request(request)) if sealed.session.is_some() => request,
            _ => {
                return (
                    Revoked::NotSupported,
                    format!(
                        "{name} was not told; the credentials were deleted here, and the session ends by itself"
                    ),
                );
            }
        };
        let parts = PassParts {
            entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed,
            account: stored.clear.account.as_ref(),
            config: None,
        };
        let sent = async {
            let (mut pass, known) = self.pass(&parts, Purpose::Flow).await?;
            let own = own(entry, &stored.clear.method, request, &known)?;
            // Under the API its credential goes along; elsewhere the request has what it needs in itself.
            if own.base.is_none() {
                pass.hosts = own.host;
            }
            self.send_with(pass, own.request).await
        };
        match sent.await {
            // A session that the app does not know any more is as good as ended.
            Ok(answer)
                if (200..400).contains(&answer.status)
                    || matches!(answer.status, 401 | 404 | 410) =>
            {
                (Revoked::Yes, format!("{name} has ended this session"))
            }
            Ok(_) | Err(_) => (
                Revoked::No,
                format!("{name} did not confirm it; the session ends by itself"),
            ),
        }
    }
}

/// Takes captures over, for what is kept and for what is rendered next.
pub(super) fn keep(found: Captures, kept: &mut IndexMap<String, Hidden>, known: &mut Scope) {
    let secret = found
        .secret
        .into_iter()
        .map(|(id, value)| (id, Hidden::new(value.expose())));
    let public = found
        .public
        .into_iter()
        .map(|(id, value)| (id, Hidden::new(value)));
    for (id, value) in secret.chain(public) {
        known.set_value("capture", &id, json!(value.expose()));
        kept.insert(id, value);
    }
}

/// What a refusal is to whoever asked.
fn failed(failure: Failure) -> ConnectError {
    // A log-in that was refused for whatever reason of the person's own is theirs to mend; trying it again could lock them
    // out.
    let means = match failure.means {
        Means::NotFound | Means::InvalidInput => Means::NeedsReconnect,
        other => other,
    };
    as_error(Failure { means, ..failure })
}

/// A failure as it is.
pub(super) fn as_error(failure: Failure) -> ConnectError {
    ConnectError::App {
        means: failure.means,
        code: failure.means.as_str().to_owned(),
        say: failure.say,
        retry_after_ms: failure.retry_after_ms,
    }
}
