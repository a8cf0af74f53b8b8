//! Line 33: after what held it is gone, a key is nowhere in the process's memory. The needle is kept masked, so that it is not found in
//! itself; what is looked through is every writable region of `/proc/self/maps`.

#![cfg(target_os = "linux")]

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::secret::Key32;
use crate::store::MemoryStore;
use crate::vault::{Expect, SecretWrite, Vault, Write};
use crate::{Kind, Owner, RecordId, RootKey, Secret, SecretBytes};

const MASK: u8 = 0x5a;

/// A secret as it is looked for: masked, and never put together again.
struct Needle(Vec<u8>);

impl Needle {
    fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| byte ^ MASK).collect())
    }

    /// How often it stands in memory.
    fn count(&self) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        let first = self.0[0] ^ MASK;
        let mut found = 0;
        let mut chunk = vec![0; 1 << 20];
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            let (mut at, to) = (address(from), address(to));
            while at < to {
                let len = usize::try_from(to - at).unwrap().min(chunk.len());
                memory.seek(SeekFrom::Start(at)).unwrap();
                // A region that has gone since.
                let Ok(read) = memory.read(&mut chunk[..len]) else {
                    break;
                };
                found += chunk[..read]
                    .windows(self.0.len())
                    .filter(|window| {
                        window[0] == first
                            && window
                                .iter()
                                .zip(&self.0)
                                .all(|(byte, masked)| byte ^ MASK == *masked)
                    })
                    .count();
                // One that lies across two reads is in the second.
                let step = read.saturating_sub(self.0.len() - 1).max(1);
                at += step as u64;
                if read < self.0.len() {
                    break;
                }
            }
        }
        // What was read is a copy.
        chunk.fill(0);
        found
    }
}

/// Overwrites what calls have left on this thread's stack.
#[inline(never)]
fn sweep_the_stack() -> u8 {
    let mut room = [0_u8; 512 * 1024];
    for (at, byte) in room.iter_mut().enumerate() {
        *byte = u8::try_from(at % 251).unwrap();
    }
    std::hint::black_box(&room)[room.len() - 1]
}

#[test]
fn line_33_a_key_that_was_dropped_is_not_in_memory() {
    let key = Key32::random().unwrap();
    let needle = Needle::of(key.expose());
    assert!(needle.count() >= 1, "it is found while it lives");
    drop(key);
    assert_eq!(needle.count(), 0);
}

#[test]
fn line_33_after_the_vault_is_closed_no_key_and_no_secret_is_in_memory() {
    // On a thread of its own, whose stack goes with it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let needles = std::thread::spawn(move || {
        let needles = runtime.block_on(async {
            let root = RootKey::generate().unwrap();
            let mut needles = vec![("root key", Needle::of(root.for_tests()))];
            let vault = Vault::open(Arc::new(MemoryStore::new()), root)
                .await
                .unwrap();
            let owner = Owner::new("u1").unwrap();
            let id = RecordId::new(Kind::new("connection"), owner.clone(), "con_1");
            // A token of 40 random bytes.
            let mut token = vec![0; 40];
            getrandom::fill(&mut token).unwrap();
            needles.push(("secret", Needle::of(&token)));
            let write = Write::Put {
                id: id.clone(),
                expect: Expect::Any,
                clear: serde_json::json!({}),
                secret: SecretWrite::Put(SecretBytes::new(std::mem::take(&mut token))),
            };
            vault.commit(vec![write]).await.unwrap();
            let record = vault.get(&id).await.unwrap().unwrap();
            let Secret::Open(secret) = record.secret else {
                panic!("it opens");
            };
            assert!(needles[1].1.count() >= 1, "it is found while it lives");
            drop(secret);
            for (name, bytes) in vault.keys_for_tests(&owner).await {
                needles.push((name, Needle::of(&bytes)));
            }
            assert_eq!(needles.len(), 5);
            needles
        });
        drop(runtime);
        sweep_the_stack();
        needles
    })
    .join()
    .unwrap();
    for (name, needle) in needles {
        assert_eq!(needle.count(), 0, "{name}");
    }
}
