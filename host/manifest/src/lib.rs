//! The manifest of an app: its model, its templates, the hosts it may reach, and the rules by which answers are judged.
//!
//! A manifest is the part of an app that a person reviews, so it says everything that matters (how one signs in, what is
//! sent where, what counts as success) and code says nothing that contradicts it. This crate turns its text into types
//! once, and holds the *one* piece of code that evaluates each rule: the guest `rest`, the host and `keyport validate`
//! all call [`rules`], so they cannot disagree.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`model`] | the typed manifest, `serde` both ways, unknown keys refused |
//! | [`template`] | `{{ … }}`: expressions and filters, output escaped by the slot it lands in |
//! | [`scope`] | the values a template may see during one rendering |
//! | [`path`] | JSONPath (RFC 9535) into answers |
//! | [`hosts`] | host patterns and allow-lists |
//! | [`resolve`] | URLs and hosts of one connection, from the values a person typed |
//! | [`rules`] | verdicts on answers: test calls, failures, actions, polls, token answers |
//! | [`message`] | plain requests and answers, free of any HTTP library |
//! | [`secret`] | text that has no `Debug`, `Display` or `Serialize` |
//! | `example` | connections that could exist, made from what fields allow (feature `yaml`) |
//! | `diff` | what a new version breaks for connections of the old one (feature `yaml`) |
//! | `yaml` | reading YAML: places, findings, checks (feature `yaml`, absent in guests) |
//!
//! No network, no async, no wasmtime. It builds for `wasm32-wasip2` without its default feature.

#[cfg(feature = "yaml")]
pub mod diff;
#[cfg(feature = "yaml")]
pub mod example;
pub mod hosts;
pub mod message;
pub mod model;
pub mod path;
pub mod pattern;
pub mod resolve;
pub mod rules;
#[cfg(feature = "schema")]
pub mod schema;
pub mod scope;
pub mod secret;
pub mod template;
pub mod view;
mod xml;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use hosts::{AllowedHosts, HostPattern};
pub use message::{PlainRequest, PlainResponse};
pub use model::*;
pub use path::JsonPath;
pub use resolve::{DeclaredEndpoints, Endpoints, ResolveError, ResolvedApi};
pub use rules::{
    Account, ActionRun, Captures, Discovered, DiscoveryChoice, Failure, HookCall, HookRefusal,
    InputChoice, Lifetime, Means, NextStep, Oauth1Token, PollPage, PollRun, Progress, SecondAnswer,
    TokenAnswer, TokenError, action_result, challenged, connection_tenant, dedupe_key, discovered,
    failure_for, first_page, hook_events, hook_is_ours, hook_is_wanted, hook_tenant, input_choices,
    judge, judge_call, lifetime, next_page, oauth1_answer, page_items, poll_page, refresh_answer,
    refused_by_all, subscribed, temporary_credentials, token_answer, verify_hook,
};
pub use scope::Scope;
pub use secret::SecretText;
pub use template::{Ref, RenderError, Slot, Template, TemplateError};
pub use view::{GuestView, guest_view, guest_view_for};
#[cfg(feature = "yaml")]
pub use yaml::{
    Bases, Edit, Finding, Fixed, FolderFacts, Misfit, Report, Rule, Severity, Suppressed, Unheld,
    app_id, base_among, check, check_with, explain, fix, misfits, parse, parse_with,
};
