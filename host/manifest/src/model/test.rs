//! The test call: the request that proves that a connection works, and says whose it is.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{FailureRule, OkRule, RequestSpec};
use crate::template::Template;

/// How a connection is tested. Written as the call itself, as `{code: true}`, or as `{none: reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "TestText")]
pub enum Test {
    /// A request, a rule of success, and who it is.
    Call(Box<TestCall>),
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
}

/// Whose connection it is; templates over `body`, `headers`, `fields` and `capture`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields)]
struct CodeTest {
    code: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoTest {
    none: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TestText {
    Call(Box<TestCall>),
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
            Test::Code => Self::Code(CodeTest { code: true }),
            Test::None { reason } => Self::None(NoTest { none: reason }),
        }
    }
}

impl Test {
    /// The declared call, if there is one.
    #[must_use]
    pub fn call(&self) -> Option<&TestCall> {
        match self {
            Self::Call(call) => Some(call),
            Self::Code | Self::None { .. } => None,
        }
    }
}
