use std::fs::File;
use std::future::IntoFuture;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use vecgo::{Collection, Id, Record, WalSync};
use vecgo_io::BoxFuture;
use vecgo_json::{IdJson, RecordJson};

use crate::Answer;
use crate::args::{Format, Import, Target};
use crate::failure::Failure;
use crate::output::Output;
use crate::parquet_file::ParquetFile;
use crate::progress::Progress;
use crate::vector_file::VectorFile;

/// About the bytes of a batch, and the most rows in one.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS: usize = 4096;
/// About what a row without a vector takes.
const ROW_BYTES: usize = 256;
/// A document is at most so many times as long as its text: `1,` takes nine bytes.
const DOCUMENT_GROWTH: usize = 5;
/// A longer line is no record that could be stored.
const MAX_LINE_BYTES: u64 = 64 << 20;

pub(crate) fn run(target: &Target, args: Import, out: &Output) -> Result<Answer, Failure> {
    let collections = super::reading(target)?.collections().wait()?;
    let there = collections.iter().find(|info| info.name == target.collection);
    let total = check_files(&args, there.map(|info| info.config.dim()))?;
    // Nobody waits for merges then, and the end of the command would end them half-way.
    let open = target.open().auto_compact(false);
    let mut open = open.wal_sync(wal_sync(&args.wal_sync)?);
    if let Some(bytes) = args.memtable_bytes {
        open = open.memtable_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let collection = open.wait()?.collection(&target.collection).wait()?;
    let mut import = Importer {
        ids: Numbering::new(&args, &collection),
        progress: Progress::new("import", total),
        metadata: args.metadata.as_deref().map(Lines::open).transpose()?,
        batch_bytes: BATCH_BYTES.min(collection.largest_batch() / 2),
        batch: Vec::new(),
        places: Vec::new(),
        pending_bytes: 0,
        written: None,
        collection,
        rows: 0,
    };
    let imported = args.files.iter().try_for_each(|file| import.file(file));
    if let Err(failure) = imported {
        return Err(import.give_up(failure));
    }
    let Importer { collection, progress, rows, .. } = import;
    if !args.no_wait {
        collection.flush().wait()?;
        settle(&collection)?;
    }
    collection.close().wait()?;
    let seconds = progress.finish();
    out.object(&json!({"rows": rows, "seconds": seconds}));
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown in whole numbers")]
    let rate = rows as f64 / seconds.max(1e-9);
    out.line(format!("{rows} rows in {seconds:.2} s, {rate:.0} a second"));
    Ok(Answer::Yes)
}

/// Waits for the merges that are due, and tells how far the graph is, if one is made.
fn settle(collection: &Collection) -> Result<(), Failure> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let (settled, waiting) = mpsc::channel();
    thread::scope(|scope| {
        let settling = scope.spawn(move || settled.send(collection.settle().wait()));
        let mut shown: Option<(u64, Progress)> = None;
        loop {
            let ended = waiting.recv_timeout(LOOK_EVERY);
            let build = collection.stats().graph_build.filter(|_| ended.is_err());
            let number = build.map(|build| build.number);
            if let Some((_, progress)) = shown.take_if(|(shown, _)| Some(*shown) != number) {
                progress.finish();
            }
            if let Some(build) = build {
                let begin = || (build.number, Progress::new("graph", Some(build.rows)));
                shown.get_or_insert_with(begin).1.reach(build.done);
            }
            match ended {
                Ok(settled) => return Ok(settled.map(drop)?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    drop(settling.join());
                    return Err(Failure::new(vecgo::ErrorKind::Internal, "a thread panicked"));
                }
            }
        }
    })
}

fn wal_sync(argument: &str) -> Result<WalSync, Failure> {
    match argument {
        "commit" => Ok(WalSync::OnCommit),
        "every" => Ok(WalSync::EveryWrite),
        ms => match ms.parse() {
            Ok(ms) => Ok(WalSync::Interval(Duration::from_millis(ms))),
            Err(_) => Err(Failure::usage(format!(
                "--wal-sync {ms}; expected `commit`, `every` or milliseconds"
            ))),
        },
    }
}

