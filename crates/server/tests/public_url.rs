//! Under which URL clients are told to come back.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use support::mathfi::Caller;
use trainyard_http::secret::Secret;
use trainyard_server::{JournalChoice, OpenAccess, OpenError, Service, ServiceConfig};

/// Nobody waits for it, on a slow machine neither.
const SECONDS: Duration = Duration::from_secs(300);

fn config(folder: &std::path::Path) -> ServiceConfig {
    ServiceConfig::new(folder)
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_journal(JournalChoice::Memory)
        .with_mathfi_user("ann", Secret::new("ann's word").expect("it is not empty"))
}

#[test]
fn urls_in_answers_are_built_from_the_public_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = "https://train.example.com/yard/".parse().expect("it is a URL");
    let (service, _) = Service::open(config(folder.path()).with_public_url(url)).expect("it opens");
    assert_eq!(service.url(), "https://train.example.com/yard");
    let ann = Caller::log_in(&format!("http://{}", service.local_addr()), "ann", "ann's word");
    let made = ann.post("/api/v1/datasets", &json!({ "datasetName": "abc" }));
    assert_eq!(made.status, 201, "{made:?}");
    let key = made.body["datasetKey"].as_str().expect("a key");
    let begins = |url: &serde_json::Value, place: &str| {
        let url = url.as_str().expect("a URL").to_owned();
        let expected = format!("https://train.example.com/yard/api/v1/{place}/{key}");
        assert!(url.starts_with(&expected), "{url} does not begin with {expected}");
    };
    begins(&made.body["datasetCreationProgressUrl"], "datasets");
    begins(&made.body["datasetUploadInfo"]["uploadUrl"], "uploads");
    let read = ann.get(&format!("/api/v1/datasets/{key}"));
    begins(&read.body["datasetCreationProgressUrl"], "datasets");
    begins(&read.body["datasetUploadInfo"]["uploadUrl"], "uploads");
    service.shutdown(SECONDS);
}

#[test]
fn all_addresses_are_none_that_clients_can_be_told() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path())
            .with_listen(listen.parse().expect("it is an address"))
            .with_open_access(OpenAccess::Anywhere);
        let error = Service::open(config).expect_err("nobody said under which URL");
        assert!(matches!(error, OpenError::NoUrl { .. }), "{error}");
        let told = error.to_string();
        assert!(told.starts_with(listen) && told.contains("--public-url"), "{told}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing was begun");
    }
}

#[test]
fn on_all_addresses_with_a_public_url() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path())
        .with_listen(SocketAddr::from(([0, 0, 0, 0], 0)))
        .with_open_access(OpenAccess::Anywhere)
        .with_public_url("http://localhost:1".parse().expect("it is a URL"));
    let (service, _) = Service::open(config).expect("it opens");
    let ours = SocketAddr::from(([127, 0, 0, 1], service.local_addr().port()));
    let ann = Caller::log_in(&format!("http://{ours}"), "ann", "ann's word");
    let made = ann.post("/api/v1/datasets", &json!({ "datasetName": "abc" }));
    let url = made.body["datasetCreationProgressUrl"].as_str().expect("a URL");
    assert!(url.starts_with("http://localhost:1/api/v1/datasets/"), "{url}");
    assert!(!made.body.to_string().contains("0.0.0.0"), "{}", made.body);
    let nothing = ann.get("/api/logout");
    assert_eq!((nothing.status, nothing.body["message"].is_string()), (404, true), "{nothing:?}");
    service.shutdown(SECONDS);
}
