//! What is older than it is to be kept goes, from the front: whole blocks, their events first.
//!
//! After a crash in between, events are missing whose block is still there; they are old enough to be, and the next time
//! removes the block.

use keyport_vault::{Expect, Owner, RecordId, Write};

use super::keep::{block_id, head_id, write};
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::event_index;
use crate::ids;
use crate::record::{self, Entity as _, Event};

/// Blocks removed in one go: housekeeping does other things too.
const BLOCKS_MAX: u32 = 50;
/// Events deleted in one commit.
const DELETES: usize = 50;

impl Engine {
    /// Removes events that are older than they are to be kept; how many that were. Events that are not chained yet stay.
    pub(crate) async fn age_events(&self) -> Result<u64, ConnectError> {
        let cut = self.audit_cut();
        let mut removed = 0;
        for _ in 0..BLOCKS_MAX {
            let mut chain = self.chain().await?;
            if chain.rev.is_none() || chain.head.first >= chain.head.next {
                return Ok(removed);
            }
            let Some((block, rev)) = self.block(chain.head.first).await? else {
                // Damage: told by the report, and not made worse.
                return Ok(removed);
            };
            let newest = block
                .links
                .iter()
                .filter_map(|link| ids::time_of(Event::PREFIX, &link.id));
            let newest = newest.max().unwrap_or(0);
            // The last block may still be added to.
            if newest >= cut || block.first == chain.head.last {
                return Ok(removed);
            }
            for some in block.links.chunks(DELETES) {
                let mut deletes = Vec::with_capacity(2 * some.len());
                for link in some {
                    let id = RecordId::new(Event::KIND, Owner::keyport(), link.id.clone());
                    let event = self.inner.vault.head(&id).await?;
                    let event = event.and_then(record::read_listed::<Event>);
                    // Its row in the index of its owner goes with it.
                    let row = event.and_then(|event| event_index::row(&link.id, &event.clear));
                    deletes.extend(row.map(|row| record::delete(&row, Expect::Any)));
                    deletes.push(record::delete(&id, Expect::Any));
                }
                self.inner.vault.commit(deletes).await?;
            }
            removed += block.links.len() as u64;
            chain.head.first = block.next();
            chain.head.before.clone_from(&block.mac);
            chain.head.removed_ms = newest;
            let expect = chain.rev.map_or(Expect::Absent, Expect::At);
            let writes = vec![
                Write::Delete {
                    id: block_id(block.first),
                    expect: Expect::At(rev),
                },
                write(head_id(), expect, &chain.head)?,
            ];
            self.commit(writes).await?;
        }
        Ok(removed)
    }

    /// Events before this time are too old.
    pub(super) fn audit_cut(&self) -> i64 {
        let keep = i64::try_from(self.inner.options.audit_keep.as_millis()).unwrap_or(i64::MAX);
        self.now().saturating_sub(keep)
    }
}
