//! Backups and copies.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use vecgo::{
    BackupInfo, CollectionBackup, Copied, CopyProgress, Database, Keep, Pruned, Snapshotted,
    WhichBackup,
};

use super::inspect::{damage_json, show_damage};
use super::reading;
use super::versions::time;
use crate::Answer;
use crate::args::{Backup, Backups, Budget, CloneTo, KeepArgs, Restore, Snapshot, Target, Which};
use crate::failure::Failure;
use crate::output::{Output, bytes, note};
use crate::progress::Progress;

/// Shows how far a copy is.
#[derive(Debug, Default)]
struct Bar(Mutex<Option<Progress>>);

impl Bar {
    fn reach(&self, progress: CopyProgress) -> ControlFlow<()> {
        let mut bar = self.0.lock();
        if progress.total_bytes > 0 {
            let bar =
                bar.get_or_insert_with(|| Progress::of_bytes("copying", progress.total_bytes));
            bar.reach(progress.bytes);
        }
        ControlFlow::Continue(())
    }

    fn finish(&self) {
        self.0.lock().take().map(Progress::finish);
    }
}

/// Has a builder of a copy keep to a budget and show how far it is, and waits for it.
macro_rules! copied {
    ($builder:expr, $budget:expr) => {{
        let (bar, budget): (Arc<Bar>, &Budget) = (Arc::default(), $budget);
        let shown = Arc::clone(&bar);
        let builder = $builder.progress(move |progress| shown.reach(progress));
        let done = match budget.bandwidth {
            Some(bytes) => builder.bytes_per_second(bytes.get()),
            None => builder,
        }
        .wait();
        bar.finish();
        done
    }};
}

/// The database to be read, and to be kept from deleting what is read.
fn source(target: &Target) -> Result<Database, Failure> {
    // A wrong path must not make one.
    reading(target)?;
    Ok(target.open().auto_vacuum(false).wait()?)
}

pub(crate) fn snapshot(target: &Target, args: &Snapshot, out: &Output) -> Result<Answer, Failure> {
    let snapshot = source(target)?.snapshot(&args.place);
    let snapshot = match args.version {
        Some(version) => snapshot.version(&target.collection, version),
        None if target.is_named => snapshot.collection(&target.collection),
        None => snapshot,
    };
    let made = copied!(snapshot, &args.budget)?;
    show_made(target, &made, out);
    Ok(Answer::Yes)
}

fn show_made(target: &Target, made: &Snapshotted, out: &Output) {
    out.object(&json!({
        "backup": format!("{:016x}", made.id),
        "version": version_of(target, &made.collections),
        "objects": made.objects,
        "bytes": made.bytes,
        "copied_bytes": made.copied_bytes,
        "collections": collections_json(&made.collections),
    }));
    let (size, copied) = (bytes(made.bytes), bytes(made.copied_bytes));
    out.line(format!("backup {:016x}: {} objects, {size}, {copied} copied", made.id, made.objects));
    show_collections(&made.collections, out);
}

/// The version of the collection that is meant, or of the only one.
fn version_of(target: &Target, collections: &[CollectionBackup]) -> Option<u64> {
    let meant = collections.iter().find(|one| one.name == target.collection);
    let only = || collections.first().filter(|_| collections.len() == 1);
    meant.or_else(only).map(|one| one.version)
}

fn collections_json(collections: &[CollectionBackup]) -> Value {
    let one = |one: &CollectionBackup| {
        json!({
            "name": one.name,
            "version": one.version,
            "created": time(one.created_ms),
            "created_ms": one.created_ms,
            "records": one.records,
        })
    };
    collections.iter().map(one).collect()
}

fn show_collections(collections: &[CollectionBackup], out: &Output) {
    for CollectionBackup { name, version, created_ms, records, .. } in collections {
        let at = time(*created_ms);
        out.line(format!("  {name}: version {version} of {at}, {records} records"));
    }
}

fn keep_of(args: &KeepArgs) -> Option<Keep> {
    let KeepArgs { keep_last, keep_daily, keep_weekly } = *args;
    let is_said = keep_last.or(keep_daily).or(keep_weekly).is_some();
    // What is not said is not kept, but for the newest.
    is_said.then(|| Keep {
        last: keep_last.unwrap_or(1),
        daily: keep_daily.unwrap_or(0),
        weekly: keep_weekly.unwrap_or(0),
    })
}

