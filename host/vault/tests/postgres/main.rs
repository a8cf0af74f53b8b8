//! What only a shared database can show.
//!
//! | file | what |
//! |---|---|
//! | `lost.rs` | lost replies, a server that is killed, full or overtaken by its standby |
//! | `hosts.rs` | several hosts: what they hear of each other, whose clock counts |
//! | `setup.rs` | tables, permissions, poolers, addresses, TLS |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod hosts;
mod lost;
#[path = "../common/random.rs"]
mod random;
mod setup;

use bytes::Bytes;
use keyport_vault::store::{Commit, CommitId, Key, Op, Pre};
use keyport_vault::{PostgresOptions, PostgresStore, Store};

fn key(text: &str) -> Key {
    Key::from(text)
}

fn put(name: &str, value: &str) -> Op {
    Op::Put(key(name), Bytes::copy_from_slice(value.as_bytes()))
}

fn commit(pre: Vec<Pre>, ops: Vec<Op>) -> Commit {
    Commit {
        id: CommitId::random().unwrap(),
        pre,
        ops,
    }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::parse(url).unwrap())
        .await
        .unwrap()
}

async fn refused(url: &str) -> String {
    match PostgresStore::open(PostgresOptions::parse(url).unwrap()).await {
        Ok(_) => panic!("{url} is taken"),
        Err(error) => error.to_string(),
    }
}

async fn text(store: &dyn Store, name: &str) -> Option<String> {
    let rec = store.get(&key(name)).await.unwrap()?;
    Some(String::from_utf8(rec.value.to_vec()).unwrap())
}
