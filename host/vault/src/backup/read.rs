//! Reading a backup back, and proving that it is whole, before a byte of it is used.
//!
//! The file is read three times: for its hash and its changes, for opening every secret in it, and for use. What does not match
//! the hash or the MAC is refused as a whole. A record that was damaged already when the backup was taken is a finding.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hmac::Mac;
use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::format::{CHANGED, END, FOOTER, GONE, Header, MAC_LABEL, MAGIC, ROW, Trailer, VERSION};
use super::write::footer_mac;
use crate::envelope::{self, Place};
use crate::error::VaultError;
use crate::ids::{Owner, Rev};
use crate::keyring::{self, Keyring, State, Wrap};
use crate::keys;
use crate::owner_keys::{Found, OwnerKeys};
use crate::root_key::RootKey;
use crate::row;
use crate::secret::Key32;
use crate::store::{KEY_MAX, Key, Rec, VALUE_MAX};
use crate::vault::{VerifyReport, row_mac};

/// The largest header or trailer.
const JSON_MAX: usize = 64 * 1024;

/// A backup that is whole and genuine.
pub struct Backup {
    path: PathBuf,
    header: Header,
    trailer: Trailer,
    /// What stands after the first rows; `None`: the row is gone.
    changes: BTreeMap<Vec<u8>, Option<(u64, Bytes)>>,
    /// The vault's own rows, as they count.
    pub(super) own: BTreeMap<Vec<u8>, Bytes>,
    pub(super) keyring: Keyring,
    pub(super) row_mac: Key32,
    pub(super) hash: [u8; 32],
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// Rows, all kinds.
    pub rows: u64,
    /// What they hash to, as [`crate::Vault::digest`] has it.
    pub digest: String,
    /// Every secret opened, and what did not open.
    pub verified: VerifyReport,
    /// The vault's revision that it shows.
    pub revision: u64,
    /// When that was, in milliseconds of Unix time.
    pub at_ms: u64,
}

impl Backup {
    /// Opens a backup with the root key of its time. All of it is read; it blocks.
    ///
    /// # Errors
    /// [`VaultError::Backup`] when it is damaged or not one, [`VaultError::WrongRootKey`], [`VaultError::BackupFile`].
    pub fn open(
        path: impl AsRef<Path>,
        root: &RootKey,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, VaultError> {
        let path = path.as_ref().to_owned();
        let (mut reader, size) = Reader::open(&path)?;
        let header = reader.head()?;
        let mut changes = BTreeMap::new();
        let mut own = BTreeMap::new();
        let (mut rows, mut last): (u64, Option<Vec<u8>>) = (0, None);
        let (mut changed, mut last_change): (u64, Option<Vec<u8>>) = (0, None);
        loop {
            let entry = reader.entry()?;
            let (key, kept) = match entry {
                Entry::End => break,
                Entry::Row(key, _, value) => {
                    if changed > 0 || last.as_ref().is_some_and(|last| *last >= key) {
                        return Err(broken("its rows are not in order"));
                    }
                    rows += 1;
                    last = Some(key.clone());
                    if key.starts_with(b"s/") {
                        own.insert(key, value);
                    }
                    if rows.is_multiple_of(1024) {
                        progress(reader.at, size);
                    }
                    continue;
                }
                Entry::Changed(key, rev, value) => (key, Some((rev, value))),
                Entry::Gone(key) => (key, None),
            };
            if last_change.as_ref().is_some_and(|last| *last >= key) {
                return Err(broken("its rows are not in order"));
            }
            changed += 1;
            last_change = Some(key.clone());
            if key.starts_with(b"s/") {
                match &kept {
                    Some((_, value)) => drop(own.insert(key.clone(), value.clone())),
                    None => drop(own.remove(&key)),
                }
            }
            changes.insert(key, kept);
        }
        let trailer: Trailer = reader.json()?;
        if (trailer.rows, trailer.changes) != (rows, changed) {
            return Err(broken("it does not hold as many rows as it says"));
        }
        let hash: [u8; 32] = reader.hash.clone().finalize().into();
        let (told, tag) = reader.footer(size)?;
        if told != hash {
            return Err(broken("its contents were changed or are incomplete"));
        }
        let keyring = open_keyring(&own, root)?;
        footer_mac(&keyring.mac_key(MAC_LABEL, ""), &hash)
            .verify_slice(&tag)
            .map_err(|_| broken("its seal is not genuine"))?;
        Ok(Self {
            row_mac: row_mac(&keyring),
            path,
            header,
            trailer,
            changes,
            own,
            keyring,
            hash,
        })
    }

    /// What stands at its begin.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What stands at its end.
    #[must_use]
    pub fn trailer(&self) -> &Trailer {
        &self.trailer
    }

    /// Every row as it counts: key, revision, value. Those that changed while it was taken come last.
    pub(super) fn iter(&self) -> Result<Rows<'_>, VaultError> {
        let (mut reader, _) = Reader::open(&self.path)?;
        reader.head()?;
        Ok(Rows {
            reader: Some(reader),
            superseded: &self.changes,
            changes: self.changes.iter(),
        })
    }

