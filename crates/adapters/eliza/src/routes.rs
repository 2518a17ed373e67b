//! Which path is what.

use trainyard_http::{Found, Method, Routes};

use crate::fault::Fault;

/// What this wire is, as an OpenAPI document: the answer to `GET /api/training/openapi.json`, whoever asks.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Everything that is answered under the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    OpenApi,
    Status,
    Trajectories,
    Ingest,
    Trajectory,
    Datasets,
    BuildDataset,
    Jobs,
    StartJob,
    Job,
    CancelJob,
    Models,
    ImportModel,
    ActivateModel,
    BenchmarkModel,
    Backends,
    AutoConfig,
    PutAutoConfig,
    PostAutoConfig,
    AutoStatus,
    AutoDecisions,
    AutoTrigger,
    AutoRuns,
    AutoRun,
}

/// How things stand, in numbers.
pub(crate) const STATUS: &str = "/api/training/status";
/// What stands before the id of a job that is asked about.
pub(crate) const JOB: &str = "/api/training/jobs/";

const TABLE: &[(Method, &str, Endpoint)] = &[
    (Method::GET, "/api/training/openapi.json", Endpoint::OpenApi),
    (Method::GET, STATUS, Endpoint::Status),
    (Method::GET, "/api/training/trajectories", Endpoint::Trajectories),
    // Ours: trajectories come in here when the agent is another process.
    (Method::POST, "/api/training/trajectories", Endpoint::Ingest),
    (Method::GET, "/api/training/trajectories/{id}", Endpoint::Trajectory),
    (Method::GET, "/api/training/datasets", Endpoint::Datasets),
    (Method::POST, "/api/training/datasets/build", Endpoint::BuildDataset),
    (Method::GET, "/api/training/jobs", Endpoint::Jobs),
    (Method::POST, "/api/training/jobs", Endpoint::StartJob),
    (Method::GET, "/api/training/jobs/{id}", Endpoint::Job),
    (Method::POST, "/api/training/jobs/{id}/cancel", Endpoint::CancelJob),
    (Method::GET, "/api/training/models", Endpoint::Models),
    (Method::POST, "/api/training/models/{id}/import-ollama", Endpoint::ImportModel),
    (Method::POST, "/api/training/models/{id}/activate", Endpoint::ActivateModel),
    (Method::POST, "/api/training/models/{id}/benchmark", Endpoint::BenchmarkModel),
    (Method::GET, "/api/training/backends", Endpoint::Backends),
    (Method::GET, "/api/training/auto/config", Endpoint::AutoConfig),
    (Method::PUT, "/api/training/auto/config", Endpoint::PutAutoConfig),
    (Method::POST, "/api/training/auto/config", Endpoint::PostAutoConfig),
    (Method::GET, "/api/training/auto/status", Endpoint::AutoStatus),
    // Ours: why a task was or was not trained.
    (Method::GET, "/api/training/auto/decisions", Endpoint::AutoDecisions),
    (Method::POST, "/api/training/auto/trigger", Endpoint::AutoTrigger),
    (Method::GET, "/api/training/auto/runs", Endpoint::AutoRuns),
    (Method::GET, "/api/training/auto/runs/{id}", Endpoint::AutoRun),
];

pub(crate) fn routes() -> Routes<Endpoint> {
    let empty = Routes::new();
    TABLE.iter().fold(empty, |routes, (method, path, endpoint)| {
        routes.with(method.clone(), path, *endpoint).expect("the paths of the table differ")
    })
}

/// Finds the endpoint and the id in its path, empty where there is none; else a 404, for a wrong method too.
pub(crate) fn find(
    routes: &Routes<Endpoint>,
    method: &Method,
    path: &str,
) -> Result<(Endpoint, String), Fault> {
    match routes.find(method, path) {
        Found::Endpoint { endpoint, params } => {
            Ok((*endpoint, params.get("id").unwrap_or_default().to_owned()))
        }
        Found::WrongMethod { .. } | Found::NotFound => Err(Fault::not_routed()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use trainyard_testkit::openapi::Contract;

    use super::*;

    #[test]
    fn every_row_of_the_table_is_found() {
        for (method, path, endpoint) in TABLE {
            let found = find(&routes(), method, &path.replace("{id}", "a%2Fb")).unwrap();
            let id = if path.contains("{id}") { "a/b" } else { "" };
            assert_eq!(found, (*endpoint, id.to_owned()), "{method} {path}");
        }
    }

    #[test]
    fn what_is_answered_at_once_is_in_the_table() {
        let found = |path: &str| find(&routes(), &Method::GET, path).unwrap();
        assert_eq!(found(STATUS), (Endpoint::Status, String::new()));
        assert_eq!(found(&format!("{JOB}7")), (Endpoint::Job, "7".to_owned()));
    }

    #[test]
    fn everything_else_is_404() {
        for (method, path) in [
            (Method::GET, "/api/training"),
            (Method::GET, "/api/training/"),
            (Method::GET, "/api/training/status/"),
            (Method::POST, "/api/training/status"),
            (Method::HEAD, "/api/training/status"),
            (Method::GET, "/api/training/datasets/build"),
            (Method::GET, "/api/training/jobs/"),
            (Method::DELETE, "/api/training/jobs/x"),
            (Method::GET, "/api/training/jobs/a/b/cancel"),
            (Method::GET, "/api/training/vast/models"),
        ] {
            assert_eq!(find(&routes(), &method, path), Err(Fault::not_routed()), "{method} {path}");
        }
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let mut told: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        // At a mount of its own.
        told.insert(("GET".to_owned(), "/ws".to_owned()));
        assert_eq!(Contract::of(OPENAPI).operations(), told);
    }
}
