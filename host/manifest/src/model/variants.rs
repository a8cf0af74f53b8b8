//! Variants: one choice that sets several constants at once (production or sandbox, a data centre, a region).
//!
//! The person chooses by name and the manifest alone says which hosts follow from it, so a variant can never send a secret
//! to a host that its author did not write down. In the form it is one more field, `variant`; in templates its constants
//! are `{{ variant.<name> }}`, and `{{ variant.id }}` is the chosen key.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Choice, Field, Format};

/// The id of the field that a person chooses a variant in.
pub const VARIANT_FIELD: &str = "variant";

/// One choice of constants, asked for in the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "VariantsText", into = "VariantsText")]
pub struct Variants {
    /// What the choice is called in the form: `Environment`, `Region`.
    pub label: String,
    /// One sentence of advice.
    pub help: Option<String>,
    /// The key of the choice that is meant if the person says nothing; without it they must choose.
    pub default: Option<String>,
    /// The choices by key; each sets the same constants.
    pub choices: IndexMap<String, Variant>,
    field: Box<Field>,
}

/// One of the choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What people see: `Sandbox`.
    pub label: String,
    /// The constants, `{{ variant.<name> }}` in templates.
    #[serde(default)]
    pub values: IndexMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct VariantsText {
    /// What people call the choice: `Environment`, `Region`.
    label: String,
    /// How to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// The variant that is taken if nobody chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    /// The variants by id; each has the same values.
    choices: IndexMap<String, Variant>,
}

impl TryFrom<VariantsText> for Variants {
    type Error = String;

    fn try_from(text: VariantsText) -> Result<Self, String> {
        if text.choices.is_empty() {
            return Err("`choices` is empty; name at least one variant".to_owned());
        }
        let choices = text
            .choices
            .iter()
            .map(|(value, variant)| Choice {
                value: value.clone(),
                label: variant.label.clone(),
            })
            .collect();
        let field = Field {
            help: text.help.clone(),
            default: text.default.clone(),
            choices,
            ..Field::named(VARIANT_FIELD, &text.label, Format::Text)
        };
        Ok(Self {
            label: text.label,
            help: text.help,
            default: text.default,
            choices: text.choices,
            field: Box::new(field),
        })
    }
}

impl From<Variants> for VariantsText {
    fn from(variants: Variants) -> Self {
        Self {
            label: variants.label,
            help: variants.help,
            default: variants.default,
            choices: variants.choices,
        }
    }
}

impl Variants {
    /// The choice as a field of the form: its id is `variant`, its value the key of a choice.
    #[must_use]
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// What the root `variant` holds for a choice: its constants, and its key as `id`. `None` if there is no such choice.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<Value> {
        let variant = self.choices.get(key)?;
        let mut values: Map<String, Value> = variant
            .values
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())))
            .collect();
        values.insert("id".to_owned(), Value::String(key.to_owned()));
        Some(Value::Object(values))
    }

    /// Every value that `{{ variant.<name> }}` can have; empty if some choice does not set it.
    #[must_use]
    pub fn each(&self, name: &str) -> Vec<&str> {
        self.choices
            .iter()
            .map(|(key, variant)| match name {
                "id" => Some(key.as_str()),
                _ => variant.values.get(name).map(String::as_str),
            })
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default()
    }
}
