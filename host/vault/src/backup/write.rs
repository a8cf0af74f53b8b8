//! Taking a backup while everything is served.
//!
//! Rows are read page by page, and meanwhile every commit is heard of. What changed is read again, and again, until little is
//! left; the last look is taken while this process's commits wait, for some milliseconds. So the whole is as of one moment:
//! no commit is half in it. Where a store has a reading as of one moment itself ([`Store::snapshot`]), that is used.
//!
//! Against: a backup that holds an owner's record but not the key that was made in the same commit.
//!
//! [`Store::snapshot`]: crate::Store::snapshot

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hmac::Mac;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::digest::Digest;
use super::format::{CHANGED, END, GONE, Header, MAC_LABEL, MAGIC, ROW, Trailer, VERSION};
use crate::envelope::lp;
use crate::error::VaultError;
use crate::keyring::{self, Keyring, Wrap};
use crate::keys;
use crate::root_key::RootKey;
use crate::store::{Change, Key, Rec};
use crate::vault::Vault;
use crate::vault::work::Worker;

/// Up to so many rows the last look may hold commits up.
const LAST_LOOK: usize = 512;
/// How often changes are read again before the last look is taken whatever their number.
const ROUNDS: u32 = 16;

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BackupMade {
    /// Rows in it.
    pub rows: u64,
    /// The vault's revision that it shows.
    pub revision: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl Vault {
    /// Writes a backup. With `for_root`, the keyring in it is sealed under that key instead: an export.
    ///
    /// # Errors
    /// [`VaultError::BackupFile`] when `out` fails, [`VaultError::Working`], [`VaultError::NoRootSource`] for an export,
    /// and the store's.
    pub async fn backup(
        &self,
        out: &mut (dyn AsyncWrite + Send + Unpin),
        for_root: Option<&RootKey>,
    ) -> Result<BackupMade, VaultError> {
        let work = match for_root {
            None => "backup",
            Some(_) => "export",
        };
        let mut worker = self.begin(work, None).await?;
        let done = self.backup_in(out, for_root, &mut worker).await;
        worker.end(done).await
    }

    async fn backup_in(
        &self,
        out: &mut (dyn AsyncWrite + Send + Unpin),
        for_root: Option<&RootKey>,
        worker: &mut Worker<'_>,
    ) -> Result<BackupMade, VaultError> {
        let mut hearing = Hearing {
            changes: self.inner.store.watch(),
            dirty: BTreeSet::new(),
            lagged: false,
        };
        let total = worker.count("").await?;
        worker.stage("rows", total);
        let mut out = Out::new(out);
        let header = Header {
            begun_ms: self.inner.now_ms(),
            rows: total,
            exported: for_root.is_some(),
        };
        out.head(&header).await?;
        let rekeyed = match for_root {
            Some(root) => Some(self.rekeyed(root)?),
            None => None,
        };
        let mut snapshot = self.inner.store.snapshot().await?;
        let mut revision = snapshot.as_ref().map(|snapshot| snapshot.rev());
        let (mut rows, mut after) = (0, None);
        loop {
            let page = match &mut snapshot {
                Some(snapshot) => snapshot.page(after.as_ref(), 256).await?,
                None => worker.page("", after.as_ref()).await?,
            };
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let count = page.len() as u64;
            let writing = async {
                for (key, rec) in &page {
                    let Some(value) = carried(key, &rec.value, rekeyed.as_ref()) else {
                        continue;
                    };
                    rows += 1;
                    let rev = self.inner.over_floor(rec.rev).0;
                    out.row(ROW, key, rev, &value).await?;
                }
                Ok::<(), VaultError>(())
            };
            hearing.while_doing(writing).await?;
            worker.pace(count).await?;
        }
        let mut changed: BTreeMap<Key, Option<Rec>> = BTreeMap::new();
        if snapshot.is_none() {
            worker.stage("changes", 0);
            for _ in 0..ROUNDS {
                hearing.drain();
                if hearing.dirty.len() <= LAST_LOOK {
                    break;
                }
                self.look(&mut hearing, &mut changed).await?;
            }
            // No commit of this process is on its way now, and all that went through have been heard of.
            let _gate = self.inner.gate.write().await;
            hearing.drain();
            self.look(&mut hearing, &mut changed).await?;
            revision = Some(self.inner.store.last_rev().await?);
            if hearing.lagged {
                return Err(VaultError::BackupFile(
                    "more was written meanwhile than could be followed; take it again".into(),
                ));
            }
        }
        let changes = changed.len() as u64;
        for (key, rec) in &changed {
            match rec {
                Some(rec) => {
                    let Some(value) = carried(key, &rec.value, rekeyed.as_ref()) else {
                        continue;
                    };
                    let rev = self.inner.over_floor(rec.rev).0;
                    out.row(CHANGED, key, rev, &value).await?;
                }
                None => out.gone(key).await?,
            }
        }
        let trailer = Trailer {
            rows,
            changes,
            revision: self.inner.over_floor(revision.unwrap_or_default()).0,
            at_ms: self.inner.now_ms(),
        };
        let mac_key = self.inner.keyring().mac_key(MAC_LABEL, "");
        let bytes = out.end(&trailer, &mac_key).await?;
        Ok(BackupMade {
            rows,
            revision: trailer.revision,
            bytes,
        })
    }
}

impl Vault {
    /// Reads what changed once more, as of one moment.
    async fn look(
        &self,
        hearing: &mut Hearing,
        changed: &mut BTreeMap<Key, Option<Rec>>,
    ) -> Result<(), VaultError> {
        let dirty: Vec<Key> = std::mem::take(&mut hearing.dirty).into_iter().collect();
        let rows = self.inner.store.get_many(&dirty).await?;
        for (key, rec) in dirty.into_iter().zip(rows) {
            changed.insert(key, rec);
        }
        Ok(())
    }

    /// The rows that hold the keyring, sealed under another root key.
    fn rekeyed(&self, root: &RootKey) -> Result<[(Key, Bytes); 2], VaultError> {
        let keyring = self.inner.keyring();
        rekeyed(&keyring, root)
    }

    /// What all rows of records, indexes and owners' keys hash to, whatever their order and revisions. Two stores that hold the
    /// same say the same; a store that is written to says something else each time.
    ///
    /// # Errors
    /// The store's.
    pub async fn digest(&self) -> Result<String, VaultError> {
        let mut digest = Digest::default();
        let mut after = None;
        loop {
            let page = self.inner.store.scan(b"", after.as_ref(), 256).await?;
            let Some((last, _)) = page.last() else {
                return Ok(digest.to_string());
            };
            after = Some(last.clone());
            for (key, rec) in &page {
                digest.add(key.as_bytes(), &rec.value);
            }
        }
    }
}

/// The rows of a keyring under a root key of its own.
pub(super) fn rekeyed(keyring: &Keyring, root: &RootKey) -> Result<[(Key, Bytes); 2], VaultError> {
    let wrap = Wrap::Present;
    Ok([
        (wrap.keyring(), Bytes::from(keyring.seal(root, wrap)?)),
        (wrap.check(), Bytes::from(keyring::seal_check(root, wrap)?)),
    ])
}

/// What a backup has in the place of a row; `None`: it has none.
fn carried(key: &Key, value: &Bytes, rekeyed: Option<&[(Key, Bytes); 2]>) -> Option<Bytes> {
    if *key == keys::job() || *key == keys::restoring() {
        return None;
    }
    let Some(rekeyed) = rekeyed else {
        return Some(value.clone());
    };
    if *key == keys::next_keyring() || *key == keys::next_check() {
        return None;
    }
    let other = rekeyed.iter().find(|(at, _)| at == key);
    Some(other.map_or(value, |(_, value)| value).clone())
}

/// What is committed while a backup is taken.
struct Hearing {
    changes: broadcast::Receiver<Change>,
    dirty: BTreeSet<Key>,
    lagged: bool,
}

impl Hearing {
    /// Does something, hearing of changes meanwhile, so that none is missed because the reader is slow.
    async fn while_doing<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                heard = self.changes.recv() => match heard {
                    Ok(change) => self.hear(&change),
                    Err(RecvError::Lagged(_)) => self.lagged = true,
                    Err(RecvError::Closed) => return work.await,
                },
            }
        }
    }

    fn hear(&mut self, change: &Change) {
        self.lagged |= change.is_gap();
        self.dirty.extend(change.keys.iter().cloned());
    }

    fn drain(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(change) => self.hear(&change),
                Err(TryRecvError::Lagged(_)) => self.lagged = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

/// The file being written, with the hash of all that went into it.
struct Out<'a> {
    to: &'a mut (dyn AsyncWrite + Send + Unpin),
    hash: Sha256,
    bytes: u64,
    buffer: Vec<u8>,
}

