//! Against an Ollama that is none, and says what it is told to.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use trainyard_http::{
    Bytes, Method, Mount, Mounts, Request, Response, RunningServer, Server, ServerConfig, StatusCode, header,
    service_fn,
};

use super::*;

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where nobody listens: whoever asks for any port is never given that one.
const NOBODY: &str = "http://127.0.0.1:1";

/// Keeps blobs as Ollama does, and answers a create as it is told.
struct Fake {
    server: RunningServer,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    calls: Mutex<Vec<String>>,
    blobs: Mutex<BTreeMap<String, Bytes>>,
    created: Mutex<Vec<Value>>,
}

impl Fake {
    fn new<F, Fut>(create: F) -> Fake
    where
        F: Fn() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let kept = Arc::new(Kept::default());
        let keeping = Arc::clone(&kept);
        let service = service_fn(move |request: Request| {
            let (kept, create) = (Arc::clone(&keeping), create.clone());
            async move {
                kept.calls.lock().push(format!("{} {}", request.method(), request.path()));
                if let Some(digest) = request.path().strip_prefix("/api/blobs/") {
                    let digest = digest.to_owned();
                    return kept.blob(request, digest).await;
                }
                let body = request.into_body().collect(1 << 20).await.unwrap();
                kept.created.lock().push(serde_json::from_slice(&body).unwrap());
                create().await
            }
        });
        Fake { server: serve(service), kept }
    }

    fn saying(status: StatusCode, text: impl Into<String>) -> Fake {
        let text = text.into();
        Fake::new(move || {
            let text = text.clone();
            async move { Response::text(status, text) }
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    fn import(&self, adapter: &Path) -> Result<(), OllamaError> {
        Ollama::new().with_timeout(PATIENCE).import(&self.url(), "tuned", "qwen2.5:7b", adapter)
    }

    fn calls(&self) -> Vec<String> {
        self.kept.calls.lock().clone()
    }
}

impl Kept {
    async fn blob(&self, request: Request, digest: String) -> Response {
        if request.method() == Method::HEAD {
            let is_there = self.blobs.lock().contains_key(&digest);
            return Response::empty(if is_there { StatusCode::OK } else { StatusCode::NOT_FOUND });
        }
        assert!(request.header("content-length").is_some(), "Ollama can say how far it is");
        let body = request.into_body().collect(64 << 20).await.unwrap();
        if digest != digest_of(&body) {
            return Response::text(StatusCode::BAD_REQUEST, r#"{"error":"digest mismatch"}"#);
        }
        self.blobs.lock().insert(digest, body);
        Response::empty(StatusCode::CREATED)
    }
}

fn serve(service: impl trainyard_http::Service) -> RunningServer {
    let config = ServerConfig::new("127.0.0.1:0".parse().unwrap()).with_body_limit(64 << 20);
    Server::start(config, Mounts::new().with(Mount::new("/", Arc::new(service)).unwrap()).unwrap()).unwrap()
}

fn digest_of(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

const SUCCESS: &str = r#"{"status":"success"}"#;
const WEIGHTS: &[u8] = b"weights";
const CONFIG: &[u8] = b"{\"r\":16}";

/// A folder as PEFT leaves it, with more in it than is needed.
fn adapter() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("adapter_model.safetensors"), WEIGHTS).unwrap();
    fs::write(folder.path().join("adapter_config.json"), CONFIG).unwrap();
    fs::write(folder.path().join("README.md"), "about").unwrap();
    folder
}

#[test]
fn an_adapter_is_uploaded_and_then_made_a_model() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = adapter();
    ollama.import(folder.path()).unwrap();

    let (weights, config) = (digest_of(WEIGHTS), digest_of(CONFIG));
    assert_eq!(
        ollama.calls(),
        [
            format!("HEAD /api/blobs/{weights}"),
            format!("POST /api/blobs/{weights}"),
            format!("HEAD /api/blobs/{config}"),
            format!("POST /api/blobs/{config}"),
            "POST /api/create".to_owned(),
        ]
    );
    assert_eq!(ollama.kept.blobs.lock()[&weights], WEIGHTS);
    let path = folder.path().display();
    let golden = json!({
        "model": "tuned",
        "name": "tuned",
        "from": "qwen2.5:7b",
        "adapters": {"adapter_model.safetensors": weights, "adapter_config.json": config},
        "parameters": {"temperature": 0.2},
        "modelfile": format!("FROM qwen2.5:7b\nADAPTER {path}\nPARAMETER temperature 0.2\n"),
        "stream": false,
    });
    assert_eq!(*ollama.kept.created.lock(), [golden]);
}

#[test]
fn what_ollama_has_is_not_sent_again() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = adapter();
    ollama.import(folder.path()).unwrap();
    ollama.kept.calls.lock().clear();
    ollama.import(folder.path()).unwrap();
    let posts: Vec<_> = ollama.calls().into_iter().filter(|call| call.starts_with("POST")).collect();
    assert_eq!(posts, ["POST /api/create"]);
}

