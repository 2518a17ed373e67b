//! A server in a process of its own, which can be killed.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use trainyard_server::{Service, ServiceConfig, Terminal};

use super::LONG;

const CHILD: &str = "TRAINYARD_SERVER_TEST_IN";

/// A file of this name in the folder that is served: no file of the server's may have more blocks of 512 or 1,024 bytes
/// than it says, as if the disk were full.
pub(crate) const NARROW: &str = "narrow";

/// The folder to serve in, when this process was started as [`Serving`].
pub(crate) fn folder() -> Option<PathBuf> {
    let folder: PathBuf = std::env::var_os(CHILD).map(OsString::into)?;
    if std::env::var_os(NARROW).is_none()
        && let Ok(blocks) = std::fs::read_to_string(folder.join(NARROW))
    {
        panic!("{}", narrowed(&blocks).exec());
    }
    Some(folder)
}

/// This process again, with that bound.
fn narrowed(blocks: &str) -> Command {
    let mut shell = Command::new("sh");
    // Ignored, the signal becomes an error of the write.
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    shell.arg(std::env::current_exe().expect("this binary is a file"));
    shell.args(["child", "--exact", "--nocapture", "--test-threads=1"]).env(NARROW, "1");
    shell
}

/// Serves until it is told to stop. `hear` is called with every line that [`Serving::tell`] has sent.
pub(crate) fn serve(config: ServiceConfig, hear: impl Fn(&str) + Send + 'static) {
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || stop.send(()).expect("somebody waits for it")).expect("it is the first");
    let (service, opened) = Service::open(config).expect("it opens");
    println!("\n> opened {}", opened.yard);
    println!("> listening {}", service.url());
    let watch = service.watch();
    let shown = thread::spawn(|| Terminal::log(std::io::stdout()).show(watch));
    thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).for_each(|line| hear(&line)));
    stopped.recv().expect("it is told to stop");
    println!("> closed {}", service.shutdown(LONG));
    shown.join().expect("no panic").expect("it can write");
}

/// A server in a process of its own; killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) process: Child,
    pub(crate) opened: String,
    pub(crate) url: String,
    lines: Receiver<String>,
}

impl Serving {
    /// Starts this test binary again, to run nothing but its test `child`.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this binary is a file"))
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, folder)
            // Where glibc allocates: what is large and given back is the system's again at once, so that what this
            // process takes is what it holds, and not what the allocator has kept of it for another thread.
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this binary starts");
        let said = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || said.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut serving = Self { process, opened: String::new(), url: String::new(), lines };
        serving.opened = serving.hear("> opened ");
        serving.url = serving.hear("> listening ");
        serving
    }

    /// The rest of the first line that begins so.
    pub(crate) fn hear(&mut self, begin: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(LONG).unwrap_or_else(|error| panic!("no line {begin:?}: {error}"));
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }

    /// Sends a line to its `hear`.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().expect("it is piped"), "{line}").expect("it listens");
    }

    /// Asks it to stop in good order, and waits until it has.
    pub(crate) fn stop(&mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("there is a kill").success());
        let closed = self.hear("> closed ");
        assert!(self.process.wait().expect("it ends").success());
        closed
    }

    /// The most memory it has had so far, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory_kib_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
