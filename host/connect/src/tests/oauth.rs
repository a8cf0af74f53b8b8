//! Sign-in on the app's own page, and the attacks on it.

use super::*;

#[tokio::test]
async fn a_person_signs_in_with_pkce_and_is_connected() {
    let world = world().await;
    let id = world.oauth_connection().await;
    let connection = world.connection(&id).await;
    assert_eq!(
        (connection.state, connection.method_kind.as_str()),
        (ConnectionState::Connected, "oauth2")
    );
    assert_eq!(connection.account.unwrap().id, "u_ada");
    assert!(connection.expires_at.is_some());
    assert_eq!(world.vendor.stats().token_requests, 1);
}

#[tokio::test]
async fn the_authorization_url_has_each_parameter_once() {
    let world = world().await;
    world.configured().await;
    let session = world.manage().await;
    let flow = world.start(&session).await.flow;
    let go = world.engine.go(&session, &flow.id).await.unwrap();
    let url = Url::parse(&go.authorize_url).unwrap();
    let mut names: Vec<String> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "response_type",
            "scope",
            "state"
        ]
    );
    let get = |name: &str| {
        url.query_pairs()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .into_owned()
    };
    assert_eq!(get("code_challenge_method"), "S256");
    assert!(get("redirect_uri").starts_with("http://localhost:4700/oauth/callback/cfg_"));
    assert!(!go.authorize_url.contains(CLIENT_SECRET));
}

/// What comes back from the vendor, ready to be tampered with.
async fn returned(
    world: &World,
    session: &SessionCtx,
) -> (String, String, Vec<(String, String)>, GoOutcome) {
    let config = world.configured().await;
    let flow = world.start(session).await.flow;
    let go = world.engine.go(session, &flow.id).await.unwrap();
    let params = world.authorize(&go).await;
    (config.id, flow.id, params, go)
}

#[tokio::test]
async fn of_twenty_parallel_callbacks_one_redeems_the_code() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    let jar = jar(&go);
    let tries = (0..20).map(|_| world.engine.callback(&config, params.clone(), &jar));
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| outcome.flow.is_some())
            .count(),
        1
    );
    assert_eq!(world.vendor.stats().token_requests, 1);
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Connected
    );
    let replayed = world.engine.callback(&config, params, &jar).await;
    assert_eq!(replayed.error.unwrap().code, "already_used");
    assert_eq!(
        (world.count().await, world.vendor.stats().token_requests),
        (1, 1)
    );
}

#[tokio::test]
async fn a_callback_in_another_browser_connects_nothing_and_leaves_the_flow_alone() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    let forged = |_: &str| Some("1".to_owned());
    for browser in [
        &(|_: &str| None) as &(dyn Fn(&str) -> Option<String> + Send + Sync),
        &forged,
    ] {
        let outcome = world
            .engine
            .callback(&config, params.clone(), browser)
            .await;
        assert_eq!(outcome.next, CallbackNext::Neutral);
        assert_eq!(outcome.error.unwrap().code, "wrong_browser");
    }
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Authorizing
    );
    assert_eq!(world.vendor.stats().token_requests, 0);
    // The right browser still can.
    world.engine.callback(&config, params, &jar(&go)).await;
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Connected
    );
}

#[tokio::test]
async fn an_unknown_state_changes_nothing() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    let state = params
        .iter()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .clone();
    let (id, secret) = state.split_once('.').unwrap();
    let other_secret = "A".repeat(43);
    let bad: Vec<String> = vec![
        String::new(),
        "guess".into(),
        id.into(),
        format!("{id}.{other_secret}"),
        format!("flow_0000000000000000000000.{secret}"),
    ];
    for state in bad {
        let mut params = params.clone();
        params
            .iter_mut()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1 = state;
        let outcome = world.engine.callback(&config, params, &jar(&go)).await;
        assert_eq!(outcome.error.unwrap().code, "unknown_state");
        assert_eq!(outcome.next, CallbackNext::Neutral);
    }
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Authorizing
    );
}

/// Every one of these ends the flow, or changes nothing, without a token request.
#[tokio::test]
async fn what_comes_back_wrong_never_reaches_the_token_endpoint() {
    type Change = fn(&mut String, &mut Vec<(String, String)>);
    let cases: [(&str, Change); 7] = [
        ("mixed_up", |config, _| {
            *config = "cfg_0000000000000000000000".into()
        }),
        ("wrong_issuer", |_, params| {
            params.iter_mut().find(|(n, _)| n == "iss").unwrap().1 = "https://evil.example".into()
        }),
        ("wrong_issuer", |_, params| {
            params.iter_mut().find(|(n, _)| n == "iss").unwrap().1 = String::new()
        }),
        ("wrong_issuer", |_, params| {
            params.retain(|(n, _)| n != "iss")
        }),
        ("duplicate_parameter", |_, params| {
            params.push(("iss".into(), "https://vendor.keyport.test".into()))
        }),
        ("duplicate_parameter", |_, params| {
            params.push(("code".into(), "another".into()))
        }),
        ("missing_code", |_, params| {
            params.retain(|(n, _)| n != "code")
        }),
    ];
    for (wanted, change) in cases {
        let world = world().await;
        let session = world.manage().await;
        let (mut config, _, mut params, go) = returned(&world, &session).await;
        change(&mut config, &mut params);
        let outcome = world.engine.callback(&config, params, &jar(&go)).await;
        assert_eq!(outcome.error.unwrap().code, wanted);
        assert_eq!(
            (world.vendor.stats().token_requests, world.count().await),
            (0, 0),
            "{wanted}"
        );
    }
}