#[test]
fn a_large_file_comes_whole() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tuned.gguf");
    let content: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    fs::write(&file, &content).unwrap();
    ollama.import(&file).unwrap();
    assert_eq!(ollama.kept.blobs.lock()[&digest_of(&content)], content);
    let created = ollama.kept.created.lock();
    assert_eq!(created[0]["adapters"], json!({"tuned.gguf": digest_of(&content)}));
    assert_eq!(
        created[0]["modelfile"],
        format!("FROM qwen2.5:7b\nADAPTER {}\nPARAMETER temperature 0.2\n", file.display())
    );
}

#[test]
fn a_folder_as_mlx_leaves_it_has_the_last_weights() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("adapters.safetensors", WEIGHTS), ("adapter_config.json", CONFIG)] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::write(folder.path().join("0000100_adapters.safetensors"), "older").unwrap();
    ollama.import(folder.path()).unwrap();
    let expected =
        json!({"adapters.safetensors": digest_of(WEIGHTS), "adapter_config.json": digest_of(CONFIG)});
    assert_eq!(ollama.kept.created.lock()[0]["adapters"], expected);
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = tempfile::tempdir().unwrap();
    let check = |adapter: &Path, missing: &str| {
        let error = ollama.import(adapter).unwrap_err();
        let missing = folder.path().join(missing);
        assert_eq!(error.to_string(), format!("could not read the adapter {}", missing.display()));
    };
    check(&folder.path().join("none"), "none");
    check(folder.path(), "adapter_model.safetensors");
    fs::write(folder.path().join("adapter_model.safetensors"), WEIGHTS).unwrap();
    check(folder.path(), "adapter_config.json");
    fs::create_dir(folder.path().join("adapter_config.json")).unwrap();
    check(folder.path(), "adapter_config.json");
    assert!(ollama.calls().is_empty());
}

#[test]
fn a_value_of_more_than_one_line_is_refused_before_anything_is_sent() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let folder = adapter();
    let broken = folder.path().join("one\ntwo");
    fs::create_dir(&broken).unwrap();
    let too_long = "x".repeat(VALUE_BYTES_MAX + 1);
    for bad in ["a\nSYSTEM b", "a\rb", "a\r\nb", "a\u{85}b", "a\u{2028}b", "a\0b", "", " ", &too_long] {
        for (name, base, adapter, expected) in [
            (bad, "base", folder.path(), "the name"),
            ("name", bad, folder.path(), "the base model"),
            ("name", "base", &*broken, "the path of the adapter"),
        ] {
            let error = Ollama::new().import(&ollama.url(), name, base, adapter).unwrap_err();
            assert!(matches!(error, OllamaError::BadValue { what } if what == expected), "{bad:?} {error}");
        }
    }
    assert!(ollama.calls().is_empty());
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Fake::saying(StatusCode::OK, SUCCESS);
    let target = elsewhere.url();
    let folder = adapter();
    for (status, everything) in
        [301, 302, 303, 307, 308].into_iter().flat_map(|status| [(status, true), (status, false)])
    {
        let target = target.clone();
        let server = serve(service_fn(move |request: Request| {
            let location = header::HeaderValue::try_from(format!("{target}{}", request.path())).unwrap();
            let is_redirected = everything || request.path() == "/api/create";
            async move {
                if is_redirected {
                    let status = StatusCode::from_u16(status).unwrap();
                    return Response::text(status, "over there").with_header(header::LOCATION, location);
                }
                Response::empty(StatusCode::OK)
            }
        }));
        let url = format!("http://{}", server.local_addr());
        let error = Ollama::new().with_timeout(PATIENCE).import(&url, "n", "b", folder.path()).unwrap_err();
        assert!(matches!(error, OllamaError::Refused { status: got, .. } if got == status), "{error}");
    }
    assert!(elsewhere.calls().is_empty());
}

#[test]
fn a_refusal_is_told_in_its_first_400_characters() {
    let check = |status: u16, text: &str, expected: &str| {
        let ollama = Fake::saying(StatusCode::from_u16(status).unwrap(), text);
        let error = ollama.import(adapter().path()).unwrap_err();
        assert_eq!(error.to_string(), format!("ollama answered {status}: {expected}"));
    };
    check(400, "neither 'from' or 'files' was specified\n", "neither 'from' or 'files' was specified");
    check(500, &"ü".repeat(401), &"ü".repeat(400));
    check(503, &"x".repeat(5 << 20), &"x".repeat(400));
    check(404, "", "");
}

#[test]
fn a_blob_that_is_refused_ends_it() {
    let server = serve(service_fn(async |request: Request| {
        if request.method() == Method::HEAD {
            return Response::empty(StatusCode::NOT_FOUND);
        }
        assert!(request.path().starts_with("/api/blobs/"), "nothing is made of half an adapter");
        let _ = request.into_body().collect(1024).await;
        Response::text(StatusCode::BAD_REQUEST, "digest mismatch")
    }));
    let url = format!("http://{}", server.local_addr());
    let error = Ollama::new().with_timeout(PATIENCE).import(&url, "n", "b", adapter().path()).unwrap_err();
    assert_eq!(error.to_string(), "ollama answered 400: digest mismatch");
}

