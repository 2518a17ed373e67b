//! Passwords, of which only hashes are kept that take memory and time to try.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use parking_lot::{Condvar, Mutex};
use trainyard_http::secret::Secret;

/// A hash with everything that is needed to try a password: a PHC string. Not to be shown to anybody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Phc(String);

impl Phc {
    /// One that was kept.
    pub(crate) const fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phc(..)")
    }
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("could not hash a password")]
pub(crate) struct NotHashed(#[source] argon2::password_hash::Error);

/// Makes and tries hashes: Argon2id with the parameters its crate recommends, 19 MiB each. So many at once.
pub(crate) struct Passwords {
    gate: Gate,
    /// Of nobody's password: tried for users that there are not, so that it takes as long.
    nobody: Phc,
}

impl Passwords {
    pub(crate) fn new(at_once: usize) -> Result<Self, NotHashed> {
        let gate = Gate { free: Mutex::new(at_once.max(1)), left: Condvar::new() };
        let password = made_password();
        Ok(Self { gate, nobody: hash(password.expose())? })
    }

    /// Waits for its turn, and takes a while.
    pub(crate) fn hash(&self, password: &Secret) -> Result<Phc, NotHashed> {
        self.gate.through(|| hash(password.expose()))
    }

    /// Whether it is the password; nobody has `None`. Waits for its turn, and takes as long either way.
    pub(crate) fn verify(&self, password: &str, known: Option<&Phc>) -> bool {
        let phc = known.unwrap_or(&self.nobody);
        let is_right = self.gate.through(|| {
            let hash = PasswordHash::new(phc.as_str()).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &hash).ok()
        });
        known.is_some() && is_right.is_some()
    }
}

fn hash(password: &str) -> Result<Phc, NotHashed> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes()).map_err(NotHashed)?;
    Ok(Phc(hash.to_string()))
}

/// A password that nobody has thought of: 120 bits of chance.
///
/// # Panics
/// When the operating system gives no random numbers.
pub(crate) fn made_password() -> Secret {
    let mut bytes = [0_u8; 24];
    crate::key::fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    Secret::new(text).expect("it is not empty")
}

/// None that is easily taken for another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Lets so many through at once; the others wait.
struct Gate {
    free: Mutex<usize>,
    left: Condvar,
}

impl Gate {
    fn through<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut free = self.free.lock();
        self.left.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
        drop(free);
        let _leaves = Leaves(self);
        work()
    }
}

/// Gives the place back, also when the work panics.
struct Leaves<'a>(&'a Gate);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_password_opens_its_own_hash_alone() {
        let passwords = Passwords::new(2).unwrap();
        let secret = Secret::new("s3cret").unwrap();
        let phc = passwords.hash(&secret).unwrap();
        assert!(phc.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", phc.as_str());
        assert!(!phc.as_str().contains("s3cret") && !format!("{phc:?}").contains("argon2"));
        assert_ne!(passwords.hash(&secret).unwrap(), phc, "each has a salt of its own");
        assert!(passwords.verify("s3cret", Some(&phc)));
        assert!(!passwords.verify("s3cret ", Some(&phc)));
        assert!(!passwords.verify("", Some(&phc)));
        assert!(!passwords.verify("s3cret", None), "nobody has no password");
        assert!(!passwords.verify("s3cret", Some(&Phc::stored("damaged".to_owned()))));
    }

    #[test]
    fn a_made_password_is_long_and_made_anew() {
        let (one, other) = (made_password(), made_password());
        assert_eq!(one.expose().len(), 24);
        assert!(one.expose().bytes().all(|byte| LETTERS.contains(&byte)));
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn only_so_many_work_at_once() {
        let gate = Gate { free: Mutex::new(2), left: Condvar::new() };
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    gate.through(|| {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert_eq!(*gate.free.lock(), 2);
    }
}
