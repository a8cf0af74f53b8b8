//! What an author implements.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::host::Host;

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Never changes for the same account.
    pub id: String,
    /// What people know the account by.
    pub label: String,
    /// More to show: an object of texts.
    pub extra: Value,
}

impl Account {
    /// An account with nothing more to show.
    pub fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
            extra: json!({}),
        }
    }
}

/// What one poll found.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// New events, oldest first.
    pub events: Vec<Value>,
    /// Handed back at the next poll.
    pub cursor: Value,
    /// Whether asking again at once would find more.
    pub more: bool,
}

/// An app's own code. Each call runs in a fresh component: nothing that it keeps in memory survives.
///
/// Only `check` must be there. The other methods are called only if [`export!`](crate::export!) names their part, and
/// answer "no such thing" where they are not implemented.
pub trait Provider {
    /// The test call: proves that the connection works and says whose it is. It must only read.
    ///
    /// # Errors
    /// What the app's refusal means.
    fn check(host: &dyn Host) -> Result<Account, Failure>;

    /// Runs an action of the manifest (part `actions`).
    ///
    /// # Errors
    /// What the app's refusal means.
    fn run(_host: &dyn Host, action: &str, _input: Value) -> Result<Value, Failure> {
        Err(Failure::not_found(format!("this app has no action {action}")).code("no_such_action"))
    }

    /// Asks for what is new since `cursor` (part `triggers`). No cursor: the first poll.
    ///
    /// # Errors
    /// What the app's refusal means.
    fn poll(
        _host: &dyn Host,
        trigger: &str,
        _input: Value,
        _cursor: Option<Value>,
    ) -> Result<Page, Failure> {
        Err(
            Failure::not_found(format!("this app has no trigger {trigger}"))
                .code("no_such_trigger"),
        )
    }

    /// After connecting (part `lifecycle`): an object of public captures.
    ///
    /// # Errors
    /// What the app's refusal means.
    fn connected(_host: &dyn Host) -> Result<Value, Failure> {
        Ok(json!({}))
    }

    /// Before the credentials are destroyed (part `lifecycle`).
    ///
    /// # Errors
    /// What the app's refusal means; the disconnect goes on.
    fn disconnecting(_host: &dyn Host) -> Result<Value, Failure> {
        Ok(json!({}))
    }

    /// A step of an unusual sign-in (part `exchange`).
    ///
    /// # Errors
    /// What the app's refusal means.
    fn exchange(_host: &dyn Host, step: &str, _input: Value) -> Result<Value, Failure> {
        Err(Failure::not_found(format!("this app has no sign-in step {step}")).code("no_such_step"))
    }

    /// Reads an input into a type of the provider's own.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field.
    fn input<T: DeserializeOwned>(input: Value) -> Result<T, Failure> {
        crate::http::typed(input)
    }
}
