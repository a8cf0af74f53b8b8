//! Rows as they are now: the newest layer that knows a key has it.
//!
//! ```text
//! delta (since the last snapshot, or since the one that is being made) ▷ frozen (what is just going into it) ▷ base (the last)
//! ```
//! A view never changes its layers; the writer puts a new view in the place of the old one, and who is reading goes on with the
//! old. Snapshots that a view needs are open, so removing them from their folder does not disturb it. Files of the journal are
//! shared by all views: one that has become so old that its rows stand in a newer snapshot says [`ReadError::Moved`], and who
//! reads takes the view of then.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use super::delta::{Delta, Entries};
use super::entry::{Entry, Pointer};
use super::files::{Patience, Segments, read_at};
use super::snapshot::{ReadError, Snapshot};
use crate::ids::Rev;
use crate::store::judge::Revs;
use crate::store::{Key, Rec, StoreError, VALUE_MAX};

/// How many entries of the index are read at once.
const CHUNK: usize = 256;

/// The layers.
#[derive(Clone)]
pub(super) struct View {
    /// Goes up when the layers are built anew after damage.
    pub(super) number: u64,
    pub(super) base: Option<Arc<Snapshot>>,
    pub(super) frozen: Option<Arc<Delta>>,
    pub(super) delta: Arc<Delta>,
    pub(super) segments: Arc<Segments>,
    /// Held for writing while a group is applied, so that nobody sees half of one.
    pub(super) gate: Arc<RwLock<()>>,
}

/// A row on the way through all of them.
pub(super) struct Walked {
    pub(super) key: Vec<u8>,
    pub(super) rev: u64,
    /// `None`: it was lost.
    pub(super) value: Option<Bytes>,
}

impl View {
    pub(super) fn new(
        number: u64,
        base: Option<Arc<Snapshot>>,
        delta: Arc<Delta>,
        segments: Arc<Segments>,
    ) -> Self {
        Self {
            number,
            base,
            frozen: None,
            delta,
            segments,
            gate: Arc::default(),
        }
    }

