use std::panic::resume_unwind;
use std::time::Duration;

/// Runs `work` on a thread where it may block or compute, and gives back its result.
///
/// At most [`blocking_threads`](crate::ServerConfig::with_blocking_threads) run at once; more wait in line.
/// Work that has begun runs to its end even if the caller stops waiting. A panic of `work` continues in the
/// caller, where it becomes the `500` of that request.
///
/// # Panics
///
/// If `work` does, and outside of a server, [`block_on`] or another tokio runtime.
pub async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that shuts down refuses work, and then nobody polls this future again.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Waits for `future`, but no longer than `limit`; `None` when the time is over.
///
/// # Panics
///
/// Outside of a server, [`block_on`] or another tokio runtime.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Runs `future` to its end on this thread, with all that a service may use inside a server: timers,
/// [`blocking`]. Meant for tests and small tools.
///
/// # Panics
///
/// If `future` does, if the operating system has no file descriptors left, and when called from inside an
/// async runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an async runtime needs a few file descriptors")
        .block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_gives_the_result_back() {
        assert_eq!(block_on(blocking(|| 6 * 7)), 42);
    }

    #[test]
    #[should_panic(expected = "in the pool")]
    fn a_panic_in_the_pool_continues_in_the_caller() {
        block_on(blocking(|| panic!("in the pool")));
    }

    #[test]
    fn a_timeout_ends_the_wait() {
        assert_eq!(block_on(timeout(Duration::ZERO, std::future::pending::<()>())), None);
        assert_eq!(block_on(timeout(Duration::from_secs(60), async { 1 })), Some(1));
    }
}
