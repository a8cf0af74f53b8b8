//! What follows the first token: refreshes, further exchanges, second tokens, and how long a grant lives.

use super::deviations::with;
use super::provider::*;
use super::*;
use crate::record::{Connection, Seal, Stored};

/// R10, C13: a refresh at its own address with its own parameters; a new refresh token replaces the old one, none keeps it;
/// captures are taken again.
#[tokio::test]
async fn r10_a_refresh_goes_where_and_as_the_manifest_says() {
    let auth = with(
        "    refresh_url: https://as.keyport.test/renew\n    refresh_params: { audience: why }\n    capture:\n      where: { path: $.where, public: true }\n",
    );
    let stand = Stand::new(&auth).await;
    let answers = std::sync::atomic::AtomicUsize::new(0);
    stand.script(move |seen| match seen.path.as_str() {
        "/token" => Some(json(serde_json::json!({"access_token": "access-token-1", "expires_in": 100, "refresh_token": "r1", "where": "a"}))),
        "/renew" => Some(match answers.fetch_add(1, Ordering::SeqCst) {
            0 => json(serde_json::json!({"access_token": "access-token-2", "expires_in": 100, "refresh_token": "r2", "where": "b"})),
            _ => json(serde_json::json!({"access_token": "access-token-3", "expires_in": 100})),
        }),
        _ => None,
    });
    let id = stand.connected(&[]).await;
    for (sent, kept) in [("r1", "r2"), ("r2", "r2"), ("r2", "r2")] {
        stand.pass(99);
        assert_eq!(stand.used(&id).await, 200);
        let asked = stand.seen().last().unwrap().clone();
        assert_eq!(asked.line(), "POST as/renew");
        assert_eq!(asked.form()["refresh_token"], sent);
        assert_eq!(asked.form()["audience"], "why");
        assert!(!asked.form().contains_key("redirect_uri"));
        let sealed = stand.stored(&id).await.sealed.unwrap();
        assert_eq!(sealed.token.unwrap().refresh.unwrap().expose(), kept);
        assert_eq!(sealed.capture["where"].expose(), "b");
    }
}

/// C12: a second token of the same answer goes to its own hosts, and to no others.
#[tokio::test]
async fn a_second_token_goes_to_its_own_hosts_alone() {
    let auth = with(
        "    response: { also: { user: { root: $.authed_user, credential: second } } }\n    inject:\n      - { header: Authorization, value: \"Bearer {{ token.access_token }}\" }\n      - { header: X-User, value: \"{{ tokens.user.access_token }}\", credential: second }\n",
    );
    let stand = Stand::new(&auth).await;
    stand.script(|seen| match seen.line().as_str() {
        "POST as/token" => Some(json(serde_json::json!({"access_token": "bot-token-1", "authed_user": {"access_token": "user-token-1"}}))),
        "GET other/files" => Some(json(serde_json::json!({"echo": seen.headers.get("x-user")}))),
        _ => None,
    });
    let id = stand.connected(&[]).await;
    assert_eq!(stand.used(&id).await, 200);
    let request = http::Request::get("https://other.keyport.test/files")
        .body(keyport_egress::Body::empty())
        .unwrap();
    let answer = stand
        .engine
        .proxy(&Actor::Host, &id, request)
        .await
        .unwrap();
    let body = answer.into_body().collect(1 << 16).await.unwrap();
    assert!(
        !String::from_utf8_lossy(&body).contains("user-token-1"),
        "it is scrubbed"
    );
    let api = stand.calls("api").last().unwrap().clone();
    assert_eq!(api.headers["authorization"], "Bearer bot-token-1");
    assert!(!api.headers.contains_key("x-user"));
    let other = stand.calls("other").last().unwrap().clone();
    assert_eq!(other.headers["x-user"], "user-token-1");
    assert!(!other.headers.contains_key("authorization"));

    // Somebody who agreed to the first token alone has no second one, and is connected all the same.
    stand.script(|seen| {
        (seen.path == "/token").then(|| {
            json(serde_json::json!({"access_token": "bot-token-2", "authed_user": {"id": "U1"}}))
        })
    });
    let id = stand.connected(&[]).await;
    assert_eq!(stand.used(&id).await, 200);
}

