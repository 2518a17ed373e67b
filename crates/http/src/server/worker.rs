use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout_at};

use crate::server::connection::serve;
use crate::server::link::Link;
use crate::server::site::Site;

/// The accept loop of one I/O thread.
pub(super) struct Worker {
    listener: TcpListener,
    site: Arc<Site>,
    stop: watch::Receiver<Option<Instant>>,
}

impl Worker {
    pub(super) fn new(
        listener: TcpListener,
        site: Arc<Site>,
        stop: watch::Receiver<Option<Instant>>,
    ) -> Worker {
        Worker { listener, site, stop }
    }

    /// Accepts until the server stops; then waits for connections up to the deadline and returns how many
    /// of this thread's are still there.
    pub(super) async fn run(self) -> usize {
        let Worker { listener, site, mut stop } = self;
        let mine = Arc::new(AtomicUsize::new(0));
        let connections_stop = stop.clone();
        let deadline = loop {
            tokio::select! {
                biased;
                deadline = stopped(&mut stop) => break deadline,
                (seat, stream, peer) = next_connection(&listener, &site) => {
                    let place = Place::new(seat, &mine);
                    let link = Link::new(Arc::clone(&site), peer);
                    let stop = connections_stop.clone();
                    tokio::spawn(async move {
                        serve(stream, link, stop).await;
                        drop(place);
                    });
                }
            }
        };
        drop(listener);
        let _ = timeout_at(deadline.into(), site.all_gone()).await;
        mine.load(Relaxed)
    }
}

/// Waits for the server to stop; the answer is when to cut.
async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        Err(_) => None, // dropped without a shutdown
    };
    deadline.unwrap_or_else(Instant::now)
}

/// Takes a seat first, so what has no seat waits in the kernel and costs nothing here.
async fn next_connection(
    listener: &TcpListener,
    site: &Site,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    let seat = site.seat().await;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An answer is written in one piece; waiting to fill a packet only delays it.
                let _ = stream.set_nodelay(true);
                return (seat, stream, peer);
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Out of file descriptors: they come back when connections close, and not by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The place of an open connection in the counts.
struct Place {
    mine: Arc<AtomicUsize>,
    _seat: OwnedSemaphorePermit,
}

impl Place {
    fn new(seat: OwnedSemaphorePermit, mine: &Arc<AtomicUsize>) -> Place {
        mine.fetch_add(1, Relaxed);
        Place { mine: Arc::clone(mine), _seat: seat }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.mine.fetch_sub(1, Relaxed);
    }
}
