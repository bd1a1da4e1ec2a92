use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_lock::Mutex;
use vecgo_engine::Fetch;
use vecgo_io::Spawn;

use crate::{
    Ack, Call, Config, Facet, Filter, Id, Record, ScanBuilder, Schema, Search, SearchBatch, Stats,
    Update, Vacuumed, VersionInfo,
};

/// A collection of a database, held by its writer or by a reader.
///
/// Clones are the same collection. When the last of a writer's handles is dropped the writer ends
/// without a commit, as if the process had been killed: what was acknowledged as durable is there
/// at the next open. [`Collection::close`] commits first.
#[derive(Debug, Clone)]
pub struct Collection {
    pub(crate) inner: vecgo_engine::Collection,
}

impl Collection {
    pub(crate) fn new(inner: vecgo_engine::Collection) -> Self {
        Self { inner }
    }

    fn threads(&self) -> Arc<dyn Spawn> {
        self.inner.threads()
    }

    /// The name under which it was opened.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// Its configuration.
    pub fn config(&self) -> Config {
        self.inner.config()
    }

    /// What it says of the fields of documents; at a version, what it said then.
    pub fn schema(&self) -> Schema {
        self.inner.schema()
    }

    /// Changes what is said of the fields of documents, to anything that all records meet as they
    /// are: fields may be declared, required, made optional or forgotten. Gives a version
    /// that has it, and all earlier writes; 0 if it has it already and there never was a write.
    ///
    /// All records are read. Writes go on meanwhile, but for the moment in which the last of them are
    /// looked at.
    ///
    /// # Errors
    /// `Conflict` names a record that does not meet it, and the field; nothing is changed then.
    pub fn set_schema(&self, schema: Schema) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.set_schema(schema).await })
    }

    /// Changes the index, the quantization and the recall target to those of `config`, and gives a version that has them, and
    /// all earlier writes.
    ///
    /// Nothing is rewritten: segments that are begun from then on, by merges too, have the new index, and
    /// those there are searched by the one that they have until they are merged. [`compact`] writes all of
    /// them again. To [`Index::Flat`] the change is at once: all rows are scored from then on. So is a change of
    /// the recall target, which is of searches.
    ///
    /// ```
    /// use vecgo::{Config, Index, Metric, Quantization};
    ///
    /// # fn main() -> vecgo::Result<()> {
    /// # let db = vecgo::open("memory://").wait()?;
    /// let docs = db.open_or_create("docs", Config::new(64, Metric::L2)).wait()?;
    /// docs.configure(docs.config().with_quantization(Quantization::RaBitQ { bits: 4 })).wait()?;
    /// docs.configure(docs.config().with_index(Index::disk())).wait()?;
    /// docs.compact().wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` if `config` is of other dimensions or another metric, or cannot be; nothing is
    /// changed then.
    ///
    /// [`compact`]: Collection::compact
    /// [`Index::Flat`]: crate::Index::Flat
    pub fn configure(&self, config: Config) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.configure(config).await })
    }

    /// Bytes of the largest batch that it takes: half a memtable.
    pub fn largest_batch(&self) -> usize {
        self.inner.largest_batch()
    }

    /// Writes records; one whose id is there already is replaced. Of two with one id the last
    /// wins. An empty batch does nothing.
    ///
    /// # Errors
    /// `InvalidArgument` names the row at fault; nothing of the batch is kept then.
    pub fn upsert(&self, records: impl IntoIterator<Item = Record>) -> Call<Ack> {
        let (inner, records) = (self.inner.clone(), records.into_iter().collect());
        Call::on(self.threads(), async move { inner.upsert(records).await })
    }

    /// Writes records whose ids are not there yet.
    ///
    /// # Errors
    /// `AlreadyExists` names a row whose id is there, or in the batch already; nothing of the batch is kept then.
    pub fn insert(&self, records: impl IntoIterator<Item = Record>) -> Call<Ack> {
        let (inner, records) = (self.inner.clone(), records.into_iter().collect());
        Call::on(self.threads(), async move { inner.insert(records).await })
    }

    /// Changes parts of records that are there.
    ///
    /// # Errors
    /// `NotFound` names a row whose id is not there; nothing of the batch is kept then.
    pub fn update(&self, updates: impl IntoIterator<Item = Update>) -> Call<Ack> {
        let (inner, updates) = (self.inner.clone(), updates.into_iter().collect());
        Call::on(self.threads(), async move { inner.update(updates).await })
    }

    /// Deletes records; an id that is not there is no error. [`Ack::records`] counts those that
    /// were.
    ///
    /// # Errors
    /// `InvalidArgument` for an id that no record can have.
    pub fn delete<I: Into<Id>>(&self, ids: impl IntoIterator<Item = I>) -> Call<Ack> {
        let (inner, ids) = (self.inner.clone(), ids.into_iter().map(Into::into).collect());
        Call::on(self.threads(), async move { inner.delete(ids).await })
    }

    /// Returns when every earlier write is durable and visible to other processes, with the
    /// version that holds them; 0 if there never was a write.
    ///
    /// # Errors
    /// `OutcomeUnknown` if the disk failed meanwhile; the writer has stopped then.
    pub fn commit(&self) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.commit().await })
    }

    /// Returns when every earlier write is in a segment, with the version that names it. Happens
    /// by itself when a memtable is full.
    ///
    /// # Errors
    /// What the store can meet; the writes are in the log all the same.
    pub fn flush(&self) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.flush().await })
    }

    /// Returns when every earlier write is in one segment, with the version that names it; what was
    /// replaced or deleted is gone from it. Writes and searches go on meanwhile. Segments are
    /// merged by themselves when there are many, unless that was switched off.
    ///
    /// # Errors
    /// What the store can meet; the segments are then as they were. `Closed` if the collection was
    /// closed meanwhile, which ends a merge.
    pub fn compact(&self) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.compact().await })
    }

    /// Returns when no merge of segments and no vacuum is running or due, with the last version. What
    /// is due is merged, whether that happens by itself or not.
    ///
    /// # Errors
    /// Why the last merge or vacuum came to nothing, if one did; it is tried again.
    pub fn settle(&self) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.settle().await })
    }

    /// Deletes what only versions need that are not kept ([`Retention`](crate::Retention)), and what writers that were
    /// killed left behind; says what it deleted. Happens by itself unless that was switched off.
    ///
    /// ```
    /// use vecgo::{Config, Metric, Record, Retention};
    ///
    /// # fn main() -> vecgo::Result<()> {
    /// let retention = Retention { versions: 2, ..Retention::default() };
    /// let db = vecgo::open("memory://").retention(retention).wait()?;
    /// let notes = db.open_or_create("notes", Config::new(2, Metric::L2)).wait()?;
    /// for day in 0..5u64 {
    ///     notes.upsert([Record::new(day, vec![day as f32, 0.0])]).wait()?;
    ///     notes.commit().wait()?;
    ///     if day == 0 {
    ///         notes.tag("first").wait()?;
    ///     }
    /// }
    /// notes.vacuum().wait()?;
    /// assert_eq!(notes.at_tag("first").wait()?.count(), 1);
    /// assert!(notes.versions().wait()?.len() <= 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the store can meet. If a version cannot be read, nothing is deleted.
    pub fn vacuum(&self) -> Call<Vacuumed> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.vacuum().await })
    }

    /// Gives a version that holds all earlier writes a name, and gives that version. It is kept for
    /// as long as it has a name.
    ///
    /// # Errors
    /// `NotFound` if nothing was ever written.
    pub fn tag(&self, tag: impl Into<String>) -> Call<u64> {
        let (inner, tag) = (self.inner.clone(), tag.into());
        Call::on(self.threads(), async move { inner.tag(&tag, None).await })
    }

    /// Gives a version that is kept a name. A name that another version had moves.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept.
    pub fn tag_version(&self, tag: impl Into<String>, version: u64) -> Call<u64> {
        let (inner, tag) = (self.inner.clone(), tag.into());
        Call::on(self.threads(), async move { inner.tag(&tag, Some(version)).await })
    }

    /// Takes a name away, and gives the version that had it.
    ///
    /// # Errors
    /// `NotFound` if no version has it.
    pub fn untag(&self, tag: impl Into<String>) -> Call<u64> {
        let (inner, tag) = (self.inner.clone(), tag.into());
        Call::on(self.threads(), async move { inner.untag(&tag).await })
    }

    /// Keeps a version for `lease`, for somebody who reads it for long. `holder` tells people who
    /// that is.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept, or only by a pin; `ReadOnly` in a database open for reading.
    pub fn pin(&self, version: u64, lease: Duration, holder: impl Into<String>) -> Call<Pin> {
        let (inner, holder, threads) = (self.inner.clone(), holder.into(), self.threads());
        Call::on(self.threads(), async move {
            let pin = inner.pin(version, lease, &holder).await?;
            Ok(Pin { version, inner: Arc::new(Mutex::new(pin)), threads })
        })
    }

    /// Commits, ends the writer and frees the collection for another. All handles are closed.
    ///
    /// # Errors
    /// As [`Collection::commit`]; the writer has ended all the same.
    pub fn close(&self) -> Call<()> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.close().await })
    }

    /// The record of an id, if it is there: vector, metadata and payload as they were given.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn get(&self, id: impl Into<Id>) -> Call<Option<Record>> {
        let (inner, id) = (self.inner.clone(), id.into());
        Call::on(self.threads(), async move { Ok(inner.get(&[id]).await?.pop().flatten()) })
    }

    /// The records of some ids, in their order, all seen at one moment.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn get_many<I: Into<Id>>(
        &self,
        ids: impl IntoIterator<Item = I>,
    ) -> Call<Vec<Option<Record>>> {
        let ids: Vec<Id> = ids.into_iter().map(Into::into).collect();
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.get(&ids).await })
    }

    /// Whether an id is there.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn exists(&self, id: impl Into<Id>) -> Call<bool> {
        let (inner, id) = (self.inner.clone(), id.into());
        Call::on(
            self.threads(),
            async move { Ok(inner.exists(&[id]).await?.pop().unwrap_or_default()) },
        )
    }

    /// Loads what searches read, and vectors of segments where all fit, so that the first search does not
    /// wait for it: from a bucket that may take seconds. Until then searches load what they need.
    ///
    /// # Errors
    /// `ResourceExhausted` if there is no memory for it.
    pub fn warm(&self) -> Call<()> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.warm().await })
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.inner.count()
    }

    /// How many records a filter matches.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is refused; what reading the store can meet.
    pub fn count_where(&self, filter: Filter) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.count_where(filter).await })
    }

    /// Deletes the records that a filter matches, in batches; [`Ack::records`] counts them, and
    /// [`Collection::count_where`] tells before how many those are. Of what is written meanwhile only
    /// that is deleted which matched when this began and matches still.
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is refused. What was deleted before an error stays so.
    pub fn delete_where(&self, filter: Filter) -> Call<Ack> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.delete_where(filter).await })
    }

    /// The `most` values of a field that most records have, with how many those are; equally many in
    /// the order of values. Of a list each value in it counts, once a record; objects do not.
    ///
    /// ```
    /// use vecgo::{Config, Metric, Record, filter, json};
    ///
    /// # fn main() -> vecgo::Result<()> {
    /// let db = vecgo::open("memory://").wait()?;
    /// let docs = db.open_or_create("docs", Config::new(1, Metric::L2)).wait()?;
    /// docs.upsert([
    ///     Record::new(1u64, [1.0]).metadata(json!({"year": 2024, "tags": ["a", "b"]})),
    ///     Record::new(2u64, [2.0]).metadata(json!({"year": 2024, "tags": ["b"]})),
    ///     Record::new(3u64, [3.0]).metadata(json!({"year": 2020})),
    /// ])
    /// .wait()?;
    /// let tags = docs.facet("tags", 10, None).wait()?;
    /// assert_eq!((&tags[0].value, tags[0].count), (&json!("b"), 2));
    /// let years = docs.facet("year", 1, Some(filter::exists("tags"))).wait()?;
    /// assert_eq!((&years[0].value, years[0].count), (&json!(2024), 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a filter that is refused; `ResourceExhausted` for a field of more than a
    /// million values, or 64 MiB of them.
    pub fn facet(
        &self,
        field: impl Into<String>,
        most: usize,
        filter: Option<Filter>,
    ) -> Call<Vec<Facet>> {
        let (inner, field) = (self.inner.clone(), field.into());
        Call::on(self.threads(), async move { inner.facet(&field, most, filter).await })
    }

    /// Reads all records, a page at a time.
    pub fn scan(&self) -> ScanBuilder {
        let fetch = Fetch { metadata: true, ..Fetch::default() };
        ScanBuilder::new(self.inner.clone(), fetch)
    }

    /// Searches for the records nearest to `query`.
    pub fn search(&self, query: impl AsRef<[f32]>) -> Search {
        Search::new(self.inner.clone(), query.as_ref().to_vec())
    }

    /// Searches for the records nearest to each query; all cores share the work.
    pub fn search_batch<Q: AsRef<[f32]>>(
        &self,
        queries: impl IntoIterator<Item = Q>,
    ) -> SearchBatch {
        let queries = queries.into_iter().map(|query| query.as_ref().to_vec()).collect();
        SearchBatch::new(self.inner.clone(), queries)
    }

    /// Moves a reader on to the newest version, and gives that version. It never goes back. For
    /// the writer, which sees everything at once, this is the last committed version.
    ///
    /// # Errors
    /// What reading the store can meet; the reader then stays where it was.
    pub fn refresh(&self) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.refresh().await })
    }

    /// Waits until a version or a later one is read here, for so long at most, and gives that version: what
    /// another process has committed as that version is found from then on.
    ///
    /// # Errors
    /// `Unavailable` if it is not there in time.
    pub fn reach(&self, version: u64, within: Duration) -> Call<u64> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.reach(version, within).await })
    }

    /// The collection as it was at a version that is still kept, for reading only.
    ///
    /// # Errors
    /// `VersionGone` if it is not kept.
    pub fn at_version(&self, version: u64) -> Call<Collection> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { Ok(Self::new(inner.at_version(version).await?)) })
    }

    /// The collection as it was when a version got this name, for reading only.
    ///
    /// # Errors
    /// `NotFound` if no version has it.
    pub fn at_tag(&self, tag: impl Into<String>) -> Call<Collection> {
        let (inner, tag) = (self.inner.clone(), tag.into());
        Call::on(self.threads(), async move { Ok(Self::new(inner.at_tag(&tag).await?)) })
    }

    /// The collection as its newest version was at a time, for reading only.
    ///
    /// # Errors
    /// `VersionGone` if no version that is kept is as old.
    pub fn at_time(&self, time: SystemTime) -> Call<Collection> {
        let inner = self.inner.clone();
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Call::on(self.threads(), async move { Ok(Self::new(inner.at_time(time_ms).await?)) })
    }

    /// The version being read; for the writer the last committed one.
    pub fn version(&self) -> u64 {
        self.inner.version()
    }

    /// The versions that are kept, newest first.
    ///
    /// # Errors
    /// What reading the store can meet.
    pub fn versions(&self) -> Call<Vec<VersionInfo>> {
        let inner = self.inner.clone();
        Call::on(self.threads(), async move { inner.versions().await })
    }

    /// Tells it from every other, whatever it is called.
    pub fn identity(&self) -> u128 {
        self.inner.identity()
    }

    /// Whether it was closed, or its writer has ended.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// The collection in numbers.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

/// Keeps a version. Counts until it is released or its lease ends; dropping it does neither.
#[derive(Debug)]
pub struct Pin {
    inner: Arc<Mutex<vecgo_engine::Pin>>,
    threads: Arc<dyn Spawn>,
    version: u64,
}

impl Pin {
    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Keeps the version for `lease` from now on, or for what is left of the lease before if that
    /// is longer.
    ///
    /// # Errors
    /// What writing to the store can meet; the lease before then still counts. `VersionGone` if it
    /// had ended, and the version is not kept.
    pub fn renew(&self, lease: Duration) -> Call<()> {
        let inner = Arc::clone(&self.inner);
        let renew = async move { inner.lock().await.renew(lease).await };
        Call::on(Arc::clone(&self.threads), renew)
    }

    /// Lets go of the version.
    ///
    /// # Errors
    /// What the store can meet; the pin then expires by itself.
    pub fn release(self) -> Call<()> {
        let inner = Arc::clone(&self.inner);
        Call::on(Arc::clone(&self.threads), async move { inner.lock().await.release().await })
    }
}
