//! Serves CyborgDB's wire format over real vector indexes, with a durable data folder.
//!
//! `cargo run --release --example serve` listens on 127.0.0.1:8000 and says how to try it; `--help` lists the flags.
//! Ctrl-C stops it in good order, a second one at once.

mod flags;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use trainyard_server::{Service, Terminal};

use crate::flags::Flags;

fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    if let Err(error) = serve(&Flags::parse()) {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        eprintln!("{}", causes.fold(format!("error: {error}"), |text, cause| format!("{text}: {cause}")));
        std::process::exit(1);
    }
}

fn serve(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        if stop.send(()).is_err() {
            std::process::exit(130); // asked for a second time
        }
    })?;
    let (service, opened) = Service::open(flags.config()?)?;
    println!("{opened}\n{}", service.greeting("$TRAINYARD_CYBORGDB_ROOT_KEY"));
    let watch = service.watch();
    let shown = thread::spawn(move || match io::stdout().is_terminal() {
        true => Terminal::screen(io::stdout()).show(watch),
        false => Terminal::log(io::stdout()).show(watch),
    });
    stopped.recv()?;
    drop(stopped);
    let closed = service.shutdown(Duration::from_secs(20));
    let _ = shown.join(); // nobody may be left to read it
    println!("stopped: {closed}");
    Ok(())
}
