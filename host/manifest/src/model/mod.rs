//! The typed manifest. One file per part; `serde` both ways; unknown keys are refused everywhere.
//!
//! Format version 1. The model says what an author can say; whether it makes sense together is said by the checks in
//! `yaml`. A value of these types has templates, paths and patterns that parsed, so nothing downstream parses them again.

mod action;
mod api;
mod app;
mod auth;
mod condition;
mod field;
mod oauth2;
mod recipe;
mod request;
mod test;
mod text;
mod trigger;

pub use action::{Action, Effect};
pub use api::{Api, CredentialRef, HostEntry};
pub use app::{AppId, Component, Grant, Links, Manifest, Requires};
pub use auth::{ApiKey, AuthMethod, Basic, Bearer, Inject, Place};
pub use condition::{Condition, FailureRule, Is, OkRule, StatusSet};
pub use field::{Choice, Field, FieldError, Format};
pub use oauth2::{
    Capture, ClientAuth, ClientSource, Oauth2, OwnerClient, Pkce, Refresh, RefusalRule, Revoke,
    Rotates, Scopes, TokenBody, TokenFields, TokenResponse,
};
pub use recipe::{Encoding, Handle, Recipe, RecipeError, SecretSlot};
pub use request::{BodySpec, JsonTemplate, Method, RequestSpec};
pub use test::{AccountRule, Test, TestCall};
pub use trigger::{Order, Trigger, TriggerKind};

/// Whether a value is its type's default; such values are not written out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn is_true(value: &bool) -> bool {
    *value
}
