//! What a component can and cannot do, with real guests and a real upstream on the loopback.
//!
//! | module | what is tried |
//! |---|---|
//! | here | what a component is, what it sees, what it is told |
//! | `limits`, `requests`, `secrets`, `lives` | the hostile programs of `guests/attacks`: a test of its name for each, with well-behaved calls beside it |
//! | `fetches`, `fetch_limits` | the same by `wasi:http` |
//! | `javascript` | `fetch` in a JavaScript guest |
//! | `token_requests` | sign-ins that a component does itself |
//! | `canary` | a guest that hands out everything that it can get hold of |
//! | `contract` | components of released versions, and shapes that must not change |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod canary;
mod contract;
mod fetch_limits;
mod fetches;
mod javascript;
mod limits;
mod lives;
mod requests;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
mod token_requests;

/// A program of `guests/attacks` without a test of its name does not compile.
macro_rules! programs {
    ($($name:ident,)*) => {
        mod each_program_has_a_test {
            #[allow(unused_imports, reason = "each line is the check")]
            use crate::{canary::*, fetch_limits::*, fetches::*, limits::*, lives::*, requests::*, secrets::*, token_requests::*};
            $(
                #[allow(unused_imports, reason = "each line is the check")]
                use self::$name as _;
            )*
        }

        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];
    };
}
include!("../guests/attacks/src/list.rs");

#[test]
fn each_file_of_the_hostile_guest_is_in_its_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/attacks/src");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !["lib", "list", "bindings", "outgoing"].contains(&name.as_str()))
        .collect();
    files.sort();
    assert_eq!(files, PROGRAMS);
}

use std::time::Duration;

use keyport_manifest::Means;
use keyport_plugin::{CallError, Exports, LogLevel, PluginError};
use serde_json::{Value, json};
use support::{KEY, TOKEN, Upstream, act, acts, brief, call, host, load};

fn limit(result: Result<Value, CallError>) -> &'static str {
    match result {
        Err(CallError::Limit { app, limit }) => {
            assert_eq!(app, "acts");
            limit
        }
        other => panic!("expected a limit, got {other:?}"),
    }
}

// --- what a component is

