//! Which path is what.

use trainyard_http::{Found, Method, Routes};

use crate::fault::Fault;

/// What this wire is, as an OpenAPI document: the answer to `GET /api/v1/openapi.json`, whoever asks.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Everything that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// For anybody: it is public documentation.
    OpenApi,
    LogIn,
    /// At a signed URL, which is all the authority there is.
    SignedUpload,
    /// At a signed URL, which is all the authority there is.
    SignedResult,
    /// For whoever shows a token.
    ForUser(Asked),
}

/// What a user may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    ListDatasets,
    CreateDataset,
    ReadDataset,
    PutData,
    StartTraining,
    ReadTraining,
    TrainingProgress,
    CancelTraining,
    CreatePrediction,
    ReadPrediction,
}

const fn asked(asked: Asked) -> Endpoint {
    Endpoint::ForUser(asked)
}

const TABLE: &[(Method, &str, Endpoint)] = &[
    (Method::GET, "/api/v1/openapi.json", Endpoint::OpenApi),
    (Method::POST, "/api/login", Endpoint::LogIn),
    (Method::GET, "/api/v1/datasets", asked(Asked::ListDatasets)),
    (Method::POST, "/api/v1/datasets", asked(Asked::CreateDataset)),
    (Method::GET, "/api/v1/datasets/{key}", asked(Asked::ReadDataset)),
    (Method::GET, "/api/v1/datasets/{key}/progress", asked(Asked::ReadDataset)),
    (Method::POST, "/api/v1/datasets/{key}/data", asked(Asked::PutData)),
    (Method::PUT, "/api/v1/uploads/{key}", Endpoint::SignedUpload),
    (Method::POST, "/api/v1/training/datasets/{key}", asked(Asked::StartTraining)),
    (Method::GET, "/api/v1/training/{key}", asked(Asked::ReadTraining)),
    (Method::GET, "/api/v1/training/{key}/progress", asked(Asked::TrainingProgress)),
    (Method::PATCH, "/api/v1/training/{key}/cancel", asked(Asked::CancelTraining)),
    (Method::POST, "/api/v1/predictions/models/{key}", asked(Asked::CreatePrediction)),
    (Method::GET, "/api/v1/predictions/{key}", asked(Asked::ReadPrediction)),
    (Method::GET, "/api/v1/results/{key}", Endpoint::SignedResult),
];

pub(crate) fn routes() -> Routes<Endpoint> {
    let empty = Routes::new();
    TABLE.iter().fold(empty, |routes, (method, path, endpoint)| {
        routes.with(method.clone(), path, *endpoint).expect("the paths of the table differ")
    })
}

/// Finds the endpoint and the key in its path, empty where there is none; else a 405 or a 404.
pub(crate) fn find(
    routes: &Routes<Endpoint>,
    method: &Method,
    path: &str,
) -> Result<(Endpoint, String), Fault> {
    match routes.find(method, path) {
        Found::Endpoint { endpoint, params } => {
            Ok((*endpoint, params.get("key").unwrap_or_default().to_owned()))
        }
        Found::WrongMethod { allow } => Err(Fault::WrongMethod(allow.to_vec())),
        Found::NotFound => Err(Fault::not_found("There is nothing at this path")),
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
            let found = find(&routes(), method, &path.replace("{key}", "k")).unwrap();
            let key = if path.contains("{key}") { "k" } else { "" };
            assert_eq!(found, (*endpoint, key.to_owned()), "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let check = |method: Method, path: &str, expected: Fault| {
            assert_eq!(find(&routes(), &method, path), Err(expected), "{method} {path}");
        };
        let nothing = || Fault::not_found("There is nothing at this path");
        check(Method::GET, "/api/v1/login", nothing());
        check(Method::GET, "/api/v1/models", nothing());
        check(Method::DELETE, "/api/v1/training/k/cancel", Fault::WrongMethod(vec![Method::PATCH]));
        check(Method::POST, "/api/v1/training/k/cancel", Fault::WrongMethod(vec![Method::PATCH]));
        check(Method::PUT, "/api/v1/datasets", Fault::WrongMethod(vec![Method::GET, Method::POST]));
        check(Method::GET, "/api/login", Fault::WrongMethod(vec![Method::POST]));
        check(Method::GET, "/api/v1/training/", nothing());
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let told: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(Contract::of(OPENAPI).operations(), told);
    }
}
