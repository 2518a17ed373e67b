//! Work that several threads share.

use std::num::NonZeroUsize;

use parking_lot::Mutex;

/// What `work` makes of each of `0..count`, in order, by so many threads at most. Which thread does what is chance;
/// what comes of it is not. Where the system gives no thread, the others do its part.
///
/// # Panics
/// When `work` does.
pub fn each<T: Send>(threads: NonZeroUsize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let helpers = threads.get().min(count).saturating_sub(1);
    if helpers == 0 {
        return (0..count).map(work).collect();
    }
    let todo = Mutex::new(0..count);
    let next = || todo.lock().next();
    let done = Mutex::new(Vec::with_capacity(count));
    let run = || {
        while let Some(number) = next() {
            let made = work(number);
            done.lock().push((number, made));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            if std::thread::Builder::new().spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_it_does_not_depend_on_threads() {
        for threads in 1..6 {
            for count in [0, 1, 2, 17] {
                let made = each(NonZeroUsize::new(threads).unwrap(), count, |number| number * 3);
                assert_eq!(made, (0..count).map(|number| number * 3).collect::<Vec<_>>());
            }
        }
    }
}
