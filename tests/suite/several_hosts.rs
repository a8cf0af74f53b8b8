//! Several hosts on one PostgreSQL: any of them may be killed, cut off from the database or stopped where it stands, at the
//! worst moment of a refresh. One request goes to the provider; no connection is broken; no newer token is overwritten.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keyport_tests::binary::{self, repository};
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup, make_root_key};
use keyport_tests::http::Answer;
use keyport_tests::platform::Platform;
use keyport_tests::postgres::{Cluster, Database};
use keyport_tests::provider::Provider;
use keyport_tests::proxy::Proxy;
use serde_json::{Value, json};

/// Hosts on one database, each behind a network of its own, and a provider.
struct Setting {
    server: &'static Cluster,
    database: Database,
    provider: Provider,
    proxies: Vec<Proxy>,
    hosts: Vec<Host>,
    platforms: Vec<Platform>,
    connection: String,
    _folder: tempfile::TempDir,
}

fn setting(hosts: usize, strict: bool) -> Option<Setting> {
    let server = Cluster::shared()?;
    if !server.is_ours() {
        return None;
    }
    let (database, provider) = (server.database(), Provider::start(strict));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.key");
    make_root_key(&root);
    let proxies: Vec<Proxy> = (0..hosts).map(|_| Proxy::to(server.port())).collect();
    let hosts: Vec<Host> = proxies
        .iter()
        .map(|proxy| {
            Host::start(Setup {
                origins: BTreeMap::from([(
                    "https://oidc.keyport.test".to_owned(),
                    provider.origin(),
                )]),
                apps: vec![repository().join("tests/apps/oidc")],
                more: format!("store = {:?}", database.through(proxy.port())),
                data: Some(folder.path().join("data")),
                root_key: Some(root.clone()),
                env: at_once(),
                ..Setup::default()
            })
        })
        .collect();
    // While all of them run: a shared store lets everybody in.
    let key = hosts[0].make_key("manage,connect,actions,proxy,read-credentials");
    let platforms: Vec<Platform> = hosts
        .iter()
        .map(|host| Platform::new(host.url(), key.clone()))
        .collect();
    platforms[0].configure(
        "oidc",
        &json!({ "client_id": "keyport-tests", "client_secret": "client-secret-0123456789" }),
    );
    let grant = provider.grant();
    let import = json!({
        "owner": "owner-1", "app": "oidc", "method": "oauth",
        "token": { "access_token": grant["access_token"], "refresh_token": grant["refresh_token"] },
    });
    let made = platforms[0]
        .post("/v1/connections", &import)
        .expect(201)
        .json();
    let connection = made["id"].as_str().unwrap().to_owned();
    Some(Setting {
        server,
        database,
        provider,
        proxies,
        hosts,
        platforms,
        connection,
        _folder: folder,
    })
}

/// A renewed token may be renewed again at once: these tests do it several times a minute.
fn at_once() -> Vec<(String, String)> {
    vec![("KEYPORT_TEST_COOLDOWN_MS".to_owned(), "0".to_owned())]
}

impl Setting {
    /// A call through one of the hosts, which needs a good access token.
    fn me(&self, host: usize) -> Answer {
        self.platforms[host].call(
            "GET",
            &format!("/v1/connections/{}/proxy/me", self.connection),
            None,
        )
    }

    fn state(&self, host: usize) -> Value {
        self.platforms[host].get(&format!("/v1/connections/{}", self.connection))
    }

    /// The time of the refresh's lease passes, by the clock that it goes by.
    fn let_the_lease_end(&self) {
        let changed = self.server.sql(
            self.database.name(),
            "WITH moved AS (UPDATE keyport_lease SET until_ms = until_ms - 60000 WHERE name LIKE 'refresh/%' RETURNING 1) SELECT count(*) FROM moved",
        );
        assert_eq!(changed, "1", "somebody holds it");
    }

    /// Each host serves the connection, and the next refresh goes out with the token of the last answer.
    fn all_is_well(&self) {
        for host in 0..self.hosts.len() {
            assert_eq!(self.me(host).expect(200).json()["sub"], "ada");
            assert_eq!(self.state(host)["state"], "connected");
        }
        let before = self.provider.reuses();
        self.provider.expire();
        for host in 0..self.hosts.len() {
            self.me(host).expect(200);
        }
        assert_eq!(
            self.provider.reuses(),
            before,
            "no spent token was stored over a newer one"
        );
    }
}

