//! Sixteen processes on one bucket: one writes, the others follow, and any of them is killed or paused at
//! any moment. `VECGO_FOLLOW_SECONDS` says for how long (6).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vecgo::ErrorKind;
use vecgo_stores::Fake;

use super::counting::{Place, Seen, check_nothing_is_left, look, write};
use super::crashes;

const READERS: usize = 15;
/// Where the children are, each on a server of its test.
pub(crate) const URI: &str = "s3://test/follow";

/// Not a test of its own: what each child process runs.
#[test]
fn child() {
    let Ok(uri) = std::env::var("VECGO_CHILD_URI") else { return };
    let endpoint = std::env::var("VECGO_CHILD_ENDPOINT").unwrap();
    let settings =
        [("endpoint", &*endpoint), ("access_key_id", "key"), ("secret_access_key", "secret")];
    let options = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let place = Place { uri, options };
    match std::env::var("VECGO_CHILD_DOES").as_deref() {
        Ok("follow") => follow(&place),
        Ok("life") => crashes::life(&place),
        _ => lead(&place),
    }
}

pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{line}").and_then(|()| out.flush()).unwrap();
}

/// Writes on from where it is until somebody takes over.
fn lead(place: &Place) {
    let docs = match place.write() {
        Ok(docs) => docs,
        Err(error) => return say(&format!("gave-up 0 {error}")),
    };
    let last = match look(&docs).unwrap() {
        Seen::Writes(last) => last,
        other => return say(&format!("gave-up 0 {other:?}")),
    };
    say(&format!("open {last}"));
    for n in last + 1.. {
        say(&format!("begin {n}"));
        let written = write(&docs, n).and_then(|()| match n % 4 {
            0 => docs.commit().wait().map(drop),
            _ => Ok(()),
        });
        if let Err(error) = written {
            return say(&format!("gave-up {n} {error}"));
        }
        say(&format!("done {n}"));
    }
}

/// Looks at one version after the other, for ever.
fn follow(place: &Place) {
    let docs = loop {
        match place.read() {
            Ok(docs) => break docs,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return say(&format!("reader-failed 0 {error}")),
        }
    };
    let (mut version, mut writes) = (0, 0);
    loop {
        let refreshed = match docs.refresh().wait() {
            Ok(refreshed) => refreshed,
            Err(error) => return say(&format!("reader-failed 0 {error}")),
        };
        match look(&docs) {
            Ok(Seen::Writes(seen)) if refreshed < version || seen < writes => {
                let now = format!("version {refreshed} of {seen} writes");
                return say(&format!("wrong 0 {now} after version {version} of {writes}"));
            }
            Ok(Seen::Writes(seen)) => {
                say(&format!("saw {seen}"));
                (version, writes) = (refreshed, seen);
            }
            Ok(Seen::Gone) => {}
            Ok(Seen::Failed(error)) => return say(&format!("reader-failed 0 {error}")),
            Err(wrong) => return say(&format!("wrong 0 {wrong}")),
        }
    }
}

/// A line that a child said.
pub(crate) struct Said {
    child: u32,
    pub(crate) what: String,
    pub(crate) number: u64,
    pub(crate) rest: String,
}

/// A child, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(fake: &Fake, does: &str, lines: &mpsc::Sender<Said>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::child", "--nocapture", "--test-threads=1"]);
        command.env("VECGO_CHILD_URI", URI);
        command.env("VECGO_CHILD_ENDPOINT", fake.endpoint());
        command.env("VECGO_CHILD_DOES", does);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (lines, id) = (lines.clone(), child.id());
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let Some((_, said)) = line.split_once('@') else { continue };
                let mut words = said.splitn(3, ' ');
                let what = words.next().unwrap_or_default().to_owned();
                let number = words.next().and_then(|number| number.parse().ok());
                let rest = words.next().unwrap_or_default().to_owned();
                // A kill may have cut the line short.
                let Some(number) = number else { continue };
                let _ = lines.send(Said { child: id, what, number, rest });
            }
        });
        Self { child }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().try_into().ok().and_then(Pid::from_raw).unwrap();
        // It may have ended.
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all children said so far.
#[derive(Default)]
struct Heard {
    acknowledged: BTreeSet<u64>,
    begun: u64,
    looks: u64,
    opened: usize,
    fenced: usize,
}

impl Heard {
    fn hear(&mut self, said: &Said) {
        let Said { child, what, number, rest } = said;
        match what.as_str() {
            "open" => {
                self.opened += 1;
                assert!(*number <= self.begun, "{child} found write {number}, which nobody began");
            }
            "begin" => self.begun = self.begun.max(*number),
            "done" => {
                assert!(self.acknowledged.insert(*number), "{number} was acknowledged twice");
            }
            "gave-up" => self.fenced += 1,
            "saw" => self.looks += 1,
            _ => panic!("{child}: {what} {rest}"),
        }
    }
}

#[test]
fn sixteen_processes() {
    let seconds = std::env::var("VECGO_FOLLOW_SECONDS").ok().and_then(|s| s.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(6));
    let fake = Fake::start().unwrap();
    let (send, lines) = mpsc::channel();
    let mut heard = Heard::default();
    let mut random = 42u64;
    let mut draw = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut writer = Process::start(&fake, "lead", &send);
    let mut paused: Vec<Process> = Vec::new();
    let mut readers: Vec<Process> =
        (0..READERS).map(|_| Process::start(&fake, "follow", &send)).collect();
    let (mut writers, mut kills) = (1, 0);
    let start = Instant::now();
    while start.elapsed() < time {
        thread::sleep(Duration::from_millis(50 + draw(300)));
        match draw(4) {
            0 | 1 => {
                let place = usize::try_from(draw(READERS as u64)).unwrap();
                readers[place] = Process::start(&fake, "follow", &send);
                kills += 1;
            }
            // The next takes over from one that stands still, which goes on some time later.
            2 => {
                writer.signal(Signal::STOP);
                let next = Process::start(&fake, "lead", &send);
                paused.push(std::mem::replace(&mut writer, next));
                writers += 1;
            }
            _ => {
                paused.iter().for_each(|paused| paused.signal(Signal::CONT));
                drop(std::mem::replace(&mut writer, Process::start(&fake, "lead", &send)));
                (writers, kills) = (writers + 1, kills + 1);
            }
        }
        lines.try_iter().for_each(|said| heard.hear(&said));
    }
    paused.iter().for_each(|paused| paused.signal(Signal::CONT));
    thread::sleep(Duration::from_millis(500));
    drop((writer, readers, paused));
    drop(send);
    lines.iter().for_each(|said| heard.hear(&said));

    let place = Place { uri: URI.to_owned(), options: fake.options() };
    let docs = place.write().unwrap();
    let Seen::Writes(last) = look(&docs).unwrap() else { panic!("nothing can be read") };
    let most = heard.acknowledged.last().copied().unwrap_or(0);
    assert!((most..=heard.begun).contains(&last), "{last} is the last; {most} was acknowledged");
    docs.flush().wait().unwrap();
    docs.settle().wait().unwrap();
    docs.vacuum().wait().unwrap();
    check_nothing_is_left(&fake.keys(), &docs, writers + 1);
    let Heard { acknowledged, looks, opened, fenced, .. } = heard;
    println!(
        "{writers} writers, {opened} of them opened, {fenced} told to stop, {kills} kills; {} writes \
         acknowledged, {last} there; {looks} looks at committed versions",
        acknowledged.len()
    );
    assert!(looks > 100 && acknowledged.len() > 20, "too little came of it");
}