pub(crate) fn backup(target: &Target, args: &Backup, out: &Output) -> Result<Answer, Failure> {
    let Some(every) = args.every else { return back_up(target, args, out).map(|()| Answer::Yes) };
    let every = Duration::from_secs(every.get());
    let mut pause = FIRST_PAUSE;
    while !out.is_over() {
        let wait = match back_up(target, args, out) {
            Ok(()) => {
                pause = FIRST_PAUSE;
                every
            }
            Err(failure) => {
                note(format!("vecgo: the backup failed and is tried again: {}", failure.message()));
                let wait = pause.min(every);
                pause = pause.saturating_mul(2);
                wait
            }
        };
        sleep(wait);
    }
    Ok(Answer::Yes)
}

/// The first pause after a backup that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "a command waits by the machine's clock")]
fn sleep(wait: Duration) {
    std::thread::sleep(wait);
}

fn back_up(target: &Target, args: &Backup, out: &Output) -> Result<(), Failure> {
    let snapshot = source(target)?.snapshot(&args.place);
    let snapshot = match target.is_named {
        true => snapshot.collection(&target.collection),
        false => snapshot,
    };
    let made = copied!(snapshot, &args.budget)?;
    show_made(target, &made, out);
    if let Some(keep) = keep_of(&args.keep) {
        // The backup is there: what is left of old ones goes with the next.
        match vecgo::backups(&args.place).prune(keep).wait() {
            Ok(pruned) if pruned.backups > 0 => note(format!("{} backups deleted", pruned.backups)),
            Ok(_) => {}
            Err(error) => note(format!("vecgo: no backup was deleted: {error}")),
        }
    }
    Ok(())
}

fn which(args: &Which) -> Result<WhichBackup, Failure> {
    if let Some(version) = args.version {
        return Ok(WhichBackup::Version(version));
    }
    if let Some(backup) = &args.backup {
        return Ok(WhichBackup::Id(id(backup)?));
    }
    let Some(text) = &args.time else { return Ok(WhichBackup::Newest) };
    if let Ok(ms) = text.parse() {
        return Ok(WhichBackup::At(ms));
    }
    let parsed: Timestamp = text.parse().map_err(|_| {
        let expected = "expected 2026-01-31T12:00:00Z or milliseconds since 1970";
        Failure::invalid(format!("--time {text:?}; {expected}"))
    })?;
    Ok(WhichBackup::At(u64::try_from(parsed.as_millisecond()).unwrap_or_default()))
}

pub(crate) fn restore(target: &Target, args: Restore, out: &Output) -> Result<Answer, Failure> {
    let which = which(&args.which)?;
    let restore = vecgo::restore(&args.place, target.open()).which(which).verify(args.verify);
    let is_one = target.is_named || args.name.is_some() || matches!(which, WhichBackup::Version(_));
    let restore = if is_one { restore.collection(&target.collection) } else { restore };
    let restore = match args.name {
        Some(name) => restore.named(name),
        None => restore,
    };
    let restored = copied!(restore, &args.budget)?;
    let proof = restored.proof.map(|proof| {
        json!({
            "records": proof.records,
            "searches": proof.searches,
            "objects": proof.objects,
            "bytes": proof.bytes,
        })
    });
    show_copied(target, &restored.copied, &json!({ "verified": proof }), out);
    if let Some(proof) = restored.proof {
        let (records, searches) = (proof.records, proof.searches);
        out.line(format!("verified: every checksum, {records} records, {searches} searches"));
    }
    Ok(Answer::Yes)
}

fn show_copied(target: &Target, copied: &Copied, more: &Value, out: &Output) {
    let mut shown = json!({
        "version": version_of(target, &copied.collections),
        "objects": copied.objects,
        "bytes": copied.bytes,
        "copied_bytes": copied.copied_bytes,
        "collections": collections_json(&copied.collections),
    });
    if let (Some(shown), Some(more)) = (shown.as_object_mut(), more.as_object()) {
        shown.extend(more.clone());
    }
    out.object(&shown);
    let (size, passed) = (bytes(copied.bytes), bytes(copied.copied_bytes));
    out.line(format!("{} objects, {size}, {passed} of it through here", copied.objects));
    show_collections(&copied.collections, out);
}

