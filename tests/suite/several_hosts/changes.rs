//! What one host does, the others serve: sign-outs and names; and how a host moves to a shared store, or is told why it can't.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use keyport_tests::binary::{self, repository};
use keyport_tests::browser::Browser;
use keyport_tests::host::{Host, Setup, make_root_key};
use keyport_tests::platform::Platform;
use keyport_tests::postgres::Cluster;
use keyport_tests::provider::Provider;
use serde_json::json;

use super::{at_once, setting};

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
