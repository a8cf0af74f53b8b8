//! Connections are reused within an owner and never between owners.

use keyport_egress::Purpose;

use crate::upstream::{Upstream, egress, get, pass, read, text};

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
