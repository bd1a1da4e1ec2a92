use parking_lot::Mutex;

/// Something that runs tasks, in any order, on as many cores as it likes.
pub trait Parallel: Sync {
    /// Runs `task` once for each number below `tasks`, and returns when all are done.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));

    /// How many tasks run at once, about.
    fn threads(&self) -> usize;
}

/// One after the other, here.
#[derive(Clone, Copy, Debug)]
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(task);
    }

    fn threads(&self) -> usize {
        1
    }
}

/// On so many threads, which live as long as the call. The caller's own is one of them.
#[derive(Clone, Copy, Debug)]
pub struct Threads(pub usize);

impl Parallel for Threads {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= tasks {
                    break;
                }
                task(number);
            }
        };
        let others = self.0.min(tasks).saturating_sub(1);
        std::thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(work);
            }
            work();
        });
    }

    fn threads(&self) -> usize {
        self.0.max(1)
    }
}

/// Memory that tasks use again: a task takes one that is free, or makes one. So there are as many
/// as tasks have run at once.
#[derive(Debug, Default)]
pub(crate) struct Workers<T> {
    free: Mutex<Vec<T>>,
}

impl<T: Default + Send> Workers<T> {
    /// Works on each input, on many cores, and returns what came of them in their order.
    pub(crate) fn map<I: Send, O: Send>(
        &self,
        parallel: &dyn Parallel,
        inputs: impl IntoIterator<Item = I>,
        work: impl Fn(&mut T, I) -> O + Sync,
    ) -> Vec<O> {
        type Slot<I, O> = Mutex<(Option<I>, Option<O>)>;
        let slots: Vec<Slot<I, O>> =
            inputs.into_iter().map(|input| Mutex::new((Some(input), None))).collect();
        parallel.run(slots.len(), &|task| {
            let Some(slot) = slots.get(task) else { return };
            let Some(input) = slot.lock().0.take() else { return };
            let taken = self.free.lock().pop();
            let mut worker = taken.unwrap_or_default();
            let output = work(&mut worker, input);
            self.free.lock().push(worker);
            slot.lock().1 = Some(output);
        });
        slots.into_iter().filter_map(|slot| slot.into_inner().1).collect()
    }
}
