//! The vendors' own clients, unmodified, against a running server; where a vendor has none, what its recipe says, with
//! the library that it names.
//!
//! They are installed from PyPI and npm into a folder that is thrown away. Where Python or Node is missing the test
//! says so and is skipped; where `CI` is set it fails.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use support::clients::{python_with, run, script, tool};
use tempfile::TempDir;
use trainyard_cyborgdb::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::{Service, ServiceConfig};

const ROOT_KEY: &str = "a-root-key";

#[test]
fn the_python_client() {
    let Some(python) = tool("python3", &["-c", "import venv, ensurepip"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = python_with(python, folder.path(), &["cyborgdb==0.18.0", "numpy"]);
    let (_data, service) = serve(keyed);
    let said = run(Command::new(&python).arg(script("cyborgdb_client.py")).args([service.url(), ROOT_KEY]));
    println!("{said}");
    service.shutdown(Duration::from_secs(300));
}

#[test]
fn the_recipe_of_mathfi() {
    let Some(python) = tool("python3", &["-c", "import venv, ensurepip"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = python_with(python, folder.path(), &["requests==2.32.5"]);
    let user = Secret::new("s3cret").unwrap();
    let (_data, service) = serve(|config| config.with_mathfi_user("a@example.com", user));
    let script = script("mathfi_client.py");
    let said = run(Command::new(&python).arg(script).args([service.url(), "a@example.com", "s3cret"]));
    println!("{said}");
    service.shutdown(Duration::from_secs(300));
}

#[test]
fn the_npm_client() {
    let Some(node) = tool("node", &["--version"]) else { return };
    let Some(npm) = tool(if cfg!(windows) { "npm.cmd" } else { "npm" }, &["--version"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("package.json"), r#"{"private":true}"#).unwrap();
    let install = ["install", "--silent", "--no-audit", "--no-fund"];
    run(Command::new(npm)
        .current_dir(folder.path())
        .args(install)
        .args(["cyborgdb@0.14.0", "@langchain/core@1.4.0"]));
    // Beside what it imports.
    let script = folder.path().join("client.mjs");
    std::fs::copy(self::script("cyborgdb_client.mjs"), &script).unwrap();
    let (_data, service) = serve(keyed);
    let (_data, open) = serve(|config| config);
    let said = run(Command::new(node).arg(script).args([service.url(), ROOT_KEY, open.url()]));
    println!("{said}");
    service.shutdown(Duration::from_secs(300));
    open.shutdown(Duration::from_secs(300));
}

fn keyed(config: ServiceConfig) -> ServiceConfig {
    let key = Secret::new(ROOT_KEY).expect("it is not empty");
    config.with_cyborgdb(Settings::new().with_root_key(key))
}

fn serve(settle: impl FnOnce(ServiceConfig) -> ServiceConfig) -> (TempDir, Service) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let config = ServiceConfig::new(folder.path()).with_listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (service, _) = Service::open(settle(config)).expect("it opens");
    (folder, service)
}
