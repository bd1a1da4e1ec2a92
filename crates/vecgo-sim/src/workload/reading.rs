//! Operations that look at what is there.

use vecgo_engine::{Collection, ErrorKind, Fetch};
use vecgo_io::Access;

use super::operation::{Operation, Span};
use super::session::{DOCS, DOCS_DIM, Session};
use crate::Violation;
use crate::oracle::{Row, Rows, invariants, lane_of};
use crate::random::Random;
use crate::violation::Failure;

/// I9: what is visible is exactly what was acknowledged, even if the writer has failed since.
pub(super) async fn read(
    session: &Session,
    docs: &Collection,
    lane: usize,
) -> Result<(), Violation> {
    let expected = session.current(DOCS_DIM, lane);
    let found = match invariants::rows(docs).await {
        Ok(found) => found,
        Err(failure) => return session.check_look(failure),
    };
    let own = invariants::of_lane(&found, lane);
    if own != *expected {
        let message = format!("lane {lane} reads {own:?}, acknowledged is {expected:?}");
        return Err(Violation::new("I9", message));
    }
    // Others may write between the scan and the search.
    if session.lanes > 1 {
        return Ok(());
    }
    let looked = invariants::answers(docs, &found, &mut Random::new(found.len() as u64)).await;
    looked.or_else(|failure| session.check_look(failure))
}

/// I4: a scan sees one moment from its first page to its last.
pub(super) async fn slow_read(
    session: &Session,
    docs: &Collection,
    lane: usize,
) -> Result<(), Violation> {
    let expected = session.current(DOCS_DIM, lane);
    let mut found = Rows::new();
    let scan = docs.scan(Fetch::ALL, 2, None).await.map_err(Failure::from);
    let mut scan = match scan {
        Ok(scan) => scan,
        Err(failure) => return session.check_look(failure),
    };
    let mut pages = 0;
    loop {
        let page = match scan.next_page().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => return session.check_failure(&error),
        };
        for record in page.iter().filter(|record| lane_of(&record.id) == Some(lane)) {
            found.insert(record.id.clone(), Row::of(record, DOCS_DIM)?);
        }
        pages += 1;
        let first = pages * 3;
        let change = match pages {
            1 => Operation::Upsert(Span { first, count: 6 }),
            2 => Operation::Delete(Span { first, count: 6 }),
            3 => Operation::Flush,
            _ => continue,
        };
        Box::pin(change.run(session, lane)).await?;
    }
    match found == *expected {
        true => Ok(()),
        false => {
            let message = format!("lane {lane} scans {found:?}, it began with {expected:?}");
            Err(Violation::new("I4", message))
        }
    }
}

/// I4, I8: a reader in another process sees a version that was committed before it came, or a
/// later one, and of each version what everybody sees.
pub(super) async fn follow(session: &Session) -> Result<(), Violation> {
    let Some(database) = session.beside(Access::Read)? else { return Ok(()) };
    let before = session.oracle.lock().versions.clone();
    let followed = async {
        let replica = database.collection(DOCS).await?;
        let committed = before.iter().filter(|v| v.dim == DOCS_DIM).map(|v| v.number).max();
        if committed.is_some_and(|committed| committed > replica.version()) {
            let message = format!("a replica is at {}, {committed:?} before", replica.version());
            return Err(Violation::new("I8", message).into());
        }
        let rows = invariants::rows(&replica).await?;
        let oracle = session.oracle.lock();
        for known in oracle.versions.iter().filter(|v| v.dim == DOCS_DIM) {
            if known.number == replica.version() {
                known.check(&rows)?;
            }
        }
        Ok::<(), Failure>(())
    };
    followed.await.or_else(|failure| session.check_look(failure))
}

/// I7: a collection that has a writer gets no second one.
pub(super) async fn intrude(session: &Session) -> Result<(), Violation> {
    let Some(database) = session.beside(Access::Write)? else { return Ok(()) };
    match database.collection(DOCS).await {
        Err(error) if error.kind() == ErrorKind::Busy => Ok(()),
        Err(error) => session.check_failure(&error),
        Ok(_) => Err(Violation::new("I7", "a second writer beside the first")),
    }
}