/// Opens every file before anything is stored, and compares its dimensions with the collection's.
/// Gives the number of rows if that can be known.
fn check_files(args: &Import, dim: Option<usize>) -> Result<Option<u64>, Failure> {
    let (jsonl, others): (Vec<&PathBuf>, Vec<_>) =
        args.files.iter().partition(|file| Format::of(file) == Some(Format::Jsonl));
    let (parquet, vectors): (Vec<&PathBuf>, Vec<_>) =
        others.into_iter().partition(|file| Format::of(file) == Some(Format::Parquet));
    for file in &jsonl {
        // What is not a plain file, a pipe say, can be opened only once.
        let metadata = file.metadata().map_err(|error| Failure::file(file, &error))?;
        if metadata.is_file() || metadata.is_dir() {
            Lines::open(file)?;
        }
    }
    let mut rows = 0u64;
    let check_dim = |file: &Path, found: usize| match dim.filter(|dim| *dim != found) {
        None => Ok(()),
        Some(dim) => {
            let path = file.display();
            Err(Failure::invalid(format!("{path}: {found} dimensions; expected {dim}")))
        }
    };
    for file in &vectors {
        let opened = VectorFile::open(file)?;
        check_dim(file, opened.dim())?;
        rows = rows.saturating_add(opened.rows());
    }
    for file in &parquet {
        let opened = ParquetFile::open(file)?;
        if opened.rows() > 0 {
            check_dim(file, opened.dim())?;
        }
        rows = rows.saturating_add(opened.rows());
    }
    if let Some(metadata) = &args.metadata {
        if !jsonl.is_empty() || !parquet.is_empty() {
            let message =
                "--metadata goes with files of vectors; a .jsonl or .parquet file has its own";
            return Err(Failure::usage(message));
        }
        let mut lines = Lines::open(metadata)?;
        let mut count = 0u64;
        while lines.next_line()?.is_some() {
            count += 1;
        }
        if count != rows {
            let path = metadata.display();
            return Err(Failure::invalid(format!("{path}: {count} lines for {rows} vectors")));
        }
    }
    Ok(jsonl.is_empty().then_some(rows))
}

/// Lines of a file of JSON, one at a time.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    #[expect(clippy::disallowed_methods, reason = "a file named on the command line")]
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Failure::invalid(format!("{}: a directory", path.display())));
        }
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_owned(), file, number: 0, line: Vec::new() })
    }

    /// The next line that is not blank.
    fn next_line(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            self.line.clear();
            let read = (&mut self.file).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| Failure::file(&self.path, &error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == MAX_LINE_BYTES {
                return Err(self.at(Failure::invalid(format!("over {MAX_LINE_BYTES} bytes"))));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
    }

    fn next_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        match vecgo_json::read(line) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(self.at(error.into())),
        }
    }

    /// Says where in the file something went wrong.
    fn at(&self, failure: Failure) -> Failure {
        failure.context(format!("{} line {}", self.path.display(), self.number))
    }
}

/// A line of a side file.
#[derive(Deserialize)]
struct Side {
    #[serde(default, deserialize_with = "vecgo_json::there")]
    id: Option<IdJson>,
    #[serde(flatten)]
    metadata: Map<String, Value>,
}

/// Ids for rows that have none.
#[derive(Debug)]
struct Numbering {
    next: Option<u64>,
    /// Into a collection that is not empty, numbers must be chosen.
    allowed: bool,
    as_text: bool,
}

impl Numbering {
    fn new(args: &Import, collection: &Collection) -> Self {
        Self {
            next: Some(args.first_id.unwrap_or(0)),
            allowed: args.first_id.is_some() || collection.count() == 0,
            as_text: args.string_ids,
        }
    }

    fn id(&mut self, given: Option<Id>) -> Result<Id, Failure> {
        let id = match given {
            Some(id) => id,
            None if !self.allowed => {
                return Err(Failure::invalid(
                    "the collection is not empty and the rows have no ids; \
                     say with --first-id where to number them from",
                ));
            }
            None => {
                let number = self.next.ok_or_else(|| Failure::invalid("no ids are left"))?;
                self.next = number.checked_add(1);
                Id::from(number)
            }
        };
        match id {
            Id::Number(number) if self.as_text => Ok(Id::from(number.to_string())),
            id => Ok(id),
        }
    }
}

/// A batch that is being written while the next one is read.
struct Writing {
    ack: BoxFuture<'static, vecgo::Result<vecgo::Ack>>,
    /// Of each row, where in the file it stands.
    places: Vec<u64>,
    file: String,
}

struct Importer {
    collection: Collection,
    ids: Numbering,
    metadata: Option<Lines>,
    progress: Progress,
    batch_bytes: usize,
    batch: Vec<Record>,
    /// Rows or lines of the file.
    places: Vec<u64>,
    pending_bytes: usize,
    written: Option<Writing>,
    rows: u64,
}

