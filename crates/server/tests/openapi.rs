//! The documents that the service gives of itself, and a client that knows nothing else: schemathesis.
//!
//! It is installed from PyPI into a folder that is thrown away. Where Python is missing the test says so and is skipped;
//! where `CI` is set it fails. What it finds it prints with a `curl` that repeats it. `TRAINYARD_OPENAPI_SEED` is another
//! seed, `TRAINYARD_LONG=1` asks for ten times as much.
#![cfg(unix)]

mod support;

use std::process::Command;

use support::clients::{python_with, script, tool};
use support::openapi::Seeded;

const PACKAGES: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];

#[test]
fn nothing_that_the_documents_tell_of_breaks_the_service_or_is_answered_otherwise() {
    let Some(python) = tool("python3", &["-c", "import venv, ensurepip"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = python_with(python, folder.path(), &PACKAGES);
    let seeded = Seeded::start();
    let mut broken = Vec::new();
    for wire in ["cyborgdb", "mathfi", "heygen", "eliza"] {
        let known = seeded.known(wire);
        let status = Command::new(&python)
            .current_dir(folder.path())
            .arg(script("openapi_schemathesis.py"))
            .args([wire, seeded.service.url()])
            .env("TRAINYARD_OPENAPI_KNOWN", known.to_string())
            .env("NO_PROXY", "127.0.0.1")
            .status()
            .expect("it starts");
        if !status.success() {
            broken.push(wire);
        }
    }
    assert!(seeded.service.yard().stopped().is_none(), "the yard goes on");
    seeded.close();
    assert!(broken.is_empty(), "found something, which stands above: {broken:?}");
}
