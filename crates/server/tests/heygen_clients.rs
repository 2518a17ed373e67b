//! Published clients of HeyGen's, unmodified, against a running server.
//!
//! They are installed from npm and PyPI into a folder that is thrown away. Where Node or Python is missing the test says
//! so and is skipped; where `CI` is set it fails. HeyGen's own client for Python needs 3.12: where there is an older one
//! only, that part is skipped in CI, too, and says why.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use support::clients::{any_of, python_with, run, script, skipped, tool};
use support::heygen::{Studio, photo};
use support::until_told;
use tempfile::TempDir;
use trainyard_heygen::Settings;
use trainyard_http::secret::Secret;
use trainyard_portrait::{Order, Size};
use trainyard_server::{Service, ServiceConfig};

const KEY: &str = "k3y";

fn serve() -> (TempDir, Service) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let key = Secret::new(KEY).expect("it is not empty");
    let config = ServiceConfig::new(folder.path())
        .with_listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_heygen(Settings::new().with_key(key))
        .with_heygen_order(Order::new().with_size(Size::SMALL));
    let (service, _) = Service::open(config).expect("it opens");
    (folder, service)
}

#[test]
fn the_published_sdk_goes_through_a_whole_life() {
    let Some(node) = tool("node", &["--version"]) else { return };
    let Some(npm) = tool(if cfg!(windows) { "npm.cmd" } else { "npm" }, &["--version"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.json"), r#"{"private":true}"#).unwrap();
    let install =
        ["install", "--silent", "--no-audit", "--no-fund", "@teamduality/heygen-typescript-sdk@0.4.3"];
    run(Command::new(npm).current_dir(folder.path()).args(install));
    // Beside what they import.
    for name in ["heygen_sdk.mjs", "heygen_origins.mjs"] {
        fs::copy(script(name), folder.path().join(name)).unwrap();
    }
    let photos: Vec<PathBuf> = (0..3)
        .map(|number| {
            let path = folder.path().join(format!("{number}.png"));
            fs::write(&path, photo("Ada", number)).unwrap();
            path
        })
        .collect();
    let (_data, service) = serve();
    let said = run(Command::new(node)
        .current_dir(folder.path())
        .env("HEYGEN_TEST_ORIGIN", service.url())
        .args(["--import", "./heygen_origins.mjs", "heygen_sdk.mjs", KEY])
        .args(photos));
    println!("{said}");
    service.shutdown(Duration::from_secs(300));
}

#[test]
fn the_vendors_own_client_takes_the_list_of_groups() {
    let is_new = ["-c", "import sys; sys.exit(sys.version_info < (3, 12))"];
    let Some(python) = any_of(&["python3", "python3.14", "python3.13", "python3.12"], &is_new) else {
        if tool("python3", &["--version"]).is_some() {
            skipped("heygen-mcp needs Python 3.12 or later, and there is none");
        }
        return;
    };
    let Some(python) = tool(python, &["-c", "import venv, ensurepip"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = python_with(python, folder.path(), &["heygen-mcp==0.0.3", "mcp<2"]);
    let (_data, service) = serve();
    let studio = Studio::new(service.url(), KEY);
    // One that was never trained, one that is, and one whose looks are gone.
    let groups = ["Ada", "Bea", "Cleo"].map(|name| studio.create(name, &photo(name, 0)));
    let [_, trained, bare] = &groups;
    until_told(service.yard(), "they are completed", || {
        groups.iter().all(|group| studio.are_completed(group))
    });
    studio.train(trained).data();
    until_told(service.yard(), "it is trained", || studio.status(trained)["status"] == "ready");
    studio.delete(&format!("/v2/photo_avatar/{bare}")).data();
    let said = run(Command::new(python)
        .arg(script("heygen_mcp_client.py"))
        .args([service.url(), KEY])
        .args(&groups));
    println!("{said}");
    service.shutdown(Duration::from_secs(300));
}
