//! A scripted host, so that a provider can be tested natively.
//!
//! Answers are given in the order in which they were scripted; what was asked is kept. Placeholders are
//! `handle:<name>` and `derived:<recipe>:<args>`, so that a test can see what was signed. It attaches nothing and refuses
//! nothing: what the real host refuses is tested with the real host.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::host::{Host, Level, Refusal};
use crate::http::{Request, Response};

/// A host that answers what it was told to answer.
#[derive(Default)]
pub struct FakeHost {
    manifest: String,
    values: BTreeMap<String, String>,
    now: u64,
    answers: RefCell<VecDeque<Result<Response, Refusal>>>,
    sent: RefCell<Vec<Request>>,
    lines: RefCell<Vec<String>>,
}

impl FakeHost {
    /// A host for a connection of this manifest (its guest's view).
    #[must_use]
    pub fn new(manifest: &Value) -> Self {
        Self {
            manifest: manifest.to_string(),
            ..Self::default()
        }
    }

    /// With a public value.
    #[must_use]
    pub fn with_value(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), value.to_owned());
        self
    }

    /// At this time, in seconds since 1970.
    #[must_use]
    pub fn at(mut self, unix_time: u64) -> Self {
        self.now = unix_time;
        self
    }

    /// The next answer.
    #[must_use]
    pub fn answer(self, status: u16, body: &Value) -> Self {
        let response = Response {
            status,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        };
        self.answers.borrow_mut().push_back(Ok(response));
        self
    }

    /// The next answer, headers included.
    #[must_use]
    pub fn response(self, response: Response) -> Self {
        self.answers.borrow_mut().push_back(Ok(response));
        self
    }

    /// No answer next.
    #[must_use]
    pub fn refuse(self, refusal: Refusal) -> Self {
        self.answers.borrow_mut().push_back(Err(refusal));
        self
    }

    /// What was sent, in order.
    pub fn sent(&self) -> Vec<Request> {
        self.sent.borrow().clone()
    }

    /// What was logged, in order.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }
}

impl Host for FakeHost {
    fn send(&self, request: &Request) -> Result<Response, Refusal> {
        self.sent.borrow_mut().push(request.clone());
        self.answers.borrow_mut().pop_front().unwrap_or_else(|| {
            Err(Refusal {
                code: "no_answer".to_owned(),
                say: "the test scripted no further answer".to_owned(),
                transient: false,
            })
        })
    }

    fn manifest_json(&self) -> String {
        self.manifest.clone()
    }

    fn value(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    fn handle(&self, name: &str) -> Result<String, Refusal> {
        Ok(format!("handle:{name}"))
    }

    fn derive(&self, recipe: &str, args: &[(&str, &str)]) -> Result<String, Refusal> {
        let args: Vec<String> = args
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(format!("derived:{recipe}:{}", args.join(",")))
    }

    fn verify(
        &self,
        recipe: &str,
        args: &[(&str, &str)],
        message: &[u8],
        given: &str,
    ) -> Result<bool, Refusal> {
        let mut args = args.to_vec();
        let message = String::from_utf8_lossy(message);
        args.push(("message", &message));
        Ok(self.derive(recipe, &args)? == given)
    }

    fn log(&self, _level: Level, text: &str, _data: &Value) {
        self.lines.borrow_mut().push(text.to_owned());
    }

    fn unix_time(&self) -> u64 {
        self.now
    }
}
