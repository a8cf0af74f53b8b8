//! Programs that want a secret, or to use one where it does not belong.

use keyport_egress::Secret;
use serde_json::{Value, json};

use crate::support::{KEY, TOKEN, Upstream, attack, attacks, beside, call, forms, holds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn credential_echo() {
    let upstream = Upstream::start().await;
    let told = attack("credential_echo", call(&upstream).0, &json!({}))
        .await
        .unwrap();
    let arrived = upstream.arrived();
    assert_eq!(arrived[0].headers["x-key"], KEY);
    assert_eq!(
        arrived[0].headers["authorization"],
        format!("Bearer {TOKEN}")
    );
    let body = told["body"].as_str().unwrap();
    for secret in [TOKEN, KEY] {
        for form in forms(secret) {
            assert!(!body.contains(&form), "{form} came back in {body}");
        }
    }
    assert!(body.matches("[redacted]").count() >= 20, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn misplaced_handle() {
    let upstream = Upstream::start().await;
    let (mut call, _) = call(&upstream);
    // Allowed for the app, but not where its credentials may go.
    call.pass.hosts = "api.hostile.test, elsewhere.hostile.test".parse().unwrap();
    let told = attack("misplaced_handle", call, &json!({})).await.unwrap();
    let expected = [
        "handle_out_of_slot", // path
        "handle_out_of_slot", // query
        "handle_out_of_slot", // another header
        "handle_out_of_slot", // a header's name
        "forbidden_header",   // authorization
        "handle_out_of_slot", // another host
        "handle_out_of_slot", // JSON
        "handle_out_of_slot", // form
        "handle_out_of_slot", // text
        "handle_out_of_slot", // argument
    ];
    assert_eq!(told, json!(expected));
    assert!(upstream.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn kept_handle() {
    let upstream = Upstream::start().await;
    let first = attack("kept_handle", call(&upstream).0, &json!(""))
        .await
        .unwrap();
    let kept = first["mine"].as_str().unwrap();
    assert!(kept.starts_with("kph_"));
    // In the next call it is a word like any other: it goes out as it stands.
    let second = attack("kept_handle", call(&upstream).0, &json!(kept))
        .await
        .unwrap();
    assert_ne!(second["mine"], first["mine"]);
    assert_eq!(upstream.arrived()[1].headers["x-key"], kept);

    // Two calls at a time: the one's is nothing to the other.
    let app = attacks().await;
    let both = async {
        tokio::join!(
            app.action(call(&upstream).0, "kept_handle", &second["mine"]),
            app.action(call(&upstream).0, "kept_handle", &first["mine"])
        )
    };
    let (one, other) = beside("kept_handle, two at a time", both).await;
    assert!(one.is_ok() && other.is_ok());
    assert!(
        upstream
            .arrived()
            .iter()
            .all(|arrived| arrived.headers["x-key"] != KEY)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn other_connection() {
    const OTHER: &str = "canary-of-the-other/31+b&2";
    let upstream = Upstream::start().await;
    let theirs = || {
        let (mut call, log) = call(&upstream);
        call.pass.owner = "owner-of-the-other".to_owned();
        call.values
            .insert("owner".to_owned(), "the-other-region".to_owned());
        let credential = call.pass.credential.as_mut().unwrap();
        credential.parts[0].value = Secret::new(format!("Bearer {OTHER}"));
        credential.scrub = vec![Secret::new(OTHER)];
        (call, log)
    };
    let app = attacks().await;
    let other_input = json!({ "theirs": OTHER });
    for round in 0..3 {
        let round = json!({ "round": round });
        // The other's call runs before, beside and after.
        let mine = app.action(call(&upstream).0, "other_connection", &round);
        let other = app.action(theirs().0, "other_connection", &other_input);
        let (mine, other) = beside("other_connection", async { tokio::join!(mine, other) }).await;
        let (mine, other) = (mine.unwrap(), other.unwrap());
        let text = mine.to_string();
        assert!(
            !holds(&text, OTHER) && !text.contains("the-other-region"),
            "{text}"
        );
        assert_eq!((&mine["left"], &mine["dirty"]), (&json!(""), &json!(0)));
        assert!(!holds(&other.to_string(), TOKEN));
        let refused: Vec<&Value> = mine["handles"].as_array().unwrap().iter().collect();
        assert_eq!(refused, vec!["no_such_handle"; 5]);
        assert_eq!(mine["values"], json!(vec![Value::Null; 8]));
    }
    let sent = upstream.arrived();
    assert_eq!(sent.len(), 6);
    assert_eq!(
        sent.iter()
            .filter(|a| a.headers["authorization"].contains(OTHER))
            .count(),
        3
    );
}
