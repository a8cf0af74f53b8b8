//! The form as people see it, field by field, in order.

use keyport_manifest::Field;
use serde::Serialize;

/// One input.
#[derive(Debug, Serialize)]
pub struct Input {
    pub id: String,
    pub label: String,
    pub required: bool,
    pub secret: bool,
    pub format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help_url: Option<String>,
    /// Value and label of each choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<(String, String)>,
    /// Endings of the file that the value may come as, and its largest size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<(Vec<String>, usize)>,
    /// Shown only while the other field has one of these values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown_when: Option<(String, Vec<String>)>,
}

impl Input {
    pub fn of(field: &Field) -> Self {
        Self {
            id: field.id.clone(),
            label: field.label.clone(),
            required: field.required,
            secret: field.secret,
            format: field.format.name(),
            group: field.group.clone(),
            prefix: field.prefix.clone(),
            suffix: field.suffix.clone(),
            example: field.example.clone(),
            default: field.default.clone(),
            help: field.help.clone(),
            help_url: field.help_url.clone(),
            choices: field
                .choices
                .iter()
                .map(|c| (c.value.clone(), c.label.clone()))
                .collect(),
            file: field
                .file
                .as_ref()
                .map(|file| (file.accept.clone(), field.limit())),
            shown_when: field
                .shown_when
                .as_ref()
                .map(|when| (when.field.clone(), when.values.clone())),
        }
    }
}
