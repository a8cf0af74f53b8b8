//! The typed manifest. One file per part; `serde` both ways; unknown keys are refused everywhere.
//!
//! Format version 1. The model says what an author can say; whether it makes sense together is said by the checks in
//! `yaml`. A value of these types has templates, paths and patterns that parsed, so nothing downstream parses them again.

mod action;
mod api;
mod app;
mod auth;
mod capture;
mod condition;
mod discovery;
mod expiry;
mod field;
mod format;
mod jwt;
mod lifecycle;
mod migration;
mod oauth2;
mod pagination;
mod recipe;
mod request;
mod support;
mod test;
mod text;
mod trigger;
mod variants;
mod webhook;

pub use action::{Action, ChoicesFrom, Effect};
pub use api::{Api, CredentialRef, HostEntry};
pub use app::{AppId, Component, Grant, Links, Manifest, Requires};
pub use auth::{
    ApiKey, AssumeRole, AuthMethod, AwsSigv4, Basic, Bearer, CertificateAt, ClientCertificate,
    Hmac, HmacAlgorithm, Inject, JwtAuth, Logout, Mtls, NoAuth, Oauth1, Oauth1Grant, Oauth1Place,
    Oauth1Signature, Place, Session, SessionStep, Wsse, WsseDigest, WsseNonce,
};
pub use capture::{Capture, CaptureSource, OnRefresh};
pub use condition::{Condition, FailureRule, Is, OkRule, StatusSet};
pub use discovery::{Discovery, Pick};
pub use expiry::{Expiry, MomentUnit, SpanUnit};
pub use field::{Choice, Field, FieldError, FileRule, ShownWhen};
pub use format::Format;
pub use jwt::{Fingerprint, Jwt, JwtAlg, KeyFormat, UsualClaim};
pub use lifecycle::{Connected, Lifecycle};
pub use migration::Migration;
pub use oauth2::{
    AuthorizeRules, ByComponent, CallbackRules, CallbackVerify, ClientAuth, ClientSource, Discover,
    Exchange, ExchangeValue, ExtraScopes, Oauth2, Oauth2Grant, OwnerClient, ParamRules, Pkce,
    Prolongs, Refresh, RefreshBy, RefusalRule, Revoke, Rotates, Scopes, SecondToken, SignedPart,
    TokenBody, TokenFields, TokenMethod, TokenResponse,
};
pub use pagination::{CursorPlace, NextPage, PageSize, Pagination};
pub(crate) use recipe::same;
pub use recipe::{Encoding, Handle, HmacRecipe, Mint, Recipe, RecipeError, SecretSlot};
pub use request::{BodySpec, JsonTemplate, Method, RequestSpec};
pub use support::NotYet;
pub use test::{AccountRule, Test, TestCall};
pub use trigger::{Order, Trigger, TriggerKind};
pub use variants::{VARIANT_FIELD, Variant, Variants};
pub use webhook::{AppWebhook, Challenge, HmacHash, Only, Tenant, WebhookHmac, WebhookVerify};

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
