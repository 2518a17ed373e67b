//! Datasets: made, listed, read.

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response, StatusCode};

use crate::fault::Fault;
use crate::host::{Dataset, DatasetId, DatasetState, Host, NewDataset, UserId};
use crate::map;
use crate::service::{Edge, MathFi, not_stored};
use crate::signing::Purpose;
use crate::wire::answers::{DatasetCreated, DatasetItem, DatasetList, DatasetRead, UploadInfo, moment};
use crate::wire::query::ListQuery;
use crate::wire::requests;

impl<H: Handle + ?Sized, S: Host + ?Sized> MathFi<H, S> {
    pub(crate) async fn create_dataset(&self, user: UserId, request: Request) -> Result<Response, Fault> {
        let wanted: requests::NewDataset = self.json(request).await?;
        self.work(move |edge| edge.create_dataset(user, wanted)).await
    }

    pub(crate) async fn read_dataset(&self, user: UserId, id: DatasetId) -> Result<Response, Fault> {
        self.work(move |edge| {
            let dataset = edge.dataset(user, id)?;
            let url = edge.dataset_url(id)?;
            let upload_info = match dataset.state {
                DatasetState::Pending => Some(edge.upload_info(id)?),
                DatasetState::Processing | DatasetState::Completed(_) | DatasetState::Failed { .. } => None,
            };
            Ok(not_stored(Response::json(StatusCode::OK, &DatasetRead::of(dataset, url, upload_info))))
        })
        .await
    }

    pub(crate) async fn list_datasets(&self, user: UserId, request: &Request) -> Result<Response, Fault> {
        let query = ListQuery::read(request.query())?;
        self.work(move |edge| edge.list_datasets(user, &query)).await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    pub(crate) fn dataset_url(&self, id: DatasetId) -> Result<String, Fault> {
        self.url(&format!("datasets/{id}"))
    }

    fn create_dataset(&self, owner: UserId, wanted: requests::NewDataset) -> Result<Response, Fault> {
        // So that nothing is made whose URLs could not be told.
        self.url("")?;
        let at = self.handle.now();
        let requests::NewDataset { name, description, buckets } = wanted;
        let dataset = self.host.create_dataset(NewDataset { owner, name, description, buckets, at });
        let dataset = dataset.map_err(|refused| map::refused("Dataset", &refused))?;
        let id = dataset.id;
        let answer = DatasetCreated {
            dataset_key: id.as_uuid(),
            status: map::dataset_status(&dataset.state),
            dataset_creation_progress_url: self.dataset_url(id)?,
            dataset_upload_info: self.upload_info(id)?,
            number_of_buckets: dataset.buckets,
        };
        Ok(not_stored(Response::json(StatusCode::CREATED, &answer)))
    }

    /// Where its data may be put from now on, until the URL is too old.
    fn upload_info(&self, id: DatasetId) -> Result<UploadInfo, Fault> {
        let limits = self.settings.limits();
        let until = self.handle.now().after(limits.upload_url_life);
        Ok(UploadInfo {
            upload_url: self.signed_url(Purpose::Upload, "uploads", id.as_uuid(), until)?,
            extra_headers: format!(
                "X-Goog-Content-Length-Range:{},{}",
                limits.upload_bytes_min, limits.signed_upload_bytes
            ),
        })
    }

    fn list_datasets(&self, user: UserId, query: &ListQuery) -> Result<Response, Fault> {
        let mut found = self.host.datasets(user).map_err(|error| map::broken(&error))?;
        found.retain(|dataset| query.state.is_none_or(|state| state == map::dataset_status(&dataset.state)));
        if query.with_model_only {
            self.handle.read(&mut |yard| {
                found.retain(|dataset| yard.active_model(&dataset.id.registry()).is_some());
            });
        }
        let total = found.len() as u64;
        let limit = query.limit.min(self.settings.limits().page.max(1));
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(count(query.offset)).take(count(limit));
        let datasets: Vec<DatasetItem> = page.map(|dataset| DatasetItem::of(&dataset)).collect();
        let next = query.offset.saturating_add(datasets.len() as u64);
        let answer = DatasetList {
            offset: query.offset,
            limit,
            total,
            next_offset: (next < total).then_some(next),
            datasets,
        };
        Ok(Response::json(StatusCode::OK, &answer))
    }
}

impl DatasetItem {
    fn of(dataset: &Dataset) -> Self {
        Self {
            dataset_key: dataset.id.as_uuid(),
            dataset_name: dataset.name.clone(),
            number_of_buckets: dataset.buckets,
            status: map::dataset_status(&dataset.state),
            created_on: moment(dataset.created_at),
        }
    }
}

impl DatasetRead {
    fn of(dataset: Dataset, url: String, upload_info: Option<UploadInfo>) -> Self {
        let item = DatasetItem::of(&dataset);
        let message = match dataset.state {
            DatasetState::Failed { reason } => Some(map::shortened(&reason)),
            DatasetState::Pending | DatasetState::Processing | DatasetState::Completed(_) => None,
        };
        Self {
            item,
            description: dataset.description,
            dataset_creation_progress_url: url,
            dataset_upload_info: upload_info,
            message,
        }
    }
}
