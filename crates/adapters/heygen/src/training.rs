//! Training: started, and followed.

use std::sync::Arc;

use trainyard_core::port::Handle;
use trainyard_core::{Admission, Registry, Subject, Submission, Yard};
use trainyard_http::{Request, Response, StatusCode};

use crate::fault::Fault;
use crate::host::{GroupId, Host, LookId, LookState};
use crate::map;
use crate::parameters::TrainParameters;
use crate::service::{Edge, HeyGen, done};
use crate::wire::answers::{Flow, Started, TrainStatus};
use crate::wire::hex;
use crate::wire::requests::NewTraining;

impl<H: Handle + ?Sized, S: Host + ?Sized> HeyGen<H, S> {
    pub(crate) async fn train(&self, request: Request) -> Result<Response, Fault> {
        let wanted: NewTraining = self.json(request).await?;
        let group = wanted.group.ok_or_else(map::no_group)?;
        // On its way before anything is waited for: a client that hangs up has asked all the same.
        let submitted = self.work(move |edge| {
            let _turn = edge.turn();
            Ok(edge.handle.submit(edge.prepare(group)?))
        });
        let receipt = submitted.await?.await.map_err(|error| map::unanswered(group, &error))?;
        let flow_id = receipt.job.as_uuid().as_simple().to_string();
        Ok(done(&Started { flow_id: flow_id.clone(), data: Flow { flow_id } }))
    }

    pub(crate) async fn train_status(&self, id: &str) -> Result<Response, Fault> {
        let group = group_id(id)?;
        self.work(move |edge| {
            edge.is_going()?;
            edge.knows(group)?;
            edge.status_of(group)
        })
        .await
    }

    /// The same, when nothing of it blocks.
    pub(crate) fn train_status_at_once(&self, group: GroupId) -> Option<Result<Response, Fault>> {
        let status = match self.edge.host.has_group(group)? {
            true => self.edge.status_of(group),
            false => self.edge.is_going().and(Err(map::no_group())),
        };
        Some(status)
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    fn status_of(&self, group: GroupId) -> Result<Response, Fault> {
        self.is_going()?;
        let known = self.handle.edition().and_then(|edition| self.told.find(group, edition));
        if let Some(json) = known {
            return Ok(Response::bytes(StatusCode::OK, "application/json", json));
        }
        let subject = group.subject();
        let (mut status, mut edition) = (TrainStatus::EMPTY, None);
        self.handle.read(&mut |yard| {
            edition = self.handle.edition();
            status = standing(yard, &subject);
        });
        let response = done(&status);
        if let (Some(edition), Some(json)) = (edition, response.bytes_ready()) {
            self.told.keep(group, edition, json);
        }
        Ok(response)
    }

    /// A training of the looks that are there, and completed, at this moment.
    fn prepare(&self, group: GroupId) -> Result<Submission, Fault> {
        let looks = self.host.looks(group).map_err(|error| map::broken(&error))?;
        let looks = looks.ok_or_else(map::no_group)?;
        let completed = looks.iter().filter(|look| look.state == LookState::Completed);
        let completed: Vec<LookId> = completed.map(|look| look.id).collect();
        if completed.is_empty() {
            return Err(map::nothing_to_train(group));
        }
        if completed.len() > TrainParameters::LOOKS_MAX {
            return Err(map::too_many_to_train(completed.len()));
        }
        let parameters = TrainParameters::new(completed);
        let mut class = self.settings.class().clone();
        // The group's own: that is where its models are looked for.
        class.registry = None;
        let mut submission = Submission::new(self.handle.job_id(), group.subject(), Arc::new(class));
        submission.watermark = u64::try_from(parameters.looks().len()).ok();
        submission.parameters = parameters.to_parameters();
        submission.admission = Admission::Refuse;
        Ok(submission)
    }
}

/// Where the training of a group stands.
pub(crate) fn standing(yard: &Yard, subject: &Subject) -> TrainStatus {
    let newest_model = yard.models(&Registry::from(subject)).next_back();
    map::training(yard.newest(subject), newest_model.map(|model| &**model))
}

/// The group of an id in a path; what cannot be one is none.
pub(crate) fn group_id(id: &str) -> Result<GroupId, Fault> {
    hex(id).map(GroupId::new).ok_or_else(map::no_group)
}