#[test]
fn line_35_sixteen_callers_on_three_hosts_make_one_request() {
    let Some(setting) = setting(3, true) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|n| {
                scope.spawn({
                    let setting = &setting;
                    move || setting.me(n % 3)
                })
            })
            .collect();
        setting.provider.wait_for(1);
        // Everybody is there by now, and waits.
        std::thread::sleep(Duration::from_millis(500));
        setting.provider.release();
        for caller in callers {
            assert_eq!(caller.join().unwrap().expect(200).json()["sub"], "ada");
        }
    });
    assert_eq!(setting.provider.refreshes(), 1);
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn a_host_that_is_killed_in_the_middle_of_a_refresh_breaks_no_connection() {
    let Some(mut setting) = setting(2, true) else {
        return;
    };
    // The one that waits for the other's refresh.
    setting.provider.expire();
    setting.provider.hold_answers();
    let (first, second) = (setting.platforms[0].clone(), setting.platforms[1].clone());
    let path = format!("/v1/connections/{}/proxy/me", setting.connection);
    let call = |platform: Platform| {
        let path = path.clone();
        std::thread::spawn(move || {
            std::panic::catch_unwind(|| platform.call("GET", &path, None)).ok()
        })
    };
    let refreshing = call(first.clone());
    setting.provider.wait_for(1);
    let waiting = call(second.clone());
    std::thread::sleep(Duration::from_millis(300));
    setting.hosts[1].kill();
    setting.provider.release();
    refreshing.join().unwrap().unwrap().expect(200);
    assert!(
        waiting
            .join()
            .unwrap()
            .is_none_or(|answer| answer.status >= 500)
    );
    assert_eq!(setting.provider.refreshes(), 1);
    setting.hosts[1].start_again();
    setting.all_is_well();

    // The one that refreshes, before the provider has looked at its request.
    let before = setting.provider.refreshes();
    setting.provider.expire();
    setting.provider.hold_requests();
    let refreshing = call(first);
    setting.provider.wait_for(1);
    let waiting = call(second);
    std::thread::sleep(Duration::from_millis(300));
    setting.hosts[0].kill();
    assert!(
        refreshing
            .join()
            .unwrap()
            .is_none_or(|answer| answer.status >= 500)
    );
    setting.provider.release();
    setting.let_the_lease_end();
    // The other takes over by itself, within the call that it already had.
    waiting.join().unwrap().unwrap().expect(200);
    assert_eq!(setting.provider.refreshes(), before + 1);
    setting.hosts[0].start_again();
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn a_host_that_is_killed_with_the_only_new_token_in_its_hands_is_told_apart_from_a_sign_out() {
    for strict in [false, true] {
        let Some(mut setting) = setting(2, strict) else {
            return;
        };
        setting.provider.expire();
        setting.provider.hold_answers();
        let platform = setting.platforms[0].clone();
        let path = format!("/v1/connections/{}/proxy/me", setting.connection);
        let refreshing = std::thread::spawn(move || {
            std::panic::catch_unwind(|| platform.call("GET", &path, None)).is_ok()
        });
        setting.provider.wait_for(1);
        setting.hosts[0].kill();
        refreshing.join().unwrap();
        setting.provider.release();
        setting.let_the_lease_end();
        let answer = setting.me(1);
        if strict {
            // The token was spent and its successor died with the host: only the person can mend that, and is told why.
            assert_eq!(
                answer.status,
                401,
                "the app's own answer: {}",
                answer.text()
            );
            let connection = setting.state(1);
            assert_eq!(connection["state"], "needs_reconnect");
            assert_eq!(connection["reason"]["code"], "refresh_interrupted");
        } else {
            answer.expect(200);
            setting.hosts[0].start_again();
            setting.all_is_well();
        }
    }
}

#[test]
fn a_host_that_is_cut_off_from_the_database_with_a_new_token_keeps_it_until_it_can_be_written() {
    let Some(setting) = setting(2, true) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.proxies[0].hold();
        setting.provider.release();
        let waiting = scope.spawn(|| setting.me(1));
        std::thread::sleep(Duration::from_secs(2));
        assert!(
            !refreshing.is_finished(),
            "a token that is not durable is not used"
        );
        setting.proxies[0].heal();
        refreshing.join().unwrap().expect(200);
        waiting.join().unwrap().expect(200);
    });
    assert_eq!(
        (setting.provider.refreshes(), setting.provider.reuses()),
        (1, 0)
    );
    // Cut off before anything: the other host serves, this one says that it cannot.
    setting.proxies[0].refuse();
    let begun = Instant::now();
    let refused = setting.me(0);
    // Some seconds, on a machine that has other things to do as well.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(refused.code(), "store_unavailable", "{}", refused.text());
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("try again"), "{}", refused.text());
    eprintln!("told after {:?}", begun.elapsed());
    setting.provider.expire();
    setting.me(1).expect(200);
    setting.proxies[0].heal();
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn line_36_a_host_that_is_stopped_beyond_its_lease_overwrites_nothing_and_throws_nothing_away() {
    // The provider takes a spent token once more, as many do for a while: the lease is over, so the other host asks as well.
    let Some(setting) = setting(2, false) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.provider.let_others_through();
        setting.hosts[0].pause();
        setting.let_the_lease_end();
        setting.me(1).expect(200);
        assert_eq!(setting.provider.refreshes(), 2);
        setting.hosts[0].go_on();
        setting.provider.release();
        // Its own token came too late; it goes on with the newer one.
        late.join().unwrap().expect(200);
    });
    let asked = setting.provider.refreshes();
    setting.provider.expire();
    setting.me(0).expect(200);
    assert_eq!(setting.provider.refreshes(), asked + 1);
    assert_eq!(
        setting.provider.last_presented(),
        "refresh-token-0003",
        "the other host's answer was the newer one and stayed"
    );

    // Nobody else wrote: the late answer is the only good token there is, and is written although the lease is over.
    let known = setting.provider.reuses();
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.hosts[0].pause();
        setting.let_the_lease_end();
        setting.provider.release();
        setting.hosts[0].go_on();
        late.join().unwrap().expect(200);
    });
    assert_eq!(setting.provider.reuses(), known);
    setting.all_is_well();
}