#[tokio::test]
async fn an_error_from_the_app_ends_the_flow_with_a_code_of_ours() {
    for (error, wanted) in [
        ("access_denied", "denied"),
        ("server_error", "provider_down"),
        ("<script>", "app_refused"),
    ] {
        let world = world().await;
        let session = world.manage().await;
        let (config, flow, mut params, go) = returned(&world, &session).await;
        params.retain(|(name, _)| name != "code");
        params.push(("error".into(), error.into()));
        params.push((
            "error_description".into(),
            "<script>alert(1)</script>".into(),
        ));
        world.engine.callback(&config, params, &jar(&go)).await;
        let view = world.engine.flow(&session, &flow).await.unwrap();
        let problem = view.error.unwrap();
        assert_eq!(
            (view.status, problem.code.as_str()),
            (FlowStatus::Failed, wanted)
        );
        assert!(!problem.say.contains('<'));
        assert_eq!(world.vendor.stats().token_requests, 0);
    }
}

#[tokio::test]
async fn a_flow_that_took_too_long_is_over() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    world.pass(600);
    let outcome = world.engine.callback(&config, params, &jar(&go)).await;
    assert_eq!(outcome.error.unwrap().code, "expired");
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Failed
    );
    assert_eq!(world.vendor.stats().token_requests, 0);
}

#[tokio::test]
async fn what_is_edited_during_a_flow_does_not_send_the_code_elsewhere() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    let patch = ConfigurationPatch {
        client_id: Some("another".into()),
        client_secret: Some("another-secret".into()),
        origins: Some(vec!["https://evil.example".into()]),
        ..ConfigurationPatch::default()
    };
    world
        .engine
        .update_configuration(&world.host, &config, None, patch)
        .await
        .unwrap();
    world.engine.callback(&config, params, &jar(&go)).await;
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Connected
    );
}

#[tokio::test]
async fn the_operators_secret_never_goes_to_a_host_that_somebody_typed() {
    let world = world().await;
    let new = NewConfiguration {
        client_id: Some("keyport".into()),
        client_secret: Some(CLIENT_SECRET.into()),
        ..NewConfiguration::default()
    };
    let made = world
        .engine
        .configure(&world.host, "selfhosted", new)
        .await
        .unwrap();
    assert!(
        made.origins.is_empty(),
        "no host of a self-hosted app is pinned by itself"
    );
    let session = world.manage().await;
    let start = |extra: &[(&str, &str)]| {
        let mut fields = IndexMap::from([(
            "origin".to_owned(),
            "https://vendor.keyport.test".to_owned(),
        )]);
        fields.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        OauthStart {
            app: "selfhosted".into(),
            fields,
            ..oauth_start()
        }
    };
    assert_eq!(
        code(world.engine.start_oauth(&session, start(&[])).await),
        "client_not_for_this_host"
    );
    assert_eq!(world.vendor.stats().token_requests, 0);
    // With a client of their own it may; and where the operator pins the host, theirs may.
    let own = start(&[("own_id", "mine"), ("own_secret", "my-secret")]);
    assert_eq!(code(world.engine.start_oauth(&session, own).await), "ok");
    let patch = ConfigurationPatch {
        origins: Some(vec!["https://vendor.keyport.test".into()]),
        ..ConfigurationPatch::default()
    };
    world
        .engine
        .update_configuration(&world.host, &made.id, None, patch)
        .await
        .unwrap();
    assert_eq!(
        code(world.engine.start_oauth(&session, start(&[])).await),
        "ok"
    );
}

#[tokio::test]
async fn a_fresh_grant_whose_test_is_refused_is_ended_at_the_app() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    world.vendor.fault(keyport_sandbox::Fault::status(
        keyport_sandbox::Target::Api,
        1,
        403,
    ));
    world.engine.callback(&config, params, &jar(&go)).await;
    let view = world.engine.flow(&session, &flow).await.unwrap();
    assert_eq!(
        (view.status, view.error.unwrap().code.as_str()),
        (FlowStatus::Failed, "missing_scope")
    );
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
}

