use serde_json::json;

use super::*;
use crate::model::Manifest;

fn field(extra: Value) -> Field {
    let mut base = json!({"id": "f", "label": "Thing"});
    base.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

#[test]
fn every_value_is_one_that_the_field_takes() {
    for extra in [
        json!({}),
        json!({"format": "dns-label", "prefix": "https://", "suffix": ".acme.test"}),
        json!({"format": "host", "suffixes": [".vendor.test", "other.test"]}),
        json!({"format": "origin", "suffixes": [".vendor.test"]}),
        json!({"format": "email"}),
        json!({"format": "uuid"}),
        json!({"format": "digits", "pattern": "[0-9]{6,8}"}),
        json!({"choices": ["eu", "us"]}),
        json!({"pattern": "(?:key|pat)-[A-F0-9]{32}"}),
    ] {
        let field = field(extra.clone());
        let values = values(&field);
        assert!(!values.is_empty(), "{extra}");
        for value in &values {
            assert_eq!(field.parse(value).as_ref(), Ok(value), "{extra}");
        }
    }
}

#[test]
fn what_the_author_gave_comes_first_and_an_optional_field_may_be_empty() {
    let field = field(json!({"default": "b", "example": "c", "choices": ["a", "b", "c"]}));
    assert_eq!(values(&field), ["b", "c", "a"]);
    let optional = self::field(json!({"required": false, "example": "x"}));
    assert_eq!(values(&optional).last().unwrap(), "");
}

#[test]
fn a_pattern_alone_is_enough_to_make_different_values() {
    let field = field(json!({"pattern": "[a-z]{3}-[0-9]{4}"}));
    let values = values(&field);
    assert!(values.len() > 2, "{values:?}");
}

#[test]
fn connections_hold_every_value_once_and_no_secret() {
    let manifest: Manifest = serde_json::from_value(json!({
        "manifest": 1, "id": "a", "name": "A", "version": "1.0.0", "summary": "S.", "component": "rest",
        "fields": [{"id": "region", "label": "Region", "choices": ["eu", "us", "ap"]}],
        "api": {"base_url": "https://api.acme.test"},
        "auth": {"key": {"type": "api_key", "label": "Key", "fields": [
            {"id": "key", "label": "Key", "secret": true},
            {"id": "team", "label": "Team", "choices": ["x", "y"]}],
            "inject": [{"header": "X-Key", "value": "{{ credentials.key }}"}]}},
        "test": {"none": "nothing to call"}
    }))
    .unwrap();
    let all = connections(&manifest, "key", 100);
    assert_eq!(all.len(), 6);
    for region in ["eu", "us", "ap"] {
        assert!(all.iter().any(|c| c.fields["region"] == region));
    }
    assert!(all.iter().all(|c| !c.credentials.contains_key("key")));
    assert_eq!(connections(&manifest, "key", 2).len(), 2);
    assert!(connections(&manifest, "none", 100).is_empty());
}