    fn rows(
        &self,
        mut each: impl FnMut(&[u8], u64, &Bytes) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut rows = self.iter()?;
        while let Some((key, rev, value)) = rows.next()? {
            each(&key, rev, &value)?;
        }
        Ok(())
    }

    /// Opens every secret in it. Keys of all owners are in memory meanwhile.
    ///
    /// # Errors
    /// [`VaultError::BackupFile`]; damage in a record is a finding.
    pub fn contents(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Contents, VaultError> {
        let mut digest = Digest::default();
        let mut rows = 0;
        let mut report = VerifyReport::default();
        let mut owners: HashMap<Owner, Option<OwnerKeys>> = HashMap::new();
        self.rows(|key, rev, value| {
            rows += 1;
            digest.add(key, value);
            if let Some(owner) = keys::parse_owner(&Key::from(key)) {
                let rec = Rec {
                    rev: Rev(rev),
                    value: value.clone(),
                };
                let read = OwnerKeys::read(&self.keyring, &self.row_mac, &owner, &rec).ok();
                match &read {
                    Some(keys) => {
                        let opened = keys.facts().filter(|facts| facts.opens).count();
                        report.owner_keys += opened as u64;
                        if keys
                            .facts()
                            .any(|facts| !facts.opens && facts.state != State::Destroyed)
                        {
                            report.find("owner_keys", Some(&owner), None, "a key does not unwrap");
                        }
                    }
                    None => report.find(
                        "owner_keys",
                        Some(&owner),
                        None,
                        "the row was altered or cannot be read",
                    ),
                }
                owners.insert(owner, read);
            }
            Ok(())
        })?;
        let total = rows;
        let mut done = 0;
        self.rows(|key, _, value| {
            done += 1;
            if done % 1024 == 0 {
                progress(done, total);
            }
            let key = Key::from(key);
            if let Some((kind, owner, id)) = keys::parse_record(&key) {
                report.records += 1;
                match self.opens(&key, kind, &owner, value, owners.get(&owner)) {
                    Opens::Yes => report.opened += 1,
                    Opens::NoSecret => {}
                    Opens::Destroyed => report.destroyed += 1,
                    Opens::No(what) => report.find(kind, Some(&owner), Some(&id), what),
                }
            }
            Ok(())
        })?;
        Ok(Contents {
            rows,
            digest: digest.to_string(),
            verified: report,
            revision: self.trailer.revision,
            at_ms: self.trailer.at_ms,
        })
    }

    /// What each record's revision and generation were: see [`crate::Vault::verify`].
    ///
    /// # Errors
    /// [`VaultError::BackupFile`].
    pub fn remembered(&self) -> Result<BTreeMap<Vec<u8>, (u64, u64)>, VaultError> {
        let mut remembered = BTreeMap::new();
        self.rows(|key, rev, value| {
            let row = row::decode(&self.row_mac, &Key::from(key), value);
            if key.starts_with(keys::RECORDS.as_bytes()) && !row.damaged {
                remembered.insert(key.to_vec(), (rev, row.generation));
            }
            Ok(())
        })?;
        Ok(remembered)
    }

    fn opens(
        &self,
        key: &Key,
        kind: &str,
        owner: &Owner,
        value: &Bytes,
        owner_keys: Option<&Option<OwnerKeys>>,
    ) -> Opens {
        let row = row::decode(&self.row_mac, key, value);
        if row.damaged {
            return Opens::No("the row was altered or cannot be read");
        }
        let Some(sealed) = row.sealed else {
            return Opens::NoSecret;
        };
        let shut = Opens::No("the secret does not open");
        let (Ok((version, _)), Some(Some(owner_keys))) = (envelope::peek(&sealed), owner_keys)
        else {
            return shut;
        };
        match owner_keys.find(version) {
            Found::Key(seal_key) => {
                let place = Place {
                    owner: owner.as_str(),
                    store_key: key.as_bytes(),
                    record_type: kind,
                    generation: row.generation,
                };
                match envelope::open(seal_key, place, &sealed) {
                    Ok(_) => Opens::Yes,
                    Err(_) => shut,
                }
            }
            Found::Destroyed => Opens::Destroyed,
            Found::None => shut,
        }
    }
}

/// See [`Backup::iter`].
pub(super) struct Rows<'a> {
    reader: Option<Reader>,
    superseded: &'a BTreeMap<Vec<u8>, Option<(u64, Bytes)>>,
    changes: std::collections::btree_map::Iter<'a, Vec<u8>, Option<(u64, Bytes)>>,
}

