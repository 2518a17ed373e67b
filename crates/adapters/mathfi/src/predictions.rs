//! Predictions: made, read, and their results.

use trainyard_core::ModelId;
use trainyard_core::port::Handle;
use trainyard_http::{HeaderValue, Request, Response, StatusCode, header};
use uuid::Uuid;

use crate::fault::Fault;
use crate::host::{DatasetId, Host, Prediction, PredictionId, PredictionState, UserId};
use crate::intake::{Seated, Source};
use crate::map;
use crate::service::{Edge, MathFi, not_stored};
use crate::signing::Purpose;
use crate::wire::answers::{PredictionCreated, PredictionRead};

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    pub(crate) async fn create_prediction(
        &self,
        user: UserId,
        key: Uuid,
        mut request: Request,
    ) -> Result<Response, Fault> {
        let model = ModelId::new(key);
        let limits = *self.edge.settings.limits();
        self.edge.url("")?;
        self.edge.own_model(user, model)?;
        let source = Source::form(&mut request, limits.api_upload_bytes, limits.form_bytes())?;
        let seat = self.edge.uploads.try_take(user)?;
        let receive = move |edge: &Edge<H, S>| {
            let upload =
                edge.host.receive_rows(model, user).map_err(|refused| map::refused(MODEL, &refused))?;
            Ok(Seated::new((upload, seat)))
        };
        let upload = self.work(receive).await?;
        let bytes = 1..=limits.api_upload_bytes;
        let prediction = source.pour(MODEL, upload, bytes, &self.edge.finishing).await?;
        let answer = PredictionCreated {
            prediction_key: prediction.id.as_uuid(),
            status: map::prediction_status(&prediction.state),
            prediction_creation_progress_url: self.edge.url(&format!("predictions/{}", prediction.id))?,
        };
        Ok(Response::json(StatusCode::CREATED, &answer))
    }

    pub(crate) async fn read_prediction(&self, user: UserId, key: Uuid) -> Result<Response, Fault> {
        self.work(move |edge| {
            let found = edge.host.prediction(PredictionId::new(key)).map_err(|error| map::broken(&error))?;
            let owned = found.filter(|prediction| prediction.owner == user);
            let prediction = owned.ok_or_else(|| map::not_found("Prediction"))?;
            Ok(not_stored(Response::json(StatusCode::OK, &edge.told(prediction)?)))
        })
        .await
    }

    /// The CSV behind a signed URL, read while the client takes it.
    pub(crate) async fn signed_result(&self, key: &str, request: &Request) -> Result<Response, Fault> {
        let id = PredictionId::new(self.edge.signed_for(Purpose::Result, key, request)?);
        let found = self.work(move |edge| edge.host.result(id).map_err(|error| map::broken(&error))).await?;
        let file = found.ok_or_else(|| map::not_found("Result"))?;
        let disposition = format!("attachment; filename=\"prediction-{id}.csv\"");
        let disposition = HeaderValue::try_from(disposition).map_err(|_| Fault::internal())?;
        let response = Response::reader(StatusCode::OK, "text/csv", file.bytes, file.csv);
        Ok(not_stored(response.with_header(header::CONTENT_DISPOSITION, disposition)))
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Whether there is such a model, made of a dataset of this user.
    fn own_model(&self, user: UserId, model: ModelId) -> Result<(), Fault> {
        self.is_going()?;
        let mut dataset = None;
        self.handle.read(&mut |yard| {
            dataset = yard.model(model).and_then(|model| DatasetId::of(&model.subject));
        });
        self.owned(user, dataset.ok_or_else(|| map::not_found(MODEL))?, MODEL)
    }

    fn told(&self, prediction: Prediction) -> Result<PredictionRead, Fault> {
        let status = map::prediction_status(&prediction.state);
        let (prediction_url, message) = match prediction.state {
            PredictionState::Completed => {
                let until = self.handle.now().after(self.settings.limits().result_url_life);
                let id = prediction.id.as_uuid();
                (Some(self.signed_url(Purpose::Result, "results", id, until)?), None)
            }
            PredictionState::Failed { reason } => (None, Some(map::shortened(&reason))),
            PredictionState::Pending | PredictionState::Running | PredictionState::TimedOut => (None, None),
        };
        Ok(PredictionRead {
            prediction_key: prediction.id.as_uuid(),
            model_key: prediction.model.as_uuid(),
            status,
            prediction_url,
            message,
        })
    }
}

const MODEL: &str = "Model";
