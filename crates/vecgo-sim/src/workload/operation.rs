//! What a client does. **A new operation of the engine goes here**: a variant, what it asks of
//! the engine and tells the oracle, and a place in [`Operation::random`] and, if it is short,
//! in [`Operation::ALPHABET`].

use std::time::Duration;

use vecgo_engine::{Collection, ErrorKind, Filter, Id, Op, Schema, Update};

use super::session::{DOCS_DIM, Session};
use super::{backing_up, reading};
use crate::Violation;
use crate::oracle::{BLOB, CONFIGS, Names, Rows, SCHEMAS, id, metadata, payload, vector};
use crate::random::Random;
use crate::settings::LONGEST_INTERVAL;

/// One call, or a few that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Writes records; those that are there already are replaced.
    Upsert(Span),
    /// Writes records; refused if one is there already.
    Insert(Span),
    /// Changes a part of records; refused if one is not there.
    Update(Span, Part),
    /// Writes a record with a large payload.
    Blob(usize),
    /// Deletes records, or what of them is there.
    Delete(Span),
    /// Deletes what has the metadata of a record.
    DeleteWhere(usize),
    /// Changes what is said of documents; the first lane alone does.
    Declare(usize),
    /// Changes what segments are searched by; the first lane alone does.
    Configure(usize),
    /// Makes everything durable.
    Commit,
    /// Writes everything to a segment.
    Flush,
    /// Merges all segments into one.
    Compact,
    /// Deletes what only versions need that are not kept.
    Vacuum,
    /// Gives what there is the lane's name for a version.
    Tag,
    /// Takes it away.
    Untag,
    /// Reads everything.
    Read,
    /// Reads a page, writes, and reads the rest.
    SlowRead,
    /// Reads as a replica in another process.
    Follow,
    /// Tries to write from another process.
    Intrude,
    /// Lets time pass, and writes now and then.
    Wait,
    /// Lets much time pass.
    Idle,
    /// Closes the collection and opens it again, if no other client has it open.
    Reopen,
    /// Creates another collection.
    Create,
    /// Writes to it.
    WriteOther,
    /// Renames it.
    Rename,
    /// Drops it.
    Drop,
    /// Backs everything up, and looks at what that restores to.
    Backup,
    /// Deletes all backups but a few.
    Prune,
}

/// Some ids of a lane, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The vector.
    Vector,
    /// The metadata.
    Metadata,
    /// The payload.
    Payload,
}

const fn span(first: usize, count: usize) -> Span {
    Span { first, count }
}

impl Operation {
    /// Operations whose short sequences are tried exhaustively.
    pub const ALPHABET: [Operation; 15] = [
        Operation::Upsert(span(0, 2)),
        Operation::Upsert(span(1, 3)),
        Operation::Update(span(1, 1), Part::Metadata),
        Operation::Delete(span(1, 1)),
        Operation::Commit,
        Operation::Flush,
        Operation::Compact,
        Operation::Vacuum,
        Operation::Tag,
        Operation::Reopen,
        Operation::Create,
        Operation::WriteOther,
        Operation::Rename,
        Operation::Drop,
        Operation::Backup,
    ];

    /// Any operation.
    pub fn random(random: &mut Random) -> Self {
        let span = Span { first: random.below(30), count: 1 + random.below(8) };
        match random.below(42) {
            0..=7 => Operation::Upsert(span),
            8 => Operation::Insert(Span { first: random.below(200), ..span }),
            9 | 10 => Operation::Update(
                Span { count: 1 + random.below(2), ..span },
                *random.pick(&[Part::Vector, Part::Metadata, Part::Payload]),
            ),
            11..=13 => Operation::Delete(span),
            14 | 15 => Operation::Commit,
            16 | 17 => Operation::Flush,
            18 => Operation::Read,
            19 => Operation::Wait,
            20 => Operation::Create,
            21 => Operation::WriteOther,
            22 => Operation::Rename,
            23 => Operation::SlowRead,
            24 => Operation::Follow,
            25 => Operation::Intrude,
            26 => Operation::Idle,
            28 => Operation::Blob(span.first),
            29 => Operation::Reopen,
            30 | 31 => Operation::Compact,
            32 | 33 => Operation::Vacuum,
            34 => Operation::Tag,
            35 => Operation::Untag,
            36 => Operation::DeleteWhere(span.first),
            37 => Operation::Declare(span.first % SCHEMAS),
            38 => Operation::Configure(span.first % CONFIGS.len()),
            39 | 40 => Operation::Backup,
            41 => Operation::Prune,
            _ => Operation::Drop,
        }
    }

