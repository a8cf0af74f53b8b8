//! Every store that a test of the vault runs on. A test takes what it needs to open it again, too.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::time::Duration;

use keyport_tests::postgres::Cluster;
use keyport_vault::store::{Commit, CommitId, Key, Op, Rec};
use keyport_vault::{
    MemoryStore, PostgresOptions, PostgresStore, RootKey, SledStore, Store, Vault, VaultOptions,
};

/// A root key in base64, for tests.
pub const ROOT: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// Another.
pub const NEXT: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

/// How long a host keeps keys, in these tests.
pub const KEY_CACHE: Duration = Duration::from_millis(300);

pub fn root() -> RootKey {
    RootKey::from_base64(ROOT).unwrap()
}

/// Options whose root key can be asked for again.
pub fn options(root: &'static str) -> VaultOptions {
    VaultOptions {
        root: Some(Arc::new(move || RootKey::from_base64(root))),
        // On a shared store a rotation waits twice this long for the other hosts.
        key_cache: KEY_CACHE,
        ..VaultOptions::default()
    }
}

/// One empty store.
pub struct Backend {
    pub name: &'static str,
    pub store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

impl Backend {
    /// One in memory alone.
    pub fn memory() -> Self {
        Self {
            name: "memory",
            store: Arc::new(MemoryStore::new()),
            _folder: None,
        }
    }

    pub async fn vault(&self) -> Vault {
        self.vault_by(ROOT).await
    }

    pub async fn vault_by(&self, root: &'static str) -> Vault {
        Vault::open_with(
            Arc::clone(&self.store),
            RootKey::from_base64(root).unwrap(),
            options(root),
        )
        .await
        .unwrap()
    }

    /// All rows.
    pub async fn rows(&self) -> Vec<(Key, Rec)> {
        self.store.scan(b"", None, 100_000).await.unwrap()
    }

    /// What an attacker with write access does.
    pub async fn raw(&self, ops: Vec<Op>) {
        let commit = Commit {
            id: CommitId::random().unwrap(),
            pre: vec![],
            ops,
        };
        self.store.commit(commit).await.unwrap();
    }
}

/// An empty one of each. PostgreSQL is left out, with a word, where there is none.
pub async fn backends() -> Vec<Backend> {
    let folder = tempfile::tempdir().unwrap();
    let sled = SledStore::open(folder.path().join("store")).unwrap();
    let mut all = vec![
        Backend::memory(),
        Backend {
            name: "sled",
            store: Arc::new(sled),
            _folder: Some(folder),
        },
    ];
    if let Some(server) = Cluster::shared() {
        let database = server.database();
        let options = PostgresOptions::parse(&database.url).unwrap();
        all.push(Backend {
            name: "postgres",
            store: Arc::new(PostgresStore::open(options).await.unwrap()),
            _folder: None,
        });
    }
    all
}