#[test]
fn answers_are_understood_or_said_to_be_odd() {
    let check = |answer: &str, expected: Result<(), &str>| {
        let ollama = Fake::saying(StatusCode::OK, answer);
        let result = ollama.import(adapter().path()).map_err(|error| error.to_string());
        assert_eq!(result.as_ref().map_err(|error| &**error).copied(), expected, "{answer:.80}");
    };
    check(SUCCESS, Ok(()));
    check("{\n  \"status\": \"success\"\n}\n", Ok(()));
    check("{\"status\":\"reading\"}\n{\"status\":\"writing\"}\n{\"status\":\"success\"}\n", Ok(()));
    let not_done = Err("the answer of ollama does not say that it is done");
    check("{\"status\":\"reading\"}\n{\"status\":\"writing\"}\n", not_done);
    check("", not_done);
    check("[]", not_done);
    let not_json = Err("the answer of ollama is not JSON");
    check("{\"status\":\"reading\"}\n{\"status\":\"suc", not_json);
    check("<html>", not_json);
    check("{\"status\":\"reading\"}\n{\"error\":\"no such base\"}\n", Err("ollama failed: no such base"));
    check("{\"error\":{\"code\":7}}", Err("ollama failed: {\"code\":7}"));
    let long = Err(format!("ollama failed: {}", "x".repeat(400)));
    let long = long.as_ref().map_err(|error: &String| &**error).copied();
    check(&format!("{{\"error\":\"{}\"}}", "x".repeat(500)), long);
    check(&format!("{SUCCESS}\n").repeat(100_000), Err("the answer of ollama is too long"));
}

#[test]
fn half_an_answer_is_none() {
    // The reader has less than it promised, so the connection is cut after it.
    let ollama =
        Fake::new(async || Response::reader(StatusCode::OK, "application/json", 1000, SUCCESS.as_bytes()));
    let error = ollama.import(adapter().path()).unwrap_err();
    assert!(matches!(error, OllamaError::Broken(_)), "{error}");
}

#[test]
fn an_ollama_that_hangs_is_given_up() {
    let soon = Duration::from_millis(300);
    let folder = adapter();
    let hangs = Fake::new(std::future::pending);
    let drips = Fake::new(async || {
        let (sender, response) = Response::stream(StatusCode::OK, "application/json", 1);
        sender.send("{").await.unwrap();
        // It lives as long as the server, so the answer never ends.
        std::mem::forget(sender);
        response
    });
    for ollama in [&hangs, &drips] {
        let error =
            Ollama::new().with_timeout(soon).import(&ollama.url(), "n", "b", folder.path()).unwrap_err();
        assert!(matches!(error, OllamaError::TimedOut), "{error}");
    }
    // Connected to, and never accepted.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let error = Ollama::new().with_timeout(soon).import(&url, "n", "b", folder.path()).unwrap_err();
    assert!(matches!(error, OllamaError::TimedOut), "{error}");
    let error = Ollama::new().with_timeout(Duration::ZERO).import(&url, "n", "b", folder.path()).unwrap_err();
    assert!(matches!(error, OllamaError::TimedOut), "{error}");
}

#[test]
fn where_nobody_listens_is_said() {
    let error = Ollama::new().with_timeout(PATIENCE).import(NOBODY, "n", "b", adapter().path()).unwrap_err();
    assert_eq!(error.to_string(), "could not talk to ollama");
}

#[test]
fn only_this_machine_has_an_address() {
    let resolve = |uri: &str| {
        let config = Agent::config_builder().build();
        let timeout = NextTimeout { after: PATIENCE.into(), ..NextTimeout::default() };
        let found = Loopback.resolve(&uri.parse().unwrap(), &config, timeout);
        found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>()).ok()
    };
    let here = |addresses: &[&str]| Some(addresses.iter().map(ToString::to_string).collect());
    assert_eq!(resolve("http://localhost:11434/x"), here(&["127.0.0.1:11434", "[::1]:11434"]));
    assert_eq!(resolve("http://LOCALHOST/"), here(&["127.0.0.1:80", "[::1]:80"]));
    assert_eq!(resolve("https://127.0.0.1/"), here(&["127.0.0.1:443"]));
    assert_eq!(resolve("http://127.8.9.1:1/"), here(&["127.8.9.1:1"]));
    assert_eq!(resolve("http://[::1]:2/"), here(&["[::1]:2"]));
    for elsewhere in
        ["10.0.0.1", "0.0.0.0", "[::]", "[::ffff:10.0.0.1]", "127.0.0.1.example.org", "example.org"]
    {
        assert_eq!(resolve(&format!("http://{elsewhere}:11434/")), None, "{elsewhere}");
    }
}

#[test]
fn localhost_is_reached() {
    let ollama = Fake::saying(StatusCode::OK, SUCCESS);
    let url = format!("http://localhost:{}", ollama.server.local_addr().port());
    Ollama::new().with_timeout(PATIENCE).import(&url, "n", "b", adapter().path()).unwrap();
    assert_eq!(ollama.kept.created.lock().len(), 1);
}

#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "eliza::ollama::tests::localhost_is_reached"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, NOBODY);
    }
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
