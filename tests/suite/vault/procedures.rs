//! Rotate, back up and restore, lose a key, let an owner go; what the process does with its memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyport_tests::binary::{self, said};
use keyport_tests::host::{Host, Setup, make_root_key};
use keyport_tests::http::Client;
use keyport_tests::platform::Platform;
use keyport_tests::postgres::Cluster;

use super::{Filled, all_are_served, digest, done, import, me, setup, vault};

/// Every file of a store that is the truth, with its bytes: not the index, which is made anew when it has to be, nor the lock.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "index" {
                    open.push(path);
                }
            } else if path.file_name().unwrap() != "lock" {
                found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn line_26_keys_of_every_level_are_rotated_beside_a_running_host_and_everything_is_served() {
    let filled = Filled::with(4);
    let stop = AtomicBool::new(false);
    let next = filled.host.folder().join("next.key");
    make_root_key(&next);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut calls = 0;
            while !stop.load(Ordering::SeqCst) {
                filled.all_are_served();
                // Writes, too: each call after this one renews a token.
                filled.provider.expire();
                calls += 1;
            }
            calls
        });
        // The host has the keys: no root key is needed here, and none is asked for.
        let beside = binary::run(&[
            "vault",
            "status",
            "--data",
            &filled.data().display().to_string(),
        ]);
        let status: serde_json::Value = serde_json::from_str(&done(&beside)).unwrap();
        assert_eq!(status["keys"]["terms"][0]["state"], "active");
        let said = filled.vault_does(&["rotate", "terms"]);
        assert!(said.contains("Rotated terms"), "{said}");
        let said = filled.vault_does(&["rotate", "owners", "--rate", "200"]);
        assert!(said.contains("retire owners"), "{said}");
        let said = filled.vault_does(&["retire", "owners"]);
        assert!(said.contains("0 stay"), "{said}");
        let said = filled.vault_does(&["retire", "terms"]);
        assert!(said.contains("Destroyed 1 old keys"), "{said}");
        // The root key: both open, the configuration gets the new one, the old one goes.
        let said = filled.vault_does(&[
            "rotate",
            "root",
            "--new-root-key-file",
            &next.display().to_string(),
        ]);
        assert!(said.contains("Both root keys open"), "{said}");
        let early = filled.vault(&["retire", "root"]);
        assert!(
            !early.status.success(),
            "the configuration still names the old one"
        );
        let own = filled.host.folder().join("root.key");
        std::fs::rename(&own, filled.host.folder().join("old.key")).unwrap();
        std::fs::copy(&next, &own).unwrap();
        filled.vault_does(&["retire", "root"]);
        stop.store(true, Ordering::SeqCst);
        assert!(load.join().unwrap() > 0);
    });
    let status = filled.status();
    assert_eq!(status["keys"]["root_keys"], 1);
    assert_eq!(status["keys"]["terms"][0]["state"], "destroyed");
    assert_eq!(status["keys"]["owners"]["unreadable"], 0);
    let verified = filled.vault_does(&["verify"]);
    assert!(verified.contains("0 damaged"), "{verified}");
    // Afterwards the old root key opens nothing.
    let Filled {
        mut host,
        platform,
        connections,
        provider,
    } = filled;
    host.stop();
    host.start_again();
    all_are_served(&platform, &connections);
    host.stop();
    let old = host.folder().join("old.key").display().to_string();
    let refused = binary::run(&["serve", "--config", &host.file(), "--root-key-file", &old]);
    assert!(
        said(&refused).contains("does not belong to this data"),
        "{}",
        said(&refused)
    );
    drop(provider);
}

#[test]
fn line_34_a_backup_restored_on_a_fresh_machine_starts_a_host_that_serves_every_connection() {
    let filled = Filled::with(3);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.keyport");
    let file = backup.display().to_string();
    // Beside the running host.
    let wrote = filled.vault_does(&["backup", &file]);
    assert!(wrote.contains("Wrote"), "{wrote}");
    let again = filled.vault(&["backup", &file]);
    assert!(!again.status.success(), "a backup replaces no other");
    let proven = filled.vault_does(&["restore", &file, "--verify-only"]);
    assert!(proven.contains("0 damaged"), "{proven}");
    let Filled {
        mut host,
        platform,
        provider,
        connections,
    } = filled;
    host.kill();
    // A damaged one is refused, and nothing is written.
    let spoilt = folder.path().join("spoilt.keyport");
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&spoilt, bytes).unwrap();
    let database = Cluster::shared().map(Cluster::database);
    let stores: Vec<Option<String>> = std::iter::once(None)
        .chain(database.iter().map(|database| Some(database.url.clone())))
        .collect();
    let last = stores.len() - 1;
    for (n, store) in stores.into_iter().enumerate() {
        let data = folder.path().join(format!("data{n}"));
        let config = folder.path().join(format!("keyport{n}.toml"));
        let root = host.folder().join("root.key");
        let more = store.map_or_else(String::new, |url| format!("store = {url:?}"));
        std::fs::write(
            &config,
            format!(
                "public_url = \"http://localhost:1\"\nlisten = \"127.0.0.1:0\"\ndata = {data:?}\n{more}\n[root_key]\nfile = {root:?}\n"
            ),
        )
        .unwrap();
        let config = config.display().to_string();
        let refused = vault(&config, &["restore", &spoilt.display().to_string()]);
        assert!(!refused.status.success(), "{}", said(&refused));
        let restored = done(&vault(&config, &["restore", &file]));
        assert_eq!(digest(&restored), digest(&proven));
        let again = vault(&config, &["restore", &file]);
        assert!(said(&again).contains("not empty"), "{}", said(&again));
        let verified = done(&vault(&config, &["verify", "--against", &file]));
        assert!(verified.contains("0 damaged"), "{verified}");
        let fresh = Host::start(Setup {
            data: Some(data),
            root_key: Some(root),
            more,
            ..setup(&provider)
        });
        // The platform's key came along.
        let platform = Platform::new(fresh.url(), platform.key().to_owned());
        all_are_served(&platform, &connections);
        if n == last {
            // And it goes on: tokens are renewed, connections made.
            provider.expire();
            all_are_served(&platform, &connections);
            import(&platform, &provider, "somebody-new");
        }
    }
}

