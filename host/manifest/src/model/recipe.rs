//! Secrets for components, without giving them away.
//!
//! A component that must sign requests never sees the key. It asks the host for a *derived* value (a recipe) or for a
//! *handle* on a named secret and gets a random placeholder; the egress puts the real value in only where the manifest
//! declares a slot. Threat: a free hash over a short secret is an oracle, and a placeholder in free text would leak, so
//! both are declared here, reviewed, and refused anywhere else.

use serde::{Deserialize, Serialize};

use super::{Jwt, is_default};
use crate::scope::Scope;
use crate::secret::SecretText;
use crate::template::{RenderError, Slot, Template, hex, hmac_sha1, hmac_sha256, hmac_sha512};

/// What signs a JWT. The host gives it; this crate has no keys of that kind.
pub type Mint<'a> = &'a dyn Fn(&Jwt, &Scope) -> Result<SecretText, RecipeError>;

/// A value that the host computes from secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Recipe {
    /// HMAC-SHA256 (RFC 2104, FIPS 180-4).
    HmacSha256(HmacRecipe),
    /// HMAC-SHA512.
    HmacSha512(HmacRecipe),
    /// HMAC-SHA1, for apps that still sign with it.
    HmacSha1(HmacRecipe),
    /// HTTP Basic: `Basic base64(username:password)`.
    Basic {
        /// The user name; may read secrets.
        username: Template,
        /// The password; may read secrets.
        password: Template,
        /// Where the placeholder may go.
        slots: Vec<SecretSlot>,
    },
    /// A JWT that the host signs (RFC 7519). Its claims may read `args`.
    Jwt {
        /// What is signed, and with what.
        sign: Box<Jwt>,
        /// Put before the token: `Bearer `.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// Where the placeholder may go.
        slots: Vec<SecretSlot>,
    },
    /// The signature of AWS signature version 4, in hexadecimal, over a string to sign that the component makes. Where
    /// whole requests are signed, the way to sign in `aws_sigv4` does it without any code.
    AwsSigv4 {
        /// The secret access key; may read secrets.
        secret_access_key: Template,
        /// The date of the credential scope (`20260131`); `{{ args.date }}` if not said.
        #[serde(default = "args_date")]
        date: Template,
        /// The region of the credential scope.
        region: Template,
        /// The service of the credential scope.
        service: Template,
        /// The string to sign; `{{ args.message }}` if not said.
        #[serde(default = "args_message")]
        message: Template,
        /// Put before the signature: `AWS4-HMAC-SHA256 … Signature=`.
        #[serde(default, skip_serializing_if = "is_default")]
        prefix: Option<Template>,
        /// Where the placeholder may go.
        slots: Vec<SecretSlot>,
    },
}

/// A signature with a shared key (RFC 2104).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HmacRecipe {
    /// The key; may read secrets.
    pub key: Template,
    /// What is signed; `{{ args.message }}` if not said.
    #[serde(default = "args_message")]
    pub message: Template,
    /// How the result is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// Put before the result: `sha256=`, `v0=`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Where the placeholder may go.
    pub slots: Vec<SecretSlot>,
}

