//! Where apps deviate from RFC 6749: each row is a manifest, what must leave, and what comes back.

use super::provider::*;
use super::*;

pub(super) const URLS: &str = r#"
    authorize_url: https://as.keyport.test/authorize?team=1
    token_url: https://as.keyport.test/token
    refresh: { rotates: always }
    revoke: { none: It ends by itself. }
"#;

pub(super) fn with(more: &str) -> String {
    format!("{URLS}{more}")
}

/// A way in which the authorization URL or the token request is particular.
struct Row {
    what: &'static str,
    auth: &'static str,
    /// What the address that the browser goes to must hold, and must not.
    leaves: &'static [&'static str],
    never: &'static [&'static str],
    /// What the callback calls the code and the state.
    names: (&'static str, &'static str),
    /// The token request: its line, and what its address, headers and body must hold.
    asked: &'static str,
    holds: &'static [&'static str],
    lacks: &'static [&'static str],
}

const ROW: Row = Row {
    what: "as the standard has it",
    auth: "",
    leaves: &[
        "team=1",
        "response_type=code",
        "client_id=client",
        "code_challenge_method=S256",
    ],
    never: &["client_secret"],
    names: ("code", "state"),
    asked: "POST as/token",
    holds: &[
        "grant_type=authorization_code",
        "code=c0de",
        "code_verifier=",
        "client_id=client",
        "client_secret=",
        "redirect_uri=",
    ],
    lacks: &["state="],
};

/// R1, R4, R5, R16 and the quirk table's rows of parameters.
#[tokio::test]
async fn r1_r4_r5_requests_are_written_as_the_app_wants_them() {
    let rows = [
        ROW,
        Row {
            what: "R4: Basic",
            auth: "    client_auth: basic\n",
            holds: &["authorization: Basic", "code=c0de"],
            lacks: &["client_secret", "client_id="],
            ..ROW
        },
        Row {
            what: "R4: a public client",
            auth: "    client_auth: none\n",
            holds: &["client_id=client"],
            lacks: &["client_secret", "authorization:"],
            ..ROW
        },
        Row {
            what: "R16: without PKCE",
            auth: "    pkce: { off: The app refuses it. }\n",
            leaves: &["client_id=client"],
            never: &["code_challenge"],
            lacks: &["code_verifier"],
            holds: &["code=c0de"],
            ..ROW
        },
        Row {
            what: "C8: other names (TikTok)",
            auth: "    params: { rename: { client_id: client_key, code: auth_code } }\n",
            leaves: &["client_key=client"],
            never: &["client_id"],
            holds: &["client_key=client", "auth_code=c0de"],
            lacks: &["client_id"],
            ..ROW
        },
        Row {
            what: "C8: left out (Monday)",
            auth: "    params: { drop: [response_type, redirect_uri] }\n",
            leaves: &["client_id=client"],
            never: &["response_type", "redirect_uri"],
            holds: &["code=c0de"],
            lacks: &["redirect_uri"],
            ..ROW
        },
        Row {
            what: "GET (WeChat)",
            auth: "    token_method: GET\n",
            asked: "GET as/token",
            holds: &["&code=c0de", "client_secret=operators"],
            lacks: &["content-type"],
            ..ROW
        },
        Row {
            what: "the URL of a POST",
            auth: "    token_body: query\n",
            holds: &["&code=c0de"],
            lacks: &["content-type"],
            ..ROW
        },
        Row {
            what: "JSON (Notion)",
            auth: "    token_body: json\n    client_auth: basic\n",
            holds: &[
                "\"code\":\"c0de\"",
                "content-type: application/json",
                "authorization: Basic",
            ],
            lacks: &["client_secret"],
            ..ROW
        },
        Row {
            what: "XML",
            auth: "    token_body: { xml: \"<token><code>{{ callback.code }}</code></token>\" }\n",
            holds: &[
                "<token><code>c0de</code></token>",
                "content-type: application/xml",
            ],
            lacks: &["grant_type"],
            ..ROW
        },
        Row {
            what: "the code and the state under other names (Amazon)",
            auth: "    callback: { code: spapi_oauth_code, state: spapi_state }\n",
            names: ("spapi_oauth_code", "spapi_state"),
            holds: &["code=c0de"],
            ..ROW
        },
        Row {
            what: "what the callback said, repeated (Follow Up Boss)",
            auth: "    token_params: { relay: \"{{ callback.state }}\" }\n",
            holds: &["relay=flow_"],
            lacks: &[],
            ..ROW
        },
        Row {
            what: "a hash in place of the secret (Smartsheet)",
            auth: "    params: { drop: [client_secret] }\n    token_params: { hash: \"{{ (app.client_secret ~ '|' ~ callback.code) | sha256 }}\" }\n",
            holds: &["hash="],
            lacks: &["client_secret"],
            ..ROW
        },
        Row {
            what: "second scopes (Slack)",
            auth: "    scopes: { default: [a, b], separator: \",\", extra: [{ param: user_scope, default: [c, d], separator: \",\" }] }\n",
            leaves: &["scope=a%2Cb", "user_scope=c%2Cd"],
            holds: &["code=c0de"],
            ..ROW
        },
        Row {
            what: "order, a fragment, what is not escaped",
            auth: "    scopes: { default: [a, b], separator: \"+\" }\n    authorize: { order: [client_id, state], unescaped: [scope], fragment: wechat_redirect }\n",
            leaves: &[
                "?client_id=client&state=flow_",
                "scope=a+b",
                "#wechat_redirect",
            ],
            holds: &["code=c0de"],
            ..ROW
        },
        Row {
            what: "a state of limited length",
            auth: "    callback: { max_state: 43 }\n",
            leaves: &["state="],
            never: &["state=flow_"],
            holds: &["code=c0de"],
            ..ROW
        },
        Row {
            what: "A25: a manifest's parameters stand beside the flow's own",
            auth: "    authorize_params: { prompt: consent, access_type: offline }\n    token_params: { audience: x }\n    token_headers: { x-version: \"2\", accept: text/json }\n",
            leaves: &["prompt=consent", "access_type=offline"],
            holds: &["audience=x", "x-version: 2", "accept: text/json"],
            ..ROW
        },
    ];
    for row in rows {
        let stand = Stand::new(&with(row.auth)).await;
        stand.script(|seen| (seen.path == "/token").then(tokens));
        let session = stand.session("u1").await;
        let mut left = String::new();
        let flow = stand
            .sign_in(&session, &[], |url, sent| {
                left = url.to_string();
                let (code, state) = row.names;
                vec![
                    (code.into(), "c0de".into()),
                    (state.into(), sent["state"].clone()),
                ]
            })
            .await;
        assert_eq!(
            flow.status,
            FlowStatus::Connected,
            "{}: {:?}",
            row.what,
            flow.error
        );
        for part in row.leaves {
            assert!(left.contains(part), "{}: {part} in {left}", row.what);
        }
        for part in row.never.iter().chain(&["access-token", CLIENT_SECRET]) {
            assert!(!left.contains(part), "{}: {part} in {left}", row.what);
        }
        let names: Vec<String> = Url::parse(&left)
            .unwrap()
            .query_pairs()
            .map(|(name, _)| name.into_owned())
            .collect();
        let once: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(once.len(), names.len(), "{}: {names:?}", row.what);

        let asked = stand.only("/token");
        assert_eq!(asked.line(), row.asked, "{}", row.what);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&asked.query)
            .finish();
        let headers: String = asked
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let whole = format!("?{query}\n{headers}\n{}", asked.body);
        for part in row.holds {
            assert!(whole.contains(part), "{}: {part} in {whole}", row.what);
        }
        for part in row.lacks {
            assert!(!whole.contains(part), "{}: {part} in {whole}", row.what);
        }
    }
}

