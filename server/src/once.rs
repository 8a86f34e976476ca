//! Work that several ask for at the same time is done once.
//!
//! A study opens on twenty screens of a ward round at the same moment. The first asker starts the work, who comes while it
//! runs waits for the same result, and the last one to go away ends it. Nothing is kept afterwards: this is no cache.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;

/// What runs now, by what it makes.
pub struct Once<K, V: Clone> {
    running: Arc<Mutex<Running<K, V>>>,
}

struct Running<K, V: Clone> {
    work: HashMap<K, (u64, WeakShared<BoxFuture<'static, V>>)>,
    started: u64,
}

/// Takes a work off the list when it ends, and when the last asker goes away before that.
struct Listed<K: Eq + Hash, V: Clone> {
    running: Arc<Mutex<Running<K, V>>>,
    key: K,
    number: u64,
}

impl<K: Eq + Hash, V: Clone> Drop for Listed<K, V> {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        // Between the last asker's going and this another may have begun anew.
        if running
            .work
            .get(&self.key)
            .is_some_and(|(number, _)| *number == self.number)
        {
            running.work.remove(&self.key);
        }
    }
}

impl<K, V: Clone> Default for Once<K, V> {
    fn default() -> Self {
        let work = HashMap::new();
        Self {
            running: Arc::new(Mutex::new(Running { work, started: 0 })),
        }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> Once<K, V> {
    /// Returns what the work makes, or what the same work makes that runs already.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> V
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.join(key, work).await
    }

    fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Shared<BoxFuture<'static, V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        // Made before the lock is taken, and dropped unused where somebody else is at it: it begins when it is first asked.
        let work = work();
        let mut running = self.running.lock();
        if let Some(shared) = running.work.get(&key).and_then(|(_, weak)| weak.upgrade()) {
            return shared;
        }
        running.started += 1;
        let number = running.started;
        let listed = Listed {
            running: Arc::clone(&self.running),
            key: key.clone(),
            number,
        };
        let whole = async move {
            let made = work.await;
            drop(listed);
            made
        };
        let shared = whole.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            running.work.insert(key, (number, weak));
        }
        shared
    }

    /// Returns how many works run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.running.lock().work.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::{join, poll_immediate};

    use super::*;

    #[tokio::test]
    async fn askers_of_the_same_share_and_others_do_not() {
        let once: Once<u32, u32> = Once::default();
        let done = AtomicU32::new(0);
        let done: &'static AtomicU32 = Box::leak(Box::new(done));
        let work = |value: u32| {
            move || async move {
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::Relaxed);
                value
            }
        };
        let ((a, b), c) = join(
            join(once.run(1, work(10)), once.run(1, work(11))),
            once.run(2, work(20)),
        )
        .await;
        assert_eq!((a, b, c), (10, 10, 20));
        assert_eq!(done.load(Ordering::Relaxed), 2);
        // It is over, and so it is made again.
        assert_eq!(once.run(1, work(12)).await, 12);
        assert_eq!(once.running(), 0);
    }

    #[tokio::test]
    async fn the_first_asker_may_go_and_the_last_ends_it() {
        let once: Once<u32, u32> = Once::default();
        let work = || async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            5
        };
        let mut first = Box::pin(once.run(1, work));
        assert!(poll_immediate(&mut first).await.is_none());
        let second = once.run(1, || async { 6 });
        let mut second = Box::pin(second);
        assert!(poll_immediate(&mut second).await.is_none());
        drop(first);
        assert_eq!(second.await, 5);
        let mut third = Box::pin(once.run(1, work));
        assert!(poll_immediate(&mut third).await.is_none());
        assert_eq!(once.running(), 1);
        drop(third);
        assert_eq!(once.running(), 0);
    }
}
