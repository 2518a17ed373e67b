//! Trajectories: listed, read, taken in. And the datasets that are built of them.

use trainyard_core::port::Handle;
use trainyard_http::{Request, Response};

use crate::events::{Event, EventKind};
use crate::fault::Fault;
use crate::host::{Build, Dataset, Host, HostError, Runtime};
use crate::map;
use crate::service::{Edge, Eliza, created, ok, plain};
use crate::wire::answers::{One, TakenIn, TrajectoryList};
use crate::wire::requests::{self, NewDataset};

impl<H: Handle + ?Sized, S: Host + ?Sized> Eliza<H, S> {
    pub(crate) async fn list_trajectories(&self, query: Option<&str>) -> Result<Response, Fault> {
        let page = requests::page(query);
        self.work(move |edge| {
            let (reason, total, rows) = match edge.host.runtime() {
                Runtime::Absent(absence) => (Some(map::absence(absence)), 0, Vec::new()),
                Runtime::Attached => {
                    let shelf = edge.host.trajectories(page).map_err(|error| map::broken(&error))?;
                    (None, shelf.total, shelf.rows)
                }
            };
            Ok(ok(&TrajectoryList {
                available: reason.is_none(),
                reason,
                total,
                offset: page.offset,
                limit: page.limit,
                trajectories: rows.into_iter().map(map::trajectory_row).collect(),
            }))
        })
        .await
    }

    pub(crate) async fn read_trajectory(&self, id: String) -> Result<Response, Fault> {
        /// Agents name them as they like; nothing longer is one.
        const ID_BYTES_MAX: usize = 512;
        let unknown = || Fault::not_found("Trajectory not found");
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(unknown());
        }
        self.work(move |edge| {
            let found = match edge.host.runtime() {
                Runtime::Attached => edge.host.trajectory(&id).map_err(|error| map::broken(&error))?,
                Runtime::Absent(_) => None,
            };
            Ok(ok(&One::Trajectory(map::trajectory(found.ok_or_else(unknown)?))))
        })
        .await
    }

    pub(crate) async fn take_in(&self, request: Request) -> Result<Response, Fault> {
        plain(&request)?;
        let seat = self.edge.ingests.try_take();
        let seat = seat.ok_or_else(|| Fault::later("Too many trajectories come in at once"))?;
        let bytes = request.into_body().collect(self.edge.limits().ingest_bytes).await?;
        let turn = self.edge.ingesting.take().await;
        let (ingested, told) = self
            .work(move |edge| {
                let _held = (seat, turn);
                edge.is_going()?;
                edge.ingest(&bytes).map_err(|refused| map::refused(&refused))
            })
            .await?;
        told.log().await;
        // It may be as long as what came in.
        self.work(move |_| {
            let trajectories: Vec<_> = ingested.rows.into_iter().map(map::trajectory_row).collect();
            Ok(created(&TakenIn { count: trajectories.len(), trajectories }))
        })
        .await
    }

    pub(crate) async fn list_datasets(&self) -> Result<Response, Fault> {
        self.work(|edge| {
            let datasets = edge.host.datasets().map_err(|error| map::broken(&error))?;
            Ok(ok(&One::Datasets(datasets.into_iter().map(map::dataset).collect::<Vec<_>>())))
        })
        .await
    }

    pub(crate) async fn build_dataset(&self, request: Request) -> Result<Response, Fault> {
        let wanted = NewDataset::of(&self.members(request).await?)?;
        let turn = self.edge.building.take().await;
        self.work(move |edge| {
            let _held = turn;
            Ok(created(&One::Dataset(map::dataset(edge.build(wanted)?))))
        })
        .await
    }
}

impl<H: Handle + ?Sized, S: Host + ?Sized> Edge<H, S> {
    /// Builds a dataset, and says so.
    pub(crate) fn build(&self, wanted: NewDataset) -> Result<Dataset, Fault> {
        let NewDataset { limit, llm_calls_min } = wanted;
        let build = Build { limit, llm_calls_min, at: self.handle.now() };
        let dataset = self.host.build_dataset(build).map_err(|refused| map::refused(&refused))?;
        let (trajectories, examples) = (dataset.trajectories, dataset.examples);
        let message = format!("Built dataset of {trajectories} trajectories and {examples} examples");
        self.events.publish(Event::new(EventKind::DatasetBuilt, message).with_dataset(dataset.id.clone()));
        Ok(dataset)
    }

    /// The newest dataset; one is built when there is none.
    pub(crate) fn newest_dataset(&self, trajectories_max: Option<u64>) -> Result<Dataset, Fault> {
        let newest = |found: Result<Vec<Dataset>, HostError>| {
            found.map(|found| found.into_iter().next()).map_err(|error| map::broken(&error))
        };
        let _turn = self.build_turn();
        match newest(self.host.datasets())? {
            Some(dataset) => Ok(dataset),
            None => self.build(NewDataset::of_newest(trajectories_max)),
        }
    }
}
