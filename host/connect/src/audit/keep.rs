//! Chaining what has happened.
//!
//! One host at a time (a lease; the revision of the head decides should two believe so). Events are found by their ids, which sort by
//! time; since hosts' clocks differ and commits overtake each other, each look begins some minutes before what was seen.

use std::collections::HashSet;
use std::time::Duration;

use keyport_vault::{Expect, Kind, LeaseTry, Owner, RecordId, Rev, SecretWrite, VaultError, Write};

use super::chain::{AuditKey, BLOCK_MAX, BLOCK_MIN, Block, ChainHead, Link, digest};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::ids;
use crate::record::{Entity as _, Event};

pub(super) const BLOCKS: Kind = Kind::new("audit_block");
const HEADS: Kind = Kind::new("audit_head");
const LEASE: Duration = Duration::from_secs(30);
/// How much later than its own time an event may be found: other hosts' clocks, and commits that take long.
pub(super) const LATE_MS: i64 = 120_000;

/// Of the chain as it is in the store.
pub(super) struct Chain {
    pub(super) head: ChainHead,
    /// Absent: nothing was ever chained.
    pub(super) rev: Option<Rev>,
}

impl Engine {
    /// Numbers and chains the events that are not yet; how many that were. Called every few seconds.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub async fn chain_events(&self) -> Result<u64, ConnectError> {
        let LeaseTry::Got(lease) = self.inner.vault.lease("audit", LEASE).await? else {
            return Ok(0);
        };
        let done = self.chain_leased().await;
        if let Err(error) = self.inner.vault.release(lease).await {
            tracing::debug!(%error, "the audit trail's lease runs out by itself");
        }
        done
    }

    async fn chain_leased(&self) -> Result<u64, ConnectError> {
        let mut chain = self.chain().await?;
        let from = chain.head.seen_ms.saturating_sub(LATE_MS);
        let known = self.chained_since(&chain.head, from).await?;
        let key = self.audit_key();
        let (mut after, mut count) = (self.before_time(from), 0);
        let mut links = Vec::new();
        let mut seen = chain.head.seen_ms;
        loop {
            let page = self
                .inner
                .vault
                .list(Event::KIND, Some(&Owner::keyport()), after.as_deref(), 200)
                .await?;
            for head in page.heads {
                // A damaged row is not an event; the report tells it.
                if head.damaged || known.contains(&head.id.id) {
                    continue;
                }
                seen = seen.max(ids::time_of(Event::PREFIX, &head.id.id).unwrap_or(0));
                links.push(Link {
                    digest: digest(&head.id.id, &head.clear),
                    id: head.id.id,
                });
                if links.len() == BLOCK_MAX {
                    count += self.add_block(&key, &mut chain, &mut links, seen).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !links.is_empty() {
            count += self.add_block(&key, &mut chain, &mut links, seen).await?;
        }
        Ok(count)
    }

    async fn add_block(
        &self,
        key: &AuditKey,
        chain: &mut Chain,
        links: &mut Vec<Link>,
        seen_ms: i64,
    ) -> Result<u64, ConnectError> {
        let mut links = std::mem::take(links);
        let count = links.len() as u64;
        let last = match chain.head.last {
            0 => None,
            last => self.block(last).await?,
        };
        let (mut block, expect_block) = match last {
            Some((block, rev)) if block.links.len() < BLOCK_MIN => (block, Expect::At(rev)),
            _ => (
                Block {
                    first: chain.head.next,
                    previous: chain.head.last,
                    before: chain.head.mac.clone(),
                    mac: chain.head.mac.clone(),
                    links: Vec::new(),
                },
                Expect::Absent,
            ),
        };
        if block.next() != chain.head.next || block.mac != chain.head.mac {
            return Err(ConnectError::internal(
                "audit_damaged",
                "the audit trail was changed outside of keyport; `keyport audit verify` tells where",
            ));
        }
        for (number, link) in (block.next()..).zip(&links) {
            block.mac = key.mac(&block.mac, number, &link.digest);
        }
        block.links.append(&mut links);
        chain.head.last = block.first;
        chain.head.next = block.next();
        chain.head.mac.clone_from(&block.mac);
        chain.head.seen_ms = seen_ms;
        let expect = chain.rev.map_or(Expect::Absent, Expect::At);
        let writes = vec![
            write(block_id(block.first), expect_block, &block)?,
            write(head_id(), expect, &chain.head)?,
        ];
        match self.inner.vault.commit(writes).await {
            Ok(rev) => {
                chain.rev = Some(rev);
                Ok(count)
            }
            // Another host was faster: it has chained them.
            Err(VaultError::Conflict { .. }) => Err(ConnectError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn audit_key(&self) -> AuditKey {
        AuditKey(self.inner.vault.mac_key("audit"))
    }

    /// The chain's head; a default where nothing was chained.
    pub(super) async fn chain(&self) -> Result<Chain, ConnectError> {
        let Some(found) = self.inner.vault.head(&head_id()).await? else {
            return Ok(Chain {
                head: ChainHead::default(),
                rev: None,
            });
        };
        let head = (!found.damaged)
            .then(|| serde_json::from_value(found.clear).ok())
            .flatten();
        Ok(Chain {
            head: head.ok_or_else(|| {
                ConnectError::internal(
                    "audit_damaged",
                    "the row that says where the audit trail begins and ends is damaged; restore it from a backup",
                )
            })?,
            rev: Some(found.rev),
        })
    }

    /// The block that begins with this number; `None` when it is missing or was altered.
    pub(super) async fn block(&self, first: u64) -> Result<Option<(Block, Rev)>, ConnectError> {
        let Some(found) = self.inner.vault.head(&block_id(first)).await? else {
            return Ok(None);
        };
        let block: Option<Block> = (!found.damaged)
            .then(|| serde_json::from_value(found.clear).ok())
            .flatten();
        Ok(block
            .filter(|block| block.first == first && !block.links.is_empty())
            .map(|block| (block, found.rev)))
    }

    /// Ids of events at or after this time that are chained: in the last blocks.
    async fn chained_since(
        &self,
        head: &ChainHead,
        from_ms: i64,
    ) -> Result<HashSet<String>, ConnectError> {
        let mut known = HashSet::new();
        let (mut at, mut late) = (head.last, 0);
        while at >= head.first.max(1) {
            let Some((block, _)) = self.block(at).await? else {
                break;
            };
            let newest = block
                .links
                .iter()
                .filter_map(|link| ids::time_of(Event::PREFIX, &link.id))
                .max();
            at = block.previous;
            known.extend(block.links.into_iter().map(|link| link.id));
            // Blocks overlap in time by what may come late.
            late +=
                u32::from(newest.is_some_and(|newest| newest < from_ms.saturating_sub(LATE_MS)));
            if late > 2 {
                break;
            }
        }
        Ok(known)
    }

    /// Where a list of events that begins at this time begins.
    pub(super) fn before_time(&self, ms: i64) -> Option<String> {
        let id = ids::first_at(Event::PREFIX, ms);
        let id = RecordId::new(Event::KIND, Owner::keyport(), id);
        (ms > 0).then(|| self.inner.vault.cursor(&id))
    }
}

pub(super) fn write(
    id: RecordId,
    expect: Expect,
    clear: &impl serde::Serialize,
) -> Result<Write, ConnectError> {
    Ok(Write::Put {
        id,
        expect,
        clear: serde_json::to_value(clear).map_err(|_| {
            ConnectError::internal("unwritable", "the audit trail cannot be written down")
        })?,
        secret: SecretWrite::Keep,
    })
}

pub(super) fn head_id() -> RecordId {
    RecordId::new(HEADS, Owner::keyport(), "head")
}

/// Blocks sort by their first number.
pub(super) fn block_id(first: u64) -> RecordId {
    RecordId::new(BLOCKS, Owner::keyport(), format!("{first:020}"))
}
