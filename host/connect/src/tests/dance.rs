//! OAuth 1.0a in three legs: R55, R56, R57. What is signed is held against the RFC's examples in `signing/oauth1_tests.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::pretend::*;
use super::*;

const WAY: &str = "
api:
  base_url: https://api.acme.test
auth:
  way:
    type: oauth1
    label: Sign in
    request_token_url: https://id.acme.test/request
    authorize_url: https://id.acme.test/authorize?lang=en
    access_token_url: https://id.acme.test/access
    authorize_params: { expiration: never }
    revoke: { none: It is ended there. }
";

/// The protocol parameters of a request, decoded.
fn signed_with(seen: &Seen) -> BTreeMap<String, String> {
    let line = seen.headers["authorization"]
        .strip_prefix("OAuth ")
        .unwrap();
    line.split(", ")
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap();
            let value = value.trim_matches('"').replace('+', "%2B");
            let decoded = url::form_urlencoded::parse(format!("x={value}").as_bytes())
                .next()
                .unwrap()
                .1
                .into_owned();
            (name.to_owned(), decoded)
        })
        .collect()
}

fn form(status: u16, body: &str) -> axum::response::Response {
    axum::response::Response::builder()
        .status(status)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(body.to_owned()))
        .unwrap()
}

/// A server as the RFC has it.
fn server(seen: &Seen) -> axum::response::Response {
    let sent = signed_with(seen);
    let is = |name: &str, value: &str| sent.get(name).is_some_and(|found| found == value);
    match seen.line.as_str() {
        "POST /request"
            if sent.contains_key("oauth_callback") && !sent.contains_key("oauth_token") =>
        {
            form(
                200,
                "oauth_token=temp-1&oauth_token_secret=temp-secret-1&oauth_callback_confirmed=true",
            )
        }
        "POST /access" if is("oauth_token", "temp-1") && is("oauth_verifier", "ver-1") => {
            form(200, "oauth_token=token-1&oauth_token_secret=token-secret-1")
        }
        "GET /me" if is("oauth_token", "token-1") => me(),
        _ => form(401, "oauth_problem=token_rejected"),
    }
}

