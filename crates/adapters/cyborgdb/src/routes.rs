//! Which path is what.

use trainyard_http::{Found, HeaderValue, Method, Routes};

use crate::fault::Fault;

/// What this wire is, as an OpenAPI document: the answer to `GET /v1/openapi.json`, whoever asks.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Everything that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    OpenApi,
    Health,
    ListIndexes,
    TrainingStatus,
    Create,
    Describe,
    Remove,
    Train,
    Upsert,
    UpsertBinary,
    Query,
    QueryBinary,
    Get,
    Delete,
    ListIds,
    Count,
    QueryMetadata,
    /// Keys per user are not offered.
    Users,
}

const TABLE: &[(Method, &str, Endpoint)] = &[
    (Method::GET, "/v1/openapi.json", Endpoint::OpenApi),
    (Method::GET, "/v1/health", Endpoint::Health),
    (Method::GET, "/v1/indexes/list", Endpoint::ListIndexes),
    (Method::GET, "/v1/indexes/training-status", Endpoint::TrainingStatus),
    (Method::POST, "/v1/indexes/create", Endpoint::Create),
    (Method::POST, "/v1/indexes/describe", Endpoint::Describe),
    (Method::POST, "/v1/indexes/delete", Endpoint::Remove),
    (Method::POST, "/v1/indexes/train", Endpoint::Train),
    (Method::POST, "/v1/indexes/{name}/users", Endpoint::Users),
    (Method::GET, "/v1/indexes/{name}/users", Endpoint::Users),
    (Method::DELETE, "/v1/indexes/{name}/users/{id}", Endpoint::Users),
    (Method::POST, "/v1/vectors/upsert", Endpoint::Upsert),
    (Method::POST, "/v1/vectors/upsert_binary", Endpoint::UpsertBinary),
    (Method::POST, "/v1/vectors/query", Endpoint::Query),
    (Method::POST, "/v1/vectors/query_binary", Endpoint::QueryBinary),
    (Method::POST, "/v1/vectors/get", Endpoint::Get),
    (Method::POST, "/v1/vectors/delete", Endpoint::Delete),
    (Method::POST, "/v1/vectors/list_ids", Endpoint::ListIds),
    (Method::POST, "/v1/vectors/num_vectors", Endpoint::Count),
    (Method::POST, "/v1/vectors/query_metadata", Endpoint::QueryMetadata),
];

pub(crate) fn routes() -> Routes<Endpoint> {
    let empty = Routes::new();
    TABLE.iter().fold(empty, |routes, (method, path, endpoint)| {
        routes.with(method.clone(), path, *endpoint).expect("the paths of the table differ")
    })
}

/// Finds the endpoint, or says what there is instead: a 405, one redirect away from slashes at the end, a 404.
pub(crate) fn find(
    routes: &Routes<Endpoint>,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Result<Endpoint, Fault> {
    match routes.find(method, path) {
        Found::Endpoint { endpoint, .. } => Ok(*endpoint),
        Found::WrongMethod { allow } => Err(Fault::WrongMethod(allow.to_vec())),
        Found::NotFound => {
            Err(redirect(routes, method, path, query).unwrap_or_else(|| Fault::not_found("Not Found")))
        }
    }
}

/// The location is a path: a `Host` header is never echoed. Only known paths are redirected to, so it cannot
/// lead elsewhere.
fn redirect(routes: &Routes<Endpoint>, method: &Method, path: &str, query: Option<&str>) -> Option<Fault> {
    let bare = path.trim_end_matches('/');
    match routes.find(method, bare) {
        _ if bare.len() == path.len() => None,
        Found::NotFound => None,
        Found::Endpoint { .. } | Found::WrongMethod { .. } => {
            let location = query.map_or_else(|| bare.to_owned(), |query| format!("{bare}?{query}"));
            HeaderValue::try_from(location).ok().map(Fault::Elsewhere)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use trainyard_testkit::openapi::Contract;

    use super::*;

    fn check(method: Method, path: &str, query: Option<&str>, status: u16, header: Option<(&str, &str)>) {
        let response = find(&routes(), &method, path, query).expect_err(path).into_response();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        if let Some((name, value)) = header {
            assert_eq!(response.headers()[name], value, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let allow = |methods| Some(("allow", methods));
        let location = |path| Some(("location", path));
        check(Method::GET, "/v1/nothing", None, 404, None);
        check(Method::GET, "/v1/embedding-models", None, 404, None);
        check(Method::HEAD, "/v1/health", None, 405, allow("GET"));
        check(Method::OPTIONS, "/v1/indexes/train", None, 405, allow("POST"));
        check(Method::GET, "/v1/vectors/query", None, 405, allow("POST"));
        check(Method::GET, "/v1/health/", None, 307, location("/v1/health"));
        check(Method::POST, "/v1/indexes/train//", Some("a=b"), 307, location("/v1/indexes/train?a=b"));
        check(Method::HEAD, "/v1/health/", None, 307, location("/v1/health"));
        check(Method::GET, "//evil.example/", None, 404, None);
        check(Method::GET, "/", None, 404, None);
    }

    #[test]
    fn every_row_of_the_table_is_found() {
        for (method, path, endpoint) in TABLE {
            assert_eq!(find(&routes(), method, path, None).ok(), Some(*endpoint));
        }
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let told: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(Contract::of(OPENAPI).operations(), told);
    }
}
