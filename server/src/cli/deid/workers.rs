//! Work on several cores whose results come in the order of the work, so that a run gives the same on any machine.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError, mpsc};

/// How far work may run ahead of the results that were taken, for each thread.
const AHEAD: usize = 32;

struct State {
    next: usize,
    taken: usize,
    stopped: bool,
}

/// Does work on each number below `count` on so many threads, and takes the results in order.
///
/// # Errors
/// The first that `take` returns; what is not begun by then is not done.
pub(crate) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = threads.clamp(1, count.max(1));
    let state = Mutex::new(State {
        next: 0,
        taken: 0,
        stopped: false,
    });
    let moved = Condvar::new();
    let change = |change: &dyn Fn(&mut State)| {
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        moved.notify_all();
    };
    let claim = || {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |state: &mut State| !state.stopped && state.next >= state.taken + AHEAD * threads;
        let mut state = moved.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        let claimed = (!state.stopped && state.next < count).then_some(state.next)?;
        state.next += 1;
        Some(claimed)
    };
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, claim, work) = (send.clone(), &claim, &work);
            scope.spawn(move || {
                while let Some(number) = claim() {
                    if send.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut taken = 0;
        for (number, result) in receive {
            waiting.insert(number, result);
            while let Some(result) = waiting.remove(&taken) {
                if let Err(error) = take(taken, result) {
                    change(&|state| state.stopped = true);
                    return Err(error);
                }
                taken += 1;
            }
            change(&|state| state.taken = taken);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_takes_longer() {
        for threads in [1, 3, 8] {
            let mut seen = Vec::new();
            let slow_first = |n: usize| {
                if n.is_multiple_of(100) {
                    std::thread::yield_now();
                }
                n * n
            };
            in_order(1000, threads, slow_first, |n, square| {
                seen.push((n, square));
                Ok(())
            })
            .unwrap();
            assert!(
                seen.iter()
                    .enumerate()
                    .all(|(at, (n, square))| at == *n && n * n == *square)
            );
            assert_eq!(seen.len(), 1000);
        }
    }

    #[test]
    fn an_error_ends_it_and_no_work_is_no_error() {
        let error = in_order(
            10_000,
            4,
            |n| n,
            |n, _| if n == 5 { anyhow::bail!("five") } else { Ok(()) },
        );
        assert_eq!(error.unwrap_err().to_string(), "five");
        in_order(0, 4, |n| n, |_, _| anyhow::bail!("never")).unwrap();
    }
}
