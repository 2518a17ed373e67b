use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::mounts::Mounts;

mod answer;
mod config;
mod connection;
mod link;
mod site;
mod socket;
mod upload;
mod worker;

#[cfg(feature = "tower")]
pub(crate) use self::answer::{guarded, into_http};
pub use self::config::ServerConfig;
pub(crate) use self::config::bounded;
use self::site::Site;
pub(crate) use self::upload::Upload;
use self::worker::Worker;

/// HTTP/1.1 on threads of its own; see [`Server::start`].
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// Listens, and answers by `mounts` until [`RunningServer::shutdown`].
    ///
    /// Clients can connect as soon as this returns. Each I/O thread is an independent single-threaded
    /// runtime: a connection stays on the thread that accepted it, so no request crosses threads and none pays
    /// for a work-stealing scheduler.
    ///
    /// Every answer of a service, and the `404` where there is none, carries `x-request-id`. What is not HTTP
    /// is refused (`400`, `414`, `431`) before it is a request, and has none.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the address cannot be listened on, or the system has no threads or file
    /// descriptors left.
    pub fn start(config: ServerConfig, mounts: Mounts) -> Result<RunningServer, StartError> {
        let address = config.listen;
        let fail = |operation| move |source| StartError { operation, address, source };

        let io_threads = config.io_threads;
        let blocking_threads = config.blocking_threads.div_ceil(io_threads);
        let site = Arc::new(Site::new(config, mounts));
        let (stop, stopped) = watch::channel(None);
        let (done, reports) = mpsc::sync_channel(io_threads);

        let mut runtimes = Vec::with_capacity(io_threads);
        while runtimes.len() < io_threads {
            runtimes.push(runtime(blocking_threads).map_err(fail("start a runtime for"))?);
        }
        let listener = listen(&runtimes[0], address).map_err(fail("listen on"))?;
        let local_addr = listener.local_addr().map_err(fail("listen on"))?;
        let mut workers = Vec::with_capacity(io_threads);
        for runtime in runtimes {
            let listener = share(&listener, &runtime).map_err(fail("listen on"))?;
            workers.push((runtime, listener));
        }
        drop(listener);

        for (number, (runtime, listener)) in workers.into_iter().enumerate() {
            let worker = Worker::new(listener, Arc::clone(&site), stopped.clone());
            let done = done.clone();
            thread::Builder::new()
                .name(format!("trainyard-http-{number}"))
                .spawn(move || {
                    let cut = runtime.block_on(worker.run());
                    runtime.shutdown_background();
                    // The caller may have stopped waiting, or never asked.
                    let _ = done.send(cut);
                })
                .map_err(fail("start a thread for"))?;
        }
        Ok(RunningServer { local_addr, io_threads, site, stop, reports })
    }
}

/// A server that listens. Dropping it stops it abruptly, and does not wait for that.
#[derive(Debug)]
pub struct RunningServer {
    local_addr: SocketAddr,
    io_threads: usize,
    site: Arc<Site>,
    /// `None` while running, then the moment at which connections are cut.
    stop: watch::Sender<Option<Instant>>,
    /// How many connections each I/O thread had to cut.
    reports: mpsc::Receiver<usize>,
}

impl RunningServer {
    /// The address listened on, with the port the system chose if the configured one was zero.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: refuses new connections, closes idle ones and, with the code 1001, WebSockets; lets requests that have
    /// begun, and the services of those WebSockets, finish for at most `deadline`, then cuts the rest. What is cut is
    /// dropped at its `await`.
    ///
    /// Returns soon after the deadline even if a service blocks its I/O thread, which is a bug of that service
    /// and in the report. Work inside [`blocking`](crate::blocking) is not waited for.
    pub fn shutdown(self, deadline: Duration) -> Shutdown {
        let open = self.site.connections_open();
        let end = Instant::now() + bounded(deadline);
        self.stop.send_replace(Some(end));

        let mut report =
            Shutdown { connections_finished: 0, connections_cut: 0, threads_stuck: self.io_threads };
        while report.threads_stuck > 0 {
            let left = (end + THREAD_GRACE).saturating_duration_since(Instant::now());
            let Ok(cut) = self.reports.recv_timeout(left) else {
                break;
            };
            report.connections_cut += cut;
            report.threads_stuck -= 1;
        }
        report.connections_finished = open.saturating_sub(report.connections_cut);
        report
    }
}

/// How long after its deadline a shutdown waits for threads to notice.
const THREAD_GRACE: Duration = Duration::from_secs(1);

/// How a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    connections_finished: usize,
    connections_cut: usize,
    threads_stuck: usize,
}

impl Shutdown {
    /// Connections that were open when the shutdown began and ended in good order.
    #[must_use]
    pub fn connections_finished(&self) -> usize {
        self.connections_finished
    }

    /// Connections that were still busy at the deadline and were cut.
    #[must_use]
    pub fn connections_cut(&self) -> usize {
        self.connections_cut
    }

    /// I/O threads that did not come back, because a service blocks them.
    #[must_use]
    pub fn threads_stuck(&self) -> usize {
        self.threads_stuck
    }

    /// Whether every request was answered.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.connections_cut == 0 && self.threads_stuck == 0
    }
}

/// The server could not start.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {address}")]
pub struct StartError {
    operation: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl StartError {
    /// The address that was to be listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether somebody else listens there already.
    #[must_use]
    pub fn is_address_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

fn runtime(blocking_threads: usize) -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("trainyard-http-blocking")
        .max_blocking_threads(blocking_threads)
        .build()
}

fn listen(runtime: &Runtime, address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let _context = runtime.enter();
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Elsewhere the option means that another process may take the port over.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Connections that may wait in the kernel for a seat.
const BACKLOG: u32 = 1024;

fn share(listener: &std::net::TcpListener, runtime: &Runtime) -> io::Result<TcpListener> {
    let copy = listener.try_clone()?;
    let _context = runtime.enter();
    TcpListener::from_std(copy)
}
