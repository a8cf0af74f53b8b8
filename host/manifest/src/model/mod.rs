//! The typed manifest. One file per part; `serde` both ways; unknown keys are refused everywhere.
//!
//! Format version 1. The model says what an author can say; whether it makes sense together is said by the checks in
//! `yaml`. A value of these types has templates, paths and patterns that parsed, so nothing downstream parses them again.

mod action;
mod api;
mod app;
mod auth;
mod condition;
mod discovery;
mod field;
mod format;
mod migration;
mod oauth2;
mod pagination;
mod recipe;
mod request;
mod test;
mod text;
mod trigger;
mod variants;
mod webhook;

pub use action::{Action, ChoicesFrom, Effect};
pub use api::{Api, CredentialRef, HostEntry};
pub use app::{AppId, Component, Grant, Links, Manifest, Requires};
pub use auth::{ApiKey, AuthMethod, Basic, Bearer, Inject, Place};
pub use condition::{Condition, FailureRule, Is, OkRule, StatusSet};
pub use discovery::{Discovery, Pick};
pub use field::{Choice, Field, FieldError, FileRule, ShownWhen};
pub use format::Format;
pub use migration::Migration;
pub use oauth2::{
    Capture, ClientAuth, ClientSource, Oauth2, OwnerClient, Pkce, Refresh, RefusalRule, Revoke,
    Rotates, Scopes, TokenBody, TokenFields, TokenResponse,
};
pub use pagination::{CursorPlace, NextPage, PageSize, Pagination};
pub use recipe::{Encoding, Handle, Recipe, RecipeError, SecretSlot};
pub use request::{BodySpec, JsonTemplate, Method, RequestSpec};
pub use test::{AccountRule, Test, TestCall};
pub use trigger::{Order, Trigger, TriggerKind};
pub use variants::{VARIANT_FIELD, Variant, Variants};
pub use webhook::{Challenge, HmacHash, WebhookHmac, WebhookVerify};

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
