//! Who may send a file: so many at once, and of those so many of one user's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trainyard_http::{Seat, Seats};

use crate::fault::Fault;
use crate::host::UserId;
use crate::settings::Limits;

/// The seats for uploads.
pub(crate) struct UploadSeats {
    all: Seats,
    by_owner: Arc<ByOwner>,
    by_owner_max: usize,
}

/// How many seats each user has taken; nobody is in here with none.
#[derive(Default)]
struct ByOwner(Mutex<BTreeMap<UserId, usize>>);

/// A taken seat; dropped, it is free again.
#[must_use = "dropped, it is free again"]
pub(crate) struct UploadSeat {
    owner: UserId,
    by_owner: Arc<ByOwner>,
    _seat: Seat,
}

impl UploadSeats {
    pub(crate) fn new(limits: &Limits) -> Self {
        let by_owner_max = limits.uploads_by_owner.max(1);
        Self { all: Seats::new(limits.uploads), by_owner: Arc::default(), by_owner_max }
    }

    /// Takes a seat for this user, if there is one.
    pub(crate) fn try_take(&self, owner: UserId) -> Result<UploadSeat, Fault> {
        let mut taken = self.by_owner.lock();
        let theirs = taken.get(&owner).copied().unwrap_or(0);
        if theirs >= self.by_owner_max {
            return Err(Fault::Later("Too many uploads of yours at once, try again"));
        }
        let seat = self.all.try_take().ok_or(Fault::Later("Too many uploads at once, try again"))?;
        taken.insert(owner, theirs + 1);
        drop(taken);
        Ok(UploadSeat { owner, by_owner: Arc::clone(&self.by_owner), _seat: seat })
    }
}

impl ByOwner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UploadSeat {
    fn drop(&mut self) {
        let mut taken = self.by_owner.lock();
        let left = taken.remove(&self.owner).unwrap_or(0).saturating_sub(1);
        if left > 0 {
            taken.insert(self.owner, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(number: u128) -> UserId {
        UserId::new(Uuid::from_u128(number))
    }

    #[test]
    fn one_user_leaves_room_for_others() {
        let seats = UploadSeats::new(&Limits { uploads: 3, uploads_by_owner: 2, ..Limits::default() });
        let anns = [seats.try_take(user(1)).unwrap(), seats.try_take(user(1)).unwrap()];
        assert!(seats.try_take(user(1)).is_err());
        let bobs = seats.try_take(user(2)).unwrap();
        assert!(seats.try_take(user(3)).is_err(), "all are taken");
        drop(bobs);
        let carols = seats.try_take(user(3)).unwrap();
        drop(anns);
        assert!(seats.try_take(user(1)).is_ok());
        drop(carols);
        assert!(seats.by_owner.lock().is_empty());
    }

    #[test]
    fn none_counts_as_one() {
        let seats = UploadSeats::new(&Limits { uploads: 0, uploads_by_owner: 0, ..Limits::default() });
        let one = seats.try_take(user(1)).unwrap();
        assert!(seats.try_take(user(1)).is_err() && seats.try_take(user(2)).is_err());
        drop(one);
        assert!(seats.try_take(user(1)).is_ok());
    }
}
