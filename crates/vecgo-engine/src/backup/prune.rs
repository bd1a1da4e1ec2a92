//! Deleting backups, and copies that none has any more.
//!
//! Others may make a backup meanwhile, on any machine, and build on copies that are there. So whoever
//! deletes first says what, in a plan; whoever makes one first says so, in a note (`leases.rs`). Each looks
//! for the other's after that: a maker builds on nothing that is in a plan, and a plan is given up if there is
//! a note that counts. What is deleted of the copies was there before notes were looked for, so
//! it is none of a maker that came later. A plan that was interrupted is carried out by the next.
//!
//! A maker may be paused for longer than its note counts, at any step. It is given up by a last note, of which it
//! is then looked whether it came in time: if the maker's own are still there, it has not taken them away,
//! and will find that one when it has. A backup counts only while there is no note of it, so whatever a maker
//! that was given up puts later is none. That last note stays. No clock decides anything but whom to suspect.

use std::collections::{BTreeMap, BTreeSet};

use vecgo_format::{BackupNames, Identity, PrunePlan};
use vecgo_io::BoxFuture;

use super::place::{BackupPlace, GIVEN_UP, Name};
use crate::vacuum::delete_all;
use crate::{Error, ErrorKind, Result};

/// Which backups are kept: the newest always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest.
    pub last: usize,
    /// And the newest of each of the last so many days, by UTC, on which there was one.
    pub daily: usize,
    /// And the newest of each of the last so many weeks, from Monday on.
    pub weekly: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { last: 24, daily: 7, weekly: 4 }
    }
}

/// What a prune did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// Backups that are left.
    pub kept: u64,
    /// Backups that are gone.
    pub backups: u64,
    /// Copies deleted that none of those left has.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
}

const DAY_MS: u64 = 86_400_000;

impl Keep {
    /// Those of some moments that are kept, newest first, by place.
    fn of(self, moments_ms: &[u64]) -> BTreeSet<usize> {
        let mut kept: BTreeSet<usize> = (0..moments_ms.len().min(self.last.max(1))).collect();
        // The first day since 1970 was a Thursday.
        let spans = [(self.daily, 0, DAY_MS), (self.weekly, 3 * DAY_MS, 7 * DAY_MS)];
        for (most, offset, span) in spans {
            let mut seen = BTreeSet::new();
            for (place, moment) in moments_ms.iter().enumerate() {
                if seen.len() < most && seen.insert(moment.saturating_add(offset) / span) {
                    kept.insert(place);
                }
            }
        }
        kept
    }
}

/// A whole backup.
struct Known {
    name: Name,
    collections: BTreeSet<Identity>,
}

/// Which of the backups there are, newest first, go.
enum Choice {
    Keep(Keep),
    /// That of an id.
    Delete(u64),
}

impl Choice {
    fn gone(&self, known: &[Known]) -> Result<Vec<Name>> {
        match self {
            Self::Delete(id) => {
                let found = known.iter().find(|known| known.name.id == *id);
                let message = || format!("there is no whole backup {id:016x}");
                let found = found.ok_or_else(|| Error::new(ErrorKind::NotFound, message()))?;
                Ok(vec![found.name])
            }
            Self::Keep(keep) => {
                let moments: Vec<u64> = known.iter().map(|known| known.name.created_ms).collect();
                let kept = keep.of(&moments);
                let mut seen = BTreeSet::new();
                let is_gone = |(place, known): (usize, &Known)| {
                    // The newest of a collection stays, whatever came after it of others.
                    let is_newest =
                        known.collections.iter().filter(|one| seen.insert(**one)).count() > 0;
                    (!kept.contains(&place) && !is_newest).then_some(known.name)
                };
                Ok(known.iter().enumerate().filter_map(is_gone).collect())
            }
        }
    }
}

impl BackupPlace {
    /// Deletes the backups that are not kept, and copies that none has any more. The newest of each collection
    /// stays.
    ///
    /// # Errors
    /// `Busy` while a backup is being made there, and for a quarter of an hour after one was killed.
    /// If a backup cannot be read nothing is deleted: nobody knows what it needs.
    pub fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>> {
        Box::pin(self.delete_chosen(Choice::Keep(keep)))
    }