    /// Does it as a client of a lane, and tells the oracle what was asked and answered.
    ///
    /// # Errors
    /// A promise that was not kept.
    pub async fn run(self, session: &Session, lane: usize) -> Result<(), Violation> {
        let Some(docs) = session.docs() else { return Ok(()) };
        let (other, renamed) = (format!("other-{lane}"), format!("renamed-{lane}"));
        match self {
            Operation::Upsert(span) => {
                let (ids, row) = (span.ids(lane), session.new_row());
                let records = ids.iter().map(|id| row.record(id, DOCS_DIM)).collect();
                let change = |rows: &mut Rows| rows.extend(ids.iter().map(|id| (id.clone(), row)));
                session.write(&docs, lane, change, docs.upsert(records)).await
            }
            Operation::Blob(number) => {
                let (id, mut row) = (id(lane, number), session.new_row());
                row.payload = Some(row.vector | BLOB);
                let change = |rows: &mut Rows| {
                    rows.insert(id.clone(), row);
                };
                let call = docs.upsert(vec![row.record(&id, DOCS_DIM)]);
                session.write(&docs, lane, change, call).await
            }
            Operation::Insert(span) => insert(session, &docs, lane, span).await,
            Operation::Update(span, part) => update(session, &docs, lane, span, part).await,
            Operation::Delete(span) => {
                let ids = span.ids(lane);
                let change = |rows: &mut Rows| rows.retain(|id, _| !ids.contains(id));
                session.write(&docs, lane, change, docs.delete(ids.clone())).await
            }
            Operation::DeleteWhere(number) => delete_where(session, &docs, lane, number).await,
            Operation::Declare(_) if lane > 0 => Ok(()),
            Operation::Declare(which) => session.declare(&docs, which).await,
            Operation::Configure(_) if lane > 0 => Ok(()),
            Operation::Configure(which) => session.configure(&docs, which).await,
            Operation::Commit => session.make_version(&docs, docs.commit()).await,
            Operation::Flush => session.make_version(&docs, docs.flush()).await,
            Operation::Compact => session.make_version(&docs, docs.compact()).await,
            Operation::Vacuum => session.vacuum(&docs).await,
            Operation::Tag => session.tag(&docs, lane).await,
            Operation::Untag => session.untag(&docs, lane).await,
            Operation::Read => reading::read(session, &docs, lane).await,
            Operation::SlowRead => reading::slow_read(session, &docs, lane).await,
            Operation::Follow => reading::follow(session).await,
            Operation::Intrude => reading::intrude(session).await,
            Operation::Backup => backing_up::backup(session).await,
            Operation::Prune => backing_up::prune(session).await,
            Operation::Wait => wait(session, &docs, lane).await,
            Operation::Idle => {
                session.env.clock.sleep(IDLE).await;
                Ok(())
            }
            Operation::Reopen if session.lanes > 1 => Ok(()),
            Operation::Reopen if docs.stats().failure.is_some() => {
                session.reopen_stopped(&docs).await
            }
            Operation::Reopen => {
                // Held meanwhile: a handle of a closed collection stands in nobody's way.
                session.close(&docs).await?;
                session.reopen().await
            }
            Operation::Create => {
                let dim = session.new_dim();
                let config = session.settings.config(dim);
                let change = |names: &mut Names| {
                    let free = !names.contains_key(&other);
                    names.entry(other.clone()).or_insert(dim);
                    free
                };
                session
                    .change_names(
                        lane,
                        change,
                        session.database.create(&other, config, Schema::default()),
                    )
                    .await
            }
            Operation::WriteOther => write_other(session, lane, &other).await,
            Operation::Rename => {
                let change = |names: &mut Names| {
                    let free = !names.contains_key(&renamed);
                    let dim = names.get(&other).copied().filter(|_| free);
                    names.remove(&other);
                    dim.map(|dim| names.insert(renamed.clone(), dim)).is_some()
                };
                let call = session.database.rename(&other, &renamed);
                session.change_names(lane, change, call).await
            }
            Operation::Drop => {
                let change = |names: &mut Names| names.remove(&other).is_some();
                let call = session.database.drop_collection(&other);
                session.change_names(lane, change, call).await
            }
        }
    }
}

