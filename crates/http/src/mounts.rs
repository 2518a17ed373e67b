use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::server::bounded;
use crate::service::Service;

/// A [`Service`] under a path prefix, with bounds of its own on bodies.
#[derive(Clone)]
pub struct Mount {
    prefix: String,
    service: Arc<dyn Service>,
    body_limit_bytes: Option<usize>,
    body_timeout: Option<Duration>,
}

/// The table of mounts: of all prefixes that fit a path on whole segments, the longest one answers.
///
/// `/v1` takes `/v1` and `/v1/x`, and not `/v1x`. The prefix `/` takes everything. Paths are compared as
/// they came, percent-encoded, and a service gets the whole path, prefix included. What no mount takes is answered with
/// `404` and `{"error":"not found"}`.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    /// Longest prefix first, so the first hit is the answer.
    mounts: Vec<Mount>,
}

/// Why a mount was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// Something is mounted there already.
    #[error("something is mounted at {prefix} already")]
    Duplicate {
        /// The prefix, without a slash at the end.
        prefix: String,
    },
    /// The prefix does not begin with `/`, or holds `//`, `?`, `#` or a blank.
    #[error("{prefix:?} is not a path prefix")]
    Malformed {
        /// The prefix that was refused.
        prefix: String,
    },
}

impl Mount {
    /// Puts `service` under `prefix`; a slash at its end makes no difference.
    ///
    /// # Errors
    ///
    /// [`MountError::Malformed`] when `prefix` is none.
    pub fn new(prefix: &str, service: Arc<dyn Service>) -> Result<Mount, MountError> {
        let foreign = |text: &str| text.contains("//") || text.contains(['?', '#']);
        if !prefix.starts_with('/') || foreign(prefix) || !prefix.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(MountError::Malformed { prefix: prefix.to_owned() });
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
        Ok(Mount { prefix, service, body_limit_bytes: None, body_timeout: None })
    }

    /// Limits the bodies of requests here, in bytes. Default:
    /// [the server's](crate::ServerConfig::with_body_limit). Zero refuses every body.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Mount {
        self.body_limit_bytes = Some(bytes);
        self
    }

    /// Limits the time from the end of the head to the end of the body, for large uploads. A value outside of a
    /// millisecond and a year is moved to the nearer one. Default:
    /// [the server's](crate::ServerConfig::with_body_timeout). The time without a byte is the server's in any case.
    #[must_use]
    pub fn with_body_timeout(mut self, time: Duration) -> Mount {
        self.body_timeout = Some(bounded(time));
        self
    }

    /// The prefix, without a slash at the end; empty for `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Arc<dyn Service> {
        &self.service
    }

    /// The body limit in bytes, if this mount has one of its own.
    #[must_use]
    pub fn body_limit_bytes(&self) -> Option<usize> {
        self.body_limit_bytes
    }

    /// The time for a body, if this mount has one of its own.
    #[must_use]
    pub fn body_timeout(&self) -> Option<Duration> {
        self.body_timeout
    }

    fn takes(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount")
            .field("prefix", &self.prefix)
            .field("body_limit_bytes", &self.body_limit_bytes)
            .field("body_timeout", &self.body_timeout)
            .finish_non_exhaustive()
    }
}

impl Mounts {
    /// An empty table.
    #[must_use]
    pub fn new() -> Mounts {
        Mounts::default()
    }

    /// Adds a mount. The order of adding makes no difference.
    ///
    /// # Errors
    ///
    /// [`MountError::Duplicate`] when the prefix is taken.
    pub fn with(mut self, mount: Mount) -> Result<Mounts, MountError> {
        if self.mounts.iter().any(|other| other.prefix == mount.prefix) {
            return Err(MountError::Duplicate { prefix: mount.prefix });
        }
        let place = self.mounts.partition_point(|other| other.prefix.len() >= mount.prefix.len());
        self.mounts.insert(place, mount);
        Ok(self)
    }

    /// The mount that answers `path`: raw, as in a request line.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.takes(path))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::{Request, Response, service_fn};

    fn mount(prefix: &str) -> Result<Mount, MountError> {
        Mount::new(prefix, Arc::new(service_fn(async |_: Request| Response::empty(StatusCode::OK))))
    }

    fn table(prefixes: &[&str]) -> Mounts {
        prefixes.iter().fold(Mounts::new(), |mounts, prefix| mounts.with(mount(prefix).unwrap()).unwrap())
    }

    #[test]
    fn the_longest_prefix_on_whole_segments_wins() {
        let mounts = table(&["/v1", "/v1/asset", "/api/v1/", "/ws"]);
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(mounts.find(path).map(Mount::prefix), expected, "{path}");
        };
        check("/v1", Some("/v1"));
        check("/v1/", Some("/v1"));
        check("/v1/indexes", Some("/v1"));
        check("/v1/asset", Some("/v1/asset"));
        check("/v1/asset/7", Some("/v1/asset"));
        check("/v1/assets", Some("/v1"));
        check("/v1x", None);
        check("/api/v1", Some("/api/v1"));
        check("/api", None);
        check("/", None);
        check("*", None);
        check("", None);
        check("/x/v1", None);
    }

    #[test]
    fn the_root_takes_what_is_left() {
        let mounts = table(&["/", "/v1"]);
        assert_eq!(mounts.find("/anything").map(Mount::prefix), Some(""));
        assert_eq!(mounts.find("/v1/x").map(Mount::prefix), Some("/v1"));
        assert_eq!(mounts.find("*").map(Mount::prefix), None);
    }

    #[test]
    fn prefixes_are_checked() {
        for bad in ["", "v1", "/v1//x", "//", "/v1?x", "/a b", "/ä"] {
            assert_eq!(mount(bad).unwrap_err(), MountError::Malformed { prefix: bad.to_owned() });
        }
        let twice = table(&["/v1"]).with(mount("/v1/").unwrap()).unwrap_err();
        assert_eq!(twice.to_string(), "something is mounted at /v1 already");
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{1,2}", 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_a_naive_model(prefixes in prop::collection::btree_set(path(), 0..8), path in path()) {
            let mounts = prefixes.iter().fold(Mounts::new(), |mounts, prefix| {
                mounts.with(mount(prefix).unwrap()).unwrap()
            });
            let segments = |path: &str| -> Vec<String> {
                path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
            };
            let model = prefixes
                .iter()
                .filter(|prefix| segments(&path).starts_with(&segments(prefix)))
                .max_by_key(|prefix| segments(prefix).len())
                .map(|prefix| prefix.strip_suffix('/').unwrap_or(prefix));
            prop_assert_eq!(mounts.find(&path).map(Mount::prefix), model);
        }
    }
}