    /// Deletes one backup, which need not be readable, and copies that none has any more.
    ///
    /// # Errors
    /// `NotFound`, and as [`BackupPlace::prune`].
    pub fn delete(&self, id: u64) -> BoxFuture<'_, Result<Pruned>> {
        Box::pin(self.delete_chosen(Choice::Delete(id)))
    }

    async fn delete_chosen(&self, choice: Choice) -> Result<Pruned> {
        let (begun, mut plans) = self.plans().await.map_err(nothing_deleted)?;
        let suspects = self.suspects().await.map_err(nothing_deleted)?;
        let known = self.known(&choice).await.map_err(nothing_deleted)?;
        let left: Vec<Known> = known
            .into_iter()
            .filter(|known| !begun.backups.contains(&(known.name.created_ms, known.name.id)))
            .collect();
        let gone = choice.gone(&left)?;
        let backups = gone.iter().map(|name| (name.created_ms, name.id));
        let plan = PrunePlan {
            backups: backups.chain(begun.backups).collect(),
            unfinished: suspects.iter().map(|(id, suspect)| (*id, suspect.nth)).collect(),
        };
        let key = BackupNames::plan(self.env.rand.next_u64());
        self.put(&key, plan.encode().0).await?;
        let doomed = match self.doomed(&plan, &key, &suspects).await {
            Ok(doomed) => doomed,
            Err(error) => {
                // What is left of the plan is carried out by the next.
                let _ = self.store().delete(&key).await;
                return Err(error);
            }
        };
        // What says that copies are there goes before them, and the plans go last: those that this one has
        // carried out, and no other's.
        plans.push(key);
        let count = doomed.copies.len() as u64;
        let copies = doomed.copies.into_iter().map(|(key, _)| key).collect();
        for keys in [doomed.inventories, copies, plans] {
            delete_all(&self.env, keys, || Ok(())).await?;
        }
        let (kept, backups) = ((left.len() - gone.len()) as u64, gone.len() as u64);
        Ok(Pruned { kept, backups, objects: count, bytes: doomed.bytes })
    }

    /// The whole backups, newest first. To delete one of them it need not be readable.
    async fn known(&self, choice: &Choice) -> Result<Vec<Known>> {
        let mut known = Vec::new();
        for name in self.whole().await? {
            if let Choice::Delete(_) = choice {
                known.push(Known { name, collections: BTreeSet::new() });
                continue;
            }
            let Some(inventory) = self.inventory(name).await? else { continue };
            known.push(Known {
                name,
                collections: inventory.collections.iter().map(|one| one.entry.identity).collect(),
            });
        }
        Ok(known)
    }

    /// Makers that have said nothing for longer than that counts, by their ids.
    async fn suspects(&self) -> Result<BTreeMap<u64, Suspect>> {
        let now_ms = self.env.clock.wall_ms();
        let mut suspects = BTreeMap::new();
        for (id, numbers) in self.notes().await? {
            let Some(nth) = numbers.last().copied().filter(|nth| *nth != GIVEN_UP) else {
                continue;
            };
            let Some(noted) = self.note(id, nth).await? else { continue };
            if noted.expires_ms.is_none_or(|expires_ms| expires_ms <= now_ms) {
                let is_over = noted.expires_ms == Some(0);
                suspects.insert(id, Suspect { nth, is_over });
            }
        }
        Ok(suspects)
    }

    /// What goes: inventories, and the copies that only they have, or nothing at all.
    async fn doomed(
        &self,
        plan: &PrunePlan,
        key: &str,
        suspects: &BTreeMap<u64, Suspect>,
    ) -> Result<Doomed> {
        let listed = self.store().list(BackupNames::DATA).await?;
        let mut given_up = BTreeSet::new();
        let notes = self.notes().await?;
        let others = self.plans_but(key).await?;
        for (id, numbers) in notes {
            match numbers.contains(&GIVEN_UP) {
                // Unless somebody else is about to find out whether it came in time.
                true if others.unfinished.iter().any(|(other, _)| *other == id) => {}
                true => drop(given_up.insert(id)),
                false if suspects.contains_key(&id) => {}
                false => {
                    let message = "a backup is being made there, or one was killed a moment ago; \
                                   nothing is deleted until it is done or a quarter of an hour has passed";
                    return Err(Error::new(ErrorKind::Busy, message));
                }
            }
        }
        for (id, suspect) in suspects {
            if self.give_up(*id, suspect).await? {
                given_up.insert(*id);
            }
        }
        let is_doomed = |name: &Name| {
            plan.backups.contains(&(name.created_ms, name.id)) || given_up.contains(&name.id)
        };
        let (names, needed) = self.needed(is_doomed).await.map_err(nothing_deleted)?;
        let inventories = names.into_iter().filter(is_doomed).map(Name::key).collect();
        let copies = listed.into_iter().filter(|listed| {
            BackupNames::of_data(&listed.key).is_some_and(|data| !needed.contains(&data))
        });
        let copies: Vec<(String, u64)> = copies.map(|l| (l.key, l.length)).collect();
        let bytes = copies.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        Ok(Doomed { inventories, copies, bytes })
    }

    /// The names of all inventories there are, and what those need that stay.
    ///
    /// Others delete some meanwhile, of whose copies those need some that have come since. So what is listed is
    /// read, and listed again, until it is the same as before.
    async fn needed(
        &self,
        is_doomed: impl Fn(&Name) -> bool,
    ) -> Result<(Vec<Name>, BTreeSet<u128>)> {
        let (mut needed, mut read) = (BTreeSet::new(), BTreeSet::new());
        let mut last = None;
        loop {
            let names = self.names().await?;
            let mut is_all = true;
            for name in names.iter().filter(|name| !is_doomed(name)) {
                if read.contains(name) {
                    continue;
                }
                match self.inventory(*name).await? {
                    None => is_all = false,
                    Some(inventory) => {
                        needed.extend(inventory.copies.iter().map(|copy| copy.data));
                        read.insert(*name);
                    }
                }
            }
            if is_all && last.as_ref() == Some(&names) {
                return Ok((names, needed));
            }
            last = Some(names);
        }
    }

    /// Gives up a maker; false if it has come to its end meanwhile.
    async fn give_up(&self, id: u64, suspect: &Suspect) -> Result<bool> {
        let is_ours = !suspect.is_over && self.mark_given_up(id).await?;
        let mut own = self.notes().await?.remove(&id).unwrap_or_default();
        own.remove(&GIVEN_UP);
        if own.is_empty() {
            if is_ours {
                self.store().delete(&BackupNames::unfinished(id, GIVEN_UP)).await?;
            }
            return Ok(suspect.is_over);
        }
        let notes = own.into_iter().map(|nth| BackupNames::unfinished(id, nth)).collect();
        delete_all(&self.env, notes, || Ok(())).await?;
        Ok(true)
    }
}

