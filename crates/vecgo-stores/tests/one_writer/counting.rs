//! Writes of which one look at a collection tells whether it is a state between two of them.

use std::fmt;

use vecgo::{Collection, Config, Database, Error, ErrorKind, Id, Metric, Record, Retention, json};

/// Ids that are written and deleted in turn.
const IDS: u64 = 40;
/// The record that says how many writes there were.
const LAST: &str = "last";

/// A bucket with a way to it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) uri: String,
    pub(crate) options: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn open(&self, read_only: bool) -> Result<Database, Error> {
        let open = vecgo::open(&self.uri).read_only(read_only);
        let open = open.memtable_bytes(64 << 10).vacuum_grace(std::time::Duration::ZERO);
        let open = open.retention(Retention { versions: 1, ..Retention::default() });
        let options = self.options.iter();
        options.fold(open, |open, (name, value)| open.store_option(name, value)).wait()
    }

    pub(crate) fn write(&self) -> Result<Collection, Error> {
        self.open(false)?.open_or_create("docs", Config::new(2, Metric::L2)).wait()
    }

    pub(crate) fn read(&self) -> Result<Collection, Error> {
        self.open(true)?.collection("docs").wait()
    }
}

fn record(id: impl Into<Id>, n: u64) -> Record {
    // Enough bytes that a memtable is full now and then.
    Record::new(id, [n as f32, 1.0]).metadata(json!({"n": n})).payload(vec![7; 400])
}

/// The n-th write, from 1 on: an upsert of two records and, some time after, a deletion.
pub(crate) fn write(docs: &Collection, n: u64) -> Result<(), Error> {
    if n.is_multiple_of(7) {
        docs.delete([(n + IDS / 2) % IDS]).wait()?;
    }
    docs.upsert([record(n % IDS, n), record(LAST, n)]).wait().map(drop)
}

/// What the record of an id says after `n` writes, unless it was deleted: of a deletion before the n-th
/// upsert, whether it happened is not known.
fn expected(id: u64, last: u64) -> [Option<u64>; 2] {
    let after = |deleted_through: u64| {
        let mut found = None;
        for n in last.saturating_sub(10 * IDS).max(1)..=last.max(deleted_through) {
            if n.is_multiple_of(7) && (n + IDS / 2) % IDS == id && n <= deleted_through {
                found = None;
            }
            if n <= last && n % IDS == id {
                found = Some(n);
            }
        }
        found
    };
    [after(last), after(last + 1)]
}

/// Something that no sequence of writes leads to.
#[derive(Debug)]
pub(crate) struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a look came to.
#[derive(Debug)]
pub(crate) enum Seen {
    /// So many writes, and exactly what they lead to.
    Writes(u64),
    /// What was being read is not kept any more.
    Gone,
    /// Nothing can be said of it.
    Failed(Error),
}

/// Looks at everything, at one moment.
pub(crate) fn look(docs: &Collection) -> Result<Seen, Wrong> {
    let records = match all(docs) {
        Ok(records) => records,
        Err(error) if error.kind() == ErrorKind::VersionGone => return Ok(Seen::Gone),
        Err(error) => return Ok(Seen::Failed(error)),
    };
    let number = |record: &Record| record.metadata.get("n").and_then(|n| n.as_u64()).unwrap_or(0);
    let last = records.iter().find(|record| record.id == Id::from(LAST)).map_or(0, number);
    for id in 0..IDS {
        let there = records.iter().find(|record| record.id == Id::from(id)).map(number);
        let may = expected(id, last);
        if !may.contains(&there) {
            let message = format!("after write {last} record {id} is {there:?}, expected {may:?}");
            return Err(Wrong(message));
        }
    }
    let mut ids: Vec<&Id> = records.iter().map(|record| &record.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != records.len() {
        return Err(Wrong(format!("after write {last} an id is there twice")));
    }
    Ok(Seen::Writes(last))
}

fn all(docs: &Collection) -> Result<Vec<Record>, Error> {
    let mut scan = docs.scan().wait()?;
    let mut records = Vec::new();
    while let Some(page) = scan.next_page().wait()? {
        records.extend(page);
    }
    Ok(records)
}

/// What is left in a bucket once nobody writes and all that nobody needs was deleted: the segments, and
/// of each epoch that ever was no more than its first manifest and its fence.
pub(crate) fn check_nothing_is_left(keys: &[String], docs: &Collection, epochs: usize) {
    let count = |folder: &str| keys.iter().filter(|key| key.contains(folder)).count();
    let segments = docs.stats().segments.len();
    assert_eq!(count("/segment/"), segments, "{keys:#?}");
    assert!(count("/deletes/") <= segments, "{keys:#?}");
    assert!(count("/manifest/") <= epochs + 2, "{epochs} epochs: {keys:#?}");
    assert!(count("/log/") <= epochs + 2, "{epochs} epochs: {keys:#?}");
    assert!(count("probe/") <= 1, "{keys:#?}");
}
