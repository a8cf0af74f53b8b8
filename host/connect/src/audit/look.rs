//! Exporting the trail, and proving it.

use std::collections::HashSet;

use keyport_vault::{Owner, RecordId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chain::{Block, digest};
use super::keep::LATE_MS;
use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::view;
use crate::ids;
use crate::record::{self, Entity as _, Event};
use crate::view::{EventView, KeyScope};

/// The most findings that are listed; more are counted.
const FINDINGS_MAX: usize = 1000;

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its number; no number is left out.
    pub seq: u64,
    /// The chain's MAC after it. The last line of an export is an anchor: keep it off the machine.
    pub mac: String,
    /// What happened. Absent when the event is missing or was altered; `problem` says which.
    #[serde(flatten)]
    pub event: Option<EventView>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What proving the trail found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Events that are in the chain and as they were.
    pub proven: u64,
    /// The number of the first event that is kept.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The chain's MAC after the last.
    pub mac: String,
    /// Events of the last moments that are not chained yet.
    pub waiting: u64,
    /// How many things are wrong.
    pub wrong: u64,
    /// The first of them, at most 1,000.
    pub findings: Vec<String>,
}

impl AuditReport {
    fn find(&mut self, what: String) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

impl Engine {
    /// Lines of the trail after this number, oldest first, at most `limit` (1 to 1000). Chains what has happened until now first.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the store cannot be read.
    pub async fn audit(
        &self,
        actor: &Actor,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditLine>, ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.chain_now().await?;
        let key = self.audit_key();
        let head = self.chain().await?.head;
        let limit = limit.clamp(1, 1000);
        let mut lines = Vec::new();
        let mut at = self
            .block_with(after.saturating_add(1).max(head.first), &head)
            .await?;
        while let Some(block) = at {
            let genuine = block.macs(&key).is_some();
            let mut mac = block.before.clone();
            for (seq, link) in (block.first..).zip(&block.links) {
                mac = key.mac(&mac, seq, &link.digest);
                if seq <= after {
                    continue;
                }
                if lines.len() == limit {
                    return Ok(lines);
                }
                let (event, problem) = self.event_of(&link.id, &link.digest).await?;
                let problem = problem.or((!genuine).then_some("the chain was altered here"));
                lines.push(AuditLine {
                    seq,
                    mac: mac.clone(),
                    event,
                    problem: problem.map(ToOwned::to_owned),
                });
            }
            at = match block.next() < head.next {
                true => self.block(block.next()).await?.map(|(block, _)| block),
                false => None,
            };
        }
        Ok(lines)
    }

