use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{self, sleep};

use crate::server::answer::answer;
use crate::server::config::ServerConfig;
use crate::server::link::Link;
use crate::server::socket::converse;

/// Serves one connection until it ends, its time is over, or the server stops.
///
/// hyper's own header timer is off: it takes one allocation and one timer per request, and knows nothing of
/// idle connections and slow readers. The one timer here serves all of these.
pub(super) async fn serve(stream: TcpStream, link: Link, mut stop: watch::Receiver<Option<Instant>>) {
    let link = Arc::new(link);
    let io = TokioIo::new(Watched { stream, link: Arc::clone(&link) });
    let service = service_fn(|request| {
        let link = Arc::clone(&link);
        async { Ok::<_, Infallible>(answer(link, request).await) }
    });
    let mut connection = pin!(protocol(&link.site.config).serve_connection(io, service).with_upgrades());
    let stop_again = stop.clone();
    let mut stopped = pin!(async { stop.wait_for(Option::is_some).await.is_ok() });
    let mut running = true;
    let mut timer = pin!(sleep(link.look_again_after()));

    poll_fn(|cx| {
        if running && stopped.as_mut().poll(cx).is_ready() {
            running = false;
            connection.as_mut().graceful_shutdown();
            if link.owes_nothing() {
                return Poll::Ready(());
            }
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(peer = %link.peer, %error, "a connection broke off");
            }
            return Poll::Ready(());
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            match link.time_left() {
                Some(left) => timer.as_mut().reset(time::Instant::now() + left),
                None => {
                    tracing::debug!(peer = %link.peer, "a connection took too long");
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;

    if let Some(promise) = link.take_promise() {
        let mut stop = stop_again;
        let stopped = async move {
            // A server that is dropped stops as well.
            let _ = stop.wait_for(Option::is_some).await;
        };
        // On the heap, so that connections without a WebSocket have no room for one.
        Box::pin(converse(&link, promise, stopped)).await;
    }
}

fn protocol(config: &ServerConfig) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .header_read_timeout(None)
        .max_header_size(config.header_bytes_max)
        .max_buf_size(config.header_bytes_max.max(BUFFER_BYTES_MIN));
    // Up to its default hyper keeps headers on the stack; fewer are then counted in `answer`.
    if config.headers_max > HYPER_HEADERS_MAX {
        protocol.max_headers(config.headers_max);
    }
    protocol
}

/// Room for pieces of a body. Smaller ones would cost more calls.
const BUFFER_BYTES_MIN: usize = 64 * 1024;
const HYPER_HEADERS_MAX: usize = 100;

/// A socket that notes on its [`Link`] what goes in and out.
struct Watched {
    stream: TcpStream,
    link: Arc<Link>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.link.received();
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Watched {
    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.link.write_blocked(),
            Poll::Ready(_) => self.link.written(),
        }
        result
    }
}
