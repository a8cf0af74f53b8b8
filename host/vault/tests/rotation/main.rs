//! Keys of every level are changed while everything is served; lines 26, 27, 28, 31 and 32 of the requirements.
//!
//! | file | what |
//! |---|---|
//! | `levels.rs` | terms and owners' keys: under load, cut off anywhere, retired when nothing needs them |
//! | `root.rs` | the root key |
//! | `hosts.rs` | other hosts on the same store |
//! | `uses.rs` | how old keys are and how often they were used; the pace |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

#[path = "../common/bent.rs"]
mod bent;
#[path = "../common/mod.rs"]
mod common;
mod hosts;
mod levels;
mod root;
#[path = "../common/stores.rs"]
mod stores;
mod uses;

use common::{id, put, secret_of};
use keyport_vault::{Expect, Vault};

const OWNERS: u64 = 12;

/// Three connections for each of some owners.
async fn fill(vault: &Vault) {
    for n in 0..OWNERS {
        let writes = (0..3)
            .map(|c| {
                put(
                    &id(&format!("u{n}"), &format!("con_{n}_{c}")),
                    Expect::Absent,
                    format!("secret {n} {c}").as_bytes(),
                )
            })
            .collect();
        vault.commit(writes).await.unwrap();
    }
}

async fn all_open(vault: &Vault) {
    for n in 0..OWNERS {
        for c in 0..3 {
            let at = id(&format!("u{n}"), &format!("con_{n}_{c}"));
            let secret = secret_of(vault, &at).await;
            assert!(
                secret.starts_with(format!("secret {n} {c}").as_bytes()),
                "{at}"
            );
        }
    }
}
