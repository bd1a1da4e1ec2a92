use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vecgo_engine::{Collection, Config, Database, Id, Index, Record, Result, Schema, Update};
use vecgo_io::{BoxFuture, Clock};

type Rows = BTreeMap<Id, Record>;

/// Writes collections and remembers what each holds.
#[derive(Debug, Default)]
pub(super) struct Author {
    clock: Arc<Hand>,
    collections: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    config: Config,
    schema: Schema,
    rows: Rows,
    versions: BTreeMap<u64, Rows>,
}

/// A clock that moves by a second with everything the author does.
#[derive(Debug)]
struct Hand(AtomicU64);

impl Default for Hand {
    fn default() -> Self {
        Self(AtomicU64::new(1_750_000_000_000))
    }
}

impl Clock for Hand {
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl Author {
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    fn tick(&self) {
        self.clock.0.fetch_add(1000, Ordering::Relaxed);
    }

    fn known(&mut self, collection: &Collection) -> &mut Known {
        let config = collection.config();
        let schema = collection.schema();
        let known = || Known { config, schema, rows: Rows::new(), versions: BTreeMap::new() };
        self.collections.entry(collection.name().to_owned()).or_insert_with(known)
    }

    pub(super) async fn create(
        &mut self,
        database: &Database,
        name: &str,
        config: Config,
        schema: Schema,
    ) -> Result<Collection> {
        self.tick();
        database.create(name, config, schema).await?;
        self.open(database, name).await
    }

    pub(super) async fn open(&mut self, database: &Database, name: &str) -> Result<Collection> {
        self.tick();
        let collection = database.collection(name).await?;
        self.known(&collection);
        Ok(collection)
    }

    pub(super) async fn rename(&mut self, database: &Database, from: &str, to: &str) -> Result<()> {
        self.tick();
        database.rename(from, to).await?;
        let known = self.collections.remove(from);
        self.collections.extend(known.map(|known| (to.to_owned(), known)));
        Ok(())
    }

    pub(super) async fn drop_collection(&mut self, database: &Database, name: &str) -> Result<()> {
        self.tick();
        database.drop_collection(name).await?;
        self.collections.remove(name);
        Ok(())
    }

    pub(super) async fn upsert(&mut self, to: &Collection, records: Vec<Record>) -> Result<()> {
        self.tick();
        to.upsert(records.clone()).await?;
        let records = records.into_iter().map(|record| (record.id.clone(), record));
        self.known(to).rows.extend(records);
        Ok(())
    }

    /// `change` does to the record what the update asks for.
    pub(super) async fn update(
        &mut self,
        of: &Collection,
        update: Update,
        id: impl Into<Id>,
        change: impl FnOnce(&mut Record),
    ) -> Result<()> {
        self.tick();
        of.update(vec![update]).await?;
        self.known(of).rows.get_mut(&id.into()).map(change);
        Ok(())
    }

    pub(super) async fn delete(&mut self, from: &Collection, ids: Vec<Id>) -> Result<()> {
        self.tick();
        from.delete(ids.clone()).await?;
        let known = self.known(from);
        known.rows.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    pub(super) async fn commit(&mut self, of: &Collection) -> Result<()> {
        self.tick();
        let version = of.commit().await?;
        self.holds(of, version);
        Ok(())
    }

    /// Names the last version, by one that is otherwise the same.
    pub(super) async fn tag(&mut self, of: &Collection, tag: &str) -> Result<()> {
        self.tick();
        of.tag(tag, None).await?;
        self.holds(of, of.version());
        Ok(())
    }

    pub(super) async fn flush(&mut self, of: &Collection) -> Result<()> {
        self.tick();
        let version = of.flush().await?;
        self.holds(of, version);
        Ok(())
    }

    /// Puts all rows in one segment, with an index if they are enough for one.
    pub(super) async fn compact(&mut self, of: &Collection) -> Result<()> {
        self.flush(of).await?;
        self.tick();
        let version = of.compact().await?;
        self.holds(of, version);
        Ok(())
    }

    /// Segments there are keep what they have.
    pub(super) async fn configure(&mut self, of: &Collection, config: Config) -> Result<()> {
        self.tick();
        let version = of.configure(config).await?;
        self.known(of).config = config;
        self.holds(of, version);
        Ok(())
    }

    /// Commits what is left, and ends the writer.
    pub(super) async fn close(&mut self, of: Collection) -> Result<()> {
        self.commit(&of).await?;
        of.close().await
    }

    fn holds(&mut self, collection: &Collection, version: u64) {
        let known = self.known(collection);
        let rows = known.rows.clone();
        known.versions.entry(version).or_insert(rows);
    }
}

/// A line for each version of each collection, and one for what a writer finds.
pub(super) fn contents(author: &Author) -> String {
    let lines = author.collections.iter().flat_map(|(name, known)| {
        let versions = known.versions.iter().map(|(version, rows)| (Some(*version), rows));
        versions.chain([(None, &known.rows)]).map(move |(version, rows)| {
            let line = json!({
                "collection": name,
                "dim": known.config.dim(),
                "metric": known.config.metric().to_string(),
                "index": index(known.config.index()),
                "quantization": known.config.quantization().to_string(),
                "schema": known.schema.to_json(),
                "version": version,
                "records": rows.values().map(record).collect::<Vec<_>>(),
            });
            format!("  {line}")
        })
    });
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

/// With its settings, if it has any.
fn index(index: Index) -> Value {
    match index {
        Index::Flat => json!({"name": "flat"}),
        Index::Graph { m, ef_construction } => {
            json!({"name": "graph", "m": m, "ef_construction": ef_construction})
        }
        Index::Disk { m, ef_construction } => {
            json!({"name": "disk", "m": m, "ef_construction": ef_construction})
        }
        Index::Ivf { n_clusters } => json!({"name": "ivf", "n_clusters": n_clusters}),
    }
}

/// Payloads are lists of bytes.
fn record(record: &Record) -> Value {
    let id = match &record.id {
        Id::Number(number) => json!(number),
        Id::Text(text) => json!(text),
    };
    json!({
        "id": id,
        "vector": record.vector,
        "metadata": record.metadata,
        "payload": record.payload,
    })
}
