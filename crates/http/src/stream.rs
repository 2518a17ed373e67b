use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The end of a streamed answer that a service puts pieces into. Clones feed the same answer.
#[derive(Debug, Clone)]
pub struct ByteSender(mpsc::Sender<Bytes>);

impl ByteSender {
    /// Puts `piece` in, waiting while the client is slow.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when nobody reads any more.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        self.0.send(piece.into()).await.map_err(|_| SendError::Closed)
    }

    /// Puts `piece` in without waiting. Any thread may call this.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when the client is slow, [`SendError::Closed`] when nobody reads any more.
    pub fn try_send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        self.0.try_send(piece.into()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Waits until nobody reads any more: the client is gone or the server stopped.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Why a piece was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// As many pieces wait as may; try again, or drop this one and say so.
    #[error("as many pieces wait for the client as may")]
    Full,
    /// Nobody reads any more.
    #[error("nobody reads this answer any more")]
    Closed,
}

/// The end of a streamed answer that the connection reads.
#[derive(Debug)]
pub(crate) struct ByteReceiver(mpsc::Receiver<Bytes>);

impl ByteReceiver {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_recv(cx)
    }
}

pub(crate) fn byte_channel(pieces_max: usize) -> (ByteSender, ByteReceiver) {
    let (sender, receiver) = mpsc::channel(pieces_max.max(1));
    (ByteSender(sender), ByteReceiver(receiver))
}
