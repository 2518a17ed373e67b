//! The mark of a place at which a test may end the process.

/// Marks a [`Failpoint`](crate::failpoints::Failpoint) by its name. Expands to nothing when there are none.
#[cfg(all(feature = "failpoints", debug_assertions))]
#[macro_export]
macro_rules! failpoint {
    ($name:ident) => {
        $crate::failpoints::Failpoint::$name.hit()
    };
}

/// Marks a `Failpoint` by its name. Expands to nothing when there are none.
#[cfg(not(all(feature = "failpoints", debug_assertions)))]
#[macro_export]
macro_rules! failpoint {
    ($name:ident) => {};
}
