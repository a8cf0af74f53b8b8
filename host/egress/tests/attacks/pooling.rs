//! Connections are reused within an owner and never between owners.

use std::time::Duration;

use keyport_egress::{Egress, EgressConfig, EgressError, Limits, Origins, Purpose, Wait};

use crate::upstream::{Then, Upstream, egress, get, pass, raw, read, text};

#[tokio::test]
async fn two_owners_never_share_a_connection_and_one_owner_reuses_his() {
    let api = Upstream::start(|_| text("ok")).await;
    let egress = egress(&[("api", &api.url())]);
    for owner in ["a", "a", "b", "a", "b", "c"] {
        let mut pass = pass(Purpose::Guest);
        pass.owner = owner.to_owned();
        let answer = egress
            .send(&pass, get(&format!("https://api.example.com/{owner}")))
            .await
            .unwrap();
        assert_eq!(read(answer).await.unwrap(), "ok");
        // The connection goes back to its pool in a task of its own.
        tokio::task::yield_now().await;
    }
    let seen = api.seen();
    let owner_of = |connection| {
        let mut owners: Vec<_> = seen
            .iter()
            .filter(|s| s.connection == connection)
            .map(|s| &s.line)
            .collect();
        owners.dedup();
        owners.sort();
        owners.dedup();
        owners.len()
    };
    let connections = seen.iter().map(|s| s.connection).max().unwrap() + 1;
    for connection in 0..connections {
        assert_eq!(owner_of(connection), 1, "{seen:?}");
    }
    assert!(connections < 6, "no connection was reused: {seen:?}");
}

#[tokio::test]
async fn an_answer_that_is_dropped_half_read_does_not_leave_its_rest_to_the_next_call() {
    let api = Upstream::start(|seen| text(seen.line.repeat(200_000))).await;
    let egress = egress(&[("api", &api.url())]);
    for path in ["first", "second"] {
        let answer = egress
            .send(
                &pass(Purpose::Flow),
                get(&format!("https://api.example.com/{path}")),
            )
            .await
            .unwrap();
        if path == "second" {
            assert!(read(answer).await.unwrap().starts_with("GET /second"));
        }
    }
    let seen = api.seen();
    assert_ne!(seen[0].connection, seen[1].connection);
}

#[tokio::test]
async fn an_owner_who_holds_all_his_connections_starves_nobody_else() {
    let (url, upstream) = raw("", Then::Hang).await;
    let egress = Egress::new(EgressConfig {
        origins: Origins::parse([("https://api.example.com", url.as_str())]).unwrap(),
        limits: Limits {
            connect: Duration::from_secs(2),
            ..Limits::default()
        },
        ..EgressConfig::default()
    })
    .unwrap();
    let call = |owner: &'static str, total: u64| {
        let egress = egress.clone();
        async move {
            let mut pass = pass(Purpose::Guest);
            pass.owner = owner.to_owned();
            pass.limits.total = Duration::from_secs(total);
            egress
                .send(&pass, get("https://api.example.com/"))
                .await
                .err()
        }
    };
    let (mut greedy, mut refused) = (tokio::task::JoinSet::new(), 0);
    for _ in 0..65 {
        greedy.spawn(call("greedy", 8));
    }
    // The upstream never answers, so a call that got a connection ends otherwise than one that got none.
    let modest = call("modest", 5).await;
    assert_eq!(modest, Some(EgressError::Timeout(Wait::Headers)));
    while let Some(ended) = greedy.join_next().await {
        if ended.unwrap() == Some(EgressError::Timeout(Wait::Connecting)) {
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    upstream.abort();
}
