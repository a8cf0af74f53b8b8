//! What comes into an action or a trigger, and what comes out, is held to the manifest's JSON Schemas.
//!
//! Input is refused before anything is sent, each field by name. Output that does not fit is an error: a caller who relies on a
//! schema must not find something else in its place. Where the action has changed something at the app, the error says that it
//! was done, so that nobody does it again. Nothing of a value is repeated in an error.

use keyport_manifest::{Action, Effect, Unheld, misfits};
use serde_json::Value;

use crate::error::{ConnectError, FieldSay};

/// Refuses an input that its schema does not allow.
pub(crate) fn input(schema: &Value, input: &Value) -> Result<(), ConnectError> {
    if !input.is_object() {
        return Err(ConnectError::invalid(
            "input",
            "the input is a JSON object; send {} where there is nothing to say",
        ));
    }
    let found = match misfits(schema, input) {
        Ok(found) => found,
        Err(Unheld::TooFar) => {
            return Err(ConnectError::invalid(
                "input",
                "the input is too large to be checked; send less at once",
            ));
        }
        Err(Unheld::NotASchema(why)) => return Err(broken(&why)),
    };
    if found.is_empty() {
        return Ok(());
    }
    Err(ConnectError::Misfits(
        found
            .iter()
            .map(|misfit| FieldSay {
                field: match misfit.field().as_str() {
                    "" => "input".to_owned(),
                    field => format!("input.{field}"),
                },
                say: misfit.say.clone(),
            })
            .collect(),
    ))
}

/// Refuses to hand on an output that is not what the manifest promises.
pub(crate) fn output(action: &Action, output: &Value) -> Result<(), ConnectError> {
    let say = match misfits(&action.output, output) {
        Ok(found) => match found.first() {
            None => return Ok(()),
            Some(first) => match first.field().as_str() {
                "" => first.say.clone(),
                field => format!("{field}: {}", first.say),
            },
        },
        Err(Unheld::TooFar) => "it is too large to be checked".to_owned(),
        Err(Unheld::NotASchema(why)) => return Err(broken(&why)),
    };
    Err(match action.effect {
        Effect::Read => ConnectError::Output {
            done: false,
            say: format!("the app's answer is not what its manifest promises ({say})"),
        },
        Effect::Write => ConnectError::Output {
            done: true,
            say: format!(
                "it was done, but the app's answer is not what its manifest promises ({say}); do not do it again, look at the app"
            ),
        },
    })
}

/// Whether an event is what the manifest promises. It is handed on all the same, for an event that is lost is worse; the operator
/// is told.
pub(crate) fn event(schema: &Value, event: &Value) -> Option<String> {
    let found = misfits(schema, event).ok()?;
    let first = found.first()?;
    Some(format!("{}: {}", first.field(), first.say))
}

fn broken(why: &str) -> ConnectError {
    ConnectError::internal(
        "bad_schema",
        format!("the manifest of this app has a schema that cannot be used: {why}"),
    )
}
