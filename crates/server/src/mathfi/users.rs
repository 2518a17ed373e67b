//! Who may come in.

use std::collections::BTreeMap;

use trainyard_http::secret::Secret;
use trainyard_mathfi::{Stamp, User, UserId};
use uuid::Uuid;

use super::catalog::{Catalog, Origin, UserRecord};
use super::passwords::{NotHashed, Passwords, Phc, made_password};
use crate::key;
use crate::records::RecordsError;

/// Those who may come in: the configured ones, or, when none is, one that was made. Others that the catalogue knows
/// keep what is theirs, and stay out.
pub(crate) struct Users {
    passwords: Passwords,
    by_name: BTreeMap<String, (User, Phc)>,
    by_id: BTreeMap<UserId, Stamp>,
}

/// The user that was made because none was configured; the only time its password is known. Who has lost it configures
/// a user of this name with another password: what belongs to the name stays.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FirstUser {
    /// What to log in as.
    pub name: String,
    /// The password. Only a hash of it is kept: show it to whoever may have it, now.
    pub password: Secret,
}

/// Why users cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsersError {
    #[error(transparent)]
    Catalog(#[from] RecordsError),
    #[error(transparent)]
    Password(#[from] NotHashed),
    #[error("a user's name has 1 to {NAME_BYTES_MAX} bytes and no control character")]
    Name,
}

const NAME_BYTES_MAX: usize = 256;
const MADE_NAME: &str = "admin";

impl Users {
    /// Makes the users of the catalogue those that are configured. Whose password is as it was keeps their tokens.
    ///
    /// Once the one that was made is told of, [`Catalog::tell_users`] must be; until then each open makes another
    /// password, for nobody may know the one before.
    pub(crate) fn open(
        catalog: &Catalog,
        configured: &BTreeMap<String, Secret>,
        passwords: Passwords,
    ) -> Result<(Self, Option<FirstUser>), UsersError> {
        let mut users = Self { passwords, by_name: BTreeMap::new(), by_id: BTreeMap::new() };
        for (name, password) in configured {
            let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control);
            if !is_name {
                return Err(UsersError::Name);
            }
            let known = catalog.user(name)?;
            let record = match known {
                Some(record) if users.passwords.verify(password.expose(), Some(&record.password)) => {
                    let is_told = record.origin == Origin::Configured;
                    let record = UserRecord { origin: Origin::Configured, ..record };
                    if !is_told {
                        catalog.put_user(&record)?;
                    }
                    record
                }
                known => users.keep(catalog, name, known, password, Origin::Configured)?,
            };
            users.let_in(record);
        }
        if !configured.is_empty() {
            return Ok((users, None));
        }
        match catalog.user(MADE_NAME)? {
            Some(record) if record.origin == Origin::Made => {
                users.let_in(record);
                Ok((users, None))
            }
            known => {
                let password = made_password();
                let record = users.keep(catalog, MADE_NAME, known, &password, Origin::Untold)?;
                users.let_in(record);
                Ok((users, Some(FirstUser { name: MADE_NAME.to_owned(), password })))
            }
        }
    }

    /// Who has this name and this password.
    pub(crate) fn log_in(&self, name: &str, password: &str) -> Option<User> {
        let known = self.by_name.get(name);
        let is_right = self.passwords.verify(password, known.map(|(_, phc)| phc));
        known.filter(|_| is_right).map(|(user, _)| *user)
    }

    /// A user who may come in.
    pub(crate) fn user(&self, id: UserId) -> Option<User> {
        self.by_id.get(&id).map(|stamp| User { id, stamp: *stamp })
    }

    /// What those who may come in are called, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    fn keep(
        &self,
        catalog: &Catalog,
        name: &str,
        known: Option<UserRecord>,
        password: &Secret,
        origin: Origin,
    ) -> Result<UserRecord, UsersError> {
        let mut stamp = [0; 8];
        key::fill(&mut stamp);
        let record = UserRecord {
            id: known.map_or_else(|| UserId::new(Uuid::new_v4()), |known| known.id),
            name: name.to_owned(),
            password: self.passwords.hash(password)?,
            stamp: Stamp(u64::from_le_bytes(stamp)),
            origin,
        };
        catalog.put_user(&record)?;
        Ok(record)
    }

    fn let_in(&mut self, record: UserRecord) {
        let UserRecord { id, name, password, stamp, origin: _ } = record;
        self.by_name.insert(name, (User { id, stamp }, password));
        self.by_id.insert(id, stamp);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn open(folder: &Path, configured: &[(&str, &str)]) -> (Users, Option<FirstUser>) {
        let catalog = Catalog::open(&folder.join("catalog.sqlite")).unwrap();
        let secret = |text: &str| Secret::new(text).unwrap();
        let configured = configured.iter().map(|(name, text)| ((*name).to_owned(), secret(text))).collect();
        let opened = Users::open(&catalog, &configured, Passwords::new(2).unwrap()).unwrap();
        catalog.tell_users().unwrap();
        opened
    }

    #[test]
    fn whoever_is_configured_may_come_in_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (users, made) = open(folder.path(), &[("a@example.com", "one"), ("b", "two")]);
        assert!(made.is_none());
        let a = users.log_in("a@example.com", "one").unwrap();
        assert_eq!(users.user(a.id), Some(a));
        assert_ne!(users.log_in("b", "two").unwrap().id, a.id);
        for (name, password) in [("a@example.com", "two"), ("A@example.com", "one"), ("c", "one"), ("", "")] {
            assert_eq!(users.log_in(name, password), None, "{name}");
        }

        let (users, _) = open(folder.path(), &[("a@example.com", "one")]);
        assert_eq!(users.log_in("a@example.com", "one"), Some(a), "with its tokens");
        assert_eq!(users.log_in("b", "two"), None, "configured no more");

        let (users, _) = open(folder.path(), &[("a@example.com", "new")]);
        let again = users.log_in("a@example.com", "new").unwrap();
        assert_eq!(again.id, a.id, "what is theirs stays theirs");
        assert_ne!(again.stamp, a.stamp, "tokens are refused");
        assert_eq!(users.log_in("a@example.com", "one"), None);
    }

    #[test]
    fn without_anybody_configured_one_is_made_and_told_of_once() {
        let folder = tempfile::tempdir().unwrap();
        let (users, made) = open(folder.path(), &[]);
        let made = made.unwrap();
        let admin = users.log_in(&made.name, made.password.expose()).unwrap();
        assert_eq!(made.name, "admin");
        assert!(!format!("{made:?}").contains(made.password.expose()));

        let (users, again) = open(folder.path(), &[]);
        assert!(again.is_none());
        assert_eq!(users.log_in("admin", made.password.expose()), Some(admin));

        let (users, _) = open(folder.path(), &[("b", "two")]);
        assert_eq!(users.log_in("admin", made.password.expose()), None, "it was for want of a better one");
        assert_eq!(users.user(admin.id), None);
        let (users, again) = open(folder.path(), &[]);
        assert!(again.is_none() && users.log_in("admin", made.password.expose()).is_some());

        let (users, _) = open(folder.path(), &[("admin", "mine")]);
        assert_eq!(users.log_in("admin", "mine").unwrap().id, admin.id);
        let (users, again) = open(folder.path(), &[]);
        assert_eq!(users.log_in("admin", "mine"), None);
        assert!(users.log_in("admin", again.unwrap().password.expose()).is_some());
    }

    #[test]
    fn a_password_that_nobody_has_heard_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        let nobody = BTreeMap::new();
        let (_, first) = Users::open(&catalog, &nobody, Passwords::new(1).unwrap()).unwrap();
        let (users, second) = Users::open(&catalog, &nobody, Passwords::new(1).unwrap()).unwrap();
        assert_eq!(users.log_in("admin", first.unwrap().password.expose()), None);
        assert!(users.log_in("admin", second.unwrap().password.expose()).is_some());
        catalog.tell_users().unwrap();
        let (_, third) = Users::open(&catalog, &nobody, Passwords::new(1).unwrap()).unwrap();
        assert!(third.is_none());
    }

    #[test]
    fn a_name_that_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite")).unwrap();
        for name in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            let configured = BTreeMap::from([(name.to_owned(), Secret::new("one").unwrap())]);
            let refused = Users::open(&catalog, &configured, Passwords::new(1).unwrap());
            assert!(matches!(refused, Err(UsersError::Name)));
        }
    }
}
