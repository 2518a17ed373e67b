//! A service inside of tower.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![cfg(feature = "tower")]

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use tower_service::Service as _;
use trainyard_http::{Bytes, Request, Response, StatusCode, Tower, block_on, service_fn};

fn call(request: http::Request<Full<Bytes>>) -> (StatusCode, String, Bytes) {
    let service = service_fn(async |mut request: Request| match request.path() {
        "/panic" => panic!("a bug"),
        path => {
            let path = path.to_owned();
            match request.take_body().collect(1024).await {
                Ok(body) => Response::text(StatusCode::OK, format!("{path} {}", body.len())),
                Err(error) => Response::text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            }
        }
    });
    let mut tower = Tower::new(Arc::new(service), 4);
    block_on(async {
        let response = tower.call(request).await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        (response.status(), id, response.into_body().collect().await.unwrap().to_bytes())
    })
}

#[test]
fn a_service_answers_inside_tower() {
    let request = |path: &str, body: &'static str| {
        let builder = http::Request::post(path).header("x-request-id", "job-7");
        builder.body(Full::from(Bytes::from_static(body.as_bytes()))).unwrap()
    };
    let (status, id, body) = call(request("/a", "1234"));
    assert_eq!((status, &*id, &*body), (StatusCode::OK, "job-7", &b"/a 4"[..]));
    let (status, _, body) = call(request("/a", "12345"));
    assert_eq!((status, &*body), (StatusCode::PAYLOAD_TOO_LARGE, &b"the body is larger than 4 bytes"[..]));
    let (status, id, _) = call(request("/panic", ""));
    assert_eq!((status, &*id), (StatusCode::INTERNAL_SERVER_ERROR, "job-7"));
}
