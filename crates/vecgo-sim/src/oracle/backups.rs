use std::collections::BTreeMap;
use std::sync::Arc;

use vecgo_engine::{
    BackupInfo, BackupPlace, Copied, Database, ErrorKind, Options, RestoreRequest, WhichBackup,
};
use vecgo_io::{Access, Env, MemoryStore};

use super::{Expected, Rows, invariants};
use crate::Violation;
use crate::machine::{PLENTY_BYTES, memory};
use crate::violation::Failure;

/// What a backup held when it was made, by the dimension of each collection.
pub(crate) type Contents = BTreeMap<usize, Rows>;

/// A backup that was made.
#[derive(Debug, Clone)]
pub(crate) struct MadeBackup {
    /// Its id.
    pub(crate) id: u64,
    /// What it holds.
    pub(crate) contents: Arc<Contents>,
    /// Whether nobody has asked for any to be deleted since.
    pub(crate) stays: bool,
}

/// The backups of a place; none if there is no place.
pub(crate) async fn listed(place: &BackupPlace) -> Result<Vec<BackupInfo>, Failure> {
    match place.list().await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => Ok(listed?),
    }
}

/// Everything that a backup holds, once it is restored to memory that nothing can happen to.
pub(crate) async fn restored(
    place: &BackupPlace,
    env: &Env,
    options: Options,
    id: u64,
) -> Result<(Copied, Contents), Failure> {
    let (memory, cache) = memory(PLENTY_BYTES, 0, &env.clock);
    let store = Arc::new(MemoryStore::default());
    let env = Env { store, logs: None, memory, cache, ..env.clone() };
    let database = Database::new(env, Access::Write, options)?;
    let which = WhichBackup::Id(id);
    let copied = database.restore(place, RestoreRequest { which, ..Default::default() }).await?;
    let contents = contents(&database).await?;
    invariants::undamaged(&database).await?;
    Ok((copied, contents))
}

/// Everything that a database holds.
pub(crate) async fn contents(database: &Database) -> Result<Contents, Failure> {
    let mut contents = Contents::new();
    for (name, dim) in invariants::names(database).await? {
        let collection = database.collection(&name).await?;
        contents.insert(dim, invariants::rows(&collection).await?);
    }
    Ok(contents)
}

/// I13: each backup that claims to be whole restores to versions that were committed, and those that were
/// made and that nobody wanted deleted are there. Gives how many there are.
pub(crate) async fn whole(
    place: &BackupPlace,
    env: &Env,
    options: &Options,
    expected: &Expected,
) -> Result<u64, Failure> {
    let listed = listed(place).await?;
    let count = listed.len() as u64;
    for made in &expected.backups {
        if made.stays && !listed.iter().any(|info| info.id == made.id) {
            let message = format!("backup {:016x} was made and is gone", made.id);
            return Err(Violation::new("I13", message).into());
        }
    }
    for info in listed {
        let wrong = |failure: Failure| {
            let violation = failure.unexpected("I13");
            Failure::Wrong(violation.context(format!("backup {:016x}", info.id)))
        };
        let restored = restored(place, env, options.clone(), info.id).await;
        let (copied, contents) = restored.map_err(wrong)?;
        let made = expected.backups.iter().find(|made| made.id == info.id);
        if made.is_some_and(|made| *made.contents != contents) {
            let message = format!("backup {:016x} does not hold what it did", info.id);
            return Err(Violation::new("I13", message).into());
        }
        check(&copied, &contents, expected).map_err(|v| wrong(v.into()))?;
    }
    Ok(count)
}

/// I13: what was restored is what commits say of those versions.
pub(crate) fn check(
    copied: &Copied,
    contents: &Contents,
    expected: &Expected,
) -> Result<(), Violation> {
    let count = |records: u64| usize::try_from(records).unwrap_or(usize::MAX);
    for (dim, rows) in contents {
        // Collections of a run have dimensions of their own, and few have as many records.
        for version in expected.versions_of(*dim) {
            let is_it = copied
                .collections
                .iter()
                .any(|one| one.version == version.number && count(one.records) == rows.len());
            if is_it && copied.collections.len() == 1 {
                version.check(rows)?;
            }
        }
    }
    Ok(())
}
