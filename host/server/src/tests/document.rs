//! The API's document and the page that shows it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Server;

#[tokio::test]
async fn the_document_of_the_api_is_as_it_was_agreed() {
    let document = Server::new().await.get("/openapi.json").await.json();
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_refers_to_nothing_that_is_missing() {
    let document = Server::new().await.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut missing = BTreeSet::new();
    each(&document, &mut |value| {
        if let Some(name) = value["$ref"].as_str()
            && document.pointer(name.trim_start_matches('#')).is_none()
        {
            missing.insert(name.to_owned());
        }
    });
    assert_eq!(missing, BTreeSet::new());
}

#[tokio::test]
async fn every_operation_has_a_summary_an_id_of_its_own_and_tells_of_problems() {
    let document = Server::new().await.get("/openapi.json").await.json();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(
                operation["summary"]
                    .as_str()
                    .is_some_and(|text| text.len() > 3),
                "{what}"
            );
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{what}"
            );
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{what}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"]
                ["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{what}");
            for name in path
                .split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap())
            {
                let known = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|one| one["name"] == name);
                assert!(known, "{what}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_to_read_it_loads_only_its_own_two_files() {
    let server = Server::new().await;
    let page = server.get("/docs").await;
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self'")
    );
    assert!(!page.header("content-security-policy").contains("unsafe"));
    let addresses: Vec<_> = page
        .text
        .match_indices("=\"/")
        .map(|(at, _)| page.text[at + 2..].split('"').next().unwrap())
        .collect();
    assert_eq!(
        addresses,
        [
            "/docs/docs.css",
            "/docs/docs.js",
            "/openapi.json",
            "/openapi.json"
        ]
    );
    assert!(
        !page.text.contains("://")
            && !page.text.contains("style=")
            && !page.text.contains("<script>")
    );
    for file in ["/docs/docs.css", "/docs/docs.js"] {
        let answer = server.get(file).await;
        assert_eq!(answer.status, 200);
        assert!(
            !answer.text.contains("://") && !answer.text.contains("innerHTML"),
            "{file}"
        );
    }
}

fn each(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| each(value, look)),
        Value::Array(list) => list.iter().for_each(|value| each(value, look)),
        _ => {}
    }
}
