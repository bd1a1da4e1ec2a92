//! A process is killed at every request with which it changes a bucket, done or not; whatever it had acknowledged
//! is there for the next one, and nothing is left behind.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use vecgo_stores::{Fake, Trouble};

use super::counting::{Place, Seen, check_nothing_is_left, look, write};
use super::processes::{Process, Said, URI, say};

/// What each process does: everything that changes a bucket, once or more.
pub(crate) fn life(place: &Place) {
    let docs = place.write().unwrap();
    let Seen::Writes(mut last) = look(&docs).unwrap() else { panic!("nothing can be read") };
    let mut write_on = |writes: u64| {
        for _ in 0..writes {
            last += 1;
            say(&format!("begin {last}"));
            write(&docs, last).unwrap();
            say(&format!("done {last}"));
        }
    };
    write_on(3);
    docs.commit().wait().unwrap();
    write_on(8);
    docs.flush().wait().unwrap();
    write_on(2);
    docs.tag("kept").wait().unwrap();
    docs.compact().wait().unwrap();
    docs.vacuum().wait().unwrap();
    docs.untag("kept").wait().unwrap();
    write_on(1);
    docs.close().wait().unwrap();
    say("closed 0");
}

/// What the processes of a test said.
#[derive(Default)]
struct Heard {
    begun: u64,
    acknowledged: u64,
    closed: u64,
}

impl Heard {
    fn hear(&mut self, Said { what, number, rest, .. }: &Said) {
        match what.as_str() {
            "begin" => self.begun = self.begun.max(*number),
            "done" => self.acknowledged = self.acknowledged.max(*number),
            "closed" => self.closed += 1,
            _ => panic!("{what} {rest}"),
        }
    }
}

/// Runs a life up to its n-th change, or to its end; gives whether that came first.
fn live(fake: &Fake, trouble: Trouble, heard: &mut Heard) -> bool {
    fake.set_trouble(trouble);
    let (send, lines) = mpsc::channel();
    let closed = heard.closed;
    let process = Process::start(fake, "life", &send);
    drop(send);
    let start = Instant::now();
    while fake.struck() == 0 && heard.closed == closed {
        lines.try_iter().for_each(|said| heard.hear(&said));
        assert!(start.elapsed() < Duration::from_secs(60), "{trouble:?}: it stands still");
        thread::sleep(Duration::from_millis(1));
    }
    drop(process);
    lines.iter().for_each(|said| heard.hear(&said));
    fake.set_trouble(Trouble::None);
    heard.closed > closed
}

fn at_every_change(done: bool) {
    let fake = Fake::start().unwrap();
    let place = Place { uri: URI.to_owned(), options: fake.options() };
    let mut heard = Heard::default();
    let mut epochs = 0;
    for at in 0.. {
        let is_over = live(&fake, Trouble::LastChange { at, done }, &mut heard);
        let docs = place.write().unwrap();
        epochs += 2;
        let Seen::Writes(last) = look(&docs).unwrap() else { panic!("nothing can be read") };
        let Heard { begun, acknowledged, .. } = heard;
        assert!(
            (acknowledged..=begun.max(acknowledged)).contains(&last),
            "change {at}: {last} is the last of {begun}; {acknowledged} was acknowledged"
        );
        heard.acknowledged = last;
        // What the tag keeps would stay.
        let _ = docs.untag("kept").wait();
        docs.flush().wait().unwrap();
        docs.settle().wait().unwrap();
        docs.vacuum().wait().unwrap();
        check_nothing_is_left(&fake.keys(), &docs, epochs);
        docs.close().wait().unwrap();
        if is_over {
            assert!(at > 20, "only {at} changes in a life");
            return;
        }
        // Nothing that others deleted before is deleted again, however many there were.
        assert!(at < 80, "a life has more and more changes");
    }
}

#[test]
fn killed_at_every_change_that_is_done() {
    at_every_change(true);
}

#[test]
fn killed_at_every_change_that_is_not() {
    at_every_change(false);
}