/// Facebook: the short-lived token becomes a long-lived one at once, and a younger one of that before it ends.
#[tokio::test]
async fn a_token_is_exchanged_for_a_long_lived_one_and_again_before_that_ends() {
    let auth = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    exchange:
      url: https://as.keyport.test/long
      method: GET
      params: { grant_type: fb_exchange_token, client_secret: "{{ app.client_secret }}", token: "{{ token.access_token }}" }
      response: { default_ttl: 1000 }
    refresh: { by: exchange, rotates: never }
    revoke: { none: It ends by itself. }
"#;
    let stand = Stand::new(auth).await;
    let turn = std::sync::atomic::AtomicUsize::new(1);
    stand.script(move |seen| match seen.line().as_str() {
        "POST as/token" => Some(json(
            serde_json::json!({"access_token": "short-1", "expires_in": 60}),
        )),
        "GET as/long" => {
            let n = turn.fetch_add(1, Ordering::SeqCst);
            Some(json(
                serde_json::json!({ "access_token": format!("long-{n}") }),
            ))
        }
        _ => None,
    });
    let id = stand.connected(&[]).await;
    assert_eq!(stand.seen().last().unwrap().query["token"], "short-1");
    let token = |stored: Stored<Connection>| {
        let token = stored.sealed.unwrap().token.unwrap();
        (
            token.access.expose().to_owned(),
            token.expires_at.unwrap() / 1000 - NOW,
        )
    };
    assert_eq!(token(stand.stored(&id).await), ("long-1".into(), 1000));
    stand.pass(980);
    assert_eq!(stand.used(&id).await, 200);
    assert_eq!(stand.seen().last().unwrap().query["token"], "long-1");
    assert_eq!(token(stand.stored(&id).await), ("long-2".into(), 1980));
    assert_eq!(
        stand.calls("api").last().unwrap().headers["authorization"],
        "Bearer long-2"
    );
}

/// Bullhorn: the token only opens a session; a refresh gives another token, and that opens another session.
const BULLHORN: &str = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    exchange:
      url: https://as.keyport.test/login
      params: { access_token: "{{ token.access_token }}" }
      response: { fields: { access_token: $.session }, expiry: { fixed: 1000 } }
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

/// Answers tokens and sessions with numbers; the `login` of these numbers gets this status.
fn bullhorn(stand: &Stand, broken: &'static [usize], how: u16) {
    let count = std::sync::atomic::AtomicUsize::new(0);
    stand.script(move |seen| match seen.line().as_str() {
        "POST as/token" => {
            let n = count.fetch_add(1, Ordering::SeqCst) + 1;
            Some(json(serde_json::json!({
                "access_token": format!("at-{n}"), "refresh_token": format!("rt-{n}"), "expires_in": 60
            })))
        }
        "POST as/login" => {
            let n = count.load(Ordering::SeqCst);
            Some(if broken.contains(&n) {
                status(how, serde_json::json!({ "error": "invalid_grant" }))
            } else {
                json(serde_json::json!({ "session": format!("session-{n}") }))
            })
        }
        _ => None,
    });
}

#[tokio::test]
async fn a_refresh_is_followed_by_the_further_exchange_as_a_sign_in_is() {
    let stand = Stand::new(BULLHORN).await;
    bullhorn(&stand, &[], 200);
    let id = stand.connected(&[]).await;
    let shown = |stand: &Stand| stand.calls("api").last().unwrap().headers["authorization"].clone();
    assert_eq!(shown(&stand), "Bearer session-1");
    stand.pass(990);
    assert_eq!(stand.used(&id).await, 200);
    let asked: Vec<_> = stand.seen().iter().rev().take(2).map(Seen::form).collect();
    assert_eq!(asked[1]["refresh_token"], "rt-1");
    assert_eq!(asked[0]["access_token"], "at-2");
    assert_eq!(shown(&stand), "Bearer session-2");
}

