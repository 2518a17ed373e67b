//! What is said on a connection when both sides behave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use std::sync::Arc;

use support::{Client, Gate, config, serve};
use trainyard_http::{
    Answer, BodyError, Bytes, Mount, Mounts, Request, Response, Server, Service, StatusCode, blocking,
    header, service_fn,
};

async fn echo(mut request: Request) -> Response {
    match request.take_body().collect(1024).await {
        Ok(body) => Response::bytes(StatusCode::OK, "text/plain", body),
        Err(error) => Response::text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn path(request: Request) -> Response {
    Response::text(StatusCode::OK, format!("{} {}", request.method(), request.path()))
}

#[test]
fn a_connection_is_used_again() {
    let server = serve(config(), path);
    let mut client = Client::connect(server.local_addr());
    for number in 0..3 {
        let answer = client.get(&format!("/{number}"));
        assert_eq!((answer.status, answer.body), (200, format!("GET /{number}")));
    }
}

/// Breaks, and has words for that.
struct Broken;

impl Service for Broken {
    fn call(&self, request: Request) -> Answer<'_> {
        assert!(request.path() != "/broken/at-once", "a bug");
        Box::pin(async { panic!("a later bug") })
    }

    fn fault(&self, status: StatusCode) -> Response {
        Response::json(status, &format!("it is {}", status.as_u16()))
    }
}

/// Breaks, and over its words for that too.
struct Hopeless;

impl Service for Hopeless {
    fn call(&self, _: Request) -> Answer<'_> {
        panic!("a bug")
    }

    fn fault(&self, _: StatusCode) -> Response {
        panic!("another bug")
    }
}

#[test]
fn a_service_has_its_own_words_for_what_it_did_not_answer() {
    let mount = |prefix: &str, service: Arc<dyn Service>| Mount::new(prefix, service).unwrap();
    let mounts = [
        mount("/", Arc::new(service_fn(async |_| panic!("a bug")))),
        mount("/broken", Arc::new(Broken)),
        mount("/hopeless", Arc::new(Hopeless)),
    ];
    let mounts = mounts.into_iter().try_fold(Mounts::new(), Mounts::with).unwrap();
    let server = Server::start(config().with_headers(3), mounts).unwrap();
    let check = |path: &str, headers: &str, status: u16, body: &str| {
        let mut client = Client::connect(server.local_addr());
        let answer = client.send(format!("GET {path} HTTP/1.1\r\n{headers}\r\n")).receive();
        assert_eq!((answer.status, &*answer.body), (status, body), "{path}");
    };
    let many = "a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n";
    check("/broken/at-once", "", 500, "\"it is 500\"");
    check("/broken", "", 500, "\"it is 500\"");
    check("/broken", many, 431, "\"it is 431\"");
    check("/", "", 500, "Internal Server Error");
    check("/", many, 431, "Request Header Fields Too Large");
    check("/hopeless", "", 500, "Internal Server Error");
}

#[test]
fn two_requests_in_one_packet_are_answered_in_order() {
    let server = serve(config(), echo);
    let mut client = Client::connect(server.local_addr());
    client.send(
        "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\noneGET /x HTTP/1.1\r\n\r\n\
         POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nth\r\n3\r\nree\r\n0\r\n\r\n",
    );
    assert_eq!(client.receive().body, "one");
    assert_eq!(client.receive().body, "");
    assert_eq!(client.receive().body, "three");
}

#[test]
fn a_body_may_be_announced_first() {
    let server = serve(config(), echo);
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    assert_eq!(client.receive_head().status, 100);
    assert_eq!(client.send("abc").receive().body, "abc");
}

#[test]
fn an_announced_body_that_nobody_wants_closes() {
    let server = serve(config(), path);
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    let answer = client.receive();
    assert_eq!((answer.status, &*answer.headers["connection"]), (200, "close"));
    assert_eq!(client.rest(), "");
}

