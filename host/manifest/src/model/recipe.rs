//! Secrets for components, without giving them away.
//!
//! A component that must sign requests never sees the key. It asks the host for a *derived* value (a recipe) or for a
//! *handle* on a named secret and gets a random placeholder; the egress puts the real value in only where the manifest
//! declares a slot. Threat: a free hash over a short secret is an oracle, and a placeholder in free text would leak, so
//! both are declared here, reviewed, and refused anywhere else.

use serde::{Deserialize, Serialize};

use crate::scope::Scope;
use crate::secret::SecretText;
use crate::template::{RenderError, Slot, Template, hex, hmac_sha256};

/// A value that the host computes from secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Recipe {
    /// HMAC-SHA256 (RFC 2104, FIPS 180-4).
    HmacSha256 {
        /// The key; may read secrets.
        key: Template,
        /// What is signed; `{{ args.message }}` if not said.
        #[serde(default = "args_message")]
        message: Template,
        /// How the result is written.
        #[serde(default)]
        encoding: Encoding,
        /// Put before the result: `sha256=`, `v0=`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// Where the placeholder may go.
        slots: Vec<SecretSlot>,
    },
    /// HTTP Basic: `Basic base64(username:password)`.
    Basic {
        /// The user name; may read secrets.
        username: Template,
        /// The password; may read secrets.
        password: Template,
        /// Where the placeholder may go.
        slots: Vec<SecretSlot>,
    },
}

fn args_message() -> Template {
    Template::parse("{{ args.message }}").unwrap_or_else(|_| Template::literal(""))
}

/// How bytes become text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal.
    #[default]
    Hex,
    /// Base64 with padding (RFC 4648, part 4).
    Base64,
    /// Base64 for URLs, without padding (part 5).
    Base64url,
}

impl Encoding {
    fn write(self, bytes: &[u8]) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        match self {
            Self::Hex => hex(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// A secret that a component may place by handle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Handle {
    /// The secret.
    pub value: Template,
    /// Where the placeholder may go.
    pub slots: Vec<SecretSlot>,
}

/// Where a placeholder may go: `{header: NAME}` or `{query: NAME}`. The whole value of the header or parameter may hold
/// other text around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecretSlot {
    /// A request header, by name in any case.
    Header(String),
    /// A query parameter.
    Query(String),
}

/// Why a recipe gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A template of the recipe failed.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The recipe cannot check what others signed.
    #[error("this recipe cannot verify; only hmac recipes can")]
    NotVerifiable,
    /// The key is empty: anybody could sign.
    #[error("the key is empty")]
    EmptyKey,
}

impl Recipe {
    /// Where the placeholder may go.
    #[must_use]
    pub fn slots(&self) -> &[SecretSlot] {
        match self {
            Self::HmacSha256 { slots, .. } | Self::Basic { slots, .. } => slots,
        }
    }

    /// Every template of the recipe, with the key it stands under.
    #[must_use]
    pub fn templates(&self) -> Vec<(&'static str, &Template)> {
        match self {
            Self::HmacSha256 { key, message, .. } => vec![("key", key), ("message", message)],
            Self::Basic {
                username, password, ..
            } => vec![("username", username), ("password", password)],
        }
    }

    /// Computes the value. `scope` holds `credentials` (host only); `args` are the component's, seen as `args.<name>`.
    ///
    /// # Errors
    /// A missing value or an empty key.
    pub fn derive(
        &self,
        scope: &Scope,
        args: &[(String, String)],
    ) -> Result<SecretText, RecipeError> {
        let scope = with_args(scope, args);
        match self {
            Self::HmacSha256 {
                key,
                message,
                encoding,
                prefix,
                ..
            } => {
                let key = key.render_secret(&scope, Slot::Raw)?;
                let message = message.render_secret(&scope, Slot::Raw)?;
                let mac = mac(&key, message.expose().as_bytes())?;
                Ok(SecretText::new(format!("{prefix}{}", encoding.write(&mac))))
            }
            Self::Basic {
                username, password, ..
            } => {
                let username = username.render_secret(&scope, Slot::Raw)?;
                let password = password.render_secret(&scope, Slot::Raw)?;
                let both = SecretText::new(format!("{}:{}", username.expose(), password.expose()));
                Ok(SecretText::new(format!(
                    "Basic {}",
                    Encoding::Base64.write(both.expose().as_bytes())
                )))
            }
        }
    }

    /// Whether `given` is what this recipe would make of `message`, compared in constant time.
    ///
    /// # Errors
    /// A missing key, or a recipe that does not sign.
    pub fn verify(
        &self,
        scope: &Scope,
        args: &[(String, String)],
        message: &[u8],
        given: &str,
    ) -> Result<bool, RecipeError> {
        let Self::HmacSha256 {
            key,
            encoding,
            prefix,
            ..
        } = self
        else {
            return Err(RecipeError::NotVerifiable);
        };
        let key = key.render_secret(&with_args(scope, args), Slot::Raw)?;
        let wanted = format!("{prefix}{}", encoding.write(&mac(&key, message)?));
        Ok(same(wanted.as_bytes(), given.trim().as_bytes()))
    }
}

fn mac(key: &SecretText, message: &[u8]) -> Result<Vec<u8>, RecipeError> {
    if key.is_empty() {
        return Err(RecipeError::EmptyKey);
    }
    hmac_sha256(key.expose().as_bytes(), message).ok_or(RecipeError::EmptyKey)
}

fn with_args(scope: &Scope, args: &[(String, String)]) -> Scope {
    let mut scope = scope.clone();
    for (name, value) in args {
        scope.set_value("args", name, serde_json::Value::String(value.clone()));
    }
    scope
}

/// Comparison whose time depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn signer(encoding: &str) -> Recipe {
        serde_json::from_value(
            json!({"type": "hmac_sha256", "key": "{{ credentials.k }}", "encoding": encoding,
            "slots": [{"header": "X-Signature"}]}),
        )
        .unwrap()
    }

    fn scope(key: &str) -> Scope {
        Scope::new().with("credentials", json!({"k": key}))
    }

    fn args(message: &str) -> Vec<(String, String)> {
        vec![("message".into(), message.into())]
    }

    #[test]
    fn a_derived_signature_is_the_one_of_rfc_4231() {
        let derived = signer("hex")
            .derive(&scope("Jefe"), &args("what do ya want for nothing?"))
            .unwrap();
        assert_eq!(
            derived.expose(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn verify_says_yes_to_the_right_signature_only() {
        let recipe = signer("base64");
        let signature = recipe.derive(&scope("key"), &args("m")).unwrap();
        let yes = |given: &str, message: &[u8]| {
            recipe.verify(&scope("key"), &[], message, given).unwrap()
        };
        assert!(yes(signature.expose(), b"m"));
        assert!(!yes(signature.expose(), b"n"));
        assert!(!yes("", b"m"));
        assert!(!yes(&signature.expose()[1..], b"m"));
    }

    #[test]
    fn an_empty_key_signs_nothing() {
        assert!(matches!(
            signer("hex").derive(&scope(""), &args("m")),
            Err(RecipeError::EmptyKey)
        ));
        assert!(matches!(
            signer("hex").verify(&scope(""), &[], b"m", "x"),
            Err(RecipeError::EmptyKey)
        ));
    }

    #[test]
    fn an_argument_cannot_reach_the_credentials() {
        let derived = signer("hex")
            .derive(&scope("Jefe"), &args("{{ credentials.k }}"))
            .unwrap();
        let literal = hex(&hmac_sha256(b"Jefe", b"{{ credentials.k }}").unwrap());
        assert_eq!(derived.expose(), literal);
    }
}
