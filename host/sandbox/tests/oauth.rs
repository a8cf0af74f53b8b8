//! The authorization server, as a client and as an attacker meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use axum::http::StatusCode;
use common::{CALLBACK, ISSUER, authorize, basic, client_basic, pair, site, site_with};

#[tokio::test]
async fn a_person_allows_access_and_the_client_gets_tokens_that_work() {
    let mut site = site();
    let back = site.consent(&authorize(&[]), "u_grace", "allow").await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    assert!(back.header("location").starts_with(CALLBACK));
    assert_eq!(back.sent_back("state").as_deref(), Some("the state & more"));
    assert_eq!(back.sent_back("iss").as_deref(), Some(ISSUER));
    let tokens = site.exchange(&back.sent_back("code").unwrap()).await;
    assert_eq!(tokens.status, StatusCode::OK);
    assert_eq!(tokens.header("cache-control"), "no-store");
    let json = tokens.json();
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 3600);
    assert_eq!(json["scope"], "notes:read notes:write");
    let me = site.me(&pair(&tokens).0).await.json();
    assert_eq!(me["id"], "u_grace");
    assert_eq!(me["workspace"], "Flow-Matic");
}

#[tokio::test]
async fn denying_sends_the_person_back_without_a_code() {
    let mut site = site();
    let back = site.consent(&authorize(&[]), "u_ada", "deny").await;
    assert_eq!(back.sent_back("error").as_deref(), Some("access_denied"));
    assert_eq!(back.sent_back("code"), None);
    assert_eq!(back.sent_back("iss").as_deref(), Some(ISSUER));
    assert!(back.sent_back("state").is_some());
}