#[test]
fn line_30_with_another_root_key_or_none_a_host_ends_with_a_sentence_and_writes_nothing() {
    let Filled {
        mut host,
        platform,
        provider,
        connections,
    } = Filled::with(1);
    host.stop();
    let (root, kept) = (
        host.folder().join("root.key"),
        host.folder().join("kept.key"),
    );
    std::fs::rename(&root, &kept).unwrap();
    let store = host.folder().join("data/store");
    let before = files(&store);
    let ends = |expected: &str| {
        let output = binary::run(&["serve", "--config", &host.file()]);
        assert!(
            !output.status.success() && said(&output).contains(expected),
            "{}",
            said(&output)
        );
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
    };
    ends("root.key");
    make_root_key(&root);
    ends("does not belong to this data");
    std::fs::write(&root, "not a key").unwrap();
    ends("32 random bytes");
    assert!(files(&store) == before, "nothing was written");
    std::fs::remove_file(&root).unwrap();
    std::fs::rename(&kept, &root).unwrap();
    host.start_again();
    all_are_served(&platform, &connections);
    drop(provider);
}

#[test]
fn line_19_an_older_store_that_was_put_back_is_told_at_the_start() {
    let Filled {
        mut host,
        platform,
        provider,
        mut connections,
    } = Filled::with(1);
    host.stop();
    let data = host.folder().join("data");
    let (store, older) = (data.join("store"), host.folder().join("older"));
    copy(&store, &older);
    host.start_again();
    assert_eq!(older_than_seen(&host), Some(0));
    connections.push(import(&platform, &provider, "owner-later"));
    all_are_served(&platform, &connections);
    host.stop();
    // Nothing is said of a store that went on.
    host.start_again();
    assert_eq!(older_than_seen(&host), Some(0));
    host.stop();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&older, &store);
    host.start_again();
    assert_eq!(older_than_seen(&host), Some(1));
    assert!(
        host.log()
            .contains("the store is older than this host has seen it"),
        "{}",
        host.log()
    );
    let status = done(&vault(&host.file(), &["status"]));
    assert!(status.contains("older copy"), "{status}");
    let trail = binary::run(&["audit", "export", "--config", &host.file()]);
    assert!(
        said(&trail).contains("vault.older_store"),
        "{}",
        said(&trail)
    );
    // It serves what it has.
    me(&platform, &connections[0]).expect(200);
}

fn older_than_seen(host: &Host) -> Option<u32> {
    let page = Client::new().send("GET", &format!("{}/metrics", host.url()), &[], None);
    let page = page.expect(200);
    let text = page.text();
    let line = text
        .lines()
        .find(|line| line.starts_with("keyport_vault_older_than_seen "))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

#[test]
fn line_32_age_and_uses_of_the_keys_are_metrics() {
    let filled = Filled::with(1);
    let page = Client::new()
        .send("GET", &format!("{}/metrics", filled.host.url()), &[], None)
        .expect(200);
    let text = page.text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let made = value("keyport_vault_term_created_seconds{term=\"1\",state=\"active\"}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!((now.as_secs_f64() - made).abs() < 3600.0, "{made}");
    assert!(value("keyport_vault_term_uses{term=\"1\",state=\"active\"}") >= 1.0);
    assert!(value("keyport_vault_key_uses_max") < f64::from(u32::MAX));
    assert!((value("keyport_vault_root_keys") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn line_33_a_host_leaves_no_core_dump() {
    let filled = Filled::with(0);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", filled.host.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(4).collect();
    assert_eq!(numbers[..2], ["0", "0"], "{line}");
}

#[test]
fn an_owner_whose_keys_are_destroyed_is_shut_and_the_others_are_served() {
    let mut filled = Filled::with(2);
    let said = filled.vault_does(&["destroy-owner", "owner-0"]);
    assert!(said.contains("owner-0"), "{said}");
    let end = Instant::now() + Duration::from_secs(20);
    while me(&filled.platform, &filled.connections[0]).status == 200 {
        assert!(Instant::now() < end);
    }
    me(&filled.platform, &filled.connections[1]).expect(200);
    filled.host.stop();
    filled.host.start_again();
    assert!(me(&filled.platform, &filled.connections[0]).status >= 400);
    me(&filled.platform, &filled.connections[1]).expect(200);
    let verified = filled.vault_does(&["verify"]);
    assert!(verified.contains("0 damaged"), "{verified}");
    assert!(!verified.contains(" 0 shut because"), "{verified}");
}