/// A maker that has said nothing for long.
struct Suspect {
    /// The number of its last note.
    nth: u64,
    /// Whether that says that nothing will come of it.
    is_over: bool,
}

struct Doomed {
    inventories: Vec<String>,
    copies: Vec<(String, u64)>,
    bytes: u64,
}

fn nothing_deleted(error: Error) -> Error {
    error.context("nothing is deleted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_days_and_weeks_are_kept() {
        // Newest first: 2026-11-29, a Sunday, at noon and earlier that day, then a day before each.
        let noon = 20_786 * DAY_MS + DAY_MS / 2;
        let moments = [noon, noon - 1000, noon - DAY_MS, noon - 2 * DAY_MS, noon - 8 * DAY_MS];
        let keep = |last, daily, weekly| {
            Keep { last, daily, weekly }.of(&moments).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(keep(0, 0, 0), [0]);
        assert_eq!(keep(2, 0, 0), [0, 1]);
        assert_eq!(keep(1, 2, 0), [0, 2]);
        assert_eq!(keep(1, 3, 0), [0, 2, 3]);
        assert_eq!(keep(1, 0, 2), [0, 4]);
        assert_eq!(keep(100, 0, 0), [0, 1, 2, 3, 4]);
        // A Monday is not of the week before it.
        let monday = 20_787 * DAY_MS;
        let of = |weekly| Keep { last: 1, daily: 0, weekly }.of(&[monday, monday - 1]);
        assert_eq!(of(2).len(), 2);
        assert_eq!(Keep::default().of(&[]).len(), 0);
    }
}
