use serde_json::json;

use super::writer;
use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn run(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let progress = Progress::new("compact", None);
    let collection = writer(target)?;
    let version = collection.compact().wait()?;
    let (segments, rows) = (collection.stats().segments.len(), collection.count());
    collection.close().wait()?;
    let seconds = progress.finish();
    out.object(&json!({
        "version": version, "segments": segments, "rows": rows, "seconds": seconds,
    }));
    let what = if segments == 1 { "segment" } else { "segments" };
    out.line(format!("version {version}: {segments} {what}, {rows} rows, in {seconds:.2} s"));
    Ok(Answer::Yes)
}
