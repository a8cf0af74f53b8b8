//! A rotation, a copy and a restore as processes that are killed (SIGKILL) at random points, and go on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use keyport_tests::binary::{self, said};
use keyport_tests::host::{Host, Setup};
use keyport_tests::platform::Platform;
use keyport_tests::postgres::Cluster;

use super::{Filled, all_are_served, digest, done, setup, vault};

/// How often each is killed.
fn rounds() -> u32 {
    match std::env::var("KEYPORT_PROOF").as_deref() {
        Ok("full") => 40,
        _ => 4,
    }
}

/// xorshift64*, seeded from the clock; the seed is printed.
struct Random(u64);

impl Random {
    fn said(test: &str) -> Self {
        let given = std::env::var("KEYPORT_TEST_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = given.unwrap_or_else(|| u64::try_from(now.as_nanos()).unwrap_or(7));
        eprintln!("{test}: KEYPORT_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// Some time below this.
    fn below(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        let most = u64::try_from(most.as_micros()).unwrap().max(1);
        Duration::from_micros(random % most)
    }
}

fn begin(arguments: &[&str]) -> Child {
    binary::command(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs it several times and kills it each time, at a random moment of what it takes; true if it was ever killed before its end.
/// One that ended before it was killed takes less than was thought: the next is killed sooner, and until one was met it goes on.
fn kill_often(random: &mut Random, arguments: &[&str], takes: Duration) -> bool {
    let (mut early, mut takes) = (false, takes);
    for round in 0..rounds() + 12 {
        if early && round >= rounds() {
            break;
        }
        let mut child = begin(arguments);
        std::thread::sleep(random.below(takes));
        match child.try_wait().unwrap() {
            None => early = true,
            Some(_) => takes /= 2,
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    early
}

#[test]
fn line_26_a_rotation_whose_host_is_killed_at_random_goes_on_by_itself() {
    let mut random = Random::said("rotation_killed");
    let mut filled = Filled::with(8);
    for round in 0..rounds() {
        let level = if round % 2 == 0 { "owners" } else { "terms" };
        // Slow enough to be met in the middle.
        let file = filled.host.file();
        let mut rotating = begin(&["vault", "rotate", level, "--rate", "20", "--config", &file]);
        std::thread::sleep(random.below(Duration::from_millis(2500)));
        filled.host.kill();
        rotating.wait().unwrap();
        filled.host.start_again();
        filled.all_are_served();
        let end = Instant::now() + Duration::from_secs(120);
        while !filled.status()["keys"]["unfinished"].is_null() {
            assert!(
                Instant::now() < end,
                "it does not go on: {}",
                filled.status()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        filled.all_are_served();
    }
    let owners = &filled.status()["keys"]["owners"];
    assert_eq!(owners["unreadable"], 0);
    // One of each owner's keys is active: none was made and forgotten.
    assert_eq!(owners["owners"], owners["active"], "{owners}");
    let verified = filled.vault_does(&["verify"]);
    assert!(verified.contains("0 damaged"), "{verified}");
}

#[test]
fn line_26_a_rotation_without_a_host_is_killed_at_random_and_goes_on_when_it_is_run_again() {
    let mut random = Random::said("rotation_alone_killed");
    let mut filled = Filled::with(8);
    filled.host.stop();
    let file = filled.host.file();
    let rotate = [
        "vault", "rotate", "owners", "--rate", "40", "--config", &file,
    ];
    let begun = Instant::now();
    done(&binary::run(&rotate));
    assert!(
        kill_often(&mut random, &rotate, begun.elapsed()),
        "none was met in the middle"
    );
    // What the killed one held ends by itself, within twenty seconds; until then it says so.
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let again = binary::run(&rotate);
        if again.status.success() {
            break;
        }
        assert!(
            said(&again).contains("at work on the keys") && Instant::now() < end,
            "{}",
            said(&again)
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    let status = filled.status();
    assert!(status["keys"]["unfinished"].is_null(), "{status}");
    filled.vault_does(&["retire", "owners"]);
    let owners = &filled.status()["keys"]["owners"];
    assert_eq!(
        (&owners["decrypt_only"], &owners["pending"]),
        (&0.into(), &0.into()),
        "{owners}"
    );
    filled.host.start_again();
    filled.all_are_served();
}

#[test]
fn a_store_copy_that_is_killed_at_random_goes_on_and_a_host_serves_the_copy() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let mut random = Random::said("copy_killed");
    let mut filled = Filled::with(8);
    filled.host.stop();
    let data = filled.data().display().to_string();
    let other = server.database();
    let begun = Instant::now();
    done(&binary::run(&["store", "copy", &data, &other.url]));
    let takes = begun.elapsed();
    let database = server.database();
    let copy = ["store", "copy", &data, &database.url];
    assert!(
        kill_often(&mut random, &copy, takes),
        "none was met in the middle"
    );
    let said_last = done(&binary::run(&copy));
    assert!(
        said_last.contains("source and target are the same"),
        "{said_last}"
    );
    // And back, into a folder.
    let back = filled.host.folder().join("back");
    let back = back.display().to_string();
    let copy = ["store", "copy", &database.url, &back];
    kill_often(&mut random, &copy, takes);
    done(&binary::run(&copy));
    filled
        .host
        .configure(&format!("store = {:?}", database.url));
    filled.host.start_again();
    filled.all_are_served();
}

#[test]
fn line_34_a_restore_that_is_killed_at_random_is_never_served_and_goes_on() {
    let mut random = Random::said("restore_killed");
    let filled = Filled::with(8);
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.keyport").display().to_string();
    filled.vault_does(&["backup", &backup]);
    let proven = filled.vault_does(&["restore", &backup, "--verify-only"]);
    let Filled {
        mut host,
        platform,
        provider,
        connections,
    } = filled;
    host.stop();
    let root = host.folder().join("root.key");
    let database = Cluster::shared().map(Cluster::database);
    let stores: Vec<Option<String>> = std::iter::once(None)
        .chain(database.iter().map(|database| Some(database.url.clone())))
        .collect();
    for (n, store) in stores.into_iter().enumerate() {
        let more = store.map_or_else(String::new, |url| format!("store = {url:?}"));
        let config_of = |name: &str, more: &str| {
            let file = folder.path().join(format!("{name}.toml"));
            let data = folder.path().join(name);
            let text = format!(
                "public_url = \"http://localhost:1\"\nlisten = \"127.0.0.1:0\"\ndata = {data:?}\n{more}\n[root_key]\nfile = {root:?}\n"
            );
            std::fs::write(&file, text).unwrap();
            file.display().to_string()
        };
        let measure = config_of(&format!("measure{n}"), "");
        let begun = Instant::now();
        done(&vault(&measure, &["restore", &backup]));
        let takes = begun.elapsed();
        let file = config_of(&format!("data{n}"), &more);
        let restore = ["vault", "restore", &backup, "--config", &file];
        for round in 0..rounds() {
            let mut child = begin(&restore);
            std::thread::sleep(random.below(takes));
            let _ = child.kill();
            child.wait().unwrap();
            // Half of it is opened by nobody. Tried on a copy: over an empty store a vault would be made.
            let (data, probe) = (format!("data{n}"), format!("probe{n}-{round}"));
            if !more.is_empty() || !folder.path().join(&data).exists() {
                continue;
            }
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(folder.path().join(&data))
                .arg(folder.path().join(&probe))
                .status();
            assert!(copied.unwrap().success());
            let probe = config_of(&probe, "");
            let looked = vault(&probe, &["digest"]);
            if looked.status.success() && digest_alone(&looked) != digest(&proven) {
                let verified = done(&vault(&probe, &["verify"]));
                assert!(verified.starts_with("0 records"), "{verified}");
            } else if !looked.status.success() {
                assert!(said(&looked).contains("interrupted"), "{}", said(&looked));
            }
        }
        let last = vault(&file, &["restore", &backup]);
        assert!(
            last.status.success() || said(&last).contains("not empty"),
            "{}",
            said(&last)
        );
        assert_eq!(digest_alone(&vault(&file, &["digest"])), digest(&proven));
        let fresh = Host::start(Setup {
            data: Some(folder.path().join(format!("data{n}"))),
            root_key: Some(root.clone()),
            more,
            ..setup(&provider)
        });
        let platform = Platform::new(fresh.url(), platform.key().to_owned());
        all_are_served(&platform, &connections);
    }
}

fn digest_alone(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
