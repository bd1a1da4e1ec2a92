//! The simulated disk and the simulated bucket keep every promise of a store, so that what the
//! engine does wrong on them is the engine's fault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the suite has threads, for which a test waits")]

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, or};
use vecgo_io::{Access, Clock, Env, Store, conformance};
use vecgo_sim::{Image, Machine, Random, SimBucket, SimClock};

/// What a process sees of a new machine with an empty disk. `busy`: its calls give way.
fn directory(busy: bool) -> Env {
    let mut machine = Machine::boot(Image::default(), Random::new(1), Arc::default());
    machine.start(Access::Write, busy).env.clone()
}

#[test]
fn directory_store() {
    for busy in [false, true] {
        block_on(conformance::store(16, || directory(busy).store));
        block_on(conformance::deleted_object_stays_readable(&*directory(busy).store));
    }
}

#[test]
fn directory_logs() {
    for busy in [false, true] {
        block_on(conformance::logs(|| {
            let env = directory(busy);
            (env.store, env.logs.unwrap())
        }));
    }
}

/// Runs a future whose requests sleep on a simulated clock, on this thread and on others that the
/// scheduler knows nothing of: somebody always sleeps, so time goes on also while those have not
/// been heard of.
fn run_beside_threads(main: impl FnOnce(SimClock) -> std::pin::Pin<Box<dyn Future<Output = ()>>>) {
    let mut machine = Machine::boot(Image::default(), Random::new(1), Arc::default());
    let process = machine.start(Access::Write, false);
    let clock = machine.clock.clone();
    let time = async {
        loop {
            clock.sleep(Duration::from_secs(1)).await;
            thread::sleep(Duration::from_micros(50));
        }
    };
    process.run(or(main(clock.clone()), time)).unwrap();
}

#[test]
fn bucket_in_good_weather() {
    run_beside_threads(|clock| {
        let make = move || {
            let bucket = SimBucket::new(clock.clone(), Random::new(2), Arc::default());
            Arc::new(bucket) as Arc<dyn Store>
        };
        Box::pin(conformance::store(16, make))
    });
}
