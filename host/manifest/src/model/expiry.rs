//! When a token or session ends, as answers really say it.
//!
//! Without a source, `expires_in` of RFC 6749 is read: seconds, as a number or text. How a source is read lives in
//! `rules::expiry`.

use serde::{Deserialize, Serialize};

use super::is_default;
use crate::path::JsonPath;

/// Where the end of a token comes from. Written as one of `{in: PATH, unit}`, `{at: PATH, unit}`, `{jwt: access_token}`,
/// `{fixed: SECONDS}` or `{never: REASON}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "ExpiryText", into = "ExpiryText")]
pub enum Expiry {
    /// A time from now, as a number or text.
    In {
        /// Where it is, seen from where the tokens are.
        path: JsonPath,
        /// What it counts.
        unit: SpanUnit,
    },
    /// A moment.
    At {
        /// Where it is, seen from where the tokens are.
        path: JsonPath,
        /// How it is written.
        unit: MomentUnit,
    },
    /// The `exp` claim of a JWT: `access_token` or `id_token`, or the name of a session's capture.
    Jwt(String),
    /// Always this many seconds.
    Fixed(u64),
    /// It never ends, and how one knows.
    Never(String),
}

/// What a relative time counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpanUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Minutes.
    Minutes,
    /// Hours, minutes and seconds as a clock shows them: `177:05:38`.
    Clock,
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MomentUnit {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// A date and time with its offset (RFC 3339): `2026-03-01T12:00:00Z`.
    Rfc3339,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct ExpiryText {
    /// Where the answer says how long the token lives.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    span: Option<JsonPath>,
    /// Where the answer says when the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<JsonPath>,
    /// The token whose `exp` claim says when it ends: `access_token`, `id_token`, or a capture of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
    /// Seconds that each token lives, known from the app's documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fixed: Option<u64>,
    /// Why the token never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    never: Option<String>,
    /// What the value counts: seconds if not said.
    #[serde(default, skip_serializing_if = "is_default")]
    unit: Option<Unit>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Unit {
    Seconds,
    Milliseconds,
    Minutes,
    Clock,
    Rfc3339,
}

impl TryFrom<ExpiryText> for Expiry {
    type Error = &'static str;

    fn try_from(t: ExpiryText) -> Result<Self, Self::Error> {
        const ONE: &str = "an expiry has exactly one of `in`, `at`, `jwt`, `fixed` and `never`";
        let span = || match t.unit {
            None | Some(Unit::Seconds) => Ok(SpanUnit::Seconds),
            Some(Unit::Milliseconds) => Ok(SpanUnit::Milliseconds),
            Some(Unit::Minutes) => Ok(SpanUnit::Minutes),
            Some(Unit::Clock) => Ok(SpanUnit::Clock),
            Some(Unit::Rfc3339) => Err("`in` counts seconds, milliseconds, minutes or a clock"),
        };
        let moment = || match t.unit {
            None | Some(Unit::Seconds) => Ok(MomentUnit::Seconds),
            Some(Unit::Milliseconds) => Ok(MomentUnit::Milliseconds),
            Some(Unit::Rfc3339) => Ok(MomentUnit::Rfc3339),
            Some(Unit::Minutes | Unit::Clock) => {
                Err("`at` is written in seconds, milliseconds or rfc3339")
            }
        };
        let unitless = |made: Self| match t.unit {
            None => Ok(made),
            Some(_) => Err("`unit` only goes with `in` or `at`"),
        };
        match (&t.span, &t.at, &t.jwt, t.fixed, &t.never) {
            (Some(path), None, None, None, None) => Ok(Self::In {
                path: path.clone(),
                unit: span()?,
            }),
            (None, Some(path), None, None, None) => Ok(Self::At {
                path: path.clone(),
                unit: moment()?,
            }),
            (None, None, Some(token), None, None) => unitless(Self::Jwt(token.clone())),
            (None, None, None, Some(0), None) => Err(
                "`fixed: 0` means that no token is ever valid; write its seconds, or `never: REASON`",
            ),
            (None, None, None, Some(seconds), None) => unitless(Self::Fixed(seconds)),
            (None, None, None, None, Some(reason)) => unitless(Self::Never(reason.clone())),
            _ => Err(ONE),
        }
    }
}

impl From<Expiry> for ExpiryText {
    fn from(expiry: Expiry) -> Self {
        let none = Self::default();
        match expiry {
            Expiry::In { path, unit } => Self {
                span: Some(path),
                unit: match unit {
                    SpanUnit::Seconds => None,
                    SpanUnit::Milliseconds => Some(Unit::Milliseconds),
                    SpanUnit::Minutes => Some(Unit::Minutes),
                    SpanUnit::Clock => Some(Unit::Clock),
                },
                ..none
            },
            Expiry::At { path, unit } => Self {
                at: Some(path),
                unit: match unit {
                    MomentUnit::Seconds => None,
                    MomentUnit::Milliseconds => Some(Unit::Milliseconds),
                    MomentUnit::Rfc3339 => Some(Unit::Rfc3339),
                },
                ..none
            },
            Expiry::Jwt(token) => Self {
                jwt: Some(token),
                ..none
            },
            Expiry::Fixed(seconds) => Self {
                fixed: Some(seconds),
                ..none
            },
            Expiry::Never(reason) => Self {
                never: Some(reason),
                ..none
            },
        }
    }
}
