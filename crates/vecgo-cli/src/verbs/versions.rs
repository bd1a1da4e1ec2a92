use jiff::Timestamp;
use serde_json::json;
use vecgo::{Retention, VersionInfo};

use super::{reader, reading, writer};
use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::{Output, bytes};

pub(crate) fn list(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let versions = reader(target)?.versions().wait()?;
    let listed: Vec<_> = versions
        .iter()
        .map(|version| {
            json!({
                "version": version.version,
                "created": created(version),
                "created_ms": version.created_ms,
                "sequence": version.sequence,
                "segments": version.segments,
                "tags": version.tags,
                "pinned_by": version.pinned_by,
            })
        })
        .collect();
    out.object(&json!({"versions": listed}));
    for version in &versions {
        out.line(line(version));
    }
    if versions.is_empty() {
        out.line("no versions yet");
    }
    Ok(Answer::Yes)
}

fn line(version: &VersionInfo) -> String {
    let VersionInfo { version: number, sequence, segments, tags, pinned_by, .. } = version;
    let mut line =
        format!("{number:>8}  {}  write {sequence}, {segments} segments", created(version));
    for tag in tags {
        line += &format!(", tag {tag}");
    }
    if let Some(holder) = pinned_by {
        line += &format!(", pinned by {holder}");
    }
    line
}

fn created(version: &VersionInfo) -> String {
    time(version.created_ms)
}

/// Milliseconds since 1970 as RFC 3339 has them.
pub(super) fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).ok();
    let time = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "no time".to_owned(), |time| format!("{time:.3}"))
}

pub(crate) fn vacuum(target: &Target, keep: Option<u64>, out: &Output) -> Result<Answer, Failure> {
    let mut retention = Retention::default();
    retention.versions = keep.unwrap_or(retention.versions);
    reading(target)?;
    let database = target.open().retention(retention).wait()?;
    let collection = database.collection(&target.collection).wait()?;
    let deleted = collection.vacuum().wait()?;
    collection.close().wait()?;
    out.object(&json!({
        "versions": deleted.versions, "objects": deleted.objects, "bytes": deleted.bytes,
    }));
    out.line(format!(
        "{} versions and {} objects deleted, {}",
        deleted.versions,
        deleted.objects,
        bytes(deleted.bytes)
    ));
    Ok(Answer::Yes)
}

pub(crate) fn tag(
    target: &Target,
    tag: String,
    version: Option<u64>,
    out: &Output,
) -> Result<Answer, Failure> {
    let collection = writer(target)?;
    let tagged = match version {
        Some(version) => collection.tag_version(&tag, version).wait()?,
        None => collection.tag(&tag).wait()?,
    };
    collection.close().wait()?;
    out.object(&json!({"tag": tag, "version": tagged}));
    out.line(format!("version {tagged} is `{tag}`"));
    Ok(Answer::Yes)
}

pub(crate) fn untag(target: &Target, tag: String, out: &Output) -> Result<Answer, Failure> {
    let collection = writer(target)?;
    let tagged = collection.untag(&tag).wait()?;
    collection.close().wait()?;
    out.object(&json!({"tag": tag, "version": tagged}));
    out.line(format!("version {tagged} is no longer `{tag}`"));
    Ok(Answer::Yes)
}
