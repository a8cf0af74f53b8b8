//! Which site, workspace or company a connection is for: asked of the app with the new credential, before the test call.
//!
//! One request after the other. What each gives is written down before the next is sent, so that a crash or a page that
//! goes away costs nothing: the steps that are done are not done again, and a question to the person waits where it is.

use indexmap::IndexMap;
use keyport_egress::Purpose;
use keyport_manifest::{Captures, Discovered, Discovery, discovered};
use keyport_vault::Expect;

use super::request::{own, reading};
use super::steps::{as_error, keep};
use crate::catalogue::AppEntry;
use crate::engine::Engine;
use crate::error::ConnectError;
use crate::hidden::Hidden;
use crate::record::{
    self, Connection, ConnectionSealed, Flow, Question, QuestionOption, Seal, Stored,
};
use crate::use_::pass::PassParts;
use crate::use_::scope;
use crate::view::{FlowStatus, Reason};

/// The code of a pending connection that waits for the person's choice.
pub(crate) const CHOOSE: &str = "choose";

impl Engine {
    /// Runs the steps of discovery that are not done yet.
    ///
    /// # Errors
    ///
    /// What the app said; [`CHOOSE`] as a state where the person has to choose first, after the question was written down.
    pub(crate) async fn discover(
        &self,
        mut stored: Stored<Connection>,
    ) -> Result<Stored<Connection>, ConnectError> {
        let entry = self.inner.catalogue.get(&stored.clear.app)?;
        let method = stored.clear.method.clone();
        for step in &entry.manifest.discovery {
            let done = stored.sealed()?.discovered.contains(&step.id);
            if done || !step.is_for(&method) {
                continue;
            }
            if stored.sealed()?.question.is_some() {
                return Err(must_choose());
            }
            let found = self.discover_step(&entry, &stored, step).await?;
            let mut sealed = stored.sealed()?.clone();
            match found {
                Discovered::Item(captures) => {
                    sealed.capture.extend(values(captures));
                    sealed.discovered.push(step.id.clone());
                    let writes = self.put_connection(
                        &stored.id,
                        Expect::At(stored.rev),
                        &mut stored.clear,
                        Seal::Put(&sealed),
                    )?;
                    stored.rev = self.commit(writes).await?;
                    stored.sealed = Some(sealed);
                }
                Discovered::Ask(choices) => {
                    sealed.question = Some(Question {
                        step: step.id.clone(),
                        options: choices
                            .into_iter()
                            .map(|choice| QuestionOption {
                                label: choice.label,
                                capture: values(choice.captures),
                            })
                            .collect(),
                    });
                    self.ask(stored, sealed).await?;
                    return Err(must_choose());
                }
            }
        }
        Ok(stored)
    }

    async fn discover_step(
        &self,
        entry: &AppEntry,
        stored: &Stored<Connection>,
        step: &Discovery,
    ) -> Result<Discovered, ConnectError> {
        let sealed = stored.sealed()?;
        let known = entry
            .manifest
            .with_variant(&scope::of_connection(sealed, None));
        let config = self.config_of(stored).await?;
        let parts = PassParts {
            entry,
            owner: stored.owner(),
            method: &stored.clear.method,
            sealed,
            account: None,
            config: config.as_ref(),
        };
        let own = own(entry, &stored.clear.method, &step.request, &known)?;
        // Under the API as any call. Elsewhere the manifest's own address gets the credential, and nothing else does: the
        // API's address may not be known yet.
        let mut pass = if own.base.is_some() {
            self.pass(&parts, Purpose::Flow).await?.0
        } else {
            self.pass_to(&parts, own.host).await?
        };
        pass.methods = reading(&step.request);
        let answer = self.send_with(pass, own.request).await?;
        discovered(step, &known, &answer).map_err(as_error)
    }

    /// Writes the question down and tells the page.
    async fn ask(
        &self,
        mut stored: Stored<Connection>,
        sealed: ConnectionSealed,
    ) -> Result<(), ConnectError> {
        let Some(flow) = &stored.clear.flow else {
            return Err(ConnectError::state(
                "choice_needed",
                "the app asks which of several this account is to be used with; connect it in the window",
            ));
        };
        let flow: Stored<Flow> = self.load(flow).await?;
        if flow.clear.status.ended() {
            return Err(ConnectError::Stale);
        }
        let until = flow
            .clear
            .expires_at
            .max(self.after(self.inner.options.flow));
        stored.clear.retry_until = Some(until);
        stored.clear.reason = Some(Reason {
            code: CHOOSE.to_owned(),
            say: must_choose().to_string(),
        });
        let mut clear = flow.clear.clone();
        clear.status = FlowStatus::Choosing;
        clear.choosing = Some(stored.id().to_owned());
        clear.expires_at = until;
        let mut writes = self.put_connection(
            &stored.id,
            Expect::At(stored.rev),
            &mut stored.clear,
            Seal::Put(&sealed),
        )?;
        writes.push(record::put::<Flow>(
            &flow.id,
            Expect::At(flow.rev),
            &clear,
            Seal::Keep,
        )?);
        self.commit(writes).await?;
        self.tell("flow", stored.owner(), flow.id());
        Ok(())
    }
}

/// Whether an error says no more than that the person has to choose.
pub(crate) fn waits_for_choice(error: &ConnectError) -> bool {
    matches!(error, ConnectError::State { code, .. } if *code == CHOOSE)
}

fn must_choose() -> ConnectError {
    ConnectError::state(
        CHOOSE,
        "choose what this connection is for, in the window that is open",
    )
}

fn values(captures: Captures) -> IndexMap<String, Hidden> {
    let mut kept = IndexMap::new();
    keep(captures, &mut kept, &mut keyport_manifest::Scope::new());
    kept
}
