//! Where a credential goes: the host alone puts it there, at the edge.

use serde::{Deserialize, Serialize};

use super::known;
use crate::model::{CredentialRef, is_default};
use crate::template::Template;

/// Where a credential goes. Written as `{header: NAME, value}`, `{query: NAME, value}`, `{cookie: NAME, value}` or
/// `{body: NAME, value}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "InjectText", into = "InjectText")]
pub struct Inject {
    /// Header, query, cookie or body.
    pub place: Place,
    /// Name of the header, parameter, cookie or member.
    pub name: String,
    /// What is put there; may read secrets.
    pub value: Template,
    /// Which credential it is part of; `api.hosts` says which hosts get which.
    pub credential: CredentialRef,
}

/// Where a credential can be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A request header.
    Header,
    /// A query parameter.
    Query,
    /// A cookie, for APIs whose session is one.
    Cookie,
    /// A member of the JSON or form body.
    Body,
}

#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct InjectText {
    /// The header that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// The query parameter that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The cookie that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    /// The member of the JSON or form body that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// What is put there; may read secrets.
    value: Template,
    /// Which credential it is part of; `api.hosts` says which hosts get which.
    #[serde(default, skip_serializing_if = "is_default")]
    credential: CredentialRef,
}

impl TryFrom<InjectText> for Inject {
    type Error = &'static str;

    fn try_from(text: InjectText) -> Result<Self, Self::Error> {
        let places = [
            (Place::Header, text.header),
            (Place::Query, text.query),
            (Place::Cookie, text.cookie),
            (Place::Body, text.body),
        ];
        let mut written = places
            .into_iter()
            .filter_map(|(place, name)| Some((place, name?)));
        let (Some((place, name)), None) = (written.next(), written.next()) else {
            return Err(
                "an injection goes to exactly one of `header`, `query`, `cookie` and `body`",
            );
        };
        Ok(Self {
            place,
            name,
            value: text.value,
            credential: text.credential,
        })
    }
}

impl From<Inject> for InjectText {
    fn from(inject: Inject) -> Self {
        let only = |place| (inject.place == place).then(|| inject.name.clone());
        Self {
            header: only(Place::Header),
            query: only(Place::Query),
            cookie: only(Place::Cookie),
            body: only(Place::Body),
            value: inject.value,
            credential: inject.credential,
        }
    }
}

/// An `Authorization` header with this value.
pub(super) fn authorization(value: &str) -> Inject {
    Inject {
        place: Place::Header,
        name: "Authorization".to_owned(),
        value: known(value),
        credential: CredentialRef::Main,
    }
}
