use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How much memory the bodies, or the answers, of all requests may take together. Counted in kibibytes.
///
/// What is small is not counted, so that nobody has to wait for a few words: it is bounded by the number of connections.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    kib_max: u32,
    /// The seat of the one that may wait for more while it holds something. If many did, each could wait for what the
    /// others hold.
    growing: Arc<Semaphore>,
    /// The seat of the one that is next of those that hold nothing: it looks again whenever something is given back, and
    /// takes all it wants or nothing. A part in its hands would be lacking to whoever grows, and frees more by that.
    entering: Arc<Semaphore>,
    given_back: Arc<Notify>,
    /// For how long anybody may wait.
    patience: Duration,
}

/// Up to here nothing is counted.
const SMALL_BYTES: usize = 64 * 1024;

/// A part of the memory that a server sets aside for bodies; given back when it is dropped. See [`Body::collect_for`](
/// crate::Body::collect_for).
#[must_use = "dropped, it is given back"]
#[derive(Default)]
pub struct Share {
    /// `None` where there is no bound.
    room: Option<Room>,
    held: Option<OwnedSemaphorePermit>,
}

/// Nothing was free, and nothing became free in time.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Room {
    pub(crate) fn new(bytes_max: usize, patience: Duration) -> Room {
        let kib_max = u32::try_from(bytes_max / 1024).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(kib_max as usize));
        let seat = || Arc::new(Semaphore::new(1));
        Room { free, kib_max, growing: seat(), entering: seat(), given_back: Arc::default(), patience }
    }

    /// Waits in line, behind whoever grows.
    async fn enter(&self, kib: u32) -> OwnedSemaphorePermit {
        let _next = self.entering.acquire().await.expect("the semaphore is never closed");
        loop {
            if let Ok(entered) = Arc::clone(&self.free).try_acquire_many_owned(kib) {
                return entered;
            }
            // What was given back since is remembered.
            self.given_back.notified().await;
        }
    }

    /// Waits for those that hold something; `None` when another one does.
    async fn wait_to_grow(&self, kib: u32) -> Option<OwnedSemaphorePermit> {
        let _seat = self.growing.try_acquire().ok()?;
        let free = Arc::clone(&self.free);
        Some(free.acquire_many_owned(kib).await.expect("the semaphore is never closed"))
    }

    /// Nothing, which may grow.
    pub(crate) fn share(&self) -> Share {
        Share { room: Some(self.clone()), held: None }
    }

    /// Keeps its share with these bytes for as long as they are anywhere; `None` when there is no room for them now.
    pub(crate) fn keep(&self, bytes: Bytes) -> Option<Bytes> {
        let mut share = self.share();
        let lacks_kib = share.lacks_kib(bytes.len(), 1);
        if lacks_kib > 0 {
            share.held = Some(Arc::clone(&self.free).try_acquire_many_owned(lacks_kib).ok()?);
        }
        Some(share.keep(bytes))
    }
}

impl Share {
    /// Grows to what a body of so many bytes takes that is worth so many times its size. Where nothing is free, whoever
    /// holds nothing waits a while, and so does one of those that hold something; the others are refused at once, which
    /// frees what they hold. A body that takes more than all there is has all there is to itself.
    pub(crate) async fn grow(&mut self, bytes: usize, times: u32) -> Result<(), NoRoom> {
        let lacks_kib = self.lacks_kib(bytes, times);
        let Some(room) = self.room.as_ref().filter(|_| lacks_kib > 0) else {
            return Ok(());
        };
        let Some(held) = &mut self.held else {
            self.held = Some(timeout(room.patience, room.enter(lacks_kib)).await.map_err(|_| NoRoom)?);
            return Ok(());
        };
        let more = match Arc::clone(&room.free).try_acquire_many_owned(lacks_kib) {
            Ok(more) => more,
            Err(_) => {
                let more = timeout(room.patience, room.wait_to_grow(lacks_kib)).await;
                more.ok().flatten().ok_or(NoRoom)?
            }
        };
        held.merge(more);
        Ok(())
    }

    /// Lives as long as these bytes do.
    pub(crate) fn keep(self, bytes: Bytes) -> Bytes {
        if self.held.is_none() { bytes } else { Bytes::from_owner(Kept { bytes, _share: self }) }
    }

