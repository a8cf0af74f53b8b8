//! What one may choose from when an action's or a trigger's input is filled in: asked of the app, by another action of its manifest.
//!
//! It is an action like any other, run for this connection and held to reading, so an owner is offered what their own account shows and
//! nothing else.

use keyport_manifest::{ChoicesFrom, InputChoice, input_choices};
use serde_json::json;

use crate::actor::Actor;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::view::{InputChoiceView, InputChoices, KeyScope};

/// Most choices of one answer: more than anybody reads, and fewer than would be a burden.
const MOST: usize = 1000;

/// Whose input it is.
#[derive(Debug, Clone, Copy)]
pub enum InputOf<'a> {
    /// An action's, by its id.
    Action(&'a str),
    /// A trigger's, by its id.
    Trigger(&'a str),
}

impl Engine {
    /// The choices of an input property, as the app has them now. `search`: those alone whose label has this in it, in any case.
    ///
    /// # Errors
    ///
    /// When there is no such action, trigger or list of choices, and as [`Engine::run_action`].
    pub async fn choices(
        &self,
        actor: &Actor,
        id: &str,
        input: InputOf<'_>,
        property: &str,
        search: Option<&str>,
    ) -> Result<InputChoices, ConnectError> {
        actor.require(KeyScope::Actions)?;
        let stored = self.connection_of(actor, id).await?;
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let manifest = &entry.manifest;
        let from: &ChoicesFrom = match input {
            InputOf::Action(action) => manifest
                .actions
                .get(action)
                .ok_or(ConnectError::not_found("action"))?
                .choices_from
                .get(property),
            InputOf::Trigger(trigger) => manifest
                .triggers
                .get(trigger)
                .ok_or(ConnectError::not_found("trigger"))?
                .choices_from
                .get(property),
        }
        .ok_or(ConnectError::not_found("list of choices"))?;
        let output = self.run_action(actor, id, &from.action, &json!({})).await?;
        let wanted = search.map(|text| text.trim().to_lowercase());
        let mut found: Vec<InputChoice> = input_choices(from, &output);
        if let Some(wanted) = wanted.filter(|text| !text.is_empty()) {
            found.retain(|choice| choice.label.to_lowercase().contains(&wanted));
        }
        let more = found.len() > MOST;
        found.truncate(MOST);
        Ok(InputChoices {
            choices: found
                .into_iter()
                .map(|choice| InputChoiceView {
                    value: choice.value,
                    label: choice.label,
                })
                .collect(),
            more,
        })
    }
}