/// The refresh token has rotated when the exchange fails: it is the only one that works, and is not lost with the answer.
#[tokio::test]
async fn a_rotated_refresh_token_is_kept_when_the_exchange_behind_it_cannot_be_made() {
    let stand = Stand::new(BULLHORN).await;
    bullhorn(&stand, &[2], 503);
    let id = stand.connected(&[]).await;
    stand.pass(950);
    stand.used(&id).await;
    let kept = stand.stored(&id).await.sealed.unwrap().token.unwrap();
    assert_eq!(kept.refresh.unwrap().expose(), "rt-2");
    assert_eq!(
        kept.access.expose(),
        "session-1",
        "the session that there is lives on"
    );
    stand.pass(60);
    assert_eq!(stand.used(&id).await, 200);
    let asked: Vec<_> = stand.seen().iter().rev().take(2).map(Seen::form).collect();
    assert_eq!(asked[1]["refresh_token"], "rt-2");
    assert_eq!(stand.state(&id).await.0, ConnectionState::Connected);
}

#[tokio::test]
async fn an_exchange_that_is_refused_after_a_refresh_needs_the_person() {
    let stand = Stand::new(BULLHORN).await;
    bullhorn(&stand, &[2], 400);
    let id = stand.connected(&[]).await;
    stand.pass(990);
    assert_ne!(stand.used(&id).await, 200);
    assert_eq!(stand.state(&id).await.0, ConnectionState::NeedsReconnect);
}

/// QuickBooks tells how long the refresh token lives; Walmart's ends a year after the sign-in, whatever is done.
#[tokio::test]
async fn how_long_a_grant_lives_is_kept_shown_and_renewed_by() {
    let auth = r#"
    authorize_url: https://as.keyport.test/authorize
    token_url: https://as.keyport.test/token
    refresh: { rotates: always, idle: { in: $.refresh_lives }, ends: { fixed: 31536000 } }
    revoke: { none: It ends by itself. }
"#;
    let stand = Stand::new(auth).await;
    stand.script(|seen| {
        (seen.path == "/token").then(|| {
            json(serde_json::json!({
                "access_token": "at", "refresh_token": "rt", "expires_in": 3600, "refresh_lives": 8_640_000
            }))
        })
    });
    let id = stand.connected(&[]).await;
    let day = 24 * 3600;
    let refreshes = |stand: &Stand| {
        let all = stand.seen();
        all.iter()
            .filter(|seen| {
                seen.form()
                    .get("grant_type")
                    .is_some_and(|it| it == "refresh_token")
            })
            .count()
    };
    let ends = stand.stored(&id).await.clear.ends_at.unwrap() / 1000;
    assert_eq!(ends, NOW + 365 * day);
    // Nobody uses it and nothing tests it.
    stand.engine.pause(&Actor::Host, &id).await.unwrap();
    for _ in 0..43 {
        stand.pass(day);
        stand.engine.sweep().await.unwrap();
    }
    assert_eq!(
        refreshes(&stand),
        0,
        "of a hundred days of life, 43 are over"
    );
    for _ in 0..7 {
        stand.pass(day);
        stand.engine.sweep().await.unwrap();
    }
    assert_eq!(refreshes(&stand), 1);
    let view = stand.engine.get(&Actor::Host, &id).await.unwrap();
    let shown = view.sign_in_ends_at.unwrap();
    let kept = stand.stored(&id).await.clear;
    assert_eq!(
        kept.ends_at.unwrap() / 1000,
        ends,
        "a refresh does not make it longer"
    );
    assert_eq!(shown, crate::clock::rfc3339(ends * 1000));
}

/// What was signed out is not signed in again by a renewal.
#[tokio::test]
async fn a_signed_out_connection_is_not_renewed() {
    let stand = Stand::new(&with("")).await;
    stand.script(|seen| (seen.path == "/token").then(tokens));
    let id = stand.connected(&[]).await;
    let mut stored = stand.stored(&id).await;
    stored.clear.state = ConnectionState::Disconnected;
    let write = record::put::<Connection>(
        &stored.id,
        keyport_vault::Expect::At(stored.rev),
        &stored.clear,
        Seal::Destroy,
    );
    stand.engine.commit(vec![write.unwrap()]).await.unwrap();
    stand.pass(4000);
    assert_ne!(stand.used(&id).await, 200);
    assert_eq!(stand.seen().len(), 1);
}
