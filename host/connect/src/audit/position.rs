//! Where the store stood, remembered where whoever puts an older store back does not reach.
//!
//! No cipher sees that a *whole* older store was put back: every row in it is genuine. But the trail only grows, and its MACs cannot be
//! made without the keys. So the host writes down how far the trail was (its last number and MAC, and the vault's revision), and at the
//! start the store must go on from there. One that is behind, or has gone another way since, is told.
//!
//! Left out: what changed in the seconds before it was written down.

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event::Note;

/// How far the store was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The vault's revision.
    pub revision: u64,
    /// The number of the last event in the chain; 0: none.
    pub seq: u64,
    /// The chain's MAC after it.
    pub mac: String,
    /// When this was, in milliseconds of Unix time.
    pub at_ms: i64,
}

impl Engine {
    /// How far the store is now.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn position(&self) -> Result<Position, ConnectError> {
        let head = self.chain().await?.head;
        Ok(Position {
            // After the chain: what is counted later is not lower.
            revision: self.inner.vault.revision().await?.0,
            seq: head.next.saturating_sub(1),
            mac: head.mac,
            at_ms: self.now(),
        })
    }

    /// Whether the store goes on from where it was seen; `None`, or what is wrong in a sentence. What is wrong is written
    /// into the trail, shown by [`Engine::upkeep`], and logged.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub async fn compare(&self, seen: &Position) -> Result<Option<String>, ConnectError> {
        let now = self.position().await?;
        let mut wrong = None;
        if now.revision < seen.revision || now.seq < seen.seq {
            wrong = Some(format!(
                "the store is older than this host has seen it: it is at revision {} and event {}, and was at revision {} and event {}",
                now.revision, now.seq, seen.revision, seen.seq
            ));
        } else if seen.seq > 0 {
            let head = self.chain().await?.head;
            let mac = match self.block_with(seen.seq.max(head.first), &head).await? {
                // Removed for its age since.
                _ if seen.seq < head.first => None,
                Some(block) => block.macs(&self.audit_key()).and_then(|macs| {
                    let at = usize::try_from(seen.seq.checked_sub(block.first)?).ok()?;
                    macs.into_iter().nth(at)
                }),
                None => Some(String::new()),
            };
            if mac.is_some_and(|mac| mac != seen.mac) {
                wrong = Some(format!(
                    "the store has gone another way since this host has seen it: its event {} is not the one that was there",
                    seen.seq
                ));
            }
        }
        let Some(what) = wrong else {
            return Ok(None);
        };
        let what = match self.inner.vault.restored_at_ms() {
            Some(at) if i64::try_from(at).unwrap_or(i64::MAX) >= seen.at_ms => {
                format!("{what}. A backup was restored meanwhile, which explains it")
            }
            _ => format!(
                "{what}. Somebody has put an older copy back, or the disk or a failover has lost writes: what was revoked since may be \
                 there again, and tokens that were renewed since are not"
            ),
        };
        tracing::error!("{what}");
        self.set_older(&what);
        let note = Note::by(&Actor::Host, "vault.older_store").say(&what);
        self.commit(vec![self.note(note)?]).await?;
        Ok(Some(what))
    }
}
