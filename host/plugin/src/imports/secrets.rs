//! Handles, derived values and verdicts. A guest gets placeholders; what they stand for stays with egress.
//!
//! Only what the manifest declares can be asked for, and each placeholder is good in the declared slots alone. A recipe
//! runs over arguments of the guest's, but its key and shape are the manifest's, so it is no free oracle. The number of
//! placeholders per call is limited.

use keyport_egress::{Secret, Slot};
use keyport_manifest::{RecipeError, SecretSlot, SecretText, Slot as Escaping};

use super::note;
use crate::bindings::keyport::provider::secrets;
use crate::bindings::keyport::provider::types::Note;
use crate::state::{OverLimit, State};

impl secrets::Host for State {
    async fn handle(&mut self, name: String) -> wasmtime::Result<Result<String, Note>> {
        self.count_placeholder()?;
        let kit = &self.call.secrets;
        let Some(handle) = kit.handles.get(&name) else {
            return Ok(Err(note(
                "no_such_handle",
                format!("the manifest declares no handle {name}"),
                false,
            )));
        };
        Ok(
            match handle.value.render_secret(&kit.scope, Escaping::Raw) {
                Ok(value) => Ok(self.issue(&value, &handle.slots)),
                // The error names the expression of the manifest, never a value.
                Err(error) => Err(note(
                    "missing_value",
                    format!("the handle {name} has no value here: {error}"),
                    false,
                )),
            },
        )
    }

    async fn derive(
        &mut self,
        recipe: String,
        args: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<String, Note>> {
        self.count_placeholder()?;
        let kit = &self.call.secrets;
        let Some(declared) = kit.recipes.get(&recipe) else {
            return Ok(Err(no_such_recipe(&recipe)));
        };
        Ok(match declared.derive(&kit.scope, &args) {
            Ok(value) => Ok(self.issue(&value, declared.slots())),
            Err(error) => Err(failed(&recipe, &error)),
        })
    }

    async fn verify(
        &mut self,
        recipe: String,
        args: Vec<(String, String)>,
        message: Vec<u8>,
        given: String,
    ) -> wasmtime::Result<Result<bool, Note>> {
        // Guessing a signature by asking again and again is bounded like everything else.
        self.count_placeholder()?;
        let kit = &self.call.secrets;
        let Some(declared) = kit.recipes.get(&recipe) else {
            return Ok(Err(no_such_recipe(&recipe)));
        };
        Ok(declared
            .verify(&kit.scope, &args, &message, &given)
            .map_err(|error| failed(&recipe, &error)))
    }
}

impl State {
    fn count_placeholder(&mut self) -> wasmtime::Result<()> {
        self.placeholders += 1;
        if self.placeholders > self.limits.placeholders {
            Err(OverLimit("uses of secrets").into())
        } else {
            Ok(())
        }
    }

    fn issue(&self, value: &SecretText, slots: &[SecretSlot]) -> String {
        let slots = slots
            .iter()
            .map(|slot| match slot {
                SecretSlot::Header(name) => Slot::Header(name.clone()),
                SecretSlot::Query(name) => Slot::Query(name.clone()),
            })
            .collect();
        self.call
            .pass
            .handles
            .issue(Secret::new(value.expose()), slots)
    }
}

fn no_such_recipe(name: &str) -> Note {
    note(
        "no_such_recipe",
        format!("the manifest declares no recipe {name}"),
        false,
    )
}

fn failed(name: &str, error: &RecipeError) -> Note {
    note(
        "recipe_failed",
        format!("the recipe {name} cannot be used here: {error}"),
        false,
    )
}
