//! What a copy holds while it lasts: pins of what it reads, and a note of what it has written.

use std::sync::Arc;
use std::time::Duration;

use vecgo_format::{BackupNames, Inventory};
use vecgo_io::Clock;

use super::place::{BackupPlace, GIVEN_UP, Name};
use crate::{Error, ErrorKind, Pin, Result};

/// How long what is not renewed counts.
pub(super) const LEASE: Duration = Duration::from_secs(15 * 60);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(120);

/// Pins, and the note of a backup.
pub(super) struct Leases {
    pub(super) pins: Vec<Pin>,
    pub(super) note: Option<Note>,
    clock: Arc<dyn Clock>,
    renewed: Duration,
}

/// What a backup that is being made has copied so far, for others to see: nobody deletes it, and whoever
/// makes the next one goes on from there if this one comes to nothing.
///
/// Notes and inventories are put once, and only a clear answer counts: one that is lost may have been of a put
/// that arrives later, after what it put was deleted. After such an answer the backup has another id, and of the one
/// before nothing counts.
pub(super) struct Note {
    place: BackupPlace,
    pub(super) inventory: Inventory,
    /// How often it was written. The one before the last stays, so that whoever lists them finds one of the two.
    nth: u64,
    /// Whether there may be an inventory, now or later.
    pub(super) is_decided: bool,
    /// The ids before, of each the number of its last note, and whether there may be an inventory of it.
    before: Vec<(u64, u64, bool)>,
}

/// Ids that are tried before it is given up, and the pause between two.
const MOST_IDS: usize = 8;
const PAUSE: Duration = Duration::from_millis(500);

impl Leases {
    pub(super) fn new(clock: &Arc<dyn Clock>, pins: Vec<Pin>, note: Option<Note>) -> Self {
        Self { pins, note, clock: Arc::clone(clock), renewed: clock.monotonic() }
    }

    pub(super) async fn renew_if_due(&mut self) -> Result<()> {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.renewed) < RENEW_EVERY {
            return Ok(());
        }
        self.renewed = now;
        for pin in &mut self.pins {
            pin.renew(LEASE).await?;
        }
        match &mut self.note {
            Some(note) => note.write(LEASE).await,
            None => Ok(()),
        }
    }
}

impl Note {
    /// The first note of a backup.
    pub(super) async fn begin(place: &BackupPlace, id: u64, created_ms: u64) -> Result<Self> {
        let inventory = Inventory { id, created_ms, ..Inventory::default() };
        let mut note =
            Self { place: place.clone(), inventory, nth: 0, is_decided: false, before: Vec::new() };
        note.write(LEASE).await?;
        Ok(note)
    }

    pub(super) fn id(&self) -> u64 {
        self.inventory.id
    }

    /// Writes down what there is by now, and that it counts for so long.
    ///
    /// # Errors
    /// `Unavailable` if somebody has given this maker up.
    pub(super) async fn write(&mut self, lease: Duration) -> Result<()> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        self.put(self.place.env.clock.wall_ms().saturating_add(lease_ms)).await?;
        // Had it stood still for longer than the one before counts, copies may be gone.
        if self.nth > 1 {
            self.check(self.nth - 1).await?;
        }
        if let Some(older) = self.nth.checked_sub(2).filter(|older| *older > 0) {
            self.place.store().delete(&BackupNames::unfinished(self.id(), older)).await?;
        }
        Ok(())
    }

    /// Nothing will come of it: what it has copied is for the next, and nobody waits for it.
    pub(super) async fn give_up(&mut self) -> Result<()> {
        self.put(0).await
    }

    async fn put(&mut self, expires_ms: u64) -> Result<()> {
        let mut tries = 0;
        loop {
            let noted = Inventory { expires_ms: Some(expires_ms), ..self.inventory.clone() };
            let key = BackupNames::unfinished(self.id(), self.nth + 1);
            match self.place.put_once(&key, noted.encode().0).await {
                Ok(()) => {
                    self.nth += 1;
                    return self.leave_before().await;
                }
                Err(error) if tries == MOST_IDS || !is_passing(&error) => return Err(error),
                Err(_) => self.take_another_id().await,
            }
            tries += 1;
        }
    }

    /// Puts the inventory; gives its name.
    pub(super) async fn decide(&mut self, mut inventory: Inventory) -> Result<Name> {
        for _ in 0..MOST_IDS {
            self.write(LEASE).await?;
            self.check_alive().await?;
            inventory.id = self.id();
            let name = Name { created_ms: inventory.created_ms, id: inventory.id };
            self.is_decided = true;
            match self.place.put_once(&name.key(), inventory.encode().0).await {
                Ok(()) => return Ok(name),
                Err(error) if !is_passing(&error) => return Err(error),
                Err(_) => self.take_another_id().await,
            }
        }
        let message = "the store gives no clear answer to the put of an inventory";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    async fn take_another_id(&mut self) {
        let env = &self.place.env;
        self.before.push((self.id(), self.nth, self.is_decided));
        (self.inventory.id, self.nth, self.is_decided) = (env.rand.next_u64(), 0, false);
        env.clock.sleep(PAUSE).await;
    }

    /// There is a note of the new id: of those before nothing counts from now on.
    async fn leave_before(&mut self) -> Result<()> {
        for (id, nth, is_decided) in std::mem::take(&mut self.before) {
            if nth > 0 {
                self.check_note(id, nth).await?;
            }
            if is_decided {
                self.place.mark_given_up(id).await?;
            }
            // The one after the last may be there, though nobody said so.
            for nth in nth.saturating_sub(1).max(1)..=nth.saturating_add(1) {
                self.place.store().delete(&BackupNames::unfinished(id, nth)).await?;
            }
        }
        Ok(())
    }

    /// Whether nobody has given this maker up, or is about to.
    pub(super) async fn check_alive(&self) -> Result<()> {
        self.check(self.nth).await
    }

    async fn check(&self, nth: u64) -> Result<()> {
        self.check_note(self.id(), nth).await
    }

    /// Plans first: of one that was carried out between the two looks the second finds what it did.
    async fn check_note(&self, of: u64, nth: u64) -> Result<()> {
        let (plans, _) = self.place.plans().await?;
        let is_doomed = plans.unfinished.iter().any(|(id, _)| *id == of);
        let notes = self.place.notes().await?.remove(&of).unwrap_or_default();
        match !is_doomed && notes.contains(&nth) && !notes.contains(&GIVEN_UP) {
            true => Ok(()),
            false => Err(self.given_up()),
        }
    }

    /// Takes the notes away, which says that the backup counts, unless somebody was faster.
    ///
    /// # Errors
    /// `Unavailable` if somebody was; `OutcomeUnknown` if that cannot be found out.
    pub(super) async fn count(&self) -> Result<()> {
        let unknown = |error: Error| {
            let message = "the backup may be whole or not; `backups list` tells";
            error.with_kind(ErrorKind::OutcomeUnknown).context(message)
        };
        for nth in [self.nth.saturating_sub(1), self.nth] {
            let deleted = self.place.store().delete(&BackupNames::unfinished(self.id(), nth)).await;
            deleted.map_err(|error| unknown(error.into()))?;
        }
        match self.place.notes().await.map_err(unknown)?.contains_key(&self.id()) {
            false => Ok(()),
            true => Err(self.given_up()),
        }
    }

    fn given_up(&self) -> Error {
        let message =
            "the backup took a pause so long that what it had copied may have been deleted";
        Error::new(ErrorKind::Unavailable, message)
    }
}

/// Whether another try may go better.
fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}