impl Importer {
    /// Writes what a file holds, to the last row.
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        match Format::of(path) {
            Some(Format::Jsonl) => self.records(path),
            Some(Format::Parquet) => self.parquet(path),
            None => self.vectors(path),
        }?;
        self.finish()
    }

    fn vectors(&mut self, path: &Path) -> Result<(), Failure> {
        let mut file = VectorFile::open(path)?;
        let dim = file.dim();
        let at_a_time = (self.batch_bytes / (dim * 4 + ROW_BYTES)).clamp(1, BATCH_ROWS);
        let (mut values, mut row) = (Vec::new(), 0);
        let name = format!("{} row", path.display());
        while file.read_rows(at_a_time, &mut values)? > 0 {
            for vector in values.chunks_exact(dim) {
                let (given, metadata, text_bytes) = self.side()?;
                let id = self.ids.id(given)?;
                self.add(Record { metadata, ..Record::new(id, vector) }, text_bytes, row);
                row += 1;
                if self.is_due() {
                    self.write(&name)?;
                }
            }
        }
        self.write(&name)
    }

    /// The next line of the side file: an id, if it has one, the rest of it, and its length.
    fn side(&mut self) -> Result<(Option<Id>, Value, usize), Failure> {
        let Some(lines) = &mut self.metadata else { return Ok((None, json!({}), 0)) };
        match lines.next_json::<Side>()? {
            Some(Side { id, metadata }) => {
                Ok((id.map(|id| id.0), Value::Object(metadata), lines.line.len()))
            }
            None => Err(lines.at(Failure::invalid("the file has become shorter"))),
        }
    }

    fn records(&mut self, path: &Path) -> Result<(), Failure> {
        let mut lines = Lines::open(path)?;
        let name = format!("{} line", path.display());
        while let Some(record) = lines.next_json::<RecordJson>()? {
            let (given, mut record) = record.into_record();
            record.id = self.ids.id(given).map_err(|failure| lines.at(failure))?;
            self.add(record, lines.line.len(), lines.number);
            if self.is_due() {
                self.write(&name)?;
            }
        }
        self.write(&name)
    }

    fn parquet(&mut self, path: &Path) -> Result<(), Failure> {
        let mut file = ParquetFile::open(path)?;
        let name = format!("{} row", path.display());
        loop {
            let row = file.row();
            let records = file.next_records()?;
            if records.is_empty() {
                return self.write(&name);
            }
            for (row, (given, mut record)) in (row..).zip(records) {
                record.id = self.ids.id(given)?;
                let payload = record.payload.as_ref().map_or(0, Vec::len);
                let text_bytes = record.metadata.to_string().len() + payload / DOCUMENT_GROWTH;
                self.add(record, text_bytes, row);
                if self.is_due() {
                    self.write(&name)?;
                }
            }
        }
    }

    fn add(&mut self, record: Record, text_bytes: usize, place: u64) {
        self.pending_bytes += record.vector.len() * 4 + text_bytes * DOCUMENT_GROWTH + ROW_BYTES;
        self.batch.push(record);
        self.places.push(place);
    }

    fn is_due(&self) -> bool {
        self.batch.len() >= BATCH_ROWS || self.pending_bytes >= self.batch_bytes
    }

    /// Begins to write the batch, once the one before it is written.
    fn write(&mut self, file: &str) -> Result<(), Failure> {
        self.finish()?;
        self.pending_bytes = 0;
        let places = std::mem::take(&mut self.places);
        let ack = self.collection.upsert(std::mem::take(&mut self.batch)).into_future();
        self.written = Some(Writing { ack, places, file: file.to_owned() });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let Some(Writing { ack, places, file }) = self.written.take() else { return Ok(()) };
        block_on(ack).map_err(|error| {
            let place = error.row().and_then(|row| places.get(row)).or(places.first());
            let place = place.map_or(file.clone(), |place| format!("{file} {place}"));
            Failure::new(error.kind(), error.message()).context(place)
        })?;
        self.rows += places.len() as u64;
        self.progress.advance(places.len() as u64);
        Ok(())
    }

    /// Commits the rows before the failure, so that what is said of them is so.
    fn give_up(mut self, failure: Failure) -> Failure {
        // The batch in flight may hold the failure itself.
        let _ = self.finish();
        match self.collection.close().wait() {
            _ if self.rows == 0 => failure,
            Ok(()) => failure.context(format!("after {} rows were stored", self.rows)),
            Err(error) => Failure::new(
                failure.kind(),
                format!(
                    "{}; {} rows before that were written but not committed ({error}); the next \
                     writer takes up those that reached the disk",
                    failure.message(),
                    self.rows
                ),
            ),
        }
    }
}
