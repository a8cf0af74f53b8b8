//! What is asked for twice under one key is done once: over hosts, restarts and time.

use super::*;

async fn begun(engine: &Engine, key: &str, request: &[u8]) -> Begun {
    engine.once_begin("key_a", key, &[request]).await.unwrap()
}

fn name(begun: &Begun) -> &str {
    match begun {
        Begun::Run(_) => "run",
        Begun::Answered(answer) => answer,
        Begun::Running => "running",
        Begun::CutOff => "cut off",
        Begun::Different => "different",
    }
}

fn ticket(begun: Begun) -> Ticket {
    match begun {
        Begun::Run(ticket) => *ticket,
        other => panic!("{}", name(&other)),
    }
}

#[tokio::test]
async fn a_repetition_at_another_host_waits_for_the_first_and_gets_its_answer() {
    let world = world().await;
    let other = world.second_engine().await;
    let first = ticket(begun(&world.engine, "k", b"one").await);
    assert_eq!(name(&begun(&other, "k", b"one").await), "running");
    assert_eq!(name(&begun(&other, "k", b"two").await), "different");
    world
        .engine
        .once_answered(first, "made".into())
        .await
        .unwrap();
    let restarted = world.second_engine().await;
    assert_eq!(name(&begun(&restarted, "k", b"one").await), "made");
    assert_eq!(name(&begun(&restarted, "k", b"two").await), "different");
    let theirs = restarted.once_begin("key_b", "k", &[b"one"]).await.unwrap();
    assert_eq!(name(&theirs), "run", "another caller's keys are its own");
}

#[tokio::test]
async fn of_many_repetitions_at_once_one_runs() {
    let world = world().await;
    let other = world.second_engine().await;
    let all = (0..20).map(|n| {
        let engine = if n % 2 == 0 { &world.engine } else { &other };
        begun(engine, "k", b"one")
    });
    let all = futures_util::future::join_all(all).await;
    let ran = all.iter().filter(|begun| name(begun) == "run").count();
    assert_eq!(ran, 1);
}

#[tokio::test]
async fn what_a_host_left_behind_is_not_done_again_by_itself() {
    let world = world().await;
    drop(begun(&world.engine, "k", b"one").await);
    world.pass(299);
    assert_eq!(name(&begun(&world.engine, "k", b"one").await), "running");
    world.pass(2);
    let restarted = world.second_engine().await;
    assert_eq!(name(&begun(&restarted, "k", b"one").await), "cut off");
}

#[tokio::test]
async fn what_was_not_done_may_be_done_and_what_was_is_forgotten_after_a_day() {
    let world = world().await;
    let first = ticket(begun(&world.engine, "k", b"one").await);
    world.engine.once_forget(first).await.unwrap();
    let second = ticket(begun(&world.engine, "k", b"one").await);
    world
        .engine
        .once_answered(second, "made".into())
        .await
        .unwrap();
    world.pass(24 * 3600 - 1);
    assert_eq!(world.engine.sweep_once().await.unwrap(), 0);
    assert_eq!(name(&begun(&world.engine, "k", b"one").await), "made");
    world.pass(1);
    assert_eq!(world.engine.sweep_once().await.unwrap(), 1);
    for kind in ["once", "once_end"] {
        let kind = keyport_vault::Kind::new(kind);
        let left = world.vault.list(kind, None, None, 10).await.unwrap();
        assert!(left.heads.is_empty());
    }
    assert_eq!(name(&begun(&world.engine, "k", b"one").await), "run");
}

#[tokio::test]
async fn neither_a_request_nor_its_answer_can_be_read_from_the_store() {
    let world = world().await;
    let first = ticket(begun(&world.engine, "canary-key", b"canary-request").await);
    world
        .engine
        .once_answered(first, "canary-answer".into())
        .await
        .unwrap();
    let kind = keyport_vault::Kind::new("once");
    let rows = world.vault.list(kind, None, None, 10).await.unwrap();
    let shown = format!("{:?} {}", rows.heads[0].id, rows.heads[0].clear);
    assert!(!shown.contains("canary"), "{shown}");
}
