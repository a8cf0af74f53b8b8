//! Between the trait and the generated bindings: JSON in and out, failures to their cases.

use std::marker::PhantomData;

use serde_json::Value;

use crate::bindings::connection::exports::keyport::provider::connection;
use crate::bindings::connection::keyport::provider::types;
use crate::bindings::{actions, exchange, lifecycle, triggers};
use crate::failure::{Failure, Means};
use crate::host::Imports;
use crate::provider::Provider;

/// A [`Provider`] as a component's exports.
pub struct Adapter<P>(PhantomData<P>);

impl<P: Provider> connection::Guest for Adapter<P> {
    fn check() -> Result<types::Account, types::Failure> {
        let account = P::check(&Imports).map_err(out)?;
        Ok(types::Account {
            id: account.id,
            label: account.label,
            extra: account.extra.to_string(),
        })
    }
}

impl<P: Provider> actions::exports::keyport::provider::actions::Guest for Adapter<P> {
    fn run(action: String, input: String) -> Result<String, types::Failure> {
        P::run(&Imports, &action, read(&input)?)
            .map(text)
            .map_err(out)
    }
}

impl<P: Provider> triggers::exports::keyport::provider::triggers::Guest for Adapter<P> {
    fn poll(
        trigger: String,
        input: String,
        cursor: Option<String>,
    ) -> Result<triggers::exports::keyport::provider::triggers::Page, types::Failure> {
        let cursor = cursor.map(|cursor| read(&cursor)).transpose()?;
        let page = P::poll(&Imports, &trigger, read(&input)?, cursor).map_err(out)?;
        Ok(triggers::exports::keyport::provider::triggers::Page {
            events: page.events.into_iter().map(text).collect(),
            cursor: text(page.cursor),
            more: page.more,
        })
    }
}

impl<P: Provider> lifecycle::exports::keyport::provider::lifecycle::Guest for Adapter<P> {
    fn connected() -> Result<String, types::Failure> {
        P::connected(&Imports).map(text).map_err(out)
    }

    fn disconnecting() -> Result<String, types::Failure> {
        P::disconnecting(&Imports).map(text).map_err(out)
    }
}

impl<P: Provider> exchange::exports::keyport::provider::exchange::Guest for Adapter<P> {
    fn run(step: String, input: String) -> Result<String, types::Failure> {
        P::exchange(&Imports, &step, read(&input)?)
            .map(text)
            .map_err(out)
    }
}

fn text(value: Value) -> String {
    value.to_string()
}

fn read(json: &str) -> Result<Value, types::Failure> {
    serde_json::from_str(json).map_err(|_| out(Failure::invalid_input("the input is not JSON")))
}

fn out(failure: Failure) -> types::Failure {
    let note = types::Note {
        code: failure.code,
        say: failure.say,
        retry_after_ms: failure.retry_after_ms,
        data: failure.data.to_string(),
    };
    match failure.means {
        Means::NeedsReconnect => types::Failure::NeedsReconnect(note),
        Means::MissingScope => types::Failure::MissingScope(note),
        Means::RateLimited => types::Failure::RateLimited(note),
        Means::ProviderDown => types::Failure::ProviderDown(note),
        Means::NotFound => types::Failure::NotFound(note),
        Means::InvalidInput => types::Failure::InvalidInput(note),
        Means::Other => types::Failure::Other(note),
    }
}