/// R2: what the token request says is what the browser was sent with, to the byte.
#[tokio::test]
async fn r2_the_callbacks_address_is_the_same_to_the_byte() {
    let alias = "    authorize: { redirect_alias: true }\n";
    for (auth, configured) in [("", None), (alias, Some("Acme-Acme-Prod-abcdef"))] {
        let configuration = NewConfiguration {
            client_id: Some("client".into()),
            client_secret: Some(CLIENT_SECRET.into()),
            redirect_alias: configured.map(str::to_owned),
            ..NewConfiguration::default()
        };
        let stand = Stand::configured(&with(auth), configuration).await;
        stand.script(|seen| (seen.path == "/token").then(tokens));
        let session = stand.session("u1").await;
        let mut left = String::new();
        stand
            .sign_in(&session, &[], |_, sent| {
                left.clone_from(&sent["redirect_uri"]);
                code_for(sent)
            })
            .await;
        assert_eq!(stand.only("/token").form()["redirect_uri"], left);
        let wanted = configured.map_or(stand.config.redirect_uri.clone(), str::to_owned);
        assert_eq!(left, wanted);
    }
    let stand = Stand::new(&with(alias)).await;
    let session = stand.session("u1").await;
    let refused = stand.engine.start_oauth(&session, stand.start(&[])).await;
    assert_eq!(code(refused), "no_redirect_alias");
}

