//! One run of a declarative action: its request, and the pages of the answer where there are several.
//!
//! Whoever drives it sends [`ActionRun::request`] and hands the answer to [`ActionRun::read`], until that gives the output. The
//! guest `rest` and the tests of the host are such drivers; the rule is written once.

use serde_json::Value;

use super::pages::{NextStep, Progress, first_page, next_page};
use super::verdict::{Failure, Means, action_result};
use crate::message::{PlainRequest, PlainResponse};
use crate::model::Action;
use crate::scope::Scope;
use crate::template::RenderError;

/// An action under way.
pub struct ActionRun<'a> {
    action: &'a Action,
    request: PlainRequest,
    progress: Progress,
    items: Vec<Value>,
}

impl<'a> ActionRun<'a> {
    /// Begins. `scope` holds `input`, besides what is known of the connection.
    ///
    /// # Errors
    /// When the action declares no request (`None`), or it cannot be written.
    pub fn new(action: &'a Action, scope: &Scope) -> Result<Self, Option<RenderError>> {
        let spec = action.request.as_ref().ok_or(None)?;
        let request = spec.build(scope).map_err(Some)?;
        let request = match &action.pagination {
            Some(pagination) => first_page(pagination, &request),
            None => request,
        };
        Ok(Self {
            action,
            request,
            progress: Progress::default(),
            items: Vec::new(),
        })
    }

    /// The request to send now.
    #[must_use]
    pub fn request(&self) -> &PlainRequest {
        &self.request
    }

    /// Takes an answer: the output, or `None` while there is another request to send.
    ///
    /// # Errors
    /// What the refusal means, or that the next page cannot be found.
    pub fn read(&mut self, response: &PlainResponse) -> Result<Option<Value>, Failure> {
        let result = action_result(self.action, response)?;
        let Some(pagination) = &self.action.pagination else {
            return Ok(Some(result));
        };
        if let Value::Array(page) = result {
            self.items.extend(page);
        }
        self.progress.pages += 1;
        self.progress.items = self.items.len();
        let decode = self.action.request.as_ref().map(|r| r.decode);
        let body = response.decoded(decode.unwrap_or_default());
        match next_page(pagination, &self.request, response, &body, self.progress) {
            NextStep::Read(next) => {
                self.request = next;
                Ok(None)
            }
            NextStep::Done | NextStep::Limit => {
                Ok(Some(Value::Array(std::mem::take(&mut self.items))))
            }
            NextStep::Lost => Err(Failure::new(
                Means::Other,
                "the app says where its next page is in a way that cannot be followed",
            )),
        }
    }
}
