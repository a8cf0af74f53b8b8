//! Sealing and opening, per second, against the primitives that they are made of, on the same bytes in the same run:
//! `cargo bench -p keyport-vault --bench seal`
//!
//! The primitives are HKDF-Expand to key, nonce and commitment, the key schedule, and AES-256-GCM into a fresh allocation, with
//! associated data as long as ours; for sealing also the 32 random bytes that every envelope has. What is above them is ours: the
//! envelope around it, padding, wiping, the checks. The goal is at least 0.8 of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, run by hand"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use keyport_vault::SecretBytes;
use keyport_vault::measure::Sealer;
use sha2::Sha256;

const ROUNDS: u32 = 2_000;
/// Rounds of each are taken in turn, so that a noisy machine is unfair to neither; the best of each counts.
const TURNS: u32 = 60;
/// As long as ours: header, salt, label, owner, key, kind and schema with their lengths.
const AAD: [u8; 166] = [3; 166];
const INFO: [u8; 60] = [5; 60];

fn key_and_nonce(salt: &[u8; 32]) -> ([u8; 32], [u8; 12]) {
    let mut info = INFO.to_vec();
    info.extend_from_slice(salt);
    let mut okm = [0; 76];
    Hkdf::<Sha256>::from_prk(&[7; 32])
        .unwrap()
        .expand(&info, &mut okm)
        .unwrap();
    black_box(&okm);
    (*okm.first_chunk().unwrap(), *okm.last_chunk().unwrap())
}

fn bare_seal(text: &[u8]) -> Vec<u8> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).unwrap();
    let (key, nonce) = key_and_nonce(&salt);
    let mut out = Vec::with_capacity(text.len() + 16);
    out.extend_from_slice(text);
    Aes256Gcm::new(&key.into())
        .encrypt_in_place(&nonce.into(), &AAD, &mut out)
        .unwrap();
    out
}

fn bare_open(sealed: &[u8], (key, nonce): &([u8; 32], [u8; 12]), salt: &[u8; 32]) -> Vec<u8> {
    black_box(key_and_nonce(salt));
    let mut out = sealed.to_vec();
    Aes256Gcm::new(key.into())
        .decrypt_in_place(nonce.into(), &AAD, &mut out)
        .unwrap();
    out
}

fn time(best: &mut Duration, mut work: impl FnMut()) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    *best = (*best).min(begun.elapsed() / ROUNDS);
}

fn main() {
    let sealer = Sealer::new([7; 32]);
    for size in [100, 1024, 4096, 16 * 1024] {
        let secret = SecretBytes::new(vec![1; size]);
        let padded = vec![1; (size + 4).next_multiple_of(64)];
        let envelope = sealer.seal(&secret).unwrap();
        let salt = [9; 32];
        let key = key_and_nonce(&salt);
        let mut bare = padded.clone();
        Aes256Gcm::new(&key.0.into())
            .encrypt_in_place(&key.1.into(), &AAD, &mut bare)
            .unwrap();
        let mut best = [Duration::MAX; 4];
        let [bare_seals, seals, bare_opens, opens] = &mut best;
        for _ in 0..TURNS {
            time(bare_seals, || {
                black_box(bare_seal(black_box(&padded)));
            });
            time(seals, || {
                black_box(sealer.seal(black_box(&secret)).unwrap());
            });
            time(bare_opens, || {
                black_box(bare_open(black_box(&bare), &key, &salt));
            });
            time(opens, || {
                black_box(sealer.open(black_box(&envelope)).unwrap());
            });
        }
        for (what, bare, ours) in [("seal", best[0], best[1]), ("open", best[2], best[3])] {
            println!(
                "{what} {size:>6} bytes: {:>8.0}/s, bare {:>8.0}/s, {:.2} of it",
                1.0 / ours.as_secs_f64(),
                1.0 / bare.as_secs_f64(),
                bare.as_secs_f64() / ours.as_secs_f64()
            );
        }
    }
}
