//! What sealing costs above the bare cipher: prints times and ratios. `cargo bench -p keyport-vault`
//!
//! The envelope derives a key per record and commits to it; that is paid per operation. The reference is AES-256-GCM with one
//! key for everything, which is what the envelope exists to avoid. Through the public interface, over a store in memory.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, run by hand"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use keyport_vault::{
    Expect, Kind, MemoryStore, Owner, RecordId, RootKey, SecretBytes, SecretWrite, Vault, Write,
};
use serde_json::json;

const ROUNDS: u32 = 20_000;
const SECRET: usize = 1024;

fn each(begun: Instant) -> Duration {
    begun.elapsed() / ROUNDS
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let cipher = Aes256Gcm::new(&[7; 32].into());
    let nonce = [9; 12].into();
    let mut text = Vec::with_capacity(SECRET + 16);
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        text.clear();
        text.resize(SECRET, 1);
        cipher
            .encrypt_in_place(&nonce, &[3; 160], black_box(&mut text))
            .unwrap();
    }
    let bare_seal = each(begun);
    let sealed = text.clone();
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        text.clear();
        text.extend_from_slice(&sealed);
        cipher
            .decrypt_in_place(&nonce, &[3; 160], black_box(&mut text))
            .unwrap();
    }
    let bare_open = each(begun);

    let vault = Vault::open(Arc::new(MemoryStore::new()), RootKey::generate().unwrap())
        .await
        .unwrap();
    let id = RecordId::new(Kind::new("connection"), Owner::new("u1").unwrap(), "con_1");
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        let write = Write::Put {
            id: id.clone(),
            expect: Expect::Any,
            clear: json!({"app": "github", "title": "Ada"}),
            secret: SecretWrite::Put(SecretBytes::new(vec![1; SECRET])),
        };
        vault.commit(vec![write]).await.unwrap();
    }
    let commit = each(begun);
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        black_box(vault.get(&id).await.unwrap());
    }
    let get = each(begun);

    println!("{SECRET} bytes, {ROUNDS} rounds, one thread");
    println!("bare AES-256-GCM, one key: seal {bare_seal:?}, open {bare_open:?}");
    println!(
        "vault in memory: commit {commit:?} ({:.1}x), get {get:?} ({:.1}x)",
        commit.as_secs_f64() / bare_seal.as_secs_f64(),
        get.as_secs_f64() / bare_open.as_secs_f64()
    );
}
