//! The whole table of speed: runs the benches that have a target, one after the other, and prints every figure that has
//! one beside it, and whether it is met.
//!
//! `cargo run -p trainyard-benches`; `-- yard lives` runs those alone, `-- --gate` ends with a failure when a target is
//! missed. What the benches print comes first, as it comes. One that breaks is a failure in any case.

use std::env;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};

use trainyard_benches::table::{FIGURES, Figure};

/// In this order: what needs the quietest machine first.
const BENCHES: [&str; 5] = ["core_lives", "yard", "lives", "status_under_load", "cyborgdb_service"];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (options, names): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|word| word.starts_with("--"));
    if let Some(unknown) = names.iter().find(|name| !BENCHES.contains(&name.as_str())) {
        return Err(format!("{unknown} is none of {}", BENCHES.join(", ")).into());
    }
    if let Some(unknown) = options.iter().find(|option| *option != "--gate") {
        return Err(format!("{unknown} is not known").into());
    }
    let folder = tempfile::tempdir()?;
    let (mut table, mut broken) = (Vec::new(), Vec::new());
    for bench in BENCHES.iter().filter(|bench| names.is_empty() || names.iter().any(|name| name == *bench)) {
        let file = folder.path().join(bench);
        println!("== {bench}");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["bench", "--locked", "-p", "trainyard-benches", "--bench", bench]);
        let is_fine = command.env(FIGURES, &file).status()?.success();
        let told = fs::read_to_string(&file).unwrap_or_default();
        let figures = told.lines().map(|line| Figure::read(line).ok_or(format!("{bench} said {line}")));
        let figures = figures.collect::<Result<Vec<_>, _>>()?;
        if !is_fine || figures.is_empty() {
            broken.push(*bench);
        }
        table.extend(figures);
    }
    println!("\n{:<74} {:>14} {:>16}", "figure", "measured", "target");
    let mut missed = 0;
    for figure in table.iter().filter(|figure| !figure.target.is_empty()) {
        println!(
            "{:<74} {:>14} {:>16}  {}",
            figure.name.trim_start(),
            figure.measured,
            figure.target,
            figure.word()
        );
        missed += usize::from(figure.is_met == Some(false));
    }
    println!("{missed} missed");
    if !broken.is_empty() {
        return Err(format!("broken: {}", broken.join(", ")).into());
    }
    let is_gate = !options.is_empty();
    Ok(if is_gate && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
