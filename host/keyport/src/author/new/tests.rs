//! Scaffolds are manifests: each of them is read and checked as any other.

use keyport_manifest::{FolderFacts, Report, Severity, check};
use serde_json::{Value, json};

use super::{Answers, AuthKind, Scaffold, openapi, scaffold};

fn text<'s>(made: &'s Scaffold, path: &str) -> &'s str {
    &made.files.iter().find(|f| f.path == path).unwrap().text
}

/// Checks a scaffold as a folder.
fn judge(made: &Scaffold) -> Report {
    let facts = FolderFacts {
        name: made.id.clone(),
        logo: Some(text(made, "logo.svg").to_owned()),
        fixtures: made
            .files
            .iter()
            .filter_map(|f| Some((f.path.strip_prefix("fixtures/")?.to_owned(), f.text.clone())))
            .collect(),
        ..FolderFacts::default()
    };
    check("manifest.yaml", text(made, "manifest.yaml"), Some(&facts))
}

/// Asserts that `validate` has no error.
#[track_caller]
fn sound(made: &Scaffold) {
    let report = judge(made);
    let manifest = text(made, "manifest.yaml");
    let bad = report.manifest.is_none()
        || report
            .findings
            .iter()
            .any(|f| f.severity == Severity::Error);
    assert!(!bad, "{}\n{manifest}", report.render(manifest, false));
}

fn answers(auth: AuthKind) -> Answers {
    Answers {
        name: Some("Acme Desk".into()),
        base_url: Some("https://{company}.acme.com/api".into()),
        auth: Some(auth),
        test_path: Some("/v1/me".into()),
        ..Answers::default()
    }
}

fn of(document: &Value) -> Scaffold {
    let made = scaffold(&openapi::draft(&document.to_string(), &Answers::default()).unwrap());
    sound(&made);
    made
}

fn manifest(made: &Scaffold) -> Value {
    serde_yaml::from_str(text(made, "manifest.yaml")).unwrap()
}

/// A vendor's document with nothing special about it.
fn vendor() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Acme Desk API v2", "summary": "Tickets and people of the Acme Desk.", "version": "2"},
        "servers": [{"url": "https://api.acme.com/v2"}],
        "externalDocs": {"url": "https://docs.acme.com"},
        "security": [{"token": []}, {"oauth": ["me:read"]}],
        "paths": {
            "/tickets": {"get": {"responses": {"200": {"description": "x"}}}},
            "/users/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "required": true}], "responses": {}}},
            "/account": {"get": {"summary": "The account", "responses": {"200": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Envelope"},
                "example": {"data": {"id": 7, "email": "zoe@acme.com"}}}}}}}},
            "/ping": {"get": {"security": [], "responses": {"200": {}}}}
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "oauth": {"type": "oauth2", "flows": {"authorizationCode": {
                    "authorizationUrl": "https://acme.com/oauth/authorize", "tokenUrl": "/oauth/token",
                    "scopes": {"me:read": "", "tickets:write": ""}}}}
            },
            "schemas": {
                "Envelope": {"properties": {"data": {"allOf": [{"$ref": "#/components/schemas/Account"}]}, "self": {"$ref": "#/components/schemas/Envelope"}}},
                "Account": {"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": ["string", "null"]}, "plan": {"type": "object"}}}
            }
        }
    })
}

#[test]
fn every_way_to_sign_in_makes_a_manifest_without_errors() {
    for auth in [
        AuthKind::Oauth2,
        AuthKind::ApiKey,
        AuthKind::Basic,
        AuthKind::Bearer,
    ] {
        let made = scaffold(&answers(auth).draft().unwrap());
        sound(&made);
        assert_eq!(made.id, "acme-desk");
        assert!(!made.blanks.is_empty());
        for (line, todo) in &made.blanks {
            let above = text(&made, "manifest.yaml").lines().nth(line - 2).unwrap();
            assert!(
                above.ends_with(&format!("# TODO(keyport): {todo}")),
                "{above}"
            );
        }
    }
}

