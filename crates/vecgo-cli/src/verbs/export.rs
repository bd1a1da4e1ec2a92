//! Everything that a collection holds, as a file that others can read.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use vecgo::{Collection, Record};

use super::reader;
use super::records::line;
use crate::Answer;
use crate::args::{Export, Format, Target};
use crate::failure::Failure;
use crate::output::{Output, bytes};
use crate::parquet_file::ParquetWriter;
use crate::progress::Progress;

/// Records that are read at a time.
const PAGE: usize = 1000;

pub(crate) fn run(target: &Target, args: &Export, out: &Output) -> Result<Answer, Failure> {
    let collection = reader(target)?;
    let collection = match (args.version, &args.tag) {
        (Some(version), _) => collection.at_version(version).wait()?,
        (None, Some(tag)) => collection.at_tag(tag).wait()?,
        (None, None) => collection,
    };
    if args.file.as_os_str() == "-" {
        return to_stdout(&collection, args, out);
    }
    let format = args.format.or_else(|| Format::of(&args.file)).ok_or_else(|| {
        let path = args.file.display();
        Failure::usage(format!("{path}: expected .jsonl or .parquet, or --format"))
    })?;
    let mut file = NewFile::create(&args.file)?;
    let progress = Progress::new("export", Some(collection.count()));
    let rows = write(&collection, format, &mut file.to, progress, |error| {
        Failure::file(&args.file, &error)
    })?;
    let length = file.finish()?;
    out.object(&json!({
        "version": collection.version(),
        "rows": rows,
        "objects": 1,
        "bytes": length,
        "copied_bytes": length,
    }));
    out.line(format!("{rows} records of version {}, {}", collection.version(), bytes(length)));
    Ok(Answer::Yes)
}

/// JSON Lines are the answer then.
fn to_stdout(collection: &Collection, args: &Export, out: &Output) -> Result<Answer, Failure> {
    if args.format == Some(Format::Parquet) {
        return Err(Failure::usage("Parquet goes to a file, not to stdout"));
    }
    let mut scan = scan(collection)?;
    while let Some(page) = scan.next_page().wait()? {
        for record in page {
            out.always(line(&record.into()));
            if out.is_over() {
                return Ok(Answer::Yes);
            }
        }
    }
    Ok(Answer::Yes)
}

fn scan(collection: &Collection) -> Result<vecgo::Scan, Failure> {
    Ok(collection.scan().page_size(PAGE).with_vector().with_payload().wait()?)
}

/// Where records are written to.
enum Sink<W: Write + Send> {
    Lines(W),
    Parquet(Box<ParquetWriter<W>>),
}

impl<W: Write + Send> Sink<W> {
    fn write(&mut self, record: Record) -> std::io::Result<()> {
        match self {
            Self::Lines(to) => writeln!(to, "{}", line(&record.into())),
            Self::Parquet(to) => to.write(record).map_err(std::io::Error::other),
        }
    }
}

fn write(
    collection: &Collection,
    format: Format,
    to: &mut (impl Write + Send),
    mut progress: Progress,
    failed: impl Fn(std::io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut sink = match format {
        Format::Jsonl => Sink::Lines(to),
        Format::Parquet => {
            let writer = ParquetWriter::new(to);
            Sink::Parquet(Box::new(writer.map_err(|error| failed(std::io::Error::other(error)))?))
        }
    };
    let (mut scan, mut rows) = (scan(collection)?, 0);
    while let Some(page) = scan.next_page().wait()? {
        rows += page.len() as u64;
        for record in page {
            sink.write(record).map_err(&failed)?;
        }
        progress.reach(rows);
    }
    if let Sink::Parquet(writer) = sink {
        writer.finish().map_err(|error| failed(std::io::Error::other(error)))?;
    }
    progress.finish();
    Ok(rows)
}

/// A file that has its name only once it is whole.
struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    to: BufWriter<File>,
    is_done: bool,
}

impl NewFile {
    #[expect(clippy::disallowed_methods, reason = "a file named on the command line")]
    fn create(path: &Path) -> Result<Self, Failure> {
        if path.exists() {
            let message = format!("{}: there is a file already", path.display());
            return Err(Failure::new(vecgo::ErrorKind::AlreadyExists, message));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial);
        let file = file.map_err(|error| Failure::file(&partial, &error))?;
        let to = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_owned(), partial, to, is_done: false })
    }

    /// Gives the file its name, durably, and its length.
    #[expect(clippy::disallowed_methods, reason = "a file named on the command line")]
    fn finish(mut self) -> Result<u64, Failure> {
        let failed = |error: std::io::Error| Failure::file(&self.path, &error);
        self.to.flush().map_err(failed)?;
        let file = self.to.get_ref();
        file.sync_all().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        std::fs::rename(&self.partial, &self.path).map_err(failed)?;
        self.is_done = true;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
        synced.map_err(|error| Failure::file(&self.path, &error))?;
        Ok(length)
    }
}

impl Drop for NewFile {
    #[expect(clippy::disallowed_methods, reason = "a file that was made here")]
    fn drop(&mut self) {
        if !self.is_done {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
