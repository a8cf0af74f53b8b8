//! Actions end to end: templates, schemas, pages of every declared kind, what only reads.

use serde_json::{Value, json};

use super::provider::{Reply, Seen, Stand, json, status};
use super::*;

/// An app with a token, and these actions and triggers.
pub(crate) fn acting(operations: &str) -> String {
    format!(
        r#"
manifest: 1
id: scripted
name: Scripted
version: 1.0.0
summary: An app that answers as a test says.
component: rest
fields:
  - {{ id: team, label: Team, required: false, format: dns-label }}
api:
  base_url: https://api.keyport.test
  hosts: [other.keyport.test]
auth:
  main:
    type: bearer
    label: Token
test:
  request: {{ method: GET, path: /me }}
  ok: {{ status: 200, body: $.id }}
  account: {{ id: "{{{{ body.id }}}}", label: "{{{{ body.id }}}}" }}
  failures:
    - {{ status: 401, means: needs_reconnect, say: The app said no. }}
{operations}
"#
    )
}

pub(crate) async fn stand(operations: &str) -> Stand {
    Stand::whole(acting(operations), NewConfiguration::default()).await
}

impl Stand {
    /// A connection of this owner, by a token.
    pub(crate) async fn token(&self, owner: &str) -> String {
        let import = NewImport {
            owner: owner.into(),
            app: "scripted".into(),
            method: "main".into(),
            config: None,
            title: None,
            fields: IndexMap::from([("token".to_owned(), format!("token-of-{owner}-012345"))]),
            token: None,
        };
        let made = self.engine.import(&Actor::Host, import).await.unwrap();
        made.id
    }

    pub(crate) async fn act(
        &self,
        id: &str,
        action: &str,
        input: Value,
    ) -> Result<Value, ConnectError> {
        self.engine
            .run_action(&Actor::Host, id, action, &input)
            .await
    }
}

const NOTES: &str = r#"
actions:
  create_note:
    title: Create note
    description: Writes a note.
    effect: write
    input:
      type: object
      required: [title]
      additionalProperties: false
      properties:
        title: { type: string, maxLength: 5 }
        tags: { type: array, items: { type: string } }
        stars: { type: integer }
    output: { type: object, required: [id], properties: { id: { type: string } } }
    request:
      method: POST
      path: /teams/{{ input.title }}/notes
      body: { json: { title: "{{ input.title }}", tags: "{{ input.tags | default([]) }}", stars: "{{ input.stars }}" } }
    result: $.note
    sample: { id: n1 }
  get_note:
    title: Get note
    description: Reads a note.
    effect: read
    input: { type: object, required: [id], properties: { id: { type: string } } }
    output: { type: object, required: [id], properties: { id: { type: string } } }
    request: { method: GET, path: "/notes/{{ input.id }}" }
    sample: { id: n1 }
"#;

#[tokio::test]
async fn an_action_sends_what_its_templates_say_and_types_keep_their_kind() {
    let stand = stand(NOTES).await;
    let id = stand.token("u1").await;
    stand.script(|seen| (seen.method == "POST").then(|| json(json!({"note": {"id": "n7"}}))));
    let input = json!({"title": "a/b?c", "tags": ["x"], "stars": 3});
    let output = stand.act(&id, "create_note", input).await.unwrap();
    assert_eq!(output, json!({"id": "n7"}));
    let sent = stand.calls("api").pop().unwrap();
    assert_eq!(sent.path, "/teams/a%2Fb%3Fc/notes");
    assert_eq!(
        sent.json(),
        json!({"title": "a/b?c", "tags": ["x"], "stars": 3})
    );
    assert_eq!(sent.headers["authorization"], "Bearer token-of-u1-012345");
}