pub(crate) fn clone(target: &Target, args: CloneTo, out: &Output) -> Result<Answer, Failure> {
    let clone = source(target)?.clone_to(target.open_at(&args.to));
    let clone = match args.version {
        Some(version) => clone.version(&target.collection, version),
        None if target.is_named || args.name.is_some() => clone.collection(&target.collection),
        None => clone,
    };
    let clone = match args.name {
        Some(name) => clone.named(name),
        None => clone,
    };
    let copied = copied!(clone, &args.budget)?;
    show_copied(target, &copied, &json!({}), out);
    Ok(Answer::Yes)
}

pub(crate) fn backups(what: Backups, out: &Output) -> Result<Answer, Failure> {
    match what {
        Backups::List { place } => list(place, out),
        Backups::Verify { place, which: args } => verify(place, &args, out),
        Backups::Prune { place, keep } => {
            let keep = keep_of(&keep).unwrap_or_default();
            let pruned = vecgo::backups(place).prune(keep).wait()?;
            show_pruned(pruned, out)
        }
        Backups::Delete { place, backup } => {
            let pruned = vecgo::backups(place).delete(id(&backup)?).wait()?;
            show_pruned(pruned, out)
        }
    }
}

fn show_pruned(pruned: Pruned, out: &Output) -> Result<Answer, Failure> {
    out.object(&json!({
        "kept": pruned.kept,
        "backups": pruned.backups,
        "objects": pruned.objects,
        "bytes": pruned.bytes,
    }));
    let (gone, size) = (pruned.backups, bytes(pruned.bytes));
    out.line(format!("{gone} backups deleted, {size}; {} are kept", pruned.kept));
    Ok(Answer::Yes)
}

/// The id of a backup, as it is shown.
fn id(text: &str) -> Result<u64, Failure> {
    u64::from_str_radix(text, 16)
        .map_err(|_| Failure::invalid(format!("backup {text:?}; expected 16 hexadecimal digits")))
}

fn list(place: PathBuf, out: &Output) -> Result<Answer, Failure> {
    let backups = vecgo::backups(place).list().wait()?;
    let one = |backup: &BackupInfo| {
        json!({
            "backup": format!("{:016x}", backup.id),
            "created": time(backup.created_ms),
            "created_ms": backup.created_ms,
            "objects": backup.objects,
            "bytes": backup.bytes,
            "collections": collections_json(&backup.collections),
            "failure": backup.failure.as_ref().map(ToString::to_string),
        })
    };
    out.object(&json!({"backups": backups.iter().map(one).collect::<Vec<_>>()}));
    for backup in &backups {
        let (at, size) = (time(backup.created_ms), bytes(backup.bytes));
        let what = match &backup.failure {
            None => format!("{} objects, {size}", backup.objects),
            Some(failure) => format!("UNREADABLE {failure}"),
        };
        out.line(format!("{:016x}  {at}  {what}", backup.id));
        show_collections(&backup.collections, out);
    }
    Ok(Answer::Yes)
}

fn verify(place: PathBuf, args: &Which, out: &Output) -> Result<Answer, Failure> {
    let meant = which(args)?;
    if matches!(meant, WhichBackup::Version(_)) {
        return Err(Failure::usage("of a backup to verify say the id or the time"));
    }
    let which = (meant != WhichBackup::Newest).then_some(meant);
    let checked = vecgo::backups(place).verify(which).wait()?;
    out.object(&json!({
        "ok": checked.damage.is_empty(),
        "backups": checked.backups,
        "objects": checked.objects,
        "bytes": checked.bytes,
        "damage": damage_json(&checked.damage),
    }));
    let (count, objects, size) = (checked.backups, checked.objects, bytes(checked.bytes));
    out.line(format!("{count} backups, {objects} objects, {size} read"));
    Ok(show_damage(&checked.damage, out))
}
