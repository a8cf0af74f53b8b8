//! Tables, permissions, poolers, addresses, TLS.

use std::time::Duration;

use keyport_tests::postgres::{Cluster, Database};
use keyport_vault::store::{LeaseName, NodeId};
use keyport_vault::{LeaseTry, Store, StoreError};

use crate::random::full;
use crate::{commit, open, put, refused};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_at_once_make_the_tables_once() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    for _ in 0..if full() { 50 } else { 3 } {
        let database = server.database();
        let stores = futures_util::future::join_all((0..6).map(|_| open(&database.url))).await;
        for (n, store) in stores.iter().enumerate() {
            store
                .commit(commit(vec![], vec![put(&n.to_string(), "x")]))
                .await
                .unwrap();
        }
        assert_eq!(stores[0].scan(b"", None, 10).await.unwrap().len(), 6);
        assert_eq!(
            server.sql(
                database.name(),
                "SELECT n FROM keyport_meta WHERE name = 'schema'"
            ),
            "1"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_left_alone() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    drop(open(&database.url).await);
    server.sql(
        database.name(),
        "UPDATE keyport_meta SET n = 99 WHERE name = 'schema'",
    );
    let said = refused(&database.url).await;
    assert!(
        said.contains("schema 99") && said.contains("newer"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_read_and_write_rows_is_enough_and_one_who_may_not_is_told() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    drop(open(&database.url).await);
    let user = format!("runs_{}", database.name());
    for text in [
        format!("CREATE USER {user}"),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON keyport_kv, keyport_log, keyport_lease, keyport_meta TO {user}"
        ),
    ] {
        server.sql(database.name(), &text);
    }
    let url = database.url.replace("postgres@", &format!("{user}@"));
    let store = open(&url).await;
    let Err(StoreError::Setup(said)) = store.commit(commit(vec![], vec![put("a", "1")])).await
    else {
        panic!("the sequences are missing");
    };
    assert!(said.contains("permission"), "{said}");
    server.sql(
        database.name(),
        &format!("GRANT USAGE, SELECT, UPDATE ON SEQUENCE keyport_rev, keyport_token TO {user}"),
    );
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    let lease = store
        .lease_try(
            &LeaseName("l".into()),
            &NodeId("n".into()),
            Duration::from_secs(1),
        )
        .await;
    assert!(matches!(lease, Ok(LeaseTry::Got(_))));
    // On an empty database the same user cannot make the tables, and is told so.
    let empty = server.database();
    let said = refused(&empty.url.replace("postgres@", &format!("{user}@"))).await;
    assert!(said.contains("permission"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_hands_out_connections_by_transaction_can_stand_in_between() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    let database = server.database();
    let mark = if database.url.contains('?') { '&' } else { '?' };
    let store = open(&format!(
        "{}{mark}pooler=transaction&connections=2",
        database.url
    ))
    .await;
    for n in 0..20 {
        store
            .commit(commit(vec![], vec![put(&n.to_string(), "x")]))
            .await
            .unwrap();
    }
    let left = server.sql(database.name(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'PREPARE%'");
    assert_eq!(left, "0");
    assert_eq!(store.scan(b"", None, 100).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_address_is_said_and_the_password_is_not() {
    let Some(server) = Cluster::shared() else {
        return;
    };
    if !server.is_ours() {
        return;
    }
    let database = server.database();
    let missing = refused(&database.url.replace(database.name(), "nowhere")).await;
    assert!(
        missing.contains("nowhere") && missing.contains("createdb"),
        "{missing}"
    );
    let nobody = keyport_tests::host::free_port();
    let unreachable = refused(&format!("postgres://u:topsecret@127.0.0.1:{nobody}/d")).await;
    assert!(
        unreachable.contains("cannot be reached") && !unreachable.contains("topsecret"),
        "{unreachable}"
    );
    let plain = refused(&format!("{}?sslmode=verify-full", database.url)).await;
    assert!(
        plain.contains("offers no TLS") && plain.contains("ssl = on"),
        "{plain}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_must_prove_who_it_is() {
    let Some(server) = Cluster::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    server.use_tls(&made.cert.pem(), &made.signing_key.serialize_pem());
    let Database { url, .. } = server.database();
    let named = url.replace("127.0.0.1", "localhost");
    let trusted = format!("sslrootcert={}", authority.display());

    let store = open(&format!("{named}?sslmode=verify-full&{trusted}")).await;
    store
        .commit(commit(vec![], vec![put("a", "1")]))
        .await
        .unwrap();
    let encrypted = server.sql("postgres", "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'keyport'");
    assert_eq!(encrypted, "t");

    // An authority that we do not know, and a name that is not in the certificate.
    for wrong in [
        format!("{named}?sslmode=verify-full"),
        format!("{named}?sslmode=verify-ca"),
        format!("{url}?sslmode=verify-full&{trusted}"),
    ] {
        let said = refused(&wrong).await;
        assert!(
            said.contains("could not prove who it is") && said.contains("sslrootcert"),
            "{said}"
        );
    }
    // What asks for less gets less.
    drop(open(&format!("{named}?sslmode=require")).await);
    drop(open(&format!("{url}?sslmode=verify-ca&{trusted}")).await);
}