#[tokio::test]
async fn without_a_client_the_operator_is_asked_for_one() {
    let world = world().await;
    let session = world.manage().await;
    assert_eq!(
        code(world.engine.start_oauth(&session, oauth_start()).await),
        "method_not_available"
    );
    let app = world.engine.app("sandbox").await.unwrap();
    let oauth = app
        .methods
        .iter()
        .find(|method| method.id == "oauth")
        .unwrap();
    assert!(!oauth.available && oauth.redirects && oauth.why_not.is_some());
}

#[tokio::test]
async fn a_cancelled_sign_in_is_over_and_a_grant_that_came_in_is_let_go() {
    let world = world().await;
    let session = world.session("u1", SessionKind::Connect).await;
    let (config, flow, params, go) = returned(&world, &session).await;
    world.engine.callback(&config, params, &jar(&go)).await;
    assert_eq!(world.vendor.stats().grants, 1);
    let view = world.engine.cancel_flow(&session, &flow).await.unwrap();
    assert_eq!(view.status, FlowStatus::Cancelled);
    assert_eq!((world.count().await, world.vendor.stats().grants), (0, 0));
}

/// A7: neither another session of the same owner nor another owner's.
#[tokio::test]
async fn a_flow_of_another_session_is_not_found() {
    let world = world().await;
    let session = world.manage().await;
    let (_, flow, _, _) = returned(&world, &session).await;
    for other in [
        world.manage().await,
        world.session("u2", SessionKind::Manage).await,
    ] {
        assert_eq!(code(world.engine.flow(&other, &flow).await), "not_found");
        assert_eq!(
            code(world.engine.cancel_flow(&other, &flow).await),
            "not_found"
        );
        assert_eq!(
            code(world.engine.go(&other, &flow).await.map(|_| ())),
            "not_found"
        );
    }
}

/// A8: PKCE ties a code to the flow that it was made for.
#[tokio::test]
async fn a_code_of_another_flow_is_worth_nothing() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    let other = world.start(&session).await.flow;
    let gone = world.engine.go(&session, &other.id).await.unwrap();
    let stolen = world.authorize(&gone).await;
    let code = |params: &[(String, String)]| {
        params
            .iter()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .clone()
    };
    let mut mixed = params;
    mixed.iter_mut().find(|(name, _)| name == "code").unwrap().1 = code(&stolen);
    world.engine.callback(&config, mixed, &jar(&go)).await;
    let view = world.engine.flow(&session, &flow).await.unwrap();
    assert_eq!(
        (view.status, view.error.unwrap().code.as_str()),
        (FlowStatus::Failed, "code_refused")
    );
    assert_eq!(world.count().await, 0);
}

/// R15.
#[tokio::test]
async fn each_flow_has_a_verifier_of_its_own() {
    let world = world().await;
    world.configured().await;
    let session = world.manage().await;
    let mut challenges = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let flow = world.start(&session).await.flow;
        let go = world.engine.go(&session, &flow.id).await.unwrap();
        let url = Url::parse(&go.authorize_url).unwrap();
        let challenge = url
            .query_pairs()
            .find(|(name, _)| name == "code_challenge")
            .unwrap()
            .1
            .into_owned();
        assert_eq!(challenge.len(), 43, "SHA-256 in base64url");
        challenges.insert(challenge);
    }
    assert_eq!(challenges.len(), 10);
}

/// R18: the server may leave the code redeemable; we do not come back with it.
#[tokio::test]
async fn a_refused_code_ends_the_flow_and_is_not_tried_again() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, mut params, go) = returned(&world, &session).await;
    params
        .iter_mut()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1 = "no-such-code".into();
    world
        .engine
        .callback(&config, params.clone(), &jar(&go))
        .await;
    assert_eq!(world.vendor.stats().token_requests, 1);
    let again = world.engine.callback(&config, params, &jar(&go)).await;
    assert_eq!(again.error.unwrap().code, "already_used");
    assert_eq!(world.vendor.stats().token_requests, 1);
    assert_eq!(
        world.engine.flow(&session, &flow).await.unwrap().status,
        FlowStatus::Failed
    );
}

/// A19, R28: a redirect would carry the client's secret on.
#[tokio::test]
async fn a_token_endpoint_that_redirects_is_a_fault_of_the_set_up() {
    let world = world().await;
    let session = world.manage().await;
    let (config, flow, params, go) = returned(&world, &session).await;
    world.vendor.fault(keyport_sandbox::Fault::status(
        keyport_sandbox::Target::Token,
        1,
        307,
    ));
    world.engine.callback(&config, params, &jar(&go)).await;
    let view = world.engine.flow(&session, &flow).await.unwrap();
    assert_eq!(view.error.unwrap().code, "client_refused");
    assert_eq!(world.vendor.stats().token_requests, 1);
}
