//! Scopes: what is asked for, in which parameters, and how servers write what they granted.

use serde::{Deserialize, Serialize};

use crate::scope::Scope;
use crate::template::{RenderError, Slot, Template};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Always asked for. A scope may be built from public fields: `https://{{ fields.org }}.example.com/.default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<Template>,
    /// What an operator may add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<Template>,
    /// Between scopes; a space if not said.
    #[serde(default = "space", skip_serializing_if = "is_space")]
    pub separator: String,
    /// Name of the parameter; `scope` if not said.
    #[serde(default = "scope", skip_serializing_if = "is_scope")]
    pub param: String,
    /// Scopes of further parameters, where the app keeps kinds of scope apart (Slack's `user_scope`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraScopes>,
}

/// Scopes that go into a parameter of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtraScopes {
    /// Name of the parameter.
    pub param: String,
    /// Always asked for. A scope may be built from public fields: `https://{{ fields.org }}.example.com/.default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<Template>,
    /// What an operator may add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<Template>,
    /// Between scopes; a space if not said.
    #[serde(default = "space", skip_serializing_if = "is_space")]
    pub separator: String,
}

fn space() -> String {
    " ".to_owned()
}

fn is_space(text: &str) -> bool {
    text == " "
}

fn scope() -> String {
    "scope".to_owned()
}

fn is_scope(text: &str) -> bool {
    text == "scope"
}

impl Default for Scopes {
    fn default() -> Self {
        Self {
            default: Vec::new(),
            optional: Vec::new(),
            separator: space(),
            param: scope(),
            extra: Vec::new(),
        }
    }
}

impl Scopes {
    /// Whether the manifest writes this scope, as one that is always asked for or as one that an operator may add.
    #[must_use]
    pub fn declares(&self, text: &str) -> bool {
        let mut all = self.default.iter().chain(&self.optional);
        all.any(|t| t.source() == text)
    }

    /// What is always asked for, with the values of one connection.
    ///
    /// # Errors
    /// See [`rendered`].
    pub fn defaults(&self, scope: &Scope) -> Result<Vec<String>, RenderError> {
        rendered(&self.default, &self.separator, scope)
    }

    /// The scopes that an operator chose, each as the manifest writes it, with the values of one connection. What the manifest
    /// does not write is taken as it is.
    ///
    /// # Errors
    /// See [`rendered`].
    pub fn chosen(&self, chosen: &[String], scope: &Scope) -> Result<Vec<String>, RenderError> {
        let mut all = Vec::new();
        for text in chosen {
            let declared = self.default.iter().chain(&self.optional);
            match declared.into_iter().find(|t| t.source() == text) {
                Some(template) => all.push(one(template, &self.separator, scope)?),
                None => all.push(text.clone()),
            }
        }
        Ok(all)
    }

    /// The parameter's value for these scopes, or `None` if there are none.
    #[must_use]
    pub fn join<'s>(&self, scopes: impl IntoIterator<Item = &'s str>) -> Option<String> {
        let all: Vec<&str> = scopes.into_iter().collect();
        (!all.is_empty()).then(|| all.join(&self.separator))
    }

    /// Splits what a server says was granted: the declared separator, and spaces and commas as servers mix them up.
    #[must_use]
    pub fn split(&self, text: &str) -> Vec<String> {
        text.replace(self.separator.as_str(), " ")
            .split([' ', ',', '+'])
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl ExtraScopes {
    /// The parameter's value with the values of one connection.
    ///
    /// # Errors
    /// See [`rendered`].
    pub fn value(&self, scope: &Scope) -> Result<String, RenderError> {
        Ok(rendered(&self.default, &self.separator, scope)?.join(&self.separator))
    }
}

/// Scopes with the values of one connection.
///
/// # Errors
/// A value that is missing, or that would make two scopes of one: a person who types `acme admin` into a field asks for
/// nothing beyond what the manifest says.
pub fn rendered(
    scopes: &[Template],
    separator: &str,
    scope: &Scope,
) -> Result<Vec<String>, RenderError> {
    scopes.iter().map(|t| one(t, separator, scope)).collect()
}

fn one(template: &Template, separator: &str, scope: &Scope) -> Result<String, RenderError> {
    if let Some(text) = template.as_literal() {
        return Ok(text.to_owned());
    }
    let text = template.render(scope, Slot::Raw)?;
    let splits = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '+');
    if text.is_empty() || text.contains(splits) || text.contains(separator) {
        return Err(RenderError::Unsafe {
            expression: template.source().to_owned(),
            slot: "scope",
            reason: "it is empty or more than one scope",
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scopes() -> Scopes {
        serde_json::from_value(
            json!({"default": ["offline_access", "https://{{ fields.org }}.crm.example/.default"],
            "optional": ["x.{{ fields.org }}", "plain"]}),
        )
        .unwrap()
    }

    fn of(org: &str) -> Scope {
        Scope::new().with("fields", json!({"org": org}))
    }

    #[test]
    fn scopes_take_the_values_of_a_connection() {
        let all = scopes();
        let made = all.defaults(&of("acme")).unwrap();
        assert_eq!(
            made,
            ["offline_access", "https://acme.crm.example/.default"]
        );
        let chosen = ["x.{{ fields.org }}".to_owned(), "their.own".to_owned()];
        assert_eq!(
            all.chosen(&chosen, &of("acme")).unwrap(),
            ["x.acme", "their.own"]
        );
        assert!(all.declares("plain") && !all.declares("x.acme"));
        assert!(all.defaults(&Scope::new()).is_err());
    }

    #[test]
    fn a_value_never_makes_two_scopes_of_one() {
        for evil in [
            "acme admin",
            "acme\tadmin",
            "a,admin",
            "a+admin",
            "a\nadmin",
            "a\u{a0}b",
        ] {
            let made = scopes().defaults(&of(evil));
            assert!(matches!(made, Err(RenderError::Unsafe { .. })), "{evil}");
        }
        let semicolons = Scopes {
            separator: ";".to_owned(),
            ..scopes()
        };
        assert!(semicolons.defaults(&of("a;admin")).is_err());
    }
}