fn args_date() -> Template {
    Template::parse("{{ args.date }}").unwrap_or_else(|_| Template::literal(""))
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
    pub(crate) fn write(self, bytes: &[u8]) -> String {
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

/// Where a placeholder may go: `{header: NAME}`, `{query: NAME}`, `{body: NAME}` or `{recipe: NAME}`. The whole value of the
/// header, parameter or member may hold other text around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecretSlot {
    /// A request header, by name in any case.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A member of a JSON body, however deep, or a parameter of a form.
    Body(String),
    /// An argument of this recipe: a value is signed that the component does not have.
    Recipe(String),
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
    /// The JWT was not signed.
    #[error("the token is not signed: {0}")]
    NotSigned(String),
}

impl Recipe {
    /// Where the placeholder may go.
    #[must_use]
    pub fn slots(&self) -> &[SecretSlot] {
        match self {
            Self::HmacSha256(hmac) | Self::HmacSha512(hmac) | Self::HmacSha1(hmac) => &hmac.slots,
            Self::Basic { slots, .. } | Self::Jwt { slots, .. } | Self::AwsSigv4 { slots, .. } => {
                slots
            }
        }
    }

    /// Every template of the recipe, with the key it stands under.
    #[must_use]
    pub fn templates(&self) -> Vec<(String, &Template)> {
        match self {
            Self::HmacSha256(hmac) | Self::HmacSha512(hmac) | Self::HmacSha1(hmac) => {
                vec![
                    ("key".to_owned(), &hmac.key),
                    ("message".to_owned(), &hmac.message),
                ]
            }
            Self::Basic {
                username, password, ..
            } => vec![
                ("username".to_owned(), username),
                ("password".to_owned(), password),
            ],
            Self::Jwt { sign, .. } => sign
                .templates()
                .into_iter()
                .map(|(path, template)| (format!("sign.{path}"), template))
                .collect(),
            Self::AwsSigv4 {
                secret_access_key,
                date,
                region,
                service,
                message,
                prefix,
                ..
            } => [
                ("secret_access_key", secret_access_key),
                ("date", date),
                ("region", region),
                ("service", service),
                ("message", message),
            ]
            .into_iter()
            .chain(prefix.iter().map(|prefix| ("prefix", prefix)))
            .map(|(name, template)| (name.to_owned(), template))
            .collect(),
        }
    }

    /// The key that it signs with: whoever has it makes as many signatures as they like.
    #[must_use]
    pub fn signing_key(&self) -> Option<&Template> {
        match self {
            Self::HmacSha256(hmac) | Self::HmacSha512(hmac) | Self::HmacSha1(hmac) => {
                Some(&hmac.key)
            }
            Self::Jwt { sign, .. } => Some(&sign.key),
            Self::AwsSigv4 {
                secret_access_key, ..
            } => Some(secret_access_key),
            Self::Basic { .. } => None,
        }
    }

    /// Computes the value. `scope` holds `credentials` (host only); `args` are the component's, seen as `args.<name>`;
    /// `mint` signs JWTs.
    ///
    /// # Errors
    /// A missing value or an empty key.
    pub fn derive(
        &self,
        scope: &Scope,
        args: &[(String, String)],
        mint: Mint<'_>,
    ) -> Result<SecretText, RecipeError> {
        let scope = with_args(scope, args);
        let secret = |template: &Template| template.render_secret(&scope, Slot::Raw);
        match self {
            Self::HmacSha256(hmac) | Self::HmacSha512(hmac) | Self::HmacSha1(hmac) => {
                let key = secret(&hmac.key)?;
                let message = secret(&hmac.message)?;
                let mac = self.mac(&key, message.expose().as_bytes())?;
                let written = hmac.encoding.write(&mac);
                Ok(SecretText::new(format!("{}{written}", hmac.prefix)))
            }
            Self::Basic {
                username, password, ..
            } => {
                let (username, password) = (secret(username)?, secret(password)?);
                let both = SecretText::new(format!("{}:{}", username.expose(), password.expose()));
                Ok(SecretText::new(format!(
                    "Basic {}",
                    Encoding::Base64.write(both.expose().as_bytes())
                )))
            }
            Self::Jwt { sign, prefix, .. } => {
                let token = mint(sign, &scope)?;
                Ok(SecretText::new(format!("{prefix}{}", token.expose())))
            }
            Self::AwsSigv4 {
                secret_access_key,
                date,
                region,
                service,
                message,
                prefix,
                ..
            } => {
                let key = secret(secret_access_key)?;
                if key.is_empty() {
                    return Err(RecipeError::EmptyKey);
                }
                let mut signed = SecretText::new(format!("AWS4{}", key.expose()))
                    .expose()
                    .as_bytes()
                    .to_vec();
                let scope_part = SecretText::new("aws4_request".to_owned());
                for part in [
                    secret(date)?,
                    secret(region)?,
                    secret(service)?,
                    scope_part,
                    secret(message)?,
                ] {
                    signed = hmac_sha256(&signed, part.expose().as_bytes())
                        .ok_or(RecipeError::EmptyKey)?;
                }
                let before = prefix.as_ref().map(secret).transpose()?;
                let before = before.as_ref().map_or("", SecretText::expose);
                Ok(SecretText::new(format!("{before}{}", hex(&signed))))
            }
        }
    }

    /// Whether `given` is what this recipe would make of `message`, compared in constant time.
    ///
    /// # Errors
    /// A missing key, or a recipe that does not sign with a shared key.
    pub fn verify(
        &self,
        scope: &Scope,
        args: &[(String, String)],
        message: &[u8],
        given: &str,
    ) -> Result<bool, RecipeError> {
        let (Self::HmacSha256(hmac) | Self::HmacSha512(hmac) | Self::HmacSha1(hmac)) = self else {
            return Err(RecipeError::NotVerifiable);
        };
        let key = hmac.key.render_secret(&with_args(scope, args), Slot::Raw)?;
        let mac = self.mac(&key, message)?;
        let wanted = format!("{}{}", hmac.prefix, hmac.encoding.write(&mac));
        Ok(same(wanted.as_bytes(), given.trim().as_bytes()))
    }

    fn mac(&self, key: &SecretText, message: &[u8]) -> Result<Vec<u8>, RecipeError> {
        if key.is_empty() {
            return Err(RecipeError::EmptyKey);
        }
        let hash = match self {
            Self::HmacSha1(_) => hmac_sha1,
            Self::HmacSha512(_) => hmac_sha512,
            _ => hmac_sha256,
        };
        hash(key.expose().as_bytes(), message).ok_or(RecipeError::EmptyKey)
    }
}

fn with_args(scope: &Scope, args: &[(String, String)]) -> Scope {
    let mut scope = scope.clone();
    for (name, value) in args {
        scope.set_value("args", name, serde_json::Value::String(value.clone()));
    }
    scope
}

/// Comparison whose time depends on the lengths alone.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
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

    /// The tests that need it have one of their own.
    fn none(_: &Jwt, _: &Scope) -> Result<SecretText, RecipeError> {
        Err(RecipeError::NotSigned("no".to_owned()))
    }

    fn args(message: &str) -> Vec<(String, String)> {
        vec![("message".into(), message.into())]
    }

    #[test]
    fn a_derived_signature_is_the_one_of_rfc_4231() {
        let derived = signer("hex")
            .derive(&scope("Jefe"), &args("what do ya want for nothing?"), &none)
            .unwrap();
        assert_eq!(
            derived.expose(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn verify_says_yes_to_the_right_signature_only() {
        let recipe = signer("base64");
        let signature = recipe.derive(&scope("key"), &args("m"), &none).unwrap();
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
            signer("hex").derive(&scope(""), &args("m"), &none),
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
            .derive(&scope("Jefe"), &args("{{ credentials.k }}"), &none)
            .unwrap();
        let literal = hex(&hmac_sha256(b"Jefe", b"{{ credentials.k }}").unwrap());
        assert_eq!(derived.expose(), literal);
    }

    /// The signing key and signature of AWS's own example (IAM, ListUsers; Signature Version 4, deriving a signing key).
    #[test]
    fn a_signature_of_version_4_is_the_one_of_the_vendors_example() {
        let recipe: Recipe = serde_json::from_value(json!({
            "type": "aws_sigv4", "secret_access_key": "{{ credentials.k }}", "region": "us-east-1", "service": "iam",
            "slots": [{"header": "X-Signature"}],
        }))
        .unwrap();
        let message = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
            f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let args = [
            ("date".to_owned(), "20150830".to_owned()),
            ("message".to_owned(), message.to_owned()),
        ];
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let derived = recipe.derive(&scope(key), &args, &none).unwrap();
        assert_eq!(
            derived.expose(),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn each_hash_is_its_own_and_each_checks_what_it_signs() {
        let mut lengths = Vec::new();
        for kind in ["hmac_sha1", "hmac_sha256", "hmac_sha512"] {
            let recipe: Recipe = serde_json::from_value(
                json!({"type": kind, "key": "{{ credentials.k }}", "slots": [{"query": "sig"}]}),
            )
            .unwrap();
            let signed = recipe.derive(&scope("k"), &args("m"), &none).unwrap();
            lengths.push(signed.len());
            assert!(
                recipe
                    .verify(&scope("k"), &[], b"m", signed.expose())
                    .unwrap()
            );
        }
        assert_eq!(lengths, [40, 64, 128]);
    }

    #[test]
    fn a_token_is_minted_from_what_the_recipe_declares_and_cannot_be_verified_by_it() {
        let recipe: Recipe = serde_json::from_value(json!({
            "type": "jwt", "prefix": "Bearer ", "slots": [{"header": "X-Token"}],
            "sign": {"alg": "HS256", "key": "{{ credentials.k }}", "claims": {"sub": "{{ args.sub }}"}},
        }))
        .unwrap();
        let mint = |jwt: &Jwt, scope: &Scope| {
            let key = jwt.key.render_secret(scope, Slot::Raw)?;
            let subject = scope.get("args", "sub").and_then(|sub| sub.as_str());
            Ok(SecretText::new(format!(
                "{}.{}",
                key.expose(),
                subject.unwrap_or_default()
            )))
        };
        let args = [("sub".to_owned(), "ann".to_owned())];
        let derived = recipe.derive(&scope("k"), &args, &mint).unwrap();
        assert_eq!(derived.expose(), "Bearer k.ann");
        assert!(matches!(
            recipe.verify(&scope("k"), &args, b"m", "x"),
            Err(RecipeError::NotVerifiable)
        ));
        assert_eq!(
            recipe.signing_key().unwrap().source(),
            "{{ credentials.k }}"
        );
    }
}
