//! Backups, made beside writes and looked at at once.

use vecgo_engine::{BackupPlace, Copying, ErrorKind, Keep, WhichCollections};

use super::session::Session;
use crate::Violation;
use crate::oracle::{MadeBackup, backups, invariants};
use crate::violation::Failure;

/// I13: a backup that was made restores to what its versions hold.
pub(super) async fn backup(session: &Session) -> Result<(), Violation> {
    let Some(place) = session.vault() else { return Ok(()) };
    let prunes = session.oracle.lock().prunes;
    let made = session.database.snapshot(&place, &WhichCollections::All, Copying::default()).await;
    let made = match made {
        Ok(made) => made,
        // Somebody committed and deleted so fast that none of several versions could be kept.
        Err(error) if error.kind() == ErrorKind::VersionGone => return Ok(()),
        // It was dropped meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound && session.lanes > 1 => return Ok(()),
        Err(error) => return session.check_failure(&error),
    };
    let looked = look(session, &place, made.id, prunes).await;
    looked.or_else(|failure| match failure {
        // Another lane deletes some.
        Failure::Engine(error) if error.kind() == ErrorKind::NotFound && session.lanes > 1 => {
            Ok(())
        }
        failure => session.check_look(failure),
    })
}

async fn look(session: &Session, place: &BackupPlace, id: u64, prunes: u64) -> Result<(), Failure> {
    let (copied, contents) =
        backups::restored(place, &session.env, session.settings.options(), id).await?;
    backups::check(&copied, &contents, &session.oracle.lock().ever())?;
    for one in &copied.collections {
        // It may have been dropped or renamed, or the version deleted.
        let Ok(collection) = session.database.collection(&one.name).await else { continue };
        let dim = collection.config().dim();
        let Ok(then) = collection.at_version(one.version).await else { continue };
        let rows = invariants::rows(&then).await?;
        if contents.get(&dim).is_some_and(|restored| *restored != rows) {
            let message =
                format!("version {} of `{}` was restored as another", one.version, one.name);
            return Err(Violation::new("I13", message).into());
        }
    }
    let mut oracle = session.oracle.lock();
    let stays = oracle.prunes == prunes;
    let made = MadeBackup { id, contents: contents.into(), stays };
    if !oracle.backups.iter().any(|known| known.id == id) {
        oracle.backups.push(made);
    }
    session.numbers.backed_up();
    Ok(())
}

/// Deletes all but a few.
pub(super) async fn prune(session: &Session) -> Result<(), Violation> {
    let Some(place) = session.vault() else { return Ok(()) };
    {
        let mut oracle = session.oracle.lock();
        oracle.backups.iter_mut().for_each(|made| made.stays = false);
        oracle.prunes += 1;
    }
    match place.prune(Keep { last: 2, daily: 0, weekly: 0 }).await {
        Ok(_) => Ok(()),
        // One was interrupted, or another lane makes one.
        Err(error) if error.kind() == ErrorKind::Busy => Ok(()),
        Err(error) => session.check_failure(&error),
    }
}
