//! How clients of vendors are installed and run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script beside the tests.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Whether a program is there and can do this.
fn can(program: &str, check: &[&str]) -> bool {
    Command::new(program).args(check).output().is_ok_and(|checked| checked.status.success())
}

/// A program, if it is there and can do this. In CI it must.
pub(crate) fn tool<'a>(program: &'a str, check: &[&str]) -> Option<&'a str> {
    if can(program, check) {
        return Some(program);
    }
    assert!(!is_ci(), "{program} is missing or incomplete, and this must run in CI");
    skipped(&format!("{program} is missing or incomplete"));
    None
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Past the capture of the test harness, so that it is seen.
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}, so the vendor's client was not tried");
}

/// The first of these programs that is there and can do this.
pub(crate) fn any_of<'a>(programs: &[&'a str], check: &[&str]) -> Option<&'a str> {
    programs.iter().copied().find(|program| can(program, check))
}

/// A Python of its own that has these packages.
pub(crate) fn python_with(python: &str, folder: &Path, packages: &[&str]) -> PathBuf {
    let venv = folder.join("venv");
    run(Command::new(python).args(["-m", "venv"]).arg(&venv));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
    python
}

/// What a command that must succeed has said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.env("NO_PROXY", "127.0.0.1").output().expect("it starts");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{said}\n{complained}");
    said.into_owned()
}