#[test]
fn line_39_what_is_revoked_on_one_host_is_served_by_no_other() {
    let Some(setting) = setting(2, true) else {
        return;
    };
    let credentials = format!("/v1/connections/{}/credentials", setting.connection);
    // Both have used it, so whatever they remember, they remember.
    for host in 0..2 {
        setting.me(host).expect(200);
        setting.platforms[host].get(&credentials);
    }
    setting.platforms[0]
        .post(
            &format!("/v1/connections/{}/disconnect", setting.connection),
            &json!({}),
        )
        .expect(200);
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let (used, read) = (
            setting.me(1),
            setting.platforms[1].call("GET", &credentials, None),
        );
        if used.status >= 400 && read.status >= 400 {
            break;
        }
        assert!(Instant::now() < end, "5 seconds later it is still served");
    }
    // A platform's key, too.
    let made = setting.platforms[0]
        .post(
            "/v1/keys",
            &json!({ "name": "leaked", "scopes": ["manage"] }),
        )
        .expect(201)
        .json();
    let leaked = Platform::new(
        setting.hosts[1].url(),
        made["secret"].as_str().unwrap().to_owned(),
    );
    leaked.get("/v1/connections");
    let id = made["key"]["id"].as_str().or(made["id"].as_str()).unwrap();
    assert!(
        setting.platforms[0]
            .call("DELETE", &format!("/v1/keys/{id}"), None)
            .status
            < 300
    );
    let end = Instant::now() + Duration::from_secs(5);
    while leaked.call("GET", "/v1/connections", None).status != 401 {
        assert!(
            Instant::now() < end,
            "5 seconds later the key is still good"
        );
    }
}

#[test]
fn a_change_on_one_host_reaches_the_page_of_another_within_a_second() {
    let Some(setting) = setting(2, true) else {
        return;
    };
    let (_, link) = setting.platforms[1].session("owner-1", "manage", &json!({}));
    let mut browser = Browser::open(&link);
    let url = format!("{}/page/events", setting.hosts[1].url());
    let lines = browser.client.lines(&url);
    let (tell, heard) = std::sync::mpsc::channel();
    let wanted = setting.connection.clone();
    std::thread::spawn(move || {
        for line in lines {
            if line.starts_with("data:")
                && line.contains(&wanted)
                && tell.send(Instant::now()).is_err()
            {
                return;
            }
        }
    });
    let mut slowest = Duration::ZERO;
    for title in ["one", "two", "three"] {
        let path = format!("/v1/connections/{}", setting.connection);
        setting.platforms[0]
            .call("PATCH", &path, Some(&json!({ "title": title })))
            .expect(200);
        let begun = Instant::now();
        let at = heard
            .recv_timeout(Duration::from_secs(10))
            .expect("the page is told");
        slowest = slowest.max(at.saturating_duration_since(begun));
        while heard.try_recv().is_ok() {}
    }
    eprintln!("told after at most {slowest:?}");
    assert!(slowest < Duration::from_secs(1));
}