async fn configured(app: &App) -> ConfigurationView {
    let new = NewConfiguration {
        client_id: Some("consumer-1".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        ..NewConfiguration::default()
    };
    app.engine
        .configure(&Actor::Host, "acme", new)
        .await
        .unwrap()
}

struct Left {
    session: SessionCtx,
    flow: String,
    go: GoOutcome,
}

/// Starts, and leaves for the app.
async fn leave(app: &App) -> Left {
    let session = app.session().await;
    let start = OauthStart {
        app: "acme".into(),
        method: "way".into(),
        ..oauth_start()
    };
    let started = app.engine.start_oauth(&session, start).await.unwrap();
    let go = app.engine.go(&session, &started.flow.id).await.unwrap();
    Left {
        session,
        flow: started.flow.id,
        go,
    }
}

fn back(flow: &str, token: &str, verifier: &str) -> Vec<(String, String)> {
    [
        ("keyport_flow", flow),
        ("oauth_token", token),
        ("oauth_verifier", verifier),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

#[tokio::test]
async fn r55_a_person_signs_in_in_three_legs() {
    let app = app(WAY, server).await;
    let config = configured(&app).await;
    let left = leave(&app).await;
    let url = Url::parse(&left.go.authorize_url).unwrap();
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        query,
        [
            own("lang", "en"),
            own("expiration", "never"),
            own("oauth_token", "temp-1")
        ],
        "once each, and the token is the flow's"
    );
    // The callback is ours, and names the configuration and the flow.
    let asked = signed_with(&app.last());
    assert_eq!(
        asked["oauth_callback"],
        format!("{}?keyport_flow={}", config.redirect_uri, left.flow)
    );
    let outcome = app
        .engine
        .callback(
            &config.id,
            back(&left.flow, "temp-1", "ver-1"),
            &jar(&left.go),
        )
        .await;
    assert_eq!(outcome.next, CallbackNext::ClosePopup);
    let flow = app.engine.flow(&left.session, &left.flow).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    let lines: Vec<String> = app.all().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(lines, ["POST /request", "POST /access", "GET /me"]);
    // No secret is in any request, and what was temporary is gone.
    for seen in app.all() {
        let all = format!("{seen:?}");
        for secret in [CLIENT_SECRET, "temp-secret-1", "token-secret-1"] {
            assert!(!all.contains(secret), "{all}");
        }
    }
    assert!(
        app.engine
            .heads::<record::SignedFlow>(None)
            .await
            .unwrap()
            .is_empty()
    );
}

/// R55: without `oauth_callback_confirmed=true` anybody could finish somebody else's sign-in.
#[tokio::test]
async fn r55_a_server_that_does_not_confirm_the_callback_is_left() {
    for said in [
        "",
        "&oauth_callback_confirmed=false",
        "&oauth_callback_confirmed=",
        "&oauth_callback_confirmed=True",
    ] {
        let body = format!("oauth_token=temp-1&oauth_token_secret=temp-secret-1{said}");
        let app = app(WAY, move |_| form(200, &body)).await;
        configured(&app).await;
        let session = app.session().await;
        let start = OauthStart {
            app: "acme".into(),
            method: "way".into(),
            ..oauth_start()
        };
        let started = app.engine.start_oauth(&session, start).await.unwrap();
        assert_eq!(
            code(app.engine.go(&session, &started.flow.id).await),
            "callback_not_confirmed"
        );
        let flow = app.engine.flow(&session, &started.flow.id).await.unwrap();
        assert_eq!(flow.status, FlowStatus::Failed);
        assert_eq!(app.all().len(), 1);
        assert!(
            app.engine
                .heads::<record::SignedFlow>(None)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// R55: the verifier must be there, and the token must be the flow's own; no request is made for anything else.
#[tokio::test]
async fn r55_an_answer_of_another_sign_in_or_without_its_verifier_asks_for_no_token() {
    for (token, verifier, extra, wanted) in [
        ("temp-2", "ver-1", None, "mixed_up"),
        ("", "ver-1", None, "mixed_up"),
        ("temp-1", "", None, "missing_code"),
        ("temp-1", "", Some(("denied", "temp-1")), "denied"),
        (
            "temp-1",
            "",
            Some(("oauth_problem", "user_refused")),
            "denied",
        ),
    ] {
        let app = app(WAY, server).await;
        let config = configured(&app).await;
        let left = leave(&app).await;
        let mut params = back(&left.flow, token, verifier);
        params.extend(extra.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let outcome = app
            .engine
            .callback(&config.id, params, &jar(&left.go))
            .await;
        assert_eq!(outcome.error.unwrap().code, wanted);
        assert_eq!(app.all().len(), 1, "{wanted}");
        assert!(
            app.engine
                .heads::<record::SignedFlow>(None)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

/// R56: no state exists, so the path, the flow's name and the browser's cookie bind an answer.
#[tokio::test]
async fn r56_only_the_browser_that_left_comes_back_once_and_to_its_own_configuration() {
    let app = app(WAY, server).await;
    let config = configured(&app).await;
    let other = configured(&app).await;
    let left = leave(&app).await;
    let good = || back(&left.flow, "temp-1", "ver-1");
    let another = leave(&app).await;
    type Jar<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);
    let strangers: [Jar<'_>; 3] = [&|_| None, &|_| Some("1".into()), &jar(&another.go)];
    for browser in strangers {
        let outcome = app.engine.callback(&config.id, good(), browser).await;
        assert_eq!(outcome.next, CallbackNext::Neutral);
        assert_eq!(outcome.error.unwrap().code, "wrong_browser");
    }
    // A doubled parameter is nobody's, and a flow that does not exist neither.
    let mut twice = good();
    twice.push(("oauth_token".into(), "temp-1".into()));
    assert!(
        app.engine
            .callback(&config.id, twice, &jar(&left.go))
            .await
            .flow
            .is_none()
    );
    let unknown = back("flow_0000000000000000000000", "temp-1", "ver-1");
    assert!(
        app.engine
            .callback(&config.id, unknown, &jar(&left.go))
            .await
            .flow
            .is_none()
    );
    assert_eq!(app.count("POST /access"), 0);
    // It is still good; of twenty that come at once, one is redeemed.
    let all = (0..20).map(|_| async {
        app.engine
            .callback(&config.id, good(), &jar(&left.go))
            .await
    });
    let outcomes = futures_util::future::join_all(all).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.flow.is_some())
            .count(),
        1
    );
    assert_eq!(app.count("POST /access"), 1);
    let flow = app.engine.flow(&left.session, &left.flow).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    // The path of another configuration ends a flow without a request.
    let outcome = app
        .engine
        .callback(
            &other.id,
            back(&another.flow, "temp-1", "ver-1"),
            &jar(&another.go),
        )
        .await;
    assert_eq!(outcome.error.unwrap().code, "mixed_up");
    assert_eq!(app.count("POST /access"), 1);
    // So does one that comes too late.
    let late = leave(&app).await;
    app.pass(3600);
    let outcome = app
        .engine
        .callback(
            &config.id,
            back(&late.flow, "temp-1", "ver-1"),
            &jar(&late.go),
        )
        .await;
    assert_eq!(outcome.error.unwrap().code, "expired");
    assert_eq!(app.count("POST /access"), 1);
}

/// R57: a server with another clock refuses once; its `Date` is used from then on, and no nonce is there twice.
#[tokio::test]
async fn r57_the_servers_clock_is_learned_in_the_first_leg_and_used_in_the_others() {
    let theirs = NOW + 4000;
    let app = app(WAY, move |seen| {
        let sent = signed_with(seen);
        let mut answer = if sent["oauth_timestamp"] == theirs.to_string() {
            server(seen)
        } else {
            form(401, "oauth_problem=timestamp_refused")
        };
        // 1,800,004,000 seconds since 1970.
        let date = "Fri, 15 Jan 2027 09:06:40 GMT".parse().unwrap();
        answer.headers_mut().insert("date", date);
        answer
    })
    .await;
    let config = configured(&app).await;
    let left = leave(&app).await;
    app.engine
        .callback(
            &config.id,
            back(&left.flow, "temp-1", "ver-1"),
            &jar(&left.go),
        )
        .await;
    let flow = app.engine.flow(&left.session, &left.flow).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Connected, "{:?}", flow.error);
    assert_eq!(
        app.count("POST /request"),
        2,
        "once refused, once signed anew"
    );
    assert_eq!(app.count("POST /access"), 1, "the clock is known by then");
    let nonces: BTreeSet<String> = app
        .all()
        .iter()
        .map(|seen| signed_with(seen)["oauth_nonce"].clone())
        .collect();
    assert_eq!(nonces.len(), app.all().len());
}

/// A clock that is refused again and again is not a loop, and one that is years away is not believed.
#[tokio::test]
async fn r57_a_server_that_never_takes_the_time_is_asked_twice_and_no_more() {
    let app = app(WAY, |_| {
        let mut answer = form(401, "oauth_problem=timestamp_refused");
        let date = "Fri, 15 Jan 2027 09:06:40 GMT".parse().unwrap();
        answer.headers_mut().insert("date", date);
        answer
    })
    .await;
    configured(&app).await;
    let session = app.session().await;
    let start = OauthStart {
        app: "acme".into(),
        method: "way".into(),
        ..oauth_start()
    };
    let started = app.engine.start_oauth(&session, start).await.unwrap();
    assert!(app.engine.go(&session, &started.flow.id).await.is_err());
    assert_eq!(app.all().len(), 2);
}
