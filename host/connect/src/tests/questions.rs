//! What is found out, or asked, before a connection is tested.

use axum::response::Response;

use super::pretend::*;
use super::*;

const SITES: &str = "
api:
  base_url: 'https://api.acme.test/{{ capture.site }}'
  hosts: [id.acme.test]
discovery:
  - id: site
    request: { method: GET, path: 'https://id.acme.test/sites' }
    items: $.sites
    pick: PICK
    label: '{{ item.name }}'
    capture: { site: { path: $.id, public: true } }
auth:
  way:
    type: bearer
    label: Token
";

fn sites(pick: &str, count: usize) -> (String, impl Fn(&Seen) -> Response + Send + Sync + 'static) {
    let answers = move |seen: &Seen| match seen.line.as_str() {
        "GET /sites" => {
            let all: Vec<_> = (1..=count).map(|n| serde_json::json!({ "id": format!("s{n}"), "name": format!("Site {n}\n<b>") })).collect();
            json(200, serde_json::json!({ "sites": all }))
        }
        "GET /s2/me" | "GET /s1/me" => me(),
        _ => json(404, serde_json::json!({})),
    };
    let yaml = SITES.replace("PICK", pick);
    let yaml = if pick == "ask" {
        yaml
    } else {
        yaml.replace("    label: '{{ item.name }}'\n", "")
    };
    (yaml, answers)
}

#[tokio::test]
async fn what_a_connection_is_for_is_found_out_before_it_is_tested() {
    for (pick, count, line) in [
        ("first", 3, "GET /s1/me"),
        ("only", 1, "GET /s1/me"),
        ("ask", 1, "GET /s1/me"),
        (
            "{ match: { path: $.name, matches: '^Site 2' } }",
            3,
            "GET /s2/me",
        ),
    ] {
        let (yaml, answers) = sites(pick, count);
        let app = app(&yaml, answers).await;
        app.connected(&[("token", "site-token-1")]).await;
        assert_eq!(app.last().line, line, "{pick}");
        assert!(
            app.all()
                .iter()
                .all(|seen| seen.headers["authorization"] == "Bearer site-token-1")
        );
    }
    for (pick, count) in [("only", 2), ("first", 0)] {
        let (yaml, answers) = sites(pick, count);
        let app = app(&yaml, answers).await;
        assert_eq!(
            app.connect(&[("token", "site-token-1")]).await.status,
            FlowStatus::Failed,
            "{pick}"
        );
    }
}

#[tokio::test]
async fn the_person_is_asked_and_the_question_waits_until_it_is_answered() {
    let (yaml, answers) = sites("ask", 3);
    let app = app(&yaml, answers).await;
    let flow = app.connect(&[("token", "site-token-1")]).await;
    assert_eq!(flow.status, FlowStatus::Choosing);
    let asked = flow.choose.unwrap();
    let labels: Vec<_> = asked
        .options
        .iter()
        .map(|option| option.label.as_str())
        .collect();
    assert_eq!(
        labels,
        ["Site 1<b>", "Site 2<b>", "Site 3<b>"],
        "one line each; the page shows it as text"
    );
    // Nothing is tested, and nothing asked again, while the answer is out.
    app.engine.sweep().await.unwrap();
    assert_eq!(app.all().len(), 1);
    // Another session of the same owner cannot answer; the page's own can only pick what was listed.
    let session = app.session().await;
    let chosen = |step: &str, value: &str| Chosen {
        step: step.into(),
        value: value.into(),
    };
    assert_eq!(
        code(
            app.engine
                .choose(&session, &flow.id, &chosen("site", "1"))
                .await
        ),
        "not_found"
    );
    let (yaml, answers) = sites("ask", 3);
    let app = crate::tests::pretend::app(&yaml, answers).await;
    let session = app.session().await;
    let mut form = key_form("");
    (form.app, form.method) = ("acme".into(), "way".into());
    form.fields = IndexMap::from([("token".to_owned(), "site-token-1".to_owned())]);
    let flow = app.engine.connect_with_form(&session, form).await.unwrap();
    for wrong in [
        chosen("site", "3"),
        chosen("site", "s2"),
        chosen("other", "1"),
        chosen("site", "-1"),
    ] {
        assert_eq!(
            code(app.engine.choose(&session, &flow.id, &wrong).await),
            "invalid_input"
        );
    }
    let done = app
        .engine
        .choose(&session, &flow.id, &chosen("site", "1"))
        .await
        .unwrap();
    assert_eq!(done.status, FlowStatus::Connected, "{:?}", done.error);
    assert_eq!(app.last().line, "GET /s2/me");
    assert_eq!(
        code(
            app.engine
                .choose(&session, &flow.id, &chosen("site", "1"))
                .await
        ),
        "nothing_to_choose"
    );
}

/// A42, the part about a question: a sign-in that was stopped while the person was asked leaves nothing.
#[tokio::test]
async fn a_question_that_is_cancelled_or_never_answered_lets_the_sign_in_go() {
    for cancel in [true, false] {
        let (yaml, answers) = sites("ask", 2);
        let app = app(&yaml, answers).await;
        let session = app.session().await;
        let mut form = key_form("");
        (form.app, form.method) = ("acme".into(), "way".into());
        form.fields = IndexMap::from([("token".to_owned(), "site-token-1".to_owned())]);
        let flow = app.engine.connect_with_form(&session, form).await.unwrap();
        if cancel {
            app.engine.cancel_flow(&session, &flow.id).await.unwrap();
        } else {
            app.pass(3600);
            app.engine.sweep().await.unwrap();
        }
        let left = app.engine.heads::<record::Connection>(None).await.unwrap();
        assert!(left.is_empty());
        let view = app.engine.flow(&session, &flow.id).await.unwrap();
        assert!(view.status.ended(), "{:?}", view.status);
    }
}