/// The README's way to several machines, step by step.
#[test]
fn a_host_moves_from_its_folder_to_a_database_with_all_its_connections() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let (database, provider) = (server.database(), Provider::start(true));
    let mut host = Host::start(Setup {
        origins: BTreeMap::from([("https://oidc.keyport.test".to_owned(), provider.origin())]),
        apps: vec![repository().join("tests/apps/oidc")],
        env: at_once(),
        ..Setup::default()
    });
    let platform = host.platform();
    platform.configure(
        "oidc",
        &json!({ "client_id": "keyport-tests", "client_secret": "client-secret-0123456789" }),
    );
    let grant = provider.grant();
    let import = json!({
        "owner": "owner-1", "app": "oidc", "method": "oauth",
        "token": { "access_token": grant["access_token"], "refresh_token": grant["refresh_token"] },
    });
    let made = platform.post("/v1/connections", &import).expect(201).json();
    let data = host.folder().join("data").display().to_string();
    let copy = |from: &str, to: &str| binary::run(&["store", "copy", from, to]);

    let refused = copy(&data, &database.url);
    assert!(
        !refused.status.success() && binary::said(&refused).contains("pid"),
        "{}",
        binary::said(&refused)
    );
    host.stop();
    let copied = copy(&data, &database.url);
    assert!(copied.status.success(), "{}", binary::said(&copied));
    let said = binary::said(&copied);
    assert!(
        said.contains("source and target are the same") && said.contains("comparing"),
        "{said}"
    );
    let again = copy(&data, &database.url);
    assert!(
        binary::said(&again).contains("source and target are the same"),
        "{}",
        binary::said(&again)
    );

    host.configure(&format!("[store]\nurl = {:?}", database.url));
    // What was in the folder is of no more use.
    std::fs::remove_dir_all(PathBuf::from(&data).join("store")).unwrap();
    host.start_again();
    let id = made["id"].as_str().unwrap();
    let call = |path: &str| platform.call("GET", path, None);
    assert_eq!(
        call(&format!("/v1/connections/{id}/proxy/me"))
            .expect(200)
            .json()["sub"],
        "ada"
    );
    provider.expire();
    call(&format!("/v1/connections/{id}/proxy/me")).expect(200);
    assert_eq!(platform.get("/v1/connections")["items"][0]["id"], id);
}

#[test]
fn a_database_that_cannot_be_used_is_said_in_a_sentence_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.key");
    make_root_key(&root);
    let (data, root) = (
        folder.path().join("data").display().to_string(),
        root.display().to_string(),
    );
    let serve = |store: &str, more: &[&str]| {
        let mut arguments = vec![
            "serve",
            "--public-url",
            "http://localhost:1",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
            "--root-key-file",
            &root,
            "--store",
            store,
        ];
        arguments.extend(more);
        binary::run(&arguments)
    };
    let password = folder.path().join("password");
    std::fs::write(&password, "topsecret\n").unwrap();
    let password = password.display().to_string();
    for (store, more, expected) in [
        (
            "postgres://u:topsecret@127.0.0.1:1/d",
            &[][..],
            "cannot be reached",
        ),
        (
            "postgres://u:topsecret@127.0.0.1:1/d?sslmod=disable",
            &[],
            "sslmod",
        ),
        ("mysql://u:topsecret@h/d", &[], "postgres://"),
        (
            "postgres://u:topsecret@127.0.0.1:1/d",
            &["--store-password-file", &password],
            "more than once",
        ),
        (
            "postgres://u@127.0.0.1:1/d",
            &["--store-password-file", &password],
            "chmod 600",
        ),
    ] {
        let answer = serve(store, more);
        let said = binary::said(&answer);
        assert!(
            !answer.status.success() && said.contains(expected),
            "{store}: {said}"
        );
        assert!(!said.contains("topsecret"), "{said}");
    }
}