#[test]
fn validate_warns_about_each_blank_and_about_nothing_else() {
    for auth in [
        AuthKind::Oauth2,
        AuthKind::ApiKey,
        AuthKind::Basic,
        AuthKind::Bearer,
    ] {
        let made = scaffold(&answers(auth).draft().unwrap());
        let report = judge(&made);
        let warned: Vec<(&str, usize)> = report
            .findings
            .iter()
            .filter(|f| f.severity != Severity::Note)
            .map(|f| (f.rule, f.line))
            .collect();
        let manifest = text(&made, "manifest.yaml");
        let told = report.render(manifest, false);
        for (line, todo) in &made.blanks {
            assert!(warned.contains(&("V12", *line)), "{todo}\n{told}");
        }
        for (rule, line) in warned {
            let blank = made.blanks.iter().any(|(at, _)| *at == line);
            assert!(rule == "V12" && blank, "{rule} {line}\n{told}\n{manifest}");
        }
    }
}

#[test]
fn a_vendors_document_says_where_how_and_whose() {
    let made = of(&vendor());
    let m = manifest(&made);
    assert_eq!(made.id, "acme-desk");
    assert_eq!(m["name"], "Acme Desk");
    assert_eq!(m["summary"], "Tickets and people of the Acme Desk.");
    assert_eq!(m["api"]["base_url"], "https://api.acme.com/v2");
    let methods: Vec<&String> = m["auth"].as_object().unwrap().keys().collect();
    assert_eq!(methods, ["oauth", "token"]);
    let oauth = &m["auth"]["oauth"];
    assert_eq!(oauth["token_url"], "https://api.acme.com/oauth/token");
    assert_eq!(oauth["scopes"]["default"], json!(["me:read"]));
    assert_eq!(oauth["scopes"]["optional"], json!(["tickets:write"]));
    assert_eq!(m["test"]["request"]["path"], "/account");
    assert_eq!(m["test"]["ok"]["body"], "$.data.id");
    assert_eq!(m["test"]["account"]["id"], "{{ body.data.id }}");
    let fixture: Value = serde_yaml::from_str(text(&made, "fixtures/test.yaml")).unwrap();
    assert_eq!(fixture[0]["origin"], "vendor-openapi");
    assert_eq!(
        fixture[0]["expect"]["account"],
        json!({"id": "7", "label": "zoe@acme.com"})
    );
}

#[test]
fn swagger_2_in_yaml_is_read_too() {
    let document = r"
swagger: '2.0'
info: {title: Acme, version: 1.0}
host: api.acme.com
basePath: /v1
securityDefinitions:
  site: {type: oauth2, flow: accessCode, authorizationUrl: 'https://acme.com/a', tokenUrl: 'https://acme.com/t', scopes: {read: x}}
  old: {type: oauth2, flow: password, tokenUrl: 'https://acme.com/t'}
paths:
  /me:
    get:
      parameters: [{name: X-Version, in: header, required: true, type: string, enum: ['7']}]
      responses:
        200: {schema: {type: object, properties: {uuid: {type: string}, name: {type: string}}}}
";
    let made = scaffold(&openapi::draft(document, &Answers::default()).unwrap());
    sound(&made);
    let m = manifest(&made);
    assert_eq!(m["api"]["base_url"], "https://api.acme.com/v1");
    assert_eq!(m["api"]["headers"], json!({"x-version": "7"}));
    assert_eq!(m["auth"]["oauth"]["authorize_url"], "https://acme.com/a");
    assert_eq!(m["test"]["account"]["id"], "{{ body.uuid }}");
    assert!(
        made.remarks
            .iter()
            .any(|r| r.contains("`old`") && r.contains("passwords")),
        "{:?}",
        made.remarks
    );
}