#[test]
fn an_unread_body_is_swallowed() {
    let server = serve(config(), path);
    let mut client = Client::connect(server.local_addr());
    for method in ["POST", "PUT"] {
        let body = "x".repeat(200_000);
        client.send(format!("{method} /a HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        assert_eq!(client.receive().body, format!("{method} /a"));
    }
    client.send("POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_eq!(client.receive().body, "POST /b", "the answer does not wait for the rest");
    client.send("0\r\n\r\n");
    assert_eq!(client.get("/c").body, "GET /c");
}

#[test]
fn head_is_answered_without_a_body() {
    let server = serve(config(), path);
    let mut client = Client::connect(server.local_addr());
    let answer = client.send("HEAD /a HTTP/1.1\r\n\r\n").receive_head();
    assert_eq!((answer.status, &*answer.headers["content-length"]), (200, "7"));
    assert_eq!(client.get("/b").body, "GET /b");
}

#[test]
fn every_answer_carries_a_request_id() {
    let server = serve(config(), async |request: Request| {
        assert_ne!(request.path(), "/panic");
        Response::text(StatusCode::OK, request.id().as_str())
    });
    let mut client = Client::connect(server.local_addr());
    let mut id_of = |request: &str| {
        let answer = client.send(request).receive();
        let id = answer.headers["x-request-id"].clone();
        assert!(answer.status != 200 || answer.body == id);
        id
    };
    assert_eq!(id_of("GET / HTTP/1.1\r\nX-Request-Id: job-7\r\n\r\n"), "job-7");
    assert_eq!(id_of("GET /panic HTTP/1.1\r\nX-Request-Id: job-8\r\n\r\n"), "job-8");
    let first = id_of("GET / HTTP/1.1\r\n\r\n");
    let second = id_of(&format!("GET / HTTP/1.1\r\nx-request-id: {}\r\n\r\n", "a".repeat(65)));
    let third = id_of("GET / HTTP/1.1\r\nx-request-id: a b\r\n\r\n");
    assert!(first != second && second != third);
}

#[test]
fn a_panic_is_a_500_and_nothing_more() {
    let server = serve(config(), async |request: Request| match request.path() {
        "/panic" => panic!("a bug of the service"),
        "/pool" => blocking(|| panic!("a bug in the pool")).await,
        _ => path(request).await,
    });
    let mut client = Client::connect(server.local_addr());
    for request in ["/panic", "/pool"] {
        let answer = client.get(request);
        assert_eq!((answer.status, &*answer.body), (500, "Internal Server Error"));
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    }
    assert_eq!(client.get("/same").body, "GET /same");
    assert_eq!(Client::connect(server.local_addr()).get("/other").body, "GET /other");
}

#[test]
fn mounts_divide_the_paths() {
    let named = |name: &'static str| {
        Arc::new(service_fn(move |request: Request| async move {
            Response::text(StatusCode::OK, format!("{name} {}", request.path()))
        }))
    };
    let mounts = Mounts::new()
        .with(Mount::new("/v1", named("cyborg")).unwrap())
        .and_then(|mounts| mounts.with(Mount::new("/v1/asset", named("heygen")).unwrap()))
        .unwrap();
    let server = Server::start(config(), mounts).unwrap();
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/v1/indexes?x=/v1/asset").body, "cyborg /v1/indexes");
    assert_eq!(client.get("/v1/asset/7").body, "heygen /v1/asset/7");
    let answer = client.get("/v1x");
    assert_eq!((answer.status, &*answer.body), (404, r#"{"error":"not found"}"#));
    assert_eq!(answer.headers["content-type"], "application/json");
    let absolute = client.send("GET http://v1.example/v1/a HTTP/1.1\r\nhost: other\r\n\r\n").receive();
    assert_eq!(absolute.body, "cyborg /v1/a");
    assert_eq!(client.send("OPTIONS * HTTP/1.1\r\n\r\n").receive().status, 404);
}

#[test]
fn answers_may_come_piece_by_piece() {
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    let server = serve(config(), move |_| {
        let gate = Arc::clone(&held);
        async move {
            let (sender, response) = Response::stream(StatusCode::OK, "text/event-stream", 1);
            // A plain thread feeds the answer.
            std::thread::spawn(move || {
                trainyard_http::block_on(async move {
                    sender.send("data: 1\n\n").await.unwrap();
                    gate.pass().await;
                    sender.send(Bytes::from_static(b"data: 2\n\n")).await.unwrap();
                });
            });
            response
        }
    });
    let mut client = Client::connect(server.local_addr());
    let answer = client.send("GET / HTTP/1.1\r\n\r\n").receive_head();
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    gate.wait_for(1);
    gate.open();
    client.send("GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
    let rest = client.rest();
    assert!(rest.starts_with("9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\nHTTP/1.1 200"), "{rest}");
}

#[test]
fn a_client_that_hangs_up_ends_the_work() {
    struct Note(std::sync::mpsc::Sender<()>);
    impl Drop for Note {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    let gate = Gate::new();
    let held = Arc::clone(&gate);
    let (dropped, was_dropped) = std::sync::mpsc::channel();
    let server = serve(config(), move |_| {
        let (gate, note) = (Arc::clone(&held), Note(dropped.clone()));
        async move {
            let _note = note;
            gate.pass().await;
            Response::empty(StatusCode::OK)
        }
    });
    let mut client = Client::connect(server.local_addr());
    client.send("GET / HTTP/1.1\r\n\r\n");
    gate.wait_for(1);
    drop(client);
    was_dropped.recv_timeout(support::PATIENCE).unwrap();
}

#[test]
fn a_body_that_breaks_off_is_told_from_one_that_ends() {
    let (results, outcome) = std::sync::mpsc::channel();
    let server = serve(config(), move |request: Request| {
        let results = results.clone();
        async move {
            results.send(request.into_body().collect(1024).await).unwrap();
            Response::empty(StatusCode::OK)
        }
    });
    let mut client = Client::connect(server.local_addr());
    client.send("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nmalformed\r\n");
    assert_eq!(outcome.recv_timeout(support::PATIENCE).unwrap(), Err(BodyError::Broken));
    assert_eq!(client.receive().headers["connection"], "close");
}

#[test]
fn a_service_cannot_break_the_framing() {
    let server = serve(config(), async |_| {
        Response::text(StatusCode::OK, "abc")
            .with_header(header::CONTENT_LENGTH, 7_u64)
            .with_header(header::TRANSFER_ENCODING, header::HeaderValue::from_static("chunked"))
    });
    let mut client = Client::connect(server.local_addr());
    assert_eq!(client.get("/").body, "abc");
    assert_eq!(client.get("/").body, "abc");
}

#[test]
fn several_io_threads_share_one_address() {
    let server = serve(config().with_io_threads(2), path);
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(server.local_addr())).collect();
    for client in clients.iter_mut().chain([&mut Client::connect(server.local_addr())]) {
        assert_eq!(client.get("/a").body, "GET /a");
    }
    assert!(server.shutdown(support::PATIENCE).is_clean());
}

#[test]
fn a_thousand_waiting_requests_hold_nobody_up() {
    const WAITING: usize = 1000;
    let gate = Gate::new();
    let held = Arc::clone(&gate);
    let server = serve(config(), move |request: Request| {
        let gate = Arc::clone(&held);
        async move {
            if request.path() == "/wait" {
                gate.pass().await;
            }
            path(request).await
        }
    });
    let mut waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let mut client = Client::connect(server.local_addr());
            client.send("GET /wait HTTP/1.1\r\n\r\n");
            client
        })
        .collect();
    gate.wait_for(WAITING);
    assert_eq!(Client::connect(server.local_addr()).get("/now").body, "GET /now");
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.receive().body, "GET /wait");
    }
}

#[test]
fn one_connection_more_than_allowed_waits_its_turn() {
    let server = serve(config().with_connections(2), path);
    let mut first = Client::connect(server.local_addr());
    let mut second = Client::connect(server.local_addr());
    assert_eq!(first.get("/1").status, 200);
    assert_eq!(second.get("/2").status, 200);

    let mut third = Client::connect(server.local_addr());
    third.send("GET /3 HTTP/1.1\r\n\r\n");
    assert_eq!(first.get("/1").status, 200, "those inside go on");
    assert!(third.has_nothing());
    drop(second);
    assert_eq!(third.receive().body, "GET /3");
}
