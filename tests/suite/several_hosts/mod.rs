//! Several hosts on one PostgreSQL: any of them may be killed, cut off from the database or stopped where it stands, at the
//! worst moment of a refresh. One request goes to the provider; no connection is broken; no newer token is overwritten.

use std::collections::BTreeMap;

use keyport_tests::binary::repository;
use keyport_tests::host::{Host, Setup, make_root_key};
use keyport_tests::http::Answer;
use keyport_tests::platform::Platform;
use keyport_tests::postgres::{Cluster, Database};
use keyport_tests::provider::Provider;
use keyport_tests::proxy::Proxy;
use serde_json::{Value, json};

mod changes;
mod refreshes;

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
