//! The published client of elizaOS's pages, unmodified, against a running server.
//!
//! It is installed from npm into a folder that is thrown away. Where Node is missing the test says so and is skipped;
//! where `CI` is set it fails.
#![cfg(unix)]

mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::clients::{run, script, tool};
use support::eliza::{Agent, FakeOllama, Program, config, trajectory};
use trainyard_eliza::Settings;
use trainyard_http::secret::Secret;
use trainyard_server::{Service, ValidateCommand};

const TOKEN: &str = "t0ken";

#[test]
fn the_published_client_goes_through_a_whole_life() {
    let Some(node) = tool("node", &["--version"]) else { return };
    let Some(npm) = tool("npm", &["--version"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), r#"{"private":true,"type":"module"}"#).unwrap();
    // Only what is in it: its dependencies are a whole application.
    run(Command::new(npm).current_dir(folder.path()).args(["pack", "--silent", "@elizaos/ui@2.0.0-beta.2"]));
    run(Command::new("tar").current_dir(folder.path()).args(["xzf", "elizaos-ui-2.0.0-beta.2.tgz"]));
    let install = ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new(npm).current_dir(folder.path()).args(install).args(["esbuild@0.25.12", "ws@8.18.3"]));
    for name in ["eliza_bundle.mjs", "eliza_client.mjs"] {
        fs::copy(script(name), folder.path().join(name)).unwrap();
    }
    run(Command::new(node).current_dir(folder.path()).arg("eliza_bundle.mjs"));

    let data = tempfile::tempdir().unwrap();
    let program = Program::new(data.path());
    program.wait_at(50);
    let figures = r#"echo '{"coherence":0.75,"consistency":0.5,"helpfulness":1}'"#;
    let config = config(data.path(), &program)
        .with_eliza(Settings::new().with_token(Secret::new(TOKEN).unwrap()))
        .with_eliza_benchmark(ValidateCommand::new("sh", ["-c", figures]));
    let (service, _) = Service::open(config).unwrap();
    let agent = Agent::new(service.url()).with_token(TOKEN);
    let some: Vec<Value> = (0..5).map(|n| trajectory(&format!("t/{n}"), "completed")).collect();
    agent.send(&some);
    let ollama = FakeOllama::start();
    let said = run(Command::new(node).current_dir(folder.path()).arg("eliza_client.mjs").args([
        service.url(),
        TOKEN,
        &ollama.url,
    ]));
    println!("{said}");
    let created = ollama.asked().into_iter().find(|asked| asked.path == "/api/create").unwrap();
    let created: Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!((&created["model"], &created["name"]), (&"mine".into(), &"mine".into()), "{created}");
    service.shutdown(Duration::from_secs(300));
}
