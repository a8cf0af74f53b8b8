//! What time does: what is due for connections is done ([`crate::alive`]), old sessions and flows go.
//!
//! [`Engine::end_cut_off_flows`] runs once, before anything is served. The server calls [`Engine::sweep`] now and then. A lease keeps several hosts from doing the same at once; doing it
//! twice would do no harm.

use std::time::Duration;

use keyport_vault::{Expect, LeaseTry};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::flow::problem;
use crate::record::{self, Flow, Session, SessionStatus, SignedFlow, Stored};
use crate::view::{FlowStatus, Problem, SweepReport};

/// How long one sweep may take before another host may begin: what is begun in its minute, and the longest of it.
const LEASE: Duration = Duration::from_secs(180);
/// How long ended sessions and flows can still be asked about.
const KEPT_MS: i64 = 60 * 60 * 1000;

impl Engine {
    /// Does what is due. One trouble does not stop the rest.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn sweep(&self) -> Result<SweepReport, ConnectError> {
        let LeaseTry::Got(lease) = self.inner.vault.lease("sweep", LEASE).await? else {
            return Ok(SweepReport::default());
        };
        let done = self.sweep_leased().await;
        if let Err(error) = self.inner.vault.release(lease).await {
            tracing::warn!(%error, "the sweep's lease was not given back and will run out");
        }
        done
    }

    async fn sweep_leased(&self) -> Result<SweepReport, ConnectError> {
        let now = self.now();
        let mut report = SweepReport::default();
        match self.age_events().await {
            Ok(removed) => report.removed += usize::try_from(removed).unwrap_or(usize::MAX),
            Err(error) => tracing::warn!(code = error.code(), "old events were not removed"),
        }
        if let Err(error) = self.tick(&mut report).await {
            tracing::warn!(
                code = error.code(),
                "what is due for connections was not done; it is tried again"
            );
        }
        for (what, aged) in [
            ("events of triggers", self.age_trigger_events().await),
            ("deliveries", self.age_deliveries().await),
        ] {
            match aged {
                Ok(removed) => report.removed += removed,
                Err(error) => {
                    tracing::warn!(code = error.code(), what, "old rows were not removed")
                }
            }
        }
        match self.sweep_once().await {
            Ok(removed) => report.removed += removed,
            Err(error) => tracing::warn!(code = error.code(), "old answers were not removed"),
        }
        for head in self.heads::<Flow>(None).await? {
            let swept = self.sweep_flow(&head, now, &mut report).await;
            if let Err(error) = swept {
                tracing::warn!(
                    flow = head.id(),
                    code = error.code(),
                    "a flow was not swept"
                );
            }
        }
        // What a sign-in by OAuth 1.0a pinned goes when its time is over, however it ended.
        for head in self.heads::<SignedFlow>(None).await? {
            if now >= head.clear.expires_at {
                self.commit(vec![record::delete(&head.id, Expect::Exists)])
                    .await?;
                report.removed += 1;
            }
        }
        for head in self.heads::<Session>(None).await? {
            let over = match head.clear.status {
                SessionStatus::Created => now >= head.clear.idle_until.saturating_add(KEPT_MS),
                SessionStatus::Opened | SessionStatus::Completed | SessionStatus::Closed => {
                    now >= head
                        .clear
                        .expires_at
                        .min(head.clear.idle_until)
                        .saturating_add(KEPT_MS)
                }
            };
            if over
                && self
                    .commit(vec![record::delete(&head.id, Expect::At(head.rev))])
                    .await
                    .is_ok()
            {
                report.removed += 1;
            }
        }
        Ok(report)
    }

    /// Sign-ins that this host's earlier life was in the middle of when it ended: their code is spent and its answer is
    /// lost, so their person is told at once rather than when the flow's time is over. On a store that other hosts use too
    /// nobody can say whose they are; there time tells.
    pub(crate) async fn end_cut_off_flows(&self) -> Result<(), ConnectError> {
        if self.inner.vault.shared() {
            return Ok(());
        }
        for head in self.heads::<Flow>(None).await? {
            if head.clear.status == FlowStatus::Exchanging {
                match self
                    .commit(vec![self.fail_flow(&head, &cut_off(head.id()))?])
                    .await
                {
                    Ok(_) | Err(ConnectError::Stale) => {}
                    Err(other) => return Err(other),
                }
                self.tell("flow", head.owner(), head.id());
            }
        }
        Ok(())
    }

    async fn sweep_flow(
        &self,
        head: &Stored<Flow>,
        now: i64,
        report: &mut SweepReport,
    ) -> Result<(), ConnectError> {
        let clear = &head.clear;
        if now >= clear.expires_at.saturating_add(KEPT_MS)
            && clear.status != FlowStatus::AwaitingCompletion
        {
            self.commit(vec![record::delete(&head.id, Expect::At(head.rev))])
                .await?;
            report.removed += 1;
            return Ok(());
        }
        if crate::flow::device::waits(clear) {
            // Whoever began it asks by itself; this goes on where a host has stopped.
            return Box::pin(self.poll_device(head.id())).await;
        }
        let stuck = matches!(
            clear.status,
            FlowStatus::Started | FlowStatus::Authorizing | FlowStatus::Exchanging
        );
        if stuck && now >= clear.expires_at {
            let error = if clear.status == FlowStatus::Exchanging {
                cut_off(head.id())
            } else {
                problem("expired", "this took too long; start again", head.id())
            };
            self.commit(vec![self.fail_flow(head, &error)?]).await?;
            self.tell("flow", head.owner(), head.id());
        }
        Ok(())
    }
}

fn cut_off(flow_id: &str) -> Problem {
    problem(
        "interrupted",
        "this sign-in was interrupted on our side; start again",
        flow_id,
    )
}
