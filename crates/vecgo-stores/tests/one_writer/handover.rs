//! One writer after the other takes over, while the one before still writes as fast as it can.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use vecgo::{Collection, ErrorKind};
use vecgo_io::Store;
use vecgo_stores::{Fake, Site, Trouble};

use super::counting::{Place, Seen, check_nothing_is_left, look, write};

/// What a writer did until another took over.
#[derive(Debug, Default)]
struct Life {
    /// Acknowledged writes, in order.
    acknowledged: Vec<u64>,
    /// One that may be there or not.
    doubtful: Option<u64>,
}

/// Writes from `next` on until it is told that it cannot.
fn live(docs: &Collection, next: u64, end: &AtomicBool, told: &mpsc::Sender<u64>) -> Life {
    let mut life = Life::default();
    for n in next.. {
        if end.load(Ordering::Acquire) {
            break;
        }
        let written = match n % 3 {
            0 => write(docs, n).and_then(|()| docs.commit().wait().map(drop)),
            _ => write(docs, n),
        };
        match written {
            Ok(()) => life.acknowledged.push(n),
            Err(error) => {
                let kinds = [ErrorKind::Fenced, ErrorKind::OutcomeUnknown, ErrorKind::Unavailable];
                assert!(kinds.contains(&error.kind()), "write {n}: {error:?}");
                life.doubtful = Some(n);
                break;
            }
        }
        let _ = told.send(n);
    }
    life
}

/// So many hand-overs. Gives how many writes were acknowledged.
fn hand_over(place: &Place, times: usize, trouble: impl Fn(usize)) -> usize {
    let mut acknowledged: Vec<u64> = Vec::new();
    let mut doubtful: Vec<u64> = Vec::new();
    let (told, heard) = mpsc::channel();
    let end = Arc::new(AtomicBool::new(false));
    let mut before: Option<thread::JoinHandle<Life>> = None;
    for time in 0..=times {
        trouble(time);
        let docs = loop {
            match place.write() {
                Ok(docs) => break docs,
                // Some requests go wrong for longer than is waited for.
                Err(error) => assert!(error.kind() != ErrorKind::Corruption, "{error:?}"),
            }
        };
        let seen = loop {
            match look(&docs).unwrap() {
                Seen::Writes(last) => break last,
                Seen::Gone => {}
                Seen::Failed(error) => assert!(error.kind() != ErrorKind::Corruption, "{error:?}"),
            }
        };
        // Whoever wrote before may have acknowledged more than it has told so far, but nothing that is
        // not seen now.
        if let Some(before) = before.take() {
            let life = before.join().unwrap();
            doubtful.extend(life.doubtful);
            acknowledged.extend(life.acknowledged);
        }
        let most = acknowledged.last().copied().unwrap_or(0);
        assert!(most <= seen, "write {most} was acknowledged, and {seen} is the last there");
        if seen > most {
            assert!(doubtful.contains(&seen), "nobody wrote {seen}: {doubtful:?}");
        }
        while heard.try_recv().is_ok() {}
        let (told, end) = (told.clone(), Arc::clone(&end));
        before = Some(thread::spawn(move || live(&docs, seen + 1, &end, &told)));
        // It has written something, or cannot.
        let _ = heard.recv_timeout(std::time::Duration::from_millis(500));
    }
    end.store(true, Ordering::Release);
    if let Some(before) = before {
        acknowledged.extend(before.join().unwrap().acknowledged);
    }
    assert!(acknowledged.is_sorted_by(|a, b| a < b), "a write was acknowledged to two");
    acknowledged.len()
}

fn times(usual: usize) -> usize {
    std::env::var("VECGO_HANDOVERS").ok().and_then(|times| times.parse().ok()).unwrap_or(usual)
}

#[test]
fn on_the_fake() {
    let fake = Fake::start().unwrap();
    let place = Place { uri: "s3://test/handover".to_owned(), options: fake.options() };
    let times = times(150);
    let acknowledged = hand_over(&place, times, |_| {});
    println!("{times} hand-overs, {acknowledged} writes acknowledged, none lost");
    let docs = place.write().unwrap();
    docs.flush().wait().unwrap();
    docs.commit().wait().unwrap();
    docs.settle().wait().unwrap();
    docs.vacuum().wait().unwrap();
    check_nothing_is_left(&fake.keys(), &docs, times + 2);
}

/// The same while one request in twenty goes wrong.
#[test]
fn on_the_fake_in_trouble() {
    let fake = Fake::start().unwrap();
    let place = Place { uri: "s3://test/trouble".to_owned(), options: fake.options() };
    let trouble = |time: usize| fake.set_trouble(Trouble::Any { one_in: 20, seed: time as u64 });
    let times = times(150) / 10;
    let acknowledged = hand_over(&place, times, trouble);
    println!("{times} hand-overs in trouble, {acknowledged} writes acknowledged, none lost");
}

#[test]
fn on_a_real_server() {
    let Some(server) = Site::SeaweedFs.start().unwrap() else {
        println!("skipped: nothing says where SeaweedFS is");
        return;
    };
    let place = Place { uri: "s3://test/handover".to_owned(), options: server.options() };
    let times = times(150).min(20);
    let acknowledged = hand_over(&place, times, |_| {});
    println!("{times} hand-overs on SeaweedFS, {acknowledged} writes acknowledged, none lost");
    let docs = place.write().unwrap();
    docs.flush().wait().unwrap();
    docs.settle().wait().unwrap();
    docs.vacuum().wait().unwrap();
    let bucket = server.bucket("handover").unwrap();
    let keys = futures_lite::future::block_on(bucket.list("collections/")).unwrap();
    let keys: Vec<String> = keys.into_iter().map(|listed| listed.key).collect();
    check_nothing_is_left(&keys, &docs, times + 2);
}