#[tokio::test]
async fn an_input_that_does_not_fit_is_refused_by_field_before_anything_is_sent() {
    let stand = stand(NOTES).await;
    let id = stand.token("u1").await;
    let before = stand.calls("api").len();
    for (input, field) in [
        (json!({}), "input.title"),
        (json!({"title": 7}), "input.title"),
        (json!({"title": "canary-too-long"}), "input.title"),
        (json!({"title": "x", "tags": ["a", 1]}), "input.tags.1"),
        (json!({"title": "x", "stars": 1.5}), "input.stars"),
        (json!({"title": "x", "more": "canary"}), "input"),
        (json!([]), "input"),
        (json!(null), "input"),
    ] {
        let error = stand
            .act(&id, "create_note", input.clone())
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            ("invalid_input", 422),
            "{input}"
        );
        assert_eq!(error.field(), Some(field), "{input}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let two = stand.act(&id, "create_note", json!({"tags": 1})).await;
    let ConnectError::Misfits(fields) = two.unwrap_err() else {
        panic!("every field is named");
    };
    assert_eq!(fields.len(), 2);
    assert_eq!(stand.calls("api").len(), before, "nothing was sent");
}

#[tokio::test]
async fn an_output_that_does_not_fit_is_an_error_that_says_whether_it_was_done() {
    let stand = stand(NOTES).await;
    let id = stand.token("u1").await;
    stand.script(|seen| match seen.path.as_str() {
        "/me" => None,
        "/notes/x" => Some(json(json!({"id": "canary"}))),
        _ => Some(json(json!({"note": {"id": 7}, "id": 7}))),
    });
    let read = stand
        .act(&id, "get_note", json!({"id": "n"}))
        .await
        .unwrap_err();
    assert_eq!(read.code(), "unexpected_output");
    let written = stand
        .act(&id, "create_note", json!({"title": "x"}))
        .await
        .unwrap_err();
    assert_eq!(written.code(), "done_with_unexpected_output");
    assert!(
        written.to_string().contains("do not do it again"),
        "{written}"
    );
    assert!(stand.act(&id, "get_note", json!({"id": "x"})).await.is_ok());
}

/// Five items, two on a page, in every way that the language has.
fn paged(seen: &Seen) -> Option<Reply> {
    let all = ["a", "b", "c", "d", "e"];
    let number = |name: &str| {
        let given = seen.query.get(name).cloned();
        given.or_else(|| Some(seen.json().get(name)?.as_str()?.to_owned()))
    };
    let kind = seen.path.strip_prefix("/paged/")?;
    let from: usize = match kind {
        "page" => {
            number("page")
                .unwrap()
                .parse::<usize>()
                .unwrap()
                .saturating_sub(1)
                * 2
        }
        "offset" => number("skip").unwrap().parse().unwrap(),
        _ => number("after").map_or(0, |after| after.parse().unwrap()),
    };
    let items: Vec<Value> = all
        .iter()
        .skip(from)
        .take(2)
        .map(|id| json!({"id": id}))
        .collect();
    let next = (from + 2 < all.len()).then(|| from + 2);
    let mut body = json!({"items": items});
    let mut reply_headers = Vec::new();
    if let Some(next) = next {
        match kind {
            "cursor" | "body" => body["next"] = json!(next.to_string()),
            "url" => {
                body["next"] = json!(format!("https://api.keyport.test/paged/url?after={next}"))
            }
            "link" => reply_headers.push(format!(
                "<https://api.keyport.test/paged/link?after={next}>; rel=\"next\""
            )),
            _ => {}
        }
    }
    let reply = json(body);
    Some(match reply_headers.pop() {
        Some(link) => reply.with("link", &link),
        None => reply,
    })
}

pub(crate) const PAGES: [(&str, &str); 6] = [
    ("cursor", "{ cursor: $.next, query: after }"),
    ("body", "{ cursor: $.next, body: after }"),
    ("link", "{ link_header: true }"),
    ("url", "{ url: $.next }"),
    ("page", "{ page: page, start: 1 }"),
    ("offset", "{ offset: skip }"),
];

fn paged_action(kind: &str, next: &str, max_pages: u32) -> String {
    let request = if kind == "body" {
        format!(
            "{{ method: POST, path: /paged/{kind}, safe: true, body: {{ json: {{ q: all }} }} }}"
        )
    } else {
        format!("{{ method: GET, path: /paged/{kind} }}")
    };
    format!(
        r#"
  {kind}:
    title: List items
    description: Lists items.
    effect: read
    input: {{ type: object, properties: {{}} }}
    output: {{ type: array, items: {{ type: object, required: [id], properties: {{ id: {{ type: string }} }} }} }}
    request: {request}
    pagination: {{ items: $.items, next: {next}, size: {{ query: count, value: 2 }}, max_pages: {max_pages} }}
    sample: [{{ id: a }}]
"#
    )
}

#[tokio::test]
async fn pages_of_every_kind_are_read_to_their_end_and_no_further_than_the_manifest_lets() {
    let mut actions = "actions:".to_owned();
    for (kind, next) in PAGES {
        actions += &paged_action(kind, next, 10);
    }
    let stand = stand(&actions).await;
    let id = stand.token("u1").await;
    stand.script(paged);
    for (kind, _) in PAGES {
        let output = stand.act(&id, kind, json!({})).await.unwrap();
        let ids: Vec<&str> = output
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["a", "b", "c", "d", "e"], "{kind}");
        let calls = stand.calls("api");
        let asked: Vec<&Seen> = calls
            .iter()
            .filter(|seen| seen.path.ends_with(kind))
            .collect();
        assert_eq!(asked.len(), 3, "{kind}");
        // The addresses of further pages are the app's own where it gives them.
        assert_eq!(asked[0].query["count"], "2", "{kind}");
    }
}