    /// Waits while a group is being applied.
    pub(super) fn wait_for_gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`View::wait_for_gate`], as patient as the read.
    pub(super) fn gated(&self, patience: Patience) -> Result<RwLockReadGuard<'_, ()>, ReadError> {
        match patience {
            Patience::Wait => Ok(self.wait_for_gate()),
            Patience::Now => self.gate.try_read().map_err(|_| ReadError::WouldWait),
        }
    }

    /// Changes the index while nobody reads several rows of it.
    pub(super) fn apply(&self, entries: &[(Vec<u8>, Entry)]) -> Result<(), StoreError> {
        let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        for (key, entry) in entries {
            self.delta.put(key, entry)?;
        }
        Ok(())
    }

    /// What the index knows of a key.
    pub(super) fn entry(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        match (self.delta.get(key)?, &self.frozen) {
            (None, Some(frozen)) => frozen.get(key),
            (found, _) => Ok(found),
        }
    }

    pub(super) fn get(&self, key: &[u8], patience: Patience) -> Result<Option<Rec>, ReadError> {
        match self.entry(key).map_err(ReadError::Store)? {
            Some(Entry::Gone { .. }) => Ok(None),
            Some(Entry::At(pointer)) => Ok(Some(Rec {
                rev: Rev(pointer.rev),
                value: self.value(&pointer, patience)?,
            })),
            None => match &self.base {
                Some(base) => base.get(key, patience),
                None => Ok(None),
            },
        }
    }

    /// A value in the journal, checked.
    pub(super) fn value(&self, pointer: &Pointer, patience: Patience) -> Result<Bytes, ReadError> {
        let len = usize::try_from(pointer.len).unwrap_or(usize::MAX);
        let lost = ReadError::Row(Rev(pointer.rev));
        if len > VALUE_MAX {
            return Err(lost);
        }
        let Some(segment) = self.segments.get(pointer.segment) else {
            // Files go oldest first.
            return Err(match self.segments.oldest() > Some(pointer.segment) {
                true => ReadError::Moved,
                false => lost,
            });
        };
        let mut bytes = vec![0; len];
        match read_at(&segment, &mut bytes, pointer.offset, patience) {
            Ok(()) if crc32fast::hash(&bytes) == pointer.crc => Ok(Bytes::from(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                Err(ReadError::WouldWait)
            }
            Ok(()) | Err(_) => Err(lost),
        }
    }

    /// Rows with a prefix. One that was lost comes with an empty value, so that a list with it can be shown.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&Key>,
        limit: u32,
        patience: Patience,
    ) -> Result<Vec<(Key, Rec)>, ReadError> {
        let from = match after {
            Some(after) if after.as_bytes() >= prefix => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut walk = self.walk(from, limit.saturating_add(1), patience);
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = walk.next()?
        {
            if !row.key.starts_with(prefix) {
                break;
            }
            let rec = Rec {
                rev: Rev(row.rev),
                value: row.value.unwrap_or_default(),
            };
            found.push((Key::from(row.key.as_slice()), rec));
        }
        Ok(found)
    }

    /// All rows from there on, in order. `about`: how many are wanted, if it is few.
    pub(super) fn walk(&self, from: Bound<&[u8]>, about: usize, patience: Patience) -> Walk<'_> {
        let cursor = |delta| DeltaCursor {
            delta,
            from: owned(from),
            ready: VecDeque::new(),
            ended: false,
            chunk: about.clamp(1, CHUNK),
        };
        let from = match from {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        };
        Walk {
            view: self,
            patience,
            newest: cursor(&*self.delta),
            frozen: self.frozen.as_deref().map(cursor),
            base: self.base.as_deref().map(|snapshot| BaseCursor {
                snapshot,
                number: snapshot.find(from).unwrap_or(0),
                block: None,
                at: 0,
            }),
            after: None,
        }
        .starting(from.to_vec())
    }
}

fn owned(bound: Bound<&[u8]>) -> Bound<Vec<u8>> {
    match bound {
        Bound::Included(key) => Bound::Included(key.to_vec()),
        Bound::Excluded(key) => Bound::Excluded(key.to_vec()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// All rows in order, through the layers.
pub(super) struct Walk<'a> {
    view: &'a View,
    patience: Patience,
    newest: DeltaCursor<'a>,
    frozen: Option<DeltaCursor<'a>>,
    base: Option<BaseCursor<'a>>,
    after: Option<Bound<Vec<u8>>>,
}

struct DeltaCursor<'a> {
    delta: &'a Delta,
    from: Bound<Vec<u8>>,
    ready: VecDeque<(Vec<u8>, Entry)>,
    ended: bool,
    chunk: usize,
}

struct BaseCursor<'a> {
    snapshot: &'a Snapshot,
    number: usize,
    block: Option<Bytes>,
    at: usize,
}

impl DeltaCursor<'_> {
    fn peek(&mut self) -> Result<Option<&[u8]>, StoreError> {
        if self.ready.is_empty() && !self.ended {
            let from = match &self.from {
                Bound::Included(key) => Bound::Included(key.as_slice()),
                Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
                Bound::Unbounded => Bound::Unbounded,
            };
            let chunk: Entries = self.delta.chunk(from, self.chunk)?;
            self.ended = chunk.len() < self.chunk;
            if let Some((last, _)) = chunk.last() {
                self.from = Bound::Excluded(last.clone());
            }
            self.ready = chunk.into();
        }
        Ok(self.ready.front().map(|(key, _)| key.as_slice()))
    }
}

/// A row of the base: key, revision, value.
type BaseRow = (Vec<u8>, u64, Option<Bytes>);