impl Rows<'_> {
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, u64, Bytes)>, VaultError> {
        while let Some(reader) = &mut self.reader {
            match reader.entry()? {
                Entry::Row(key, rev, value) => {
                    if !self.superseded.contains_key(&key) {
                        return Ok(Some((key, rev, value)));
                    }
                }
                _ => self.reader = None,
            }
        }
        Ok(self
            .changes
            .find_map(|(key, row)| row.as_ref().map(|row| (key, row)))
            .map(|(key, (rev, value))| (key.clone(), *rev, value.clone())))
    }
}

enum Opens {
    Yes,
    NoSecret,
    Destroyed,
    No(&'static str),
}

fn open_keyring(own: &BTreeMap<Vec<u8>, Bytes>, root: &RootKey) -> Result<Keyring, VaultError> {
    let mut right = false;
    for wrap in [Wrap::Present, Wrap::Next] {
        let row = |key: Key| own.get(key.as_bytes());
        if let Some(envelope) = row(wrap.keyring())
            && let Ok(keyring) = Keyring::open(root, wrap, envelope, Rev(0))
        {
            return Ok(keyring);
        }
        right |= row(wrap.check()).is_some_and(|row| keyring::check_opens(root, wrap, row));
    }
    Err(if right {
        broken("the keyring in it is damaged")
    } else {
        VaultError::WrongRootKey
    })
}

fn broken(what: &str) -> VaultError {
    VaultError::Backup(what.to_owned())
}

enum Entry {
    End,
    Row(Vec<u8>, u64, Bytes),
    Changed(Vec<u8>, u64, Bytes),
    Gone(Vec<u8>),
}

struct Reader {
    file: BufReader<File>,
    hash: Sha256,
    at: u64,
}

impl Reader {
    fn open(path: &Path) -> Result<(Self, u64), VaultError> {
        let file =
            |error: std::io::Error| VaultError::BackupFile(format!("{}: {error}", path.display()));
        let mut opened = File::open(path).map_err(file)?;
        let size = opened.seek(SeekFrom::End(0)).map_err(file)?;
        opened.rewind().map_err(file)?;
        let reader = Self {
            file: BufReader::with_capacity(1 << 20, opened),
            hash: Sha256::new(),
            at: 0,
        };
        Ok((reader, size))
    }

    fn raw<const N: usize>(&mut self) -> Result<[u8; N], VaultError> {
        let mut bytes = [0; N];
        self.file
            .read_exact(&mut bytes)
            .map_err(|_| broken("it ends too early"))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], VaultError> {
        let bytes = self.raw::<N>()?;
        self.hash.update(bytes);
        Ok(bytes)
    }

    fn lp(&mut self, max: usize) -> Result<Vec<u8>, VaultError> {
        let len = usize::try_from(u32::from_be_bytes(self.take()?)).unwrap_or(usize::MAX);
        if len > max {
            return Err(broken("a length in it cannot be right"));
        }
        let mut bytes = vec![0; len];
        self.file
            .read_exact(&mut bytes)
            .map_err(|_| broken("it ends too early"))?;
        self.at += len as u64;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Header, VaultError> {
        let magic: [u8; 4] = self.take()?;
        if magic != *MAGIC {
            return Err(broken("it is not a backup of keyport"));
        }
        let version = u16::from_be_bytes(self.take()?);
        if version != VERSION {
            return Err(broken("it is of a format that this version does not know"));
        }
        self.json()
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, VaultError> {
        let text = self.lp(JSON_MAX)?;
        serde_json::from_slice(&text).map_err(|_| broken("its header or its end cannot be read"))
    }

    fn entry(&mut self) -> Result<Entry, VaultError> {
        let [tag] = self.take()?;
        if tag == END {
            return Ok(Entry::End);
        }
        let key = self.lp(KEY_MAX)?;
        if tag == GONE {
            return Ok(Entry::Gone(key));
        }
        let rev = u64::from_be_bytes(self.take()?);
        let value = Bytes::from(self.lp(VALUE_MAX)?);
        match tag {
            ROW => Ok(Entry::Row(key, rev, value)),
            CHANGED => Ok(Entry::Changed(key, rev, value)),
            _ => Err(broken("it has a part that this version does not know")),
        }
    }

    fn footer(&mut self, size: u64) -> Result<([u8; 32], [u8; 32]), VaultError> {
        if size != self.at + FOOTER {
            return Err(broken("it does not end where it should"));
        }
        Ok((self.raw()?, self.raw()?))
    }
}
