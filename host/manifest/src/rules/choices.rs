//! What one may choose from: the list that another action gives, as values and labels.
//!
//! Values keep their kind, for an input's schema may want a number. An item without a value is left out, and one whose value was there
//! before, too: nobody could tell them apart. An item without a label is shown by its value.

use serde_json::Value;

use crate::model::ChoicesFrom;

/// One choice of an input property.
#[derive(Debug, Clone, PartialEq)]
pub struct InputChoice {
    /// What is put into the property: a text, a number or a boolean.
    pub value: Value,
    /// What people see.
    pub label: String,
}

/// The choices that an action's output lists, in its order.
#[must_use]
pub fn input_choices(from: &ChoicesFrom, output: &Value) -> Vec<InputChoice> {
    let listed: Vec<&Value> = match &from.items {
        Some(path) => path.select(output),
        None => vec![output],
    };
    let items = listed.into_iter().flat_map(|found| match found {
        Value::Array(items) => items.iter().collect::<Vec<_>>(),
        one => vec![one],
    });
    let mut choices: Vec<InputChoice> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for item in items {
        let Some((value, text)) = from.value.select(item).first().and_then(|v| plain(v)) else {
            continue;
        };
        if !known.insert(value.to_string()) {
            continue;
        }
        let label = from
            .label
            .as_ref()
            .and_then(|path| path.select(item).first().and_then(|v| plain(v)))
            .map(|(_, label)| label)
            .filter(|label| !label.trim().is_empty());
        choices.push(InputChoice {
            value,
            label: label.unwrap_or(text),
        });
    }
    choices
}

/// A value that can be chosen, and how it is written.
fn plain(value: &Value) -> Option<(Value, String)> {
    let text = match value {
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some((value.clone(), text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(from: Value, output: Value) -> Vec<(Value, String)> {
        let from = serde_json::from_value(from).unwrap();
        let found = input_choices(&from, &output);
        found.into_iter().map(|it| (it.value, it.label)).collect()
    }

    #[test]
    fn values_keep_their_kind_and_labels_fall_back_to_them() {
        let from = json!({"action": "list", "items": "$.all", "value": "$.id", "label": "$.name"});
        let output = json!({"all": [
            {"id": 7, "name": "Seven"}, {"id": "a"}, {"id": "b", "name": " "}, {"id": true, "name": 3},
            {"name": "no value"}, {"id": null}, {"id": {"x": 1}}, {"id": ""}, {"id": 7, "name": "again"}, "text",
        ]});
        assert_eq!(
            of(from, output),
            [
                (json!(7), "Seven".to_owned()),
                (json!("a"), "a".to_owned()),
                (json!("b"), "b".to_owned()),
                (json!(true), "3".to_owned()),
            ]
        );
    }

    #[test]
    fn an_output_that_is_the_list_needs_no_path_to_it() {
        let from = json!({"action": "list", "value": "$"});
        assert_eq!(
            of(from.clone(), json!(["x", "y"])),
            [(json!("x"), "x".to_owned()), (json!("y"), "y".to_owned())]
        );
        assert!(of(from, json!([])).is_empty());
    }
}