#[tokio::test]
async fn a_component_exports_what_it_says_and_nothing_else() {
    assert_eq!(
        acts().await.exports(),
        Exports {
            actions: true,
            triggers: true,
            ..Exports::default()
        }
    );
    assert_eq!(acts().await.sha256().len(), 64);
    let quiet = load("hostile-quiet").await;
    assert_eq!(quiet.exports(), Exports::default());
    let upstream = Upstream::start().await;
    let refused = quiet.action(call(&upstream).0, "echo", &json!({})).await;
    assert_eq!(
        refused,
        Err(CallError::NoSuchExport {
            app: "hostile-quiet".into(),
            interface: "actions"
        })
    );
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_the_apps_name() {
    for bytes in [&b""[..], b"not wasm", b"\0asm\x01\0\0\0"] {
        let refused = host().load("demo", bytes).await.err().expect("refused");
        assert!(
            matches!(&refused, PluginError::NotAComponent { app, .. } if app == "demo"),
            "{refused}"
        );
    }
    // A component without the contract's export.
    let refused = host()
        .load("demo", b"\0asm\x0d\0\x01\0")
        .await
        .err()
        .expect("refused");
    assert!(
        matches!(
            refused,
            PluginError::Export {
                interface: "keyport:provider/connection",
                ..
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn data_goes_in_and_comes_out_as_it_was() {
    let upstream = Upstream::start().await;
    let input = json!({ "text": "é\u{0}\n\"", "n": [1, 2.5, null, true], "deep": { "a": {} } });
    let output = acts().await.action(call(&upstream).0, "echo", &input).await;
    assert_eq!(output, Ok(input));
    let page = acts()
        .await
        .poll(
            call(&upstream).0,
            "any",
            &json!({ "k": 1 }),
            Some(&json!(1)),
        )
        .await
        .unwrap();
    assert_eq!(
        (page.events, page.cursor, page.more),
        (vec![json!({ "k": 1 }), json!(2)], json!(2), true)
    );
}

#[tokio::test]
async fn a_failure_arrives_with_its_meaning() {
    let upstream = Upstream::start().await;
    let Err(CallError::Failure(failure)) = acts().await.check(call(&upstream).0).await else {
        panic!("no failure")
    };
    assert_eq!(
        (failure.means, failure.code.as_str(), failure.say.as_str()),
        (Means::NeedsReconnect, "said_no", "the app said no")
    );
}

#[tokio::test]
async fn a_component_sees_public_values_and_no_others() {
    let upstream = Upstream::start().await;
    let seen = act("context", &upstream).await.unwrap();
    assert_eq!(seen["region"], "eu");
    assert_eq!(seen["token"], Value::Null);
    assert!(seen["manifest"].as_str().unwrap().contains("base_url"));
}

#[tokio::test]
async fn nothing_of_one_call_is_left_for_the_next() {
    let upstream = Upstream::start().await;
    for _ in 0..3 {
        assert_eq!(act("remember", &upstream).await, Ok(json!(0)));
    }
}

#[tokio::test]
async fn there_is_no_file_no_environment_and_no_network_but_there_is_a_clock() {
    let upstream = Upstream::start().await;
    assert_eq!(
        act("look_around", &upstream).await,
        Ok(
            json!({ "env": 0, "args": 0, "root": false, "file": false, "tcp": false, "lookup": false, "clock": true })
        )
    );
}

// --- limits

#[tokio::test]
async fn a_component_that_traps_is_told_apart_from_one_that_failed_and_the_next_call_works() {
    let upstream = Upstream::start().await;
    assert!(
        matches!(act("trap", &upstream).await, Err(CallError::Trap { app, .. }) if app == "acts")
    );
    assert!(act("echo", &upstream).await.is_ok());
}

#[tokio::test]
async fn a_component_that_loops_for_ever_is_stopped_and_blocks_nobody() {
    let upstream = Upstream::start().await;
    let app = brief("acts", "hostile-acts").await;
    let input = json!({});
    // On one thread: the loop gives way every tick, or the second call would never run.
    let (looped, echoed) = tokio::join!(
        app.action(call(&upstream).0, "loop", &input),
        app.action(call(&upstream).0, "echo", &input)
    );
    assert_eq!(limit(looped), "cpu time");
    assert!(echoed.is_ok());
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_before_its_limits_do() {
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    call.deadline = Duration::from_millis(100);
    // Built and compiled before the clock runs, in a host of its own: nobody else takes its room.
    let app = load("hostile-acts").await;
    let ended = app.action(call, "loop", &json!({})).await;
    assert_eq!(
        ended,
        Err(CallError::Timeout {
            app: "hostile-acts".into(),
            after_ms: 100
        })
    );
}

#[tokio::test]
async fn a_component_that_grows_its_memory_is_stopped_by_name() {
    let upstream = Upstream::start().await;
    assert_eq!(limit(act("grow", &upstream).await), "memory");
    assert_eq!(limit(act("recurse", &upstream).await), "stack");
}

#[tokio::test]
async fn a_component_that_floods_the_host_is_stopped_by_name() {
    let upstream = Upstream::start().await;
    assert_eq!(
        limit(act("large_answer", &upstream).await),
        "bytes per host call"
    );
    assert_eq!(
        limit(act("flood_secrets", &upstream).await),
        "uses of secrets"
    );
    assert_eq!(
        limit(act("flood_requests", &upstream).await),
        "http requests"
    );
    assert_eq!(upstream.arrived().len(), 50);
}

#[tokio::test]
async fn forty_thousand_headers_are_refused_and_crash_nobody() {
    let upstream = Upstream::start().await;
    match act("many_headers", &upstream).await {
        Ok(told) => assert_eq!(told["refused"], "too_many_headers"),
        Err(CallError::Limit { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(upstream.arrived().is_empty());
}

#[tokio::test]
async fn what_a_component_prints_is_logged_in_clean_lines() {
    let upstream = Upstream::start().await;
    let (call, log) = call(&upstream);
    acts()
        .await
        .action(call, "print", &json!({}))
        .await
        .unwrap();
    let lines: Vec<(LogLevel, String)> = log
        .lock()
        .unwrap()
        .iter()
        .map(|line| (line.level, line.text.clone()))
        .collect();
    for expected in [
        (LogLevel::Debug, "printed"),
        (LogLevel::Warn, "and an error"),
        (LogLevel::Warn, "a line"),
        (LogLevel::Warn, "with\\u{1b}[31m colour"),
    ] {
        assert!(
            lines.contains(&(expected.0, expected.1.to_owned())),
            "{expected:?} is not in {lines:?}"
        );
    }
}

// --- the way out

#[tokio::test]
async fn the_credential_is_attached_outside_and_taken_out_of_what_comes_back() {
    let upstream = Upstream::start().await;
    let told = act("get", &upstream).await.unwrap();
    assert_eq!(told["status"], 200);
    let arrived = upstream.arrived();
    assert_eq!(arrived[0].line, "GET /me");
    assert_eq!(
        arrived[0].headers["authorization"],
        format!("Bearer {TOKEN}")
    );
    // The upstream echoed every header: the guest got the echo without the secret.
    let text = told.to_string();
    assert!(
        text.contains("authorization") && !text.contains(TOKEN),
        "{text}"
    );
    assert!(
        !text.contains("set-cookie") && text.contains("x-plain"),
        "{text}"
    );
}

#[tokio::test]
async fn a_host_outside_the_grant_is_refused_and_nothing_is_sent() {
    let upstream = Upstream::start().await;
    let told = act("elsewhere", &upstream).await.unwrap();
    assert_eq!(
        (&told["refused"], &told["transient"]),
        (&json!("host_not_allowed"), &json!(false))
    );
    assert!(upstream.arrived().is_empty());
}

#[tokio::test]
async fn a_component_cannot_set_the_authorization_header() {
    let upstream = Upstream::start().await;
    let told = act("authorization", &upstream).await.unwrap();
    assert_eq!(told["refused"], "forbidden_header");
    assert!(upstream.arrived().is_empty());
}

#[tokio::test]
async fn a_handle_is_worth_something_in_its_slot_and_nowhere_else() {
    let upstream = Upstream::start().await;
    for action in [
        "handle_in_path",
        "handle_in_query",
        "handle_in_header",
        "handle_in_body",
    ] {
        let told = act(action, &upstream).await.unwrap();
        assert_eq!(told["refused"], "handle_out_of_slot", "{action}");
    }
    assert!(upstream.arrived().is_empty());
    let told = act("handle_in_slot", &upstream).await.unwrap();
    assert_eq!(told["status"], 200);
    assert_eq!(upstream.arrived()[0].headers["x-key"], KEY);
    assert!(
        !told.to_string().contains(KEY),
        "the echoed value came back: {told}"
    );
}

#[tokio::test]
async fn a_handle_says_nothing_and_is_good_for_one_call() {
    let upstream = Upstream::start().await;
    let first = act("handle", &upstream).await.unwrap();
    let second = act("handle", &upstream).await.unwrap();
    assert!(first.as_str().unwrap().starts_with("kph_") && first != second);
    assert_eq!(
        act("undeclared_handle", &upstream).await.unwrap()["refused"],
        "no_such_handle"
    );
}

#[tokio::test]
async fn a_signature_is_computed_outside_and_checked_outside() {
    let upstream = Upstream::start().await;
    let told = act("derive", &upstream).await.unwrap();
    let signature = upstream.arrived()[0].headers["x-signature"].clone();
    assert!(
        signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit()),
        "{signature}"
    );
    assert!(
        !told.to_string().contains(&signature),
        "the echoed signature came back: {told}"
    );
    let verify = async |given: &str| {
        acts()
            .await
            .action(call(&upstream).0, "verify", &json!(given))
            .await
            .unwrap()
    };
    assert_eq!(verify(&signature).await, json!(true));
    assert_eq!(
        verify(&signature.replace(|c: char| c.is_ascii_digit(), "a")).await,
        json!(false)
    );
}

#[tokio::test]
async fn a_test_call_and_a_reading_action_cannot_write() {
    let upstream = Upstream::start().await;
    let account = load("hostile-quiet")
        .await
        .check(call(&upstream).0)
        .await
        .unwrap();
    assert_eq!(
        (account.label.as_str(), &account.extra),
        ("Ann", &json!({ "wrote": "method_not_allowed" }))
    );
    let (mut reading, _) = call(&upstream);
    reading.read_only = true;
    let told = acts()
        .await
        .action(reading, "post", &json!({}))
        .await
        .unwrap();
    assert_eq!(told["refused"], "method_not_allowed");
    assert_eq!(act("post", &upstream).await.unwrap()["status"], 200);
    let lines: Vec<String> = upstream.arrived().into_iter().map(|a| a.line).collect();
    assert_eq!(lines, ["GET /me", "POST /me"]);
}

#[tokio::test]
async fn an_app_that_cannot_be_reached_is_told_as_passing() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    let origins =
        keyport_egress::Origins::parse([("https://api.hostile.test", gone.as_str())]).unwrap();
    call.egress = keyport_egress::Egress::new(keyport_egress::EgressConfig {
        origins,
        ..Default::default()
    })
    .unwrap();
    let told = acts().await.action(call, "get", &json!({})).await.unwrap();
    assert_eq!(
        (&told["refused"], &told["transient"]),
        (&json!("connect_failed"), &json!(true))
    );
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_wait_and_then_give_up() {
    let upstream = Upstream::start().await;
    let app = brief("acts", "hostile-acts").await;
    // Four calls hold the room for their whole time; the fifth has less time than that.
    let loops = (0..4).map(|_| {
        let (app, call) = (app.clone(), call(&upstream).0);
        tokio::spawn(async move { app.action(call, "loop", &json!({})).await })
    });
    let loops: Vec<_> = loops.collect();
    tokio::task::yield_now().await;
    let (mut late, _) = call(&upstream);
    late.deadline = Duration::from_millis(50);
    let mut seen = false;
    for _ in 0..20 {
        if app.action(late.clone(), "echo", &json!({})).await == Err(CallError::Busy) {
            seen = true;
            break;
        }
    }
    for handle in loops {
        assert_eq!(limit(handle.await.unwrap()), "cpu time");
    }
    assert!(seen, "a fifth call never found the room full");
    let again = app.action(call(&upstream).0, "echo", &json!({})).await;
    assert!(again.is_ok());
}