/// R7, R8, R9 and the table of what the `oauth2` crate refuses: what real servers answer, and what becomes of it.
#[tokio::test]
async fn r7_r8_r9_answers_are_read_as_servers_write_them() {
    let bearer = |more: serde_json::Value| {
        let mut document = serde_json::json!({"access_token": "access-token-1"});
        let more = more.as_object().unwrap().clone();
        document.as_object_mut().unwrap().extend(more);
        json(document)
    };
    type Case = (
        &'static str,
        &'static str,
        fn(&dyn Fn(serde_json::Value) -> Reply) -> Reply,
        Result<Option<i64>, &'static str>,
    );
    let cases: [Case; 16] = [
        (
            "R7: no token type",
            "",
            |b| b(serde_json::json!({})),
            Ok(None),
        ),
        (
            "R7: in capitals",
            "",
            |b| b(serde_json::json!({"token_type": "BEARER", "more": 1})),
            Ok(None),
        ),
        (
            "R7: not a bearer token",
            "",
            |b| b(serde_json::json!({"token_type": "mac"})),
            Err("client_refused"),
        ),
        (
            "R7: but declared",
            "    response: { token_types: [mac] }\n",
            |b| b(serde_json::json!({"token_type": "mac"})),
            Ok(None),
        ),
        (
            "R9: as text",
            "",
            |b| b(serde_json::json!({"expires_in": "60"})),
            Ok(Some(60)),
        ),
        (
            "R9: below zero is not said",
            "",
            |b| b(serde_json::json!({"expires_in": -1})),
            Ok(None),
        ),
        (
            "R9: by the manifest",
            "    response: { default_ttl: 90 }\n",
            |b| b(serde_json::json!({})),
            Ok(Some(90)),
        ),
        (
            "R9: milliseconds",
            "    response: { expiry: { in: $.ttl, unit: milliseconds } }\n",
            |b| b(serde_json::json!({"ttl": 5000})),
            Ok(Some(5)),
        ),
        (
            "201",
            "",
            |b| Reply {
                status: 201,
                ..b(serde_json::json!({}))
            },
            Ok(None),
        ),
        (
            "a redirect, whatever it brings",
            "",
            |b| Reply {
                status: 302,
                ..b(serde_json::json!({"token_type": "bearer"}))
            },
            Err("client_refused"),
        ),
        (
            "an error with 200",
            "",
            |_| json(serde_json::json!({"error": "bad_verification_code"})),
            Err("code_refused"),
        ),
        (
            "ok: false with 200",
            "    response: { ok: { path: $.ok }, error: $.error }\n",
            |_| json(serde_json::json!({"ok": false, "error": "invalid_code"})),
            Err("client_refused"),
        ),
        (
            "a form",
            "",
            |_| Reply {
                status: 200,
                headers: vec![],
                body: "access_token=access-token-1&expires_in=30".into(),
            },
            Ok(Some(30)),
        ),
        (
            "below a root",
            "    response: { root: $.data }\n",
            |_| json(serde_json::json!({"data": {"access_token": "access-token-1"}})),
            Ok(None),
        ),
        (
            "HTML",
            "",
            |_| Reply {
                status: 200,
                headers: vec![],
                body: "<html>down</html>".into(),
            },
            Err("token_answer_unreadable"),
        ),
        (
            "500",
            "",
            |_| status(500, serde_json::json!({})),
            Err("provider_down"),
        ),
    ];
    for (what, auth, reply, wanted) in cases {
        let stand = Stand::new(&with(auth)).await;
        let reply = reply(&bearer);
        let (code, headers, body) = (reply.status, reply.headers, reply.body);
        stand.script(move |seen| {
            (seen.path == "/token").then(|| Reply {
                status: code,
                headers: headers.clone(),
                body: body.clone(),
            })
        });
        let session = stand.session("u1").await;
        let flow = stand.sign_in(&session, &[], |_, sent| code_for(sent)).await;
        match wanted {
            Ok(lives) => {
                assert_eq!(
                    flow.status,
                    FlowStatus::Connected,
                    "{what}: {:?}",
                    flow.error
                );
                let stored = stand.stored(&flow.connection_id.unwrap()).await;
                let ends = stored.clear.expires_at.map(|at| at / 1000 - NOW);
                assert_eq!(ends, lives, "{what}");
            }
            Err(code) => assert_eq!(flow.error.unwrap().code, code, "{what}"),
        }
    }
}

/// R8: a narrower grant is kept, shown, and what is missing is said.
#[tokio::test]
async fn r8_what_was_granted_is_held_against_what_was_asked_for() {
    let auth = with("    scopes: { default: [read, write] }\n");
    for (granted, scopes, missing) in [
        (None, vec!["read", "write"], vec![]),
        (Some("read write"), vec!["read", "write"], vec![]),
        (Some("write,read"), vec!["write", "read"], vec![]),
        (Some("read"), vec!["read"], vec!["write"]),
    ] {
        let stand = Stand::new(&auth).await;
        stand.script(move |seen| {
            (seen.path == "/token").then(|| {
                json(serde_json::json!({"access_token": "access-token-1", "scope": granted}))
            })
        });
        let id = stand.connected(&[]).await;
        let view = stand.engine.get(&Actor::Host, &id).await.unwrap();
        assert_eq!(view.scopes, scopes);
        assert_eq!(view.missing_scopes, missing);
    }
}
