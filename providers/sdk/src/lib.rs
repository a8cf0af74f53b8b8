//! Write a Keyport provider in Rust: one trait, one macro.
//!
//! A provider is what an app can do beyond what its manifest says. Implement [`Provider`], name what you implement in
//! [`export!`], build for `wasm32-wasip2`:
//!
//! ```
//! use keyport_sdk::{Account, Failure, Host, Provider, Request};
//!
//! struct Example;
//!
//! impl Provider for Example {
//!     fn check(host: &dyn Host) -> Result<Account, Failure> {
//!         #[derive(serde::Deserialize)]
//!         struct Me { id: u64, name: String }
//!         let me: Me = host.send(&Request::get("/me"))?.success()?.json()?;
//!         Ok(Account::new(me.id.to_string(), me.name))
//!     }
//! }
//!
//! keyport_sdk::export!(Example);
//! # fn main() {}
//! ```
//!
//! The provider never sees a credential: [`Host::send`] has the host attach it. Everything the outside world is reaches
//! a provider through [`Host`], so it is tested natively, without a sandbox, against [`testing::FakeHost`].
//!
//! | module | what lives in it |
//! |---|---|
//! | `provider` | the trait, and what its methods give back |
//! | `host` | what the host gives: requests, context, secrets, log, time |
//! | `http` | requests and answers, with typed JSON |
//! | `failure` | what went wrong, and what follows from it |
//! | `adapter` | between the trait and the generated bindings |
//! | `testing` | a scripted host for native tests |
//! | `recorded` | the app's fixtures, played to a provider natively |

mod adapter;
#[doc(hidden)]
pub mod bindings;
mod failure;
mod host;
mod http;
mod provider;
#[cfg(not(target_family = "wasm"))]
pub mod recorded;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[doc(hidden)]
pub use adapter::Adapter;
pub use failure::{Failure, Means};
pub use host::{Host, Level, Refusal};
pub use http::{Request, Response, segment};
pub use provider::{Account, Page, Provider};
pub use serde_json::{Value, json};

/// Makes a component of a [`Provider`].
///
/// `export!(MyProvider)` exports the test call, which every component has; name what else it does:
/// `export!(MyProvider, actions, triggers)`, out of `actions`, `triggers`, `lifecycle` and `exchange`. What is not named is
/// not exported, and the host knows that the component does not do it. Does nothing in a native build.
#[macro_export]
macro_rules! export {
    ($provider:ty $(, $part:ident)* $(,)?) => {
        #[cfg(target_family = "wasm")]
        #[doc(hidden)]
        mod __keyport_component {
            use super::*;
            type Component = $crate::Adapter<$provider>;
            $crate::bindings::connection::export_connection!(Component with_types_in $crate::bindings::connection);
            $( $crate::__export_part!($part Component); )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_part {
    (actions $component:ident) => {
        $crate::bindings::actions::export_actions!($component with_types_in $crate::bindings::actions);
    };
    (triggers $component:ident) => {
        $crate::bindings::triggers::export_triggers!($component with_types_in $crate::bindings::triggers);
    };
    (lifecycle $component:ident) => {
        $crate::bindings::lifecycle::export_lifecycle!($component with_types_in $crate::bindings::lifecycle);
    };
    (exchange $component:ident) => {
        $crate::bindings::exchange::export_exchange!($component with_types_in $crate::bindings::exchange);
    };
    ($other:ident $component:ident) => {
        compile_error!("a component can export: actions, triggers, lifecycle, exchange");
    };
}