    fn lacks_kib(&self, bytes: usize, times: u32) -> u32 {
        let Some(room) = self.room.as_ref().filter(|_| bytes > SMALL_BYTES) else {
            return 0;
        };
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).saturating_mul(times);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        kib.min(room.kib_max).saturating_sub(u32::try_from(held).unwrap_or(u32::MAX))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let (Some(room), Some(held)) = (&self.room, self.held.take()) {
            drop(held);
            room.given_back.notify_one();
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        f.debug_struct("Share").field("kib", &kib).finish_non_exhaustive()
    }
}

/// Bytes with their share.
struct Kept {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    fn room(kib: usize) -> Room {
        Room::new(kib * 1024, Duration::from_millis(20))
    }

    fn free_kib(room: &Room) -> usize {
        room.free.available_permits()
    }

    #[test]
    fn a_share_grows_and_is_given_back() {
        let room = room(1_000);
        let mut share = room.share();
        block_on(async {
            share.grow(SMALL_BYTES, 6).await.unwrap();
            assert_eq!(free_kib(&room), 1_000, "what is small is not counted");
            share.grow(100 * 1024, 6).await.unwrap();
            assert_eq!(free_kib(&room), 400);
            share.grow(100 * 1024 + 1, 6).await.unwrap();
            assert_eq!(free_kib(&room), 394, "begun is counted");
            share.grow(70 * 1024, 6).await.unwrap();
            assert_eq!(free_kib(&room), 394, "it never shrinks");
        });
        drop(share);
        assert_eq!(free_kib(&room), 1_000);
    }

    #[test]
    fn whoever_finds_no_room_waits_and_is_told() {
        let room = room(1_000);
        let (mut first, mut second) = (room.share(), room.share());
        block_on(async {
            first.grow(900 * 1024, 1).await.unwrap();
            assert!(second.grow(200 * 1024, 1).await.is_err());
            assert_eq!(free_kib(&room), 100, "nobody holds what they did not get");
            let waiting = second.grow(200 * 1024, 1);
            let (waited, ()) = tokio::join!(waiting, async { drop(first) });
            waited.unwrap();
        });
        assert_eq!(free_kib(&room), 800);
    }

    #[test]
    fn of_those_who_hold_something_one_waits_for_the_others() {
        let room = Room::new(1_000 * 1024, Duration::from_secs(60));
        let mut shares = [room.share(), room.share(), room.share()];
        let [first, second, third] = &mut shares;
        block_on(async {
            for share in [&mut *first, second, third] {
                share.grow(300 * 1024, 1).await.unwrap();
            }
            let mut waiting = std::pin::pin!(first.grow(500 * 1024, 1));
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("there is no room for it"),
                refused = second.grow(500 * 1024, 1) => refused.unwrap_err(),
            };
            *second = Share::default();
            waiting.await.unwrap();
            third.grow(500 * 1024, 1).await.unwrap();
        });
        assert_eq!(free_kib(&room), 0);
    }

    #[test]
    fn whoever_has_nothing_yet_holds_up_nobody_who_has_something() {
        let room = Room::new(1_000 * 1024, Duration::from_secs(60));
        let (mut first, mut second, mut third) = (room.share(), room.share(), room.share());
        block_on(async {
            first.grow(900 * 1024, 1).await.unwrap();
            let mut waiting = std::pin::pin!(second.grow(200 * 1024, 1));
            let mut behind = std::pin::pin!(third.grow(100 * 1024, 1));
            let grown = tokio::select! {
                biased;
                _ = &mut waiting => panic!("there is no room for it"),
                _ = &mut behind => panic!("it came later"),
                grown = first.grow(950 * 1024, 1) => grown,
            };
            grown.unwrap();
            drop(first);
            waiting.await.unwrap();
            behind.await.unwrap();
        });
        assert_eq!(free_kib(&room), 700);
    }

    #[test]
    fn more_than_all_is_all() {
        let room = room(1_000);
        let mut share = room.share();
        block_on(share.grow(usize::MAX, u32::MAX)).unwrap();
        assert_eq!(free_kib(&room), 0);
        block_on(share.grow(usize::MAX, u32::MAX)).unwrap();
    }

    #[test]
    fn bytes_keep_their_share_as_long_as_they_are_anywhere() {
        let room = room(1_000);
        let kept = room.keep(Bytes::from(vec![7; 800 * 1024])).unwrap();
        assert!(room.keep(Bytes::from(vec![7; 300 * 1024])).is_none());
        assert!(room.keep(Bytes::from(vec![7; SMALL_BYTES])).is_some());
        let piece = kept.slice(10..20);
        drop(kept);
        assert_eq!((free_kib(&room), &*piece), (200, &[7; 10][..]));
        drop(piece);
        assert_eq!(free_kib(&room), 1_000);
    }
}
