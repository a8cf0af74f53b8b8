//! The procedures of the vault as an operator runs them: commands of the built `keyport`, beside a running host or without one.
//!
//! | file | what |
//! |---|---|
//! | `procedures.rs` | rotate, back up and restore, lose a key, let an owner go; what the process does with its memory |
//! | `killed.rs` | a rotation, a copy and a restore that are killed at random points, and go on |
//! | `lines.rs` | the table of requirements (`host/vault/tests/cases/lines.yaml`) and the README's procedures, held against the tests there are |

mod killed;
mod lines;
mod procedures;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use keyport_tests::binary::{self, repository, said};
use keyport_tests::host::{Host, Setup};
use keyport_tests::http::Answer;
use keyport_tests::platform::Platform;
use keyport_tests::provider::Provider;
use serde_json::{Value, json};

/// A host on its own folder, with some connections that it serves.
struct Filled {
    host: Host,
    platform: Platform,
    provider: Provider,
    /// The connections' ids, each another owner's.
    connections: Vec<String>,
}

impl Filled {
    fn with(connections: usize) -> Self {
        let provider = Provider::start(true);
        let mut host = Host::start(setup(&provider));
        let platform = host.platform();
        platform.configure(
            "oidc",
            &json!({ "client_id": "keyport-tests", "client_secret": "client-secret-0123456789" }),
        );
        let connections = (0..connections)
            .map(|n| import(&platform, &provider, &format!("owner-{n}")))
            .collect();
        Self {
            host,
            platform,
            provider,
            connections,
        }
    }

    /// `keyport vault …` with this host's configuration.
    fn vault(&self, arguments: &[&str]) -> Output {
        vault(&self.host.file(), arguments)
    }

    /// The same, which must succeed; what it printed.
    #[track_caller]
    fn vault_does(&self, arguments: &[&str]) -> String {
        done(&self.vault(arguments))
    }

    fn status(&self) -> Value {
        let text = self.vault_does(&["status", "--owners"]);
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    fn all_are_served(&self) {
        all_are_served(&self.platform, &self.connections);
    }

    fn data(&self) -> PathBuf {
        self.host.folder().join("data")
    }
}

fn setup(provider: &Provider) -> Setup {
    Setup {
        origins: BTreeMap::from([("https://oidc.keyport.test".to_owned(), provider.origin())]),
        apps: vec![repository().join("tests/apps/oidc")],
        // A renewed token may be renewed again at once.
        env: vec![("KEYPORT_TEST_COOLDOWN_MS".to_owned(), "0".to_owned())],
        ..Setup::default()
    }
}

fn import(platform: &Platform, provider: &Provider, owner: &str) -> String {
    let grant = provider.grant();
    let made = platform.post(
        "/v1/connections",
        &json!({
            "owner": owner, "app": "oidc", "method": "oauth",
            "token": { "access_token": grant["access_token"], "refresh_token": grant["refresh_token"] },
        }),
    );
    made.expect(201).json()["id"].as_str().unwrap().to_owned()
}

fn me(platform: &Platform, connection: &str) -> Answer {
    platform.call(
        "GET",
        &format!("/v1/connections/{connection}/proxy/me"),
        None,
    )
}

#[track_caller]
fn all_are_served(platform: &Platform, connections: &[String]) {
    for connection in connections {
        assert_eq!(me(platform, connection).expect(200).json()["sub"], "ada");
    }
}

fn vault(file: &str, arguments: &[&str]) -> Output {
    let mut all = vec!["vault"];
    all.extend(arguments);
    all.extend(["--config", file]);
    binary::run(&all)
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What follows `Digest` in what was printed.
#[track_caller]
fn digest(printed: &str) -> String {
    let (_, after) = printed.rsplit_once("Digest ").unwrap();
    after.trim().to_owned()
}
