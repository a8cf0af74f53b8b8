//! Handles, derived values and verdicts. A guest gets placeholders; what they stand for stays with egress.
//!
//! Only what the manifest declares can be asked for, and each placeholder is good in the declared slots alone. A recipe
//! runs over arguments of the guest's, but its key and shape are the manifest's, so it is no free oracle. The number of
//! placeholders per call is limited.

use keyport_egress::Secret;
use keyport_manifest::{Jwt, RecipeError, Scope, SecretSlot, SecretText, Slot as Escaping};

use super::{note, slots_of};
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
        let Some(args) = self.real(&recipe, args) else {
            return Ok(Err(note(
                "handle_out_of_slot",
                format!(
                    "a handle stands in an argument of {recipe}, which the manifest does not allow"
                ),
                false,
            )));
        };
        let mint = |jwt: &Jwt, scope: &Scope| match &kit.minter {
            Some(minter) => minter(jwt, scope),
            None => Err(RecipeError::NotSigned(
                "this host signs no tokens".to_owned(),
            )),
        };
        let derived = declared.derive(&kit.scope, &args, &mint);
        // Arguments may hold real values by now; they are wiped with the copies that hold them.
        args.into_iter()
            .for_each(|(_, value)| drop(Secret::new(value)));
        Ok(match derived {
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

    /// Arguments with values in place of the handles that may stand there; `None` where one may not.
    fn real(&self, recipe: &str, args: Vec<(String, String)>) -> Option<Vec<(String, String)>> {
        let handles = &self.call.pass.handles;
        args.into_iter()
            .map(|(name, value)| {
                let real = handles.redeem_for_recipe(recipe, &value)?;
                Some((name, real.expose().to_owned()))
            })
            .collect()
    }

    fn issue(&self, value: &SecretText, slots: &[SecretSlot]) -> String {
        self.call
            .pass
            .handles
            .issue(Secret::new(value.expose()), slots_of(slots))
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