impl BaseCursor<'_> {
    /// The next row, and where the cursor is after it.
    fn peek(&mut self, patience: Patience) -> Result<Option<(BaseRow, usize)>, ReadError> {
        loop {
            if self.number >= self.snapshot.len() {
                return Ok(None);
            }
            let block = match &self.block {
                Some(block) => block.clone(),
                None => {
                    let block = self.snapshot.block(self.number, patience)?;
                    self.at = 0;
                    self.block.insert(block).clone()
                }
            };
            if let Some((row, next)) = self.snapshot.row(&block, self.at)? {
                let value = match row.rec(&block) {
                    Ok(rec) => Some(rec.value),
                    Err(_) => None,
                };
                return Ok(Some(((row.key.to_vec(), row.rev, value), next)));
            }
            self.block = None;
            self.number += 1;
        }
    }
}

impl Walk<'_> {
    /// The base begins with a whole block; what stands before the beginning is passed over.
    fn starting(mut self, from: Vec<u8>) -> Self {
        self.after = Some(match &self.newest.from {
            Bound::Excluded(_) => Bound::Excluded(from),
            _ => Bound::Included(from),
        });
        self
    }

    fn before_beginning(&self, key: &[u8]) -> bool {
        match &self.after {
            Some(Bound::Included(from)) => key < from.as_slice(),
            Some(Bound::Excluded(from)) => key <= from.as_slice(),
            _ => false,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Walked>, ReadError> {
        loop {
            let mut base = match &mut self.base {
                Some(base) => base.peek(self.patience)?,
                None => None,
            };
            while let Some(((key, _, _), next)) = &base
                && self.before_beginning(key)
            {
                let next = *next;
                base = match &mut self.base {
                    Some(base) => {
                        base.at = next;
                        base.peek(self.patience)?
                    }
                    None => None,
                };
            }
            let frozen = match &mut self.frozen {
                Some(frozen) => frozen.peek().map_err(ReadError::Store)?.map(<[u8]>::to_vec),
                None => None,
            };
            let newest = self
                .newest
                .peek()
                .map_err(ReadError::Store)?
                .map(<[u8]>::to_vec);
            let base_key = base.as_ref().map(|((key, _, _), _)| key);
            let Some(key) = [newest.as_ref(), frozen.as_ref(), base_key]
                .into_iter()
                .flatten()
                .min()
                .cloned()
            else {
                return Ok(None);
            };
            // Each layer that has the key moves on; the newest of them counts.
            let mut entry = None;
            if newest.as_deref() == Some(&key) {
                entry = self.newest.ready.pop_front();
            }
            if frozen.as_deref() == Some(&key)
                && let Some(frozen) = &mut self.frozen
            {
                let older = frozen.ready.pop_front();
                entry = entry.or(older);
            }
            let mut based = None;
            if let Some(((base_key, rev, value), next)) = base
                && base_key == key
            {
                if let Some(base) = &mut self.base {
                    base.at = next;
                }
                based = Some((rev, value));
            }
            let (rev, value) = match entry {
                Some((_, Entry::Gone { .. })) => continue,
                Some((_, Entry::At(pointer))) => {
                    let value = match self.view.value(&pointer, self.patience) {
                        Ok(value) => Some(value),
                        Err(ReadError::Row(_)) => None,
                        Err(other) => return Err(other),
                    };
                    (pointer.rev, value)
                }
                None => match based {
                    Some(based) => based,
                    None => continue,
                },
            };
            return Ok(Some(Walked { key, rev, value }));
        }
    }
}

impl Revs for View {
    fn rev(&self, key: &Key) -> Result<Option<Rev>, StoreError> {
        match self.entry(key.as_bytes())? {
            Some(Entry::Gone { .. }) => Ok(None),
            Some(Entry::At(pointer)) => Ok(Some(Rev(pointer.rev))),
            None => match &self.base {
                Some(base) => Ok(base.rev(key.as_bytes())?),
                None => Ok(None),
            },
        }
    }
}