    /// Proves the whole trail. An `anchor` (number and MAC of an earlier line) must lie on it.
    ///
    /// # Errors
    ///
    /// When the actor may not, or the store cannot be read. What is wrong is a finding, not an error.
    pub async fn verify_audit(
        &self,
        actor: &Actor,
        anchor: Option<(u64, &str)>,
    ) -> Result<AuditReport, ConnectError> {
        actor.require(KeyScope::Manage)?;
        self.chain_now().await?;
        let key = self.audit_key();
        let head = self.chain().await?.head;
        let mut report = AuditReport {
            first: head.first,
            last: head.next.saturating_sub(1),
            mac: head.mac.clone(),
            ..AuditReport::default()
        };
        let mut chained: HashSet<String> = HashSet::new();
        let (mut at, mut mac) = (head.first, head.before.clone());
        let mut anchored = match anchor {
            None => true,
            Some((seq, given)) => seq.saturating_add(1) == head.first && given == head.before,
        };
        let cut = self.audit_cut();
        while at < head.next {
            let Some((block, _)) = self.block(at).await? else {
                report.find(format!(
                    "from number {at} on a part of the chain is missing or was altered"
                ));
                break;
            };
            if block.before != mac {
                report.find(format!("the chain is broken before number {at}"));
            }
            let Some(macs) = block.macs(&key) else {
                report.find(format!(
                    "the chain was altered between numbers {at} and {}",
                    block.next()
                ));
                break;
            };
            for ((seq, link), mac) in (block.first..).zip(&block.links).zip(&macs) {
                if let Some((number, given)) = anchor
                    && seq == number
                {
                    anchored = mac == given;
                }
                // Being removed for its age at this moment, or when the host ended.
                let old = ids::time_of(Event::PREFIX, &link.id).is_some_and(|time| time < cut);
                match self.event_of(&link.id, &link.digest).await? {
                    (_, Some("the event is missing")) if old => {}
                    (_, Some(problem)) => {
                        report.find(format!("number {seq}, {}: {problem}", link.id))
                    }
                    (_, None) => report.proven += 1,
                }
            }
            chained.extend(block.links.iter().map(|link| link.id.clone()));
            at = block.next();
            mac.clone_from(&block.mac);
        }
        if report.wrong == 0 && mac != head.mac {
            report.find("the end of the chain is not what was written last".into());
        }
        if let Some((number, _)) = anchor
            && !anchored
        {
            report.find(if number >= head.next {
                format!("the chain ends before number {number} of the anchor: its end was cut off, or an older store was put back")
            } else if number.saturating_add(1) < head.first {
                format!("number {number} of the anchor is older than what is kept")
            } else {
                format!("number {number} is not what it was when the anchor was taken")
            });
        }
        self.unchained(&head, &chained, &mut report).await?;
        Ok(report)
    }

    /// Events that are in the store but not in the chain: new ones wait; others were put in.
    async fn unchained(
        &self,
        head: &super::chain::ChainHead,
        chained: &HashSet<String>,
        report: &mut AuditReport,
    ) -> Result<(), ConnectError> {
        let mut after = None;
        loop {
            let page = self
                .inner
                .vault
                .list(Event::KIND, Some(&Owner::keyport()), after.as_deref(), 500)
                .await?;
            for event in page.heads {
                if chained.contains(&event.id.id) {
                    continue;
                }
                let time = ids::time_of(Event::PREFIX, &event.id.id).unwrap_or(0);
                if time > head.seen_ms.saturating_sub(LATE_MS) {
                    report.waiting += 1;
                } else if time > head.removed_ms {
                    report.find(format!(
                        "{} is not in the chain: it was put in",
                        event.id.id
                    ));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The event behind a link, or what is wrong with it.
    async fn event_of(
        &self,
        id: &str,
        expected: &str,
    ) -> Result<(Option<EventView>, Option<&'static str>), ConnectError> {
        let at = RecordId::new(Event::KIND, Owner::keyport(), id);
        let Some(head) = self.inner.vault.head(&at).await? else {
            return Ok((None, Some("the event is missing")));
        };
        if head.damaged || digest(id, &head.clear) != expected {
            return Ok((None, Some("the event was altered")));
        }
        let read = record::read_head::<Event>(head)?;
        Ok((Some(view(read.id(), &read.clear)), None))
    }

    /// The block that has this number.
    pub(super) async fn block_with(
        &self,
        number: u64,
        head: &super::chain::ChainHead,
    ) -> Result<Option<Block>, ConnectError> {
        if number >= head.next {
            return Ok(None);
        }
        // From the end when it is nearer: whoever follows the trail asks for what is new.
        let mut at = head.last;
        let mut best = None;
        while at >= head.first.max(1) {
            let Some((block, _)) = self.block(at).await? else {
                break;
            };
            at = block.previous;
            if block.first <= number {
                return Ok(Some(block));
            }
            best = Some(block);
        }
        // The way back is broken: what there is after it.
        Ok(best)
    }

    async fn chain_now(&self) -> Result<(), ConnectError> {
        // Another host may be doing just this; then what it has not done yet waits.
        match self.chain_events().await {
            Ok(_) | Err(ConnectError::Stale) => Ok(()),
            // The report tells what is damaged.
            Err(error) if error.code() == "audit_damaged" => Ok(()),
            Err(error) => Err(error),
        }
    }
}
