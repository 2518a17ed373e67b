//! Ids and the numbers that only grow.

use std::fmt;

use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// Takes an id that the caller has made; the core never draws one.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// An id from a number, for tests and simulations.
            #[must_use]
            pub const fn from_u128(id: u128) -> Self {
                Self(Uuid::from_u128(id))
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

uuid_id! {
    /// One request to train a subject.
    JobId
}
uuid_id! {
    /// One algorithm's part in one contest.
    CandidateId
}
uuid_id! {
    /// What a completed job produced.
    ModelId
}
uuid_id! {
    /// A process that has opened the journal; the same id across its restarts.
    NodeId
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
        pub struct $name($inner);

        impl $name {
            /// The number as it was stored.
            #[must_use]
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

counter! {
    /// The right to write for one run: a number that only grows over the life of a yard. A write that
    /// carries a lease which is no longer the job's is refused, however late it comes.
    Lease(u64)
}
counter! {
    /// How often a node has opened the journal. What ran under an older epoch died with its process.
    Epoch(u64)
}
counter! {
    /// Which run of a job this is, from 1; interruptions count too.
    Attempt(u32)
}
counter! {
    /// A job's place in the order of submission, unique in its yard.
    Order(u64)
}