#[tokio::test]
async fn an_app_that_never_ends_is_left_after_the_declared_number_of_pages() {
    let stand = stand(&format!(
        "actions:{}",
        paged_action("cursor", "{ cursor: $.next, query: after }", 3)
    ))
    .await;
    let id = stand.token("u1").await;
    let mut count = 0;
    stand.script(move |seen| {
        (seen.path == "/paged/cursor").then(|| {
            count += 1;
            json(json!({"items": [{"id": count.to_string()}], "next": count.to_string()}))
        })
    });
    let output = stand.act(&id, "cursor", json!({})).await.unwrap();
    assert_eq!(output.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_next_page_on_somebody_elses_server_is_not_fetched() {
    let stand = stand(&format!(
        "actions:{}",
        paged_action("url", "{ url: $.next }", 3)
    ))
    .await;
    let id = stand.token("u1").await;
    stand.script(|seen| {
        (seen.path == "/paged/url")
            .then(|| json(json!({"items": [{"id": "a"}], "next": "https://evil.example/steal"})))
    });
    assert_eq!(
        code(stand.act(&id, "url", json!({})).await),
        "host_not_allowed"
    );
}

#[tokio::test]
async fn a_call_that_reads_cannot_write_whatever_its_component_tries() {
    let stand = stand(NOTES).await;
    let id = stand.token("u1").await;
    let stored = stand.stored(&id).await;
    let entry = stand
        .engine
        .inner
        .catalogue
        .get("scripted")
        .unwrap()
        .clone();
    let parts = crate::use_::pass::PassParts {
        entry: &entry,
        owner: stored.owner(),
        method: &stored.clear.method,
        sealed: stored.sealed().unwrap(),
        account: stored.clear.account.as_ref(),
        config: None,
    };
    stand.script(|seen| (seen.path == "/notes").then(|| status(201, json!({"id": "x"}))));
    for (reads, method, wanted) in [
        (true, "GET", "ok"),
        (true, "POST", "method_not_allowed"),
        (true, "DELETE", "method_not_allowed"),
        (false, "POST", "ok"),
    ] {
        let call = stand.engine.component_call(&parts, reads).await.unwrap();
        let request = http::Request::builder()
            .method(method)
            .uri("/notes")
            .body(keyport_egress::Body::empty())
            .unwrap();
        let done = call.egress.send(&call.pass, request).await;
        let code = done.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned());
        assert_eq!(code, wanted, "{reads} {method}");
    }
}

const CHOICES: &str = r#"
actions:
  list_folders:
    title: List folders
    description: Lists folders.
    effect: read
    input: { type: object, properties: { page: { type: string } } }
    output: { type: array, items: { type: object, required: [id], properties: { id: { type: integer }, name: { type: string } } } }
    request: { method: GET, path: /folders, query: { page: "{{ input.page }}" } }
    pagination: { items: $.folders, next: { cursor: $.next, query: page }, max_pages: 5 }
    sample: [{ id: 1, name: Inbox }]
  move_note:
    title: Move note
    description: Moves a note.
    effect: write
    input: { type: object, required: [folder], properties: { folder: { type: integer }, note: { type: string } } }
    choices_from: { folder: { action: list_folders, value: $.id, label: $.name } }
    output: { type: object, properties: {} }
    request: { method: POST, path: /move }
    sample: {}
triggers:
  new_note:
    title: New note
    description: A note came in.
    input: { type: object, properties: { folder: { type: integer } } }
    choices_from: { folder: { action: list_folders, value: $.id, label: $.name } }
    output: { type: object, properties: { id: { type: string } } }
    request: { method: GET, path: /notes }
    dedupe: "{{ item.id }}"
    sample: { id: n1 }
"#;

#[tokio::test]
async fn an_input_is_offered_what_the_app_lists_for_this_connection_page_by_page() {
    let stand = stand(CHOICES).await;
    let (id, other) = (stand.token("u1").await, stand.token("u2").await);
    stand.script(|seen: &Seen| {
        (seen.path == "/folders").then(|| {
            let whose = if seen.headers["authorization"].contains("u1") { "Ada" } else { "Grace" };
            match seen.query.get("page").map(String::as_str) {
                Some("2") => json(json!({"folders": [{"id": 2, "name": format!("Archive of {whose}")}, {"id": 1, "name": "twice"}]})),
                _ => json(json!({"folders": [{"id": 1, "name": format!("Inbox of {whose}")}, {"id": 3}], "next": "2"})),
            }
        })
    });
    let asked = |id: String, input: InputOf<'static>, q: Option<&'static str>| {
        let engine = stand.engine.clone();
        async move { engine.choices(&Actor::Host, &id, input, "folder", q).await }
    };
    let labels = |found: InputChoices| -> Vec<(Value, String)> {
        assert!(!found.more);
        found
            .choices
            .into_iter()
            .map(|it| (it.value, it.label))
            .collect()
    };
    for input in [InputOf::Action("move_note"), InputOf::Trigger("new_note")] {
        let found = asked(id.clone(), input, None).await.unwrap();
        assert_eq!(
            labels(found),
            [
                (json!(1), "Inbox of Ada".to_owned()),
                (json!(3), "3".to_owned()),
                (json!(2), "Archive of Ada".to_owned()),
            ]
        );
    }
    let found = asked(other, InputOf::Action("move_note"), Some("  ARCHIVE"))
        .await
        .unwrap();
    assert_eq!(labels(found), [(json!(2), "Archive of Grace".to_owned())]);
    // Only reading was done for it, and what has no list says so.
    assert!(stand.calls("api").iter().all(|seen| seen.method == "GET"));
    for (input, property) in [
        (InputOf::Action("move_note"), "note"),
        (InputOf::Action("list_folders"), "page"),
        (InputOf::Action("nothing"), "folder"),
        (InputOf::Trigger("move_note"), "folder"),
    ] {
        let found = stand
            .engine
            .choices(&Actor::Host, &id, input, property, None)
            .await;
        assert_eq!(code(found), "not_found", "{input:?} {property}");
    }
    let view = stand.engine.app("scripted").await.unwrap();
    assert_eq!(view.actions[1].choices, ["folder"]);
    assert_eq!(view.events[0].choices, ["folder"]);
    stand.script(|seen: &Seen| (seen.path == "/folders").then(|| status(403, json!({}))));
    assert_eq!(
        code(asked(id, InputOf::Action("move_note"), None).await),
        "missing_scope"
    );
}
