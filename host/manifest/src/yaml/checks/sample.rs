//! Samples against their schemas, by a real JSON Schema validator.
//!
//! V65 the sample fits the output schema, all of it · V64 the schema is one that a validator takes, and leads nowhere in circles.
//!
//! What a validator is handed, and why it comes to an end, is `held`'s. Which keys a schema may have at all is said by
//! `schema_form`: a validator takes every unknown one without a word.

use serde_json::Value;

use super::Checker;
use crate::yaml::held::{self, SAMPLE_VISITS, Unheld};
use crate::yaml::places::{child, item, within};

pub(super) fn check(c: &mut Checker<'_>) {
    let m = c.manifest;
    let actions = m
        .actions
        .iter()
        .map(|(id, a)| ("actions", id, &a.output, a.sample.as_ref()));
    let triggers = m
        .triggers
        .iter()
        .map(|(id, t)| ("triggers", id, &t.output, t.sample.as_ref()));
    for (kind, id, output, sample) in actions.chain(triggers) {
        let path = child(kind, id);
        let says_nothing = output.as_object().is_some_and(serde_json::Map::is_empty);
        match sample {
            None if says_nothing => {}
            None => c.error(
                "V65",
                &path,
                "there is no sample",
                Some("add `sample:` with an example of the output"),
            ),
            Some(sample) => held(c, &path, output, sample),
        }
    }
}

fn held(c: &mut Checker<'_>, path: &str, output: &Value, sample: &Value) {
    let at = child(path, "output");
    match held::held(output, sample, SAMPLE_VISITS) {
        Err(Unheld::TooFar) => c.error(
            "V64",
            &at,
            "the schema leads through so many others that no value can be held to it",
            Some("write out what its references lead to"),
        ),
        Err(Unheld::NotASchema(why)) => {
            // What the form of the schema says already is not said again.
            let told = c
                .findings
                .iter()
                .any(|f| f.rule == "V64" && within(&f.path, &at));
            if !told {
                c.error("V64", &at, format!("this is not a schema: {why}"), None);
            }
        }
        Ok(misfits) => {
            for misfit in misfits {
                let place = located(&child(path, "sample"), sample, &misfit.pointer);
                c.error(
                    "V65",
                    &place,
                    format!("the sample does not fit the output schema: {}", misfit.say),
                    None,
                );
            }
        }
    }
}

/// The path in the manifest of a place in the sample (`/items/0/id`).
fn located(base: &str, sample: &Value, pointer: &str) -> String {
    let mut here = Some(sample);
    pointer
        .split('/')
        .skip(1)
        .fold(base.to_owned(), |path, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match (here, step.parse::<usize>()) {
                (Some(Value::Array(items)), Ok(i)) => {
                    here = items.get(i);
                    item(&path, i)
                }
                _ => {
                    here = here.and_then(|value| value.get(&step));
                    child(&path, &step)
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_those_of_the_manifest() {
        let sample = json!([{"a/b": {"0": [true]}}]);
        assert_eq!(located("s", &sample, "/0/a~1b/0/0"), "s[0][\"a/b\"].0[0]");
        assert_eq!(located("s", &sample, ""), "s");
    }
}