#[test]
fn schemes_that_are_needed_together_are_one_way_to_sign_in() {
    let mut document = vendor();
    document["components"]["securitySchemes"] = json!({
        "app": {"type": "apiKey", "in": "header", "name": "X-App-Key"},
        "key": {"type": "apiKey", "in": "query", "name": "api_key"},
        "token": {"type": "http", "scheme": "bearer"}});
    document["security"] = json!([{"app": [], "key": []}, {"token": [], "app": []}]);
    let m = manifest(&of(&document));
    let keys = &m["auth"]["api_keys"];
    assert_eq!(keys["type"], "api_key");
    assert_eq!(keys["inject"][0]["header"], "X-App-Key");
    assert_eq!(keys["inject"][1]["query"], "api_key");
    let token = &m["auth"]["token"];
    assert_eq!(token["type"], "api_key");
    assert_eq!(
        token["inject"][0]["value"],
        "Bearer {{ credentials.token }}"
    );
    assert_eq!(token["inject"][1]["header"], "X-App-Key");
}

#[test]
fn what_nobody_should_imitate_is_left_out_with_a_remark() {
    let mut document = vendor();
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "oauth": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://acme.com/a", "scopes": {}}}}});
    let made = of(&document);
    assert!(made.remarks[0].contains("cookie"), "{:?}", made.remarks);
    let m = manifest(&made);
    assert_eq!(m["auth"].as_object().unwrap().len(), 1);
    assert_eq!(
        m["auth"]["oauth"]["token_url"],
        "https://example.com/TODO/token"
    );
    assert!(
        made.blanks
            .iter()
            .any(|(_, todo)| todo.contains("implicit"))
    );
}

#[test]
fn an_answer_goes_before_what_the_document_says() {
    let answers = Answers {
        id: Some("mine".into()),
        auth: Some(AuthKind::Bearer),
        base_url: Some("https://{shop}.acme.com".into()),
        test_path: Some("/whoami".into()),
        ..Answers::default()
    };
    let made = scaffold(&openapi::draft(&vendor().to_string(), &answers).unwrap());
    sound(&made);
    let m = manifest(&made);
    assert_eq!(m["id"], "mine");
    assert_eq!(m["api"]["base_url"], "https://{{ fields.shop }}.acme.com");
    assert_eq!(m["test"]["request"]["path"], "/whoami");
    assert_eq!(
        m["test"]["account"]["id"],
        "{{ fields.shop }}:{{ body.id }}"
    );
    let methods: Vec<&String> = m["auth"].as_object().unwrap().keys().collect();
    assert_eq!(methods, ["token"]);
}

#[test]
fn what_is_no_document_is_said_in_a_sentence() {
    for (text, said) in [
        ("{", "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ("hello", "not an OpenAPI document"),
        ("swagger: '1.2'", "OpenAPI 1.2 is not read"),
        ("openapi: 4.0.0", "OpenAPI 4.0.0 is not read"),
    ] {
        let error = openapi::draft(text, &Answers::default()).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

/// Every node of a document, by pointer.
fn pointers(node: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match node {
        Value::Object(map) => {
            for (name, inner) in map {
                let step = name.replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{at}/{step}"), into);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                pointers(inner, &format!("{at}/{i}"), into);
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_stands_anywhere_in_a_document_the_scaffold_is_sound() {
    let document = vendor();
    let mut all = Vec::new();
    pointers(&document, "", &mut all);
    let hostile = [
        json!(null),
        json!([]),
        json!({}),
        json!(-1.5e300),
        json!("{{ credentials.token }} {% x %}"),
        json!("a\nb: c # \u{202e}\"'<script>&amp;{x}"),
        json!({"$ref": "#"}),
        json!([{"": [{}]}]),
    ];
    let mut made = 0;
    for pointer in all.iter().filter(|p| !p.is_empty()) {
        for value in &hostile {
            let mut changed = document.clone();
            *changed.pointer_mut(pointer).unwrap() = value.clone();
            if let Ok(draft) = openapi::draft(&changed.to_string(), &Answers::default()) {
                sound(&scaffold(&draft));
                made += 1;
            }
        }
    }
    assert!(made > 500, "{made}");
}
