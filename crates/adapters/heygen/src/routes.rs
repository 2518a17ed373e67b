//! Which path is what.

use trainyard_http::{Found, Method, Routes};

use crate::fault::Fault;

/// What this wire is, as an OpenAPI document: the answer to `GET /v2/openapi.json`, whoever asks.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Everything that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// For anybody: it is public documentation.
    OpenApi,
    /// At a signed link, which is all the authority there is.
    Picture,
    /// For anybody: there is nothing to see.
    Placeholder,
    /// For whoever shows the key.
    WithKey(Asked),
}

/// What may be asked for with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Upload,
    CreateGroup,
    AddLooks,
    ReadLook,
    DeleteLook,
    ListLooks,
    ListGroups,
    DeleteGroup,
    Train,
    TrainStatus,
    /// The vendor makes photos and looks of words. Nobody does here.
    Generate,
}

const fn asked(asked: Asked) -> Endpoint {
    Endpoint::WithKey(asked)
}

/// What stands before the id of a group whose training is asked about.
pub(crate) const TRAIN_STATUS: &str = "/v2/photo_avatar/train/status/";

/// Our own paths stand under a word that no vendor path begins with.
const TABLE: &[(Method, &str, Endpoint)] = &[
    (Method::GET, "/v2/openapi.json", Endpoint::OpenApi),
    (Method::POST, "/v1/asset", asked(Asked::Upload)),
    (Method::POST, "/v2/photo_avatar/avatar_group/create", asked(Asked::CreateGroup)),
    (Method::POST, "/v2/photo_avatar/avatar_group/add", asked(Asked::AddLooks)),
    (Method::GET, "/v2/photo_avatar/{id}", asked(Asked::ReadLook)),
    (Method::DELETE, "/v2/photo_avatar/{id}", asked(Asked::DeleteLook)),
    (Method::GET, "/v2/avatar_group/{id}/avatars", asked(Asked::ListLooks)),
    (Method::GET, "/v2/avatar_group.list", asked(Asked::ListGroups)),
    (Method::DELETE, "/v2/photo_avatar_group/{id}", asked(Asked::DeleteGroup)),
    (Method::POST, "/v2/photo_avatar/train", asked(Asked::Train)),
    (Method::GET, "/v2/photo_avatar/train/status/{id}", asked(Asked::TrainStatus)),
    (Method::POST, "/v2/photo_avatar/photo/generate", asked(Asked::Generate)),
    (Method::POST, "/v2/photo_avatar/look/generate", asked(Asked::Generate)),
    (Method::GET, "/v2/photo_avatar/generation/{id}", asked(Asked::Generate)),
    // For a HEAD the door leaves the body out.
    (Method::GET, "/v2/trainyard/images/{id}/original", Endpoint::Picture),
    (Method::HEAD, "/v2/trainyard/images/{id}/original", Endpoint::Picture),
    (Method::GET, "/v2/trainyard/placeholder.png", Endpoint::Placeholder),
    (Method::HEAD, "/v2/trainyard/placeholder.png", Endpoint::Placeholder),
];

pub(crate) fn routes() -> Routes<Endpoint> {
    let empty = Routes::new();
    TABLE.iter().fold(empty, |routes, (method, path, endpoint)| {
        routes.with(method.clone(), path, *endpoint).expect("the paths of the table differ")
    })
}

/// Finds the endpoint and the id in its path, empty where there is none; else a 405 or a 404.
pub(crate) fn find(
    routes: &Routes<Endpoint>,
    method: &Method,
    path: &str,
) -> Result<(Endpoint, String), Fault> {
    match routes.find(method, path) {
        Found::Endpoint { endpoint, params } => {
            Ok((*endpoint, params.get("id").unwrap_or_default().to_owned()))
        }
        Found::WrongMethod { allow } => Err(Fault::WrongMethod(allow.to_vec())),
        Found::NotFound => Err(Fault::NotRouted),
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
            let found = find(&routes(), method, &path.replace("{id}", "k")).unwrap();
            let id = if path.contains("{id}") { "k" } else { "" };
            assert_eq!(found, (*endpoint, id.to_owned()), "{method} {path}");
        }
    }

    #[test]
    fn where_a_training_stands_is_in_the_table() {
        let found = find(&routes(), &Method::GET, &format!("{TRAIN_STATUS}k"));
        assert_eq!(found, Ok((asked(Asked::TrainStatus), "k".to_owned())));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let check = |method: Method, path: &str, expected: Fault| {
            assert_eq!(find(&routes(), &method, path), Err(expected), "{method} {path}");
        };
        check(Method::POST, "/v1/asset/", Fault::NotRouted);
        check(Method::GET, "/v2", Fault::NotRouted);
        check(Method::GET, "/v2/photo_avatar/", Fault::NotRouted);
        check(Method::GET, "/v2/photo_avatar/train/status", Fault::NotRouted);
        check(Method::GET, "/v2/photo_avatar/train/status/a/b", Fault::NotRouted);
        check(Method::GET, "/v2/photo_avatar/train", Fault::WrongMethod(vec![Method::POST]));
        check(Method::PUT, "/v2/photo_avatar/k", Fault::WrongMethod(vec![Method::GET, Method::DELETE]));
        check(Method::GET, "/v1/asset", Fault::WrongMethod(vec![Method::POST]));
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let told: BTreeSet<_> =
            TABLE.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(Contract::of(OPENAPI).operations(), told);
    }
}
