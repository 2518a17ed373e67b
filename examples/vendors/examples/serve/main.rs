//! Serves CyborgDB's wire format over real vector indexes, MathFi's over contests of real classifiers, HeyGen's over
//! models of photos, and elizaOS's over programs that train agents, with a durable data folder.
//!
//! `cargo run --release --example serve` listens on 127.0.0.1:8000 and says how to try it; `--help` lists the flags.
//! Ctrl-C stops it in good order, a second one at once. When it cannot go on, as with a full disk, it says why and ends
//! with exit code 1, for whoever watches over it to start it again. `--verify` checks the data folder's journal instead.

mod flags;
mod verify;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use trainyard_core::Reason;
use trainyard_server::{FirstUser, Service, Terminal};

use crate::flags::Flags;

fn main() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    let flags = Flags::read();
    let done = match flags.verify() {
        Some(data) => verify::verify(data).map(|whole| println!("{whole}")),
        None => serve(&flags),
    };
    if let Err(error) = done {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        eprintln!("{}", causes.fold(format!("error: {error}"), |text, cause| format!("{text}: {cause}")));
        std::process::exit(1);
    }
}

fn serve(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let (tell, told) = mpsc::channel();
    let (asked, is_asked) = (tell.clone(), AtomicBool::new(false));
    ctrlc::set_handler(move || {
        let is_second = is_asked.swap(true, Ordering::Relaxed);
        if is_second || asked.send(End::Asked).is_err() {
            std::process::exit(130); // or it is stopping already
        }
    })?;
    let config = flags.config()?;
    let is_heygen_keyed = config.heygen().key().is_some();
    let is_eliza_keyed = config.eliza().token().is_some();
    let (service, opened) = Service::open(config)?;
    let greeting = service.greeting("$TRAINYARD_CYBORGDB_ROOT_KEY");
    let greeting =
        if is_heygen_keyed { greeting.with_heygen_placeholder("$TRAINYARD_HEYGEN_KEY") } else { greeting };
    let greeting =
        if is_eliza_keyed { greeting.with_eliza_placeholder("$TRAINYARD_ELIZA_TOKEN") } else { greeting };
    println!("{opened}\n{greeting}");
    if let Some(FirstUser { name, password, .. }) = &opened.first_user {
        println!(
            "MathFi's user {name:?} was made, with the password {}: it is not shown again (once lost, give {name} \
             another one with --mathfi-user)",
            password.expose()
        );
        service.first_user_told()?;
    }
    if let Some(key) = &opened.heygen_key {
        println!("a key for HeyGen's wire was made: {}; it is not shown again", key.expose());
        service.heygen_key_told()?;
    }
    if let Some(token) = &opened.eliza_token {
        println!("a token for elizaOS's wire was made: {}; it is not shown again", token.expose());
        service.eliza_token_told()?;
    }
    let watch = service.watch();
    let shown = thread::spawn(move || match io::stdout().is_terminal() {
        true => Terminal::screen(io::stdout()).show(watch),
        false => Terminal::log(io::stdout()).show(watch),
    });
    let ending = service.ending();
    thread::spawn(move || tell.send(End::ByItself(ending.wait())));
    let end = told.recv()?;
    drop(told);
    let closed = service.shutdown(Duration::from_secs(20));
    let _ = shown.join(); // nobody may be left to read it
    println!("stopped: {closed}");
    match end {
        End::Asked => Ok(()),
        End::ByItself(reason) => Err(format!("could not go on: {reason}").into()),
    }
}

/// Why it ends.
enum End {
    Asked,
    ByItself(Reason),
}
