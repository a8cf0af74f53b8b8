//! The test call: the request that proves that a connection works, and says whose it is.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{FailureRule, OkRule, RequestSpec};
use crate::template::Template;

/// How a connection is tested. Written as the call itself, as `{any_of: [call, …]}`, as `{code: true}`, or as
/// `{none: reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "TestText")]
pub enum Test {
    /// A request, a rule of success, and who it is.
    Call(Box<TestCall>),
    /// Several calls: the first that passes decides, and only if all are refused the connection is.
    AnyOf(Vec<TestCall>),
    /// The component's own code.
    Code,
    /// The app has no safe request, and why. Its connections are listed as ones that cannot be tested.
    None {
        /// Why.
        reason: String,
    },
}

/// A test call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TestCall {
    /// The request; it must only read.
    pub request: RequestSpec,
    /// When it counts as success.
    pub ok: OkRule,
    /// Whose connection it is.
    pub account: AccountRule,
    /// What other answers mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRule>,
    /// The least scopes that the call needs, by the names that `auth` asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Whose connection it is; templates over `body`, `headers`, `fields` and `capture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountRule {
    /// An id that never changes: it tells a reconnect from another account.
    pub id: Template,
    /// What people know the account by.
    pub label: Template,
    /// More to show: e-mail, plan. Left out where there is no value.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub extra: IndexMap<String, Template>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct CodeTest {
    code: bool,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct NoTest {
    none: String,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct AnyTest {
    any_of: Vec<TestCall>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TestText {
    Call(Box<TestCall>),
    AnyOf(AnyTest),
    Code(CodeTest),
    None(NoTest),
}

impl TryFrom<serde_json::Value> for Test {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        let text = |e: serde_json::Error| e.to_string();
        if value.get("none").is_some() {
            serde_json::from_value::<NoTest>(value)
                .map(|n| Self::None { reason: n.none })
                .map_err(text)
        } else if value.get("any_of").is_some() {
            let any = serde_json::from_value::<AnyTest>(value).map_err(text)?;
            if any.any_of.is_empty() {
                return Err("`any_of` is empty; list at least one call".to_owned());
            }
            Ok(Self::AnyOf(any.any_of))
        } else if value.get("code").is_some() {
            let code = serde_json::from_value::<CodeTest>(value).map_err(text)?;
            if code.code {
                Ok(Self::Code)
            } else {
                Err("`code` is true or absent".to_owned())
            }
        } else {
            serde_json::from_value(value)
                .map(|c| Self::Call(Box::new(c)))
                .map_err(text)
        }
    }
}

impl From<Test> for TestText {
    fn from(test: Test) -> Self {
        match test {
            Test::Call(call) => Self::Call(call),
            Test::AnyOf(any_of) => Self::AnyOf(AnyTest { any_of }),
            Test::Code => Self::Code(CodeTest { code: true }),
            Test::None { reason } => Self::None(NoTest { none: reason }),
        }
    }
}

impl Test {
    /// The declared call, if there is one; the first of several.
    #[must_use]
    pub fn call(&self) -> Option<&TestCall> {
        self.calls().first()
    }

    /// Every declared call, in the order in which they are tried.
    #[must_use]
    pub fn calls(&self) -> &[TestCall] {
        match self {
            Self::Call(call) => std::slice::from_ref(call),
            Self::AnyOf(calls) => calls,
            Self::Code | Self::None { .. } => &[],
        }
    }
}