#[tokio::test]
async fn nothing_is_ever_sent_to_an_address_that_is_not_registered() {
    let mut site = site();
    for uri in [
        "https://evil.example/",
        "https://keyport.example/oauth/callback/cfg_1/",
        "https://keyport.example/oauth/callback/cfg_1?x=1",
        "http://localhost:4700/oauth/callback/a/b",
        "http://localhost:4700/oauth/callback/..",
        "http://localhost:4700@evil.example/oauth/callback/a",
    ] {
        let reply = site.get(&authorize(&[("redirect_uri", uri)]), &[]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{uri}");
        assert_eq!(reply.header("location"), "", "{uri}");
    }
    let twice = format!("{}&redirect_uri=https://evil.example/", authorize(&[]));
    assert_eq!(site.get(&twice, &[]).await.status, StatusCode::BAD_REQUEST);
    let stranger = authorize(&[("client_id", "nobody")]);
    assert_eq!(
        site.get(&stranger, &[]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_loopback_prefix_takes_a_random_configuration_id() {
    let mut site = site();
    let uri = "http://localhost:4700/oauth/callback/cfg_Zk3-9";
    let back = site
        .consent(&authorize(&[("redirect_uri", uri)]), "u_ada", "allow")
        .await;
    let code = back.sent_back("code").unwrap();
    let tokens = site.exchange_with(&code, &[("redirect_uri", uri)]).await;
    assert_eq!(tokens.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_to_the_client() {
    let mut site = site();
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("scope", "notes:read admin"), "invalid_scope"),
    ] {
        let back = site.get(&authorize(&[change]), &[]).await;
        assert_eq!(back.status, StatusCode::SEE_OTHER, "{change:?}");
        assert_eq!(
            back.sent_back("error").as_deref(),
            Some(error),
            "{change:?}"
        );
        assert_eq!(back.sent_back("iss").as_deref(), Some(ISSUER));
        assert_eq!(back.sent_back("state").as_deref(), Some("the state & more"));
    }
    let twice = format!("{}&scope=notes:read", authorize(&[]));
    let back = site.get(&twice, &[]).await;
    assert_eq!(back.sent_back("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_consent_form_from_another_site_is_refused() {
    let mut victim = site();
    let page = victim.get(&authorize(&[]), &[]).await;
    let (asked, csrf) = (page.hidden("request"), page.hidden("csrf"));
    let send = |asked: String, csrf: String| {
        [
            ("request", asked),
            ("csrf", csrf),
            ("user", "u_ada".to_owned()),
            ("decision", "allow".to_owned()),
        ]
    };
    let refused = async |site: &mut common::Site, fields: [(&str, String); 4]| {
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let reply = site.post_form("/oauth/authorize", &[], &pairs).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(reply.header("location"), "");
    };
    // The token is for this request only.
    let other = authorize(&[("state", "another")])
        .split_once('?')
        .unwrap()
        .1
        .to_owned();
    refused(&mut victim, send(other, csrf.clone())).await;
    refused(&mut victim, send(asked.clone(), String::new())).await;
    // And for this browser only.
    let own = victim.cookie.take();
    refused(&mut victim, send(asked.clone(), csrf.clone())).await;
    victim.get(&authorize(&[]), &[]).await;
    assert_ne!(victim.cookie, own);
    refused(&mut victim, send(asked, csrf)).await;
    assert_eq!(victim.vendor.stats().grants, 0);
}

#[tokio::test]
async fn a_wrong_verifier_spends_the_code_and_gives_nothing() {
    let mut site = site();
    let code = site.code(&[]).await;
    let wrong = "another-verifier-of-at-least-forty-three-characters";
    let reply = site.exchange_with(&code, &[("code_verifier", wrong)]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.json()["error"], "invalid_grant");
    assert_eq!(site.exchange(&code).await.json()["error"], "invalid_grant");
    let code = site.code(&[]).await;
    let reply = site.exchange_with(&code, &[("code_verifier", "")]).await;
    assert_eq!(reply.json()["error"], "invalid_request");
    assert_eq!(site.vendor.stats().grants, 0);
}

#[tokio::test]
async fn a_code_is_good_for_a_minute_one_client_and_one_redirect_uri() {
    let mut site = site();
    let code = site.code(&[]).await;
    let body = [
        ("grant_type", "authorization_code"),
        ("client_id", "public"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", common::VERIFIER),
    ];
    let stolen = site.post_form("/oauth/token", &[], &body).await;
    assert_eq!(stolen.json()["error"], "invalid_grant");
    let other = "http://localhost:4700/oauth/callback/x";
    let reply = site.exchange_with(&code, &[("redirect_uri", other)]).await;
    assert_eq!(reply.json()["error"], "invalid_grant");
    let code = site.code(&[]).await;
    site.pass(60);
    assert_eq!(site.exchange(&code).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn replaying_a_code_revokes_what_it_gave() {
    let mut site = site();
    let code = site.code(&[]).await;
    let (access, refresh) = pair(&site.exchange(&code).await);
    assert_eq!(site.me(&access).await.status, StatusCode::OK);
    assert_eq!(site.exchange(&code).await.json()["error"], "invalid_grant");
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        site.refresh(&refresh).await.json()["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_second_use_kills_the_family() {
    let mut site = site();
    let (_, first) = site.sign_in("notes:read").await;
    let (access, second) = pair(&site.refresh(&first).await);
    assert_ne!(first, second);
    let (_, third) = pair(&site.refresh(&second).await);
    assert_eq!(site.vendor.stats().refreshes, 2);
    assert_eq!(site.me(&access).await.status, StatusCode::OK);
    assert_eq!(site.refresh(&first).await.json()["error"], "invalid_grant");
    assert_eq!(site.refresh(&third).await.json()["error"], "invalid_grant");
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.vendor.stats().refreshes, 2);
}

#[tokio::test]
async fn an_access_token_ends_on_time_and_a_refresh_replaces_it() {
    let mut site = site_with(|config| config.access_token_ttl = std::time::Duration::from_secs(3));
    let (access, refresh) = site.sign_in("notes:read").await;
    site.pass(2);
    assert_eq!(site.me(&access).await.status, StatusCode::OK);
    site.pass(1);
    let late = site.me(&access).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert!(late.header("www-authenticate").contains("invalid_token"));
    let renewed = site.refresh(&refresh).await;
    assert_eq!(renewed.json()["expires_in"], 3);
    assert_eq!(site.me(&pair(&renewed).0).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_may_narrow_the_scope_and_never_widen_it() {
    let mut site = site();
    let (_, refresh) = site.sign_in("notes:read notes:write").await;
    let auth = client_basic();
    let ask = async |site: &mut common::Site, token: &str, scope: &str| {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        site.post_form("/oauth/token", &[("authorization", &auth)], &pairs)
            .await
    };
    let narrow = ask(&mut site, &refresh, "notes:read").await;
    assert_eq!(narrow.json()["scope"], "notes:read");
    let (_, reading) = site.sign_in("notes:read").await;
    let wide = ask(&mut site, &reading, "notes:write").await;
    assert_eq!(wide.json()["error"], "invalid_scope");
    // A refused request has not used up the token.
    assert_eq!(site.refresh(&reading).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_proves_itself_in_exactly_one_way() {
    let mut site = site();
    let token = |site: &mut common::Site| site.vendor.stats().token_requests;
    let body = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let wrong = basic("keyport", "wrong");
    let reply = site
        .post_form("/oauth/token", &[("authorization", &wrong)], &body)
        .await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.json()["error"], "invalid_client");
    assert!(reply.header("www-authenticate").starts_with("Basic"));
    // The secret has a percent sign: sent raw, it is not what RFC 6749, 2.3.1 asks for.
    let raw = basic("keyport", "s3cret/+:%");
    let reply = site
        .post_form("/oauth/token", &[("authorization", &raw)], &body)
        .await;
    assert_eq!(reply.json()["error"], "invalid_client");
    let posted = [
        body[0],
        body[1],
        ("client_id", "keyport"),
        ("client_secret", "s3cret/+:%"),
    ];
    let reply = site.post_form("/oauth/token", &[], &posted).await;
    assert_eq!(
        reply.json()["error"],
        "invalid_grant",
        "the client was accepted"
    );
    let right = client_basic();
    let reply = site
        .post_form("/oauth/token", &[("authorization", &right)], &posted)
        .await;
    assert_eq!(reply.json()["error"], "invalid_request");
    let bare = [body[0], body[1], ("client_id", "keyport")];
    let reply = site.post_form("/oauth/token", &[], &bare).await;
    assert_eq!(reply.json()["error"], "invalid_client");
    let public = [body[0], body[1], ("client_id", "public")];
    let reply = site.post_form("/oauth/token", &[], &public).await;
    assert_eq!(reply.json()["error"], "invalid_grant");
    let nobody = site.post_form("/oauth/token", &[], &body).await;
    assert_eq!(nobody.json()["error"], "invalid_client");
    assert_eq!(token(&mut site), 7);
}

#[tokio::test]
async fn the_token_endpoint_takes_forms_with_each_parameter_once() {
    let mut site = site();
    let auth = client_basic();
    let headers = [
        ("authorization", auth.as_str()),
        ("content-type", "application/json"),
    ];
    let reply = site.call("POST", "/oauth/token", &headers, "{}").await;
    assert_eq!(reply.json()["error"], "invalid_request");
    let twice = [
        ("grant_type", "refresh_token"),
        ("grant_type", "authorization_code"),
    ];
    let reply = site
        .post_form("/oauth/token", &[("authorization", &auth)], &twice)
        .await;
    assert_eq!(reply.json()["error"], "invalid_request");
    let other = [("grant_type", "password")];
    let reply = site
        .post_form("/oauth/token", &[("authorization", &auth)], &other)
        .await;
    assert_eq!(reply.json()["error"], "unsupported_grant_type");
    let reply = site.get("/oauth/token", &[]).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_the_grant_and_an_access_token_only_itself() {
    let mut site = site();
    let auth = client_basic();
    let revoke = async |site: &mut common::Site, token: &str| {
        let headers = [("authorization", auth.as_str())];
        site.post_form("/oauth/revoke", &headers, &[("token", token)])
            .await
    };
    let (access, refresh) = site.sign_in("notes:read").await;
    assert_eq!(revoke(&mut site, &access).await.status, StatusCode::OK);
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    let (access, refresh) = pair(&site.refresh(&refresh).await);
    assert_eq!(revoke(&mut site, &refresh).await.status, StatusCode::OK);
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        site.refresh(&refresh).await.json()["error"],
        "invalid_grant"
    );
    assert_eq!(site.vendor.stats().grants, 0);
    assert_eq!(revoke(&mut site, "unknown").await.status, StatusCode::OK);
    assert_eq!(site.vendor.stats().revoke_requests, 3);
}

#[tokio::test]
async fn a_client_cannot_revoke_or_refresh_the_tokens_of_another() {
    let mut site = site();
    let (access, refresh) = site.sign_in("notes:read").await;
    for token in [&access, &refresh] {
        let body = [("client_id", "public"), ("token", token.as_str())];
        let reply = site.post_form("/oauth/revoke", &[], &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    }
    let body = [
        ("client_id", "public"),
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh),
    ];
    let reply = site.post_form("/oauth/token", &[], &body).await;
    assert_eq!(reply.json()["error"], "invalid_grant");
    assert_eq!(site.me(&access).await.status, StatusCode::OK);
    assert_eq!(site.refresh(&refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_metadata_names_the_issuer_and_what_is_required() {
    let mut site = site();
    let json = site
        .get("/.well-known/oauth-authorization-server", &[])
        .await
        .json();
    assert_eq!(json["issuer"], ISSUER);
    assert_eq!(json["token_endpoint"], format!("{ISSUER}/oauth/token"));
    assert_eq!(json["code_challenge_methods_supported"][0], "S256");
    assert_eq!(json["authorization_response_iss_parameter_supported"], true);
}
