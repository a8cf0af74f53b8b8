//! The person's answer to what only they can know: which of the things that the app lists this connection is for.
//!
//! The options were written down when the app listed them; the page gets their labels and sends back a number. So nothing
//! that the page says becomes a value: it picks one of those that the app gave, held to their declared form.

use keyport_vault::Expect;

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::record::{self, Connection, Flow, Seal, Stored};
use crate::view::{Choice, Choose, Chosen, FlowStatus, FlowView, SessionCtx};

impl Engine {
    /// Answers a flow's question and goes on with it. The answer says how that went.
    ///
    /// # Errors
    ///
    /// When this session has no such flow, it has no question, or there is no such option.
    pub async fn choose(
        &self,
        session: &SessionCtx,
        flow_id: &str,
        chosen: &Chosen,
    ) -> Result<FlowView, ConnectError> {
        let flow = self.flow_of(session, flow_id).await?;
        let nothing = || {
            ConnectError::state(
                "nothing_to_choose",
                "this sign-in does not ask anything now",
            )
        };
        if flow.clear.status != FlowStatus::Choosing {
            return Err(nothing());
        }
        let pending = flow.clear.choosing.as_deref().ok_or_else(nothing)?;
        let mut pending: Stored<Connection> = self.load(pending).await?;
        let mut sealed = pending.sealed()?.clone();
        let question = sealed.question.take().ok_or_else(nothing)?;
        let option = (chosen.step == question.step)
            .then(|| chosen.value.parse::<usize>().ok())
            .flatten()
            .and_then(|at| question.options.get(at))
            .ok_or_else(|| ConnectError::invalid("value", "choose one of those that are shown"))?;
        sealed.capture.extend(option.capture.clone());
        sealed.discovered.push(question.step.clone());
        pending.clear.reason = None;
        pending.clear.retry_until = Some(self.after(self.inner.options.pending_retry));
        let mut clear = flow.clear.clone();
        clear.status = FlowStatus::Testing;
        clear.choosing = None;
        let mut writes = self.put_connection(
            &pending.id,
            Expect::At(pending.rev),
            &mut pending.clear,
            Seal::Put(&sealed),
        )?;
        writes.push(record::put::<Flow>(
            &flow.id,
            Expect::At(flow.rev),
            &clear,
            Seal::Keep,
        )?);
        self.commit(writes).await?;
        self.tell("flow", flow.owner(), flow_id);
        // In a task of its own: a page that goes away does not leave a half-made connection.
        let (engine, id) = (self.clone(), pending.id().to_owned());
        let tried = tokio::spawn(async move { engine.try_pending(&id).await }).await;
        if let Ok(Err(error)) = tried {
            // How it went is in the flow.
            tracing::info!(
                flow = flow_id,
                code = error.code(),
                "a fresh sign-in did not pass its test"
            );
        }
        self.flow(session, flow_id).await
    }

    /// What a flow asks, if it does.
    pub(crate) async fn question_of(&self, flow: &Stored<Flow>) -> Option<Choose> {
        if flow.clear.status != FlowStatus::Choosing {
            return None;
        }
        let pending: Stored<Connection> = self.load(flow.clear.choosing.as_deref()?).await.ok()?;
        let question = pending.sealed().ok()?.question.as_ref()?;
        let entry = self.inner.catalogue.get(&flow.clear.app).ok()?;
        Some(Choose {
            step: question.step.clone(),
            say: format!(
                "{} lists several. Which one is this connection for?",
                entry.manifest.name
            ),
            options: question
                .options
                .iter()
                .enumerate()
                .map(|(number, option)| Choice {
                    value: number.to_string(),
                    label: option.label.clone(),
                })
                .collect(),
        })
    }
}
