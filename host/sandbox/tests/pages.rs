//! The pages: what they show, what they refuse, and what no one can put into them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may be blunt"
)]

mod common;

use axum::http::StatusCode;
use common::{authorize, site};

#[tokio::test]
async fn the_consent_page_shows_the_app_the_scopes_and_the_people() {
    let mut site = site();
    let page = site
        .get(&authorize(&[("login_hint", "grace@vendora.test")]), &[])
        .await;
    // The client is registered as "Keyport <dev>".
    assert!(page.text.contains("Keyport &lt;dev&gt;"));
    assert!(!page.text.contains("<dev>"));
    for words in [
        "notes:read",
        "notes:write",
        "Ada Lovelace",
        "Grace Hopper",
        "https://keyport.example",
    ] {
        assert!(page.text.contains(words), "{words}");
    }
    assert!(page.text.contains("value=\"u_grace\" checked"));
    assert!(!page.text.contains("value=\"u_ada\" checked"));
    let reading = site.get(&authorize(&[("scope", "notes:read")]), &[]).await;
    assert!(!reading.text.contains("Write new notes"));
}

#[tokio::test]
async fn a_hostile_state_cannot_leave_the_page_and_comes_back_whole() {
    let mut site = site();
    let state = "\"><script>alert(1)</script>";
    let request = authorize(&[("state", state)]);
    let page = site.get(&request, &[]).await;
    assert!(!page.text.contains("<script>alert"));
    let back = site.consent(&request, "u_ada", "allow").await;
    assert_eq!(back.sent_back("state").as_deref(), Some(state));
}

#[tokio::test]
async fn pages_run_only_their_own_script_and_are_never_framed() {
    let mut site = site();
    for path in [
        "/",
        "/developer",
        &authorize(&[]),
        "/nothing",
        &authorize(&[("client_id", "x")]),
    ] {
        let page = site.get(path, &[]).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert!(
            !page.text.contains(" style=") && !page.text.contains(" onclick="),
            "{path}"
        );
    }
    for asset in [
        "/assets/vendora.css",
        "/assets/vendora.js",
        "/assets/vendora.svg",
    ] {
        assert_eq!(site.get(asset, &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_developer_page_lists_every_credential_and_every_app_with_access() {
    let mut site = site();
    let page = site.get("/developer", &[]).await;
    assert!(page.text.contains("No app has been allowed in yet"));
    for own in site.vendor.demo_credentials() {
        for value in [
            own.api_key,
            own.personal_token,
            own.password,
            own.signing_key_id,
            own.signing_secret,
        ] {
            assert!(page.text.contains(&value.unwrap()));
        }
    }
    site.sign_in("notes:read").await;
    let page = site.get("/", &[]).await;
    assert!(page.text.contains("</strong> for Ada Lovelace"));
}

#[tokio::test]
async fn a_person_revokes_and_creates_a_key_on_the_developer_page() {
    let mut site = site();
    let csrf = site.get("/developer", &[]).await.hidden("csrf");
    let mut fields = [
        ("csrf", csrf.as_str()),
        ("user", "u_ada"),
        ("kind", "api_key"),
        ("action", "revoke"),
    ];
    let reply = site.post_form("/developer/credentials", &[], &fields).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(reply.header("location"), "/developer?done=revoked");
    assert_eq!(site.vendor.demo_credentials()[0].api_key, None);
    let page = site.get("/developer?done=revoked", &[]).await;
    assert!(page.text.contains("<p class=\"revoked\">Revoked</p>"));
    fields[3] = ("action", "renew");
    site.post_form("/developer/credentials", &[], &fields).await;
    assert!(site.vendor.demo_credentials()[0].api_key.is_some());
    fields[1] = ("user", "u_nobody");
    let reply = site.post_form("/developer/credentials", &[], &fields).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_person_takes_access_back_on_the_developer_page() {
    let mut site = site();
    let (access, refresh) = site.sign_in("notes:read").await;
    let page = site.get("/developer", &[]).await;
    let (csrf, grant) = (page.hidden("csrf"), page.hidden("grant"));
    let fields = [("csrf", csrf.as_str()), ("grant", grant.as_str())];
    let reply = site.post_form("/developer/grants", &[], &fields).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(site.me(&access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        site.refresh(&refresh).await.json()["error"],
        "invalid_grant"
    );
}

#[tokio::test]
async fn another_site_cannot_send_the_developer_pages_forms() {
    let mut site = site();
    let csrf = site.get("/developer", &[]).await.hidden("csrf");
    let consent = site.get(&authorize(&[]), &[]).await.hidden("csrf");
    let before = site.vendor.demo_credentials()[0].api_key.clone();
    for token in ["", "00", consent.as_str()] {
        let fields = [
            ("csrf", token),
            ("user", "u_ada"),
            ("kind", "api_key"),
            ("action", "revoke"),
        ];
        let reply = site.post_form("/developer/credentials", &[], &fields).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }
    // The right token in a browser without the cookie.
    site.cookie = None;
    let fields = [
        ("csrf", csrf.as_str()),
        ("user", "u_ada"),
        ("kind", "api_key"),
        ("action", "revoke"),
    ];
    let reply = site.post_form("/developer/credentials", &[], &fields).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(site.vendor.demo_credentials()[0].api_key == before);
}

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_does_not_open_the_vendor() {
    let mut site = site();
    for host in [
        "evil.example",
        "evil.example:4702",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        "x y",
    ] {
        let reply = site.get("/developer", &[("host", host)]).await;
        assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!reply.text.contains("ada-api-key"));
    }
    for host in [
        "127.0.0.1:4702",
        "localhost:4702",
        "[::1]:4702",
        "vendor.keyport.test",
    ] {
        let reply = site.get("/developer", &[("host", host)]).await;
        assert_eq!(reply.status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn the_cookie_is_for_the_browser_only() {
    let mut site = site();
    let page = site.get("/developer", &[]).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax"));
    // It is set once.
    assert_eq!(site.get("/developer", &[]).await.header("set-cookie"), "");
}
