//! What a copy holds while it lasts: pins of what it reads, and a note of what it has written.

use std::time::Duration;

use vecgo_format::{BackupNames, Inventory};

use super::place::BackupPlace;
use crate::{Pin, Result};

/// How long what is not renewed counts.
pub(super) const LEASE: Duration = Duration::from_secs(15 * 60);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(120);

/// Pins, and the note of a backup.
pub(super) struct Leases {
    pub(super) pins: Vec<Pin>,
    pub(super) note: Option<Note>,
    renewed: Duration,
}

/// What a backup that is being made has copied so far, for others to see: nobody deletes it, and whoever
/// makes the next one goes on from there if this one comes to nothing.
pub(super) struct Note {
    place: BackupPlace,
    pub(super) inventory: Inventory,
    /// How often it was written.
    nth: u64,
}

impl Leases {
    pub(super) fn new(now: Duration, pins: Vec<Pin>, note: Option<Note>) -> Self {
        Self { pins, note, renewed: now }
    }

    pub(super) async fn renew_if_due(&mut self) -> Result<()> {
        let clock = match (&self.note, self.pins.first()) {
            (Some(note), _) => &note.place.env.clock,
            (None, Some(pin)) => pin.clock(),
            (None, None) => return Ok(()),
        };
        let now = clock.monotonic();
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
    pub(super) async fn begin(place: &BackupPlace, id: u64) -> Result<Self> {
        let inventory = Inventory {
            id,
            created_ms: place.env.clock.wall_ms(),
            expires_ms: None,
            collections: Vec::new(),
            copies: Vec::new(),
        };
        let mut note = Self { place: place.clone(), inventory, nth: 0 };
        note.write(LEASE).await?;
        Ok(note)
    }

    pub(super) fn id(&self) -> u64 {
        self.inventory.id
    }

    /// Writes down what there is by now, and that it counts for so long.
    pub(super) async fn write(&mut self, lease: Duration) -> Result<()> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = self.place.env.clock.wall_ms().saturating_add(lease_ms);
        let noted = Inventory { expires_ms: Some(expires_ms), ..self.inventory.clone() };
        let before = self.nth;
        self.nth += 1;
        let key = BackupNames::unfinished(self.id(), self.nth);
        self.place.put(&key, noted.encode().0).await?;
        if before > 0 {
            self.place.store().delete(&BackupNames::unfinished(self.id(), before)).await?;
        }
        Ok(())
    }

    /// Whether the last note is still there: whoever deletes what it names deletes it first.
    pub(super) async fn is_there(&self) -> Result<bool> {
        let key = BackupNames::unfinished(self.id(), self.nth);
        let listed = self.place.store().list(BackupNames::UNFINISHED).await?;
        let doomed = self.place.doomed().await?;
        let is_doomed = doomed.unfinished.iter().any(|(id, _)| *id == self.id());
        Ok(!is_doomed && listed.iter().any(|listed| listed.key == key))
    }

    /// It is not needed any more.
    pub(super) async fn delete(&self) -> Result<()> {
        let key = BackupNames::unfinished(self.id(), self.nth);
        Ok(self.place.store().delete(&key).await?)
    }
}
