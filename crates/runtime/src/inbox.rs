//! Where calls wait for the driver, closed so that none is left in it.

use std::ops::Deref;

use trainyard_core::Reason;

use crate::call::Call;
use crate::sync::{Arc, OnceLock, Ordering, Receiver, SendError, Sender, TrySendError, bounded, fence};

/// An inbox for so many calls: where they go in, and where the driver takes them out.
pub(crate) fn inbox(max: usize) -> (Inbox, Calls) {
    let (sender, receiver) = bounded(max);
    let closed = Arc::new(OnceLock::new());
    (Inbox { sender, late: receiver.clone(), closed: Arc::clone(&closed) }, Calls { receiver, closed })
}

/// Where calls go in.
pub(crate) struct Inbox {
    sender: Sender<Call>,
    /// For what has gone in while it was closed: a channel keeps what nobody takes out, with all its promises.
    late: Receiver<Call>,
    closed: Arc<OnceLock<Reason>>,
}

#[expect(clippy::result_large_err, reason = "as with any channel, what was not sent comes back")]
impl Inbox {
    /// Puts a call in if there is room. It is disconnected once it is closed.
    pub(crate) fn try_send(&self, call: Call) -> Result<(), TrySendError<Call>> {
        if self.closed.get().is_some() {
            return Err(TrySendError::Disconnected(call));
        }
        self.sender.try_send(call)?;
        self.refuse_late();
        Ok(())
    }

    /// Puts a call in once there is room.
    pub(crate) fn send(&self, call: Call) -> Result<(), SendError<Call>> {
        if self.closed.get().is_some() {
            return Err(SendError(call));
        }
        self.sender.send(call)?;
        self.refuse_late();
        Ok(())
    }

    /// Either whoever closes it finds the call that has just gone in, or it is found here that it was closed.
    fn refuse_late(&self) {
        fence(Ordering::SeqCst);
        if let Some(reason) = self.closed.get() {
            refuse_all(&self.late, reason);
        }
    }
}

/// Where the driver takes calls out. Dropping it closes the inbox, and refuses what is in it.
pub(crate) struct Calls {
    receiver: Receiver<Call>,
    closed: Arc<OnceLock<Reason>>,
}

impl Calls {
    /// Takes no more calls, and refuses those that are there.
    pub(crate) fn close(self, reason: &Reason) {
        self.closed.get_or_init(|| reason.clone());
    }
}

impl Deref for Calls {
    type Target = Receiver<Call>;

    fn deref(&self) -> &Self::Target {
        &self.receiver
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        let reason = self.closed.get_or_init(|| Reason::new("its driver is gone"));
        fence(Ordering::SeqCst);
        refuse_all(&self.receiver, reason);
    }
}

fn refuse_all(calls: &Receiver<Call>, reason: &Reason) {
    for call in calls.try_iter() {
        call.refuse(reason);
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::port::HandleError;
    use trainyard_core::{Command, JobId};

    use super::*;
    use crate::Ticket;
    use crate::call::Reply;

    #[test]
    fn a_call_that_comes_too_late_is_refused_by_its_caller() {
        let (inbox, calls) = inbox(4);
        calls.close(&Reason::new("closed"));
        let (ticket, promise) = Ticket::new();
        // It has looked before the inbox was closed.
        let call = Call::Ask(Command::Unhold { job: JobId::from_u128(1) }, Reply::Done(promise));
        assert!(inbox.sender.send(call).is_ok());
        inbox.refuse_late();
        assert_eq!(ticket.wait(), Err(HandleError::Stopped { reason: Reason::new("closed") }));
    }
}