/// Written at once.
const BUFFER: usize = 256 * 1024;

impl<'a> Out<'a> {
    fn new(to: &'a mut (dyn AsyncWrite + Send + Unpin)) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            bytes: 0,
            buffer: Vec::with_capacity(BUFFER),
        }
    }

    async fn head(&mut self, header: &Header) -> Result<(), VaultError> {
        self.buffer.extend_from_slice(MAGIC);
        self.buffer.extend_from_slice(&VERSION.to_be_bytes());
        lp(&mut self.buffer, &json(header)?);
        self.flush().await
    }

    async fn row(&mut self, tag: u8, key: &Key, rev: u64, value: &[u8]) -> Result<(), VaultError> {
        self.buffer.push(tag);
        lp(&mut self.buffer, key.as_bytes());
        self.buffer.extend_from_slice(&rev.to_be_bytes());
        lp(&mut self.buffer, value);
        if self.buffer.len() >= BUFFER {
            self.flush().await?;
        }
        Ok(())
    }

    async fn gone(&mut self, key: &Key) -> Result<(), VaultError> {
        self.buffer.push(GONE);
        lp(&mut self.buffer, key.as_bytes());
        self.flush().await
    }

    async fn end(
        mut self,
        trailer: &Trailer,
        mac_key: &crate::secret::Key32,
    ) -> Result<u64, VaultError> {
        self.buffer.push(END);
        lp(&mut self.buffer, &json(trailer)?);
        self.flush().await?;
        let hash: [u8; 32] = self.hash.clone().finalize().into();
        self.buffer.extend_from_slice(&hash);
        self.buffer
            .extend_from_slice(&footer_mac(mac_key, &hash).finalize().into_bytes());
        self.flush().await?;
        self.to.flush().await.map_err(broken)?;
        Ok(self.bytes)
    }

    async fn flush(&mut self) -> Result<(), VaultError> {
        self.hash.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.to.write_all(&self.buffer).await.map_err(broken)?;
        self.buffer.clear();
        Ok(())
    }
}

pub(super) fn footer_mac(mac_key: &crate::secret::Key32, hash: &[u8]) -> hmac::Hmac<Sha256> {
    let mut mac = mac_key.hmac();
    mac.update(MAGIC);
    mac.update(hash);
    mac
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, VaultError> {
    serde_json::to_vec(value).map_err(|_| VaultError::Sealing)
}

fn broken(error: std::io::Error) -> VaultError {
    VaultError::BackupFile(error.to_string())
}
