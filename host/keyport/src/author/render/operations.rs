//! What is sent for a connection that works: the test call, actions and triggers.

use keyport_manifest::{AuthMethod, Manifest, Place, RequestSpec, Test};
use serde_json::Value;

use super::values::Values;
use super::{Step, sample};

/// The steps after signing in.
pub fn steps(manifest: &Manifest, id: &str, auth: &AuthMethod, values: &Values) -> Vec<Step> {
    let sender = Sender {
        credentials: credentials(auth, values),
        values,
    };
    let mut steps = Vec::new();
    match manifest.test_for(id) {
        Test::None { reason } => {
            steps.push(Step::note("test", format!("cannot be tested: {reason}")))
        }
        Test::Code => steps.push(Step::note("test", "the component's own code makes it")),
        test => {
            for call in test.calls() {
                steps.push(sender.step("test", &call.request, Value::Null));
            }
        }
    }
    for (name, action) in &manifest.actions {
        let step = format!("action {name}");
        match &action.request {
            Some(request) => steps.push(sender.step(&step, request, sample::input(&action.input))),
            None => steps.push(Step::note(step, "the component's own code does it")),
        }
    }
    for (name, trigger) in &manifest.triggers {
        let input = sample::input(&trigger.input);
        let requests = [
            ("trigger", &trigger.request),
            ("subscribe", &trigger.subscribe),
            ("unsubscribe", &trigger.unsubscribe),
        ];
        for (what, request) in requests {
            if let Some(request) = request {
                steps.push(sender.step(&format!("{what} {name}"), request, input.clone()));
            }
        }
        if let Some(manual) = &trigger.manual {
            steps.push(Step::note(
                format!("subscribe {name}"),
                format!("by hand: {manual}"),
            ));
        }
        if trigger.code {
            steps.push(Step::note(
                format!("trigger {name}"),
                "the component's own code does it",
            ));
        }
    }
    steps
}

struct Sender<'v> {
    credentials: Result<Vec<(bool, String, String)>, String>,
    values: &'v Values,
}

impl Sender<'_> {
    fn step(&self, name: &str, request: &RequestSpec, input: Value) -> Step {
        let mut scope = self.values.with("input", input);
        scope.set("cursor", Value::Null);
        for root in ["webhook", "subscription"] {
            for template in request.templates() {
                for found in template.1.refs().iter().filter(|r| r.root == root) {
                    let value = self.values.placeholder(&found.to_string());
                    if let Some(name) = found.name() {
                        scope.set_value(root, name, Value::String(value));
                    }
                }
            }
        }
        let made = request
            .build(&scope)
            .map_err(|e| e.to_string())
            .and_then(|made| {
                self.values
                    .sent(made, self.credentials.as_ref().map_err(Clone::clone)?)
            });
        Step::request(name, made)
    }
}

/// What the host attaches: whether it goes into the query, its name and its value.
pub fn credentials(
    auth: &AuthMethod,
    values: &Values,
) -> Result<Vec<(bool, String, String)>, String> {
    let mut all = Vec::new();
    for injection in auth.injections() {
        if injection.credential != keyport_manifest::CredentialRef::Main {
            continue;
        }
        let value = values.rendered(&injection.value)?;
        match injection.place {
            Place::Header => all.push((false, injection.name.clone(), value)),
            Place::Query => all.push((true, injection.name.clone(), value)),
            Place::Cookie => {
                let pair = format!("{}={value}", injection.name);
                let known = all.iter_mut().find(|(_, name, _)| name == "Cookie");
                match known {
                    Some((_, _, line)) => *line = format!("{line}; {pair}"),
                    None => all.push((false, "Cookie".to_owned(), pair)),
                }
            }
            Place::Body => {}
        }
    }
    for name in auth.signature_headers() {
        all.push((false, name.to_owned(), "‹signed by the host›".to_owned()));
    }
    Ok(all)
}