impl Span {
    fn ids(self, lane: usize) -> Vec<Id> {
        (self.first..self.first + self.count).map(|number| id(lane, number)).collect()
    }
}

async fn insert(
    session: &Session,
    docs: &Collection,
    lane: usize,
    span: Span,
) -> Result<(), Violation> {
    let (ids, row) = (span.ids(lane), session.new_row());
    let records = ids.iter().map(|id| row.record(id, DOCS_DIM)).collect();
    let there = session.current(DOCS_DIM, lane);
    if ids.iter().any(|id| there.contains_key(id)) {
        return session.refused(docs.insert(records).await, ErrorKind::AlreadyExists);
    }
    let change = |rows: &mut Rows| rows.extend(ids.iter().map(|id| (id.clone(), row)));
    session.write(docs, lane, change, docs.insert(records)).await
}

async fn delete_where(
    session: &Session,
    docs: &Collection,
    lane: usize,
    number: usize,
) -> Result<(), Violation> {
    let row = session.current(DOCS_DIM, lane).get(&id(lane, number)).copied();
    // Records without a mark are those of all lanes.
    let Some(mark) = row.and_then(|row| metadata(row.metadata)["mark"].as_u64()) else {
        return Ok(());
    };
    let change = |rows: &mut Rows| rows.retain(|_, row| u64::from(row.metadata) != mark);
    let call = docs.delete_where(Filter::test("mark", Op::Eq, mark));
    session.write(docs, lane, change, call).await
}

async fn update(
    session: &Session,
    docs: &Collection,
    lane: usize,
    span: Span,
    part: Part,
) -> Result<(), Violation> {
    let (ids, new) = (span.ids(lane), session.new_row());
    let updates = ids.iter().map(|id| {
        let update = Update::new(id.clone());
        match (part, new.payload) {
            (Part::Vector, _) => update.vector(vector(id, new.vector, DOCS_DIM)),
            (Part::Metadata, _) => update.metadata(metadata(new.metadata)),
            (Part::Payload, Some(mark)) => update.payload(payload(mark)),
            (Part::Payload, None) => update.remove_payload(),
        }
    });
    let call = docs.update(updates.collect());
    let there = session.current(DOCS_DIM, lane);
    if ids.iter().any(|id| !there.contains_key(id)) {
        return session.refused(call.await, ErrorKind::NotFound);
    }
    let change = |rows: &mut Rows| {
        for id in &ids {
            let Some(row) = rows.get_mut(id) else { continue };
            match part {
                Part::Vector => row.vector = new.vector,
                Part::Metadata => row.metadata = new.metadata,
                Part::Payload => row.payload = new.payload,
            }
        }
    };
    session.write(docs, lane, change, call).await
}

/// Long enough for a log to be sealed.
const IDLE: Duration = Duration::from_secs(3);

/// Long enough for any interval between syncs; each write must not begin it anew.
async fn wait(session: &Session, docs: &Collection, lane: usize) -> Result<(), Violation> {
    let before = session.oracle.lock().before_commit(DOCS_DIM, session.alone);
    for _ in 0..4 {
        session.env.clock.sleep(LONGEST_INTERVAL / 3).await;
        let (id, row) = (id(lane, 0), session.new_row());
        let change = |rows: &mut Rows| rows.extend([(id.clone(), row)]);
        let call = docs.upsert(vec![row.record(&id, DOCS_DIM)]);
        session.write(docs, lane, change, call).await?;
    }
    session.interval_has_passed(&before);
    Ok(())
}

async fn write_other(session: &Session, lane: usize, name: &str) -> Result<(), Violation> {
    let dim = session.names(lane).get(name).copied();
    let other = match session.database.collection(name).await {
        Ok(other) => other,
        Err(error) if dim.is_none() && error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return session.check_failure(&error),
    };
    let Some(dim) = dim else {
        return session.check_open_catalogue(lane, "a collection that is not");
    };
    let (ids, row) = ([id(lane, 0), id(lane, 1)], session.new_row());
    let records = ids.iter().map(|id| row.record(id, dim)).collect();
    let change = |rows: &mut Rows| rows.extend(ids.iter().map(|id| (id.clone(), row)));
    session.write(&other, lane, change, other.upsert(records)).await
}
