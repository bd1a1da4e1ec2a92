//! Memory for what is written: a batch waits until there is some, and is refused if that takes too
//! long.

use futures_lite::future::or;
use vecgo_io::Use;

use super::batch::Batch;
use super::beside::Ended;
use super::inbox::Message;
use super::writer::Writer;
use crate::{Error, Result};

impl Writer {
    /// Takes memory for a batch, if it is there, and if there is enough to look its ids up.
    pub(super) fn take_room(&self, batch: &Batch) -> bool {
        let lookups = self.lookups_lack();
        if lookups > 0 && lookups > self.shared.env.memory.left(Use::Ids) {
            return false;
        }
        let lacks = self.active.lacks(batch.memory_bytes(self.shared.config.dim()));
        let charge = || self.shared.env.memory.try_take(Use::Memtables, lacks);
        lacks == 0 || charge().map(|charge| self.active.charge(charge)).is_some()
    }

    /// What has to be taken before ids can be looked up in all segments.
    fn lookups_lack(&self) -> u64 {
        self.segments.iter().map(|(live, _)| live.segment.lookup_lacks()).sum()
    }

    /// Returns once there is memory for a batch.
    ///
    /// # Errors
    /// `ResourceExhausted` if that takes too long; or why a flush comes to nothing.
    pub(super) async fn make_room(&mut self, batch: &Batch) -> Result<()> {
        let memory = self.shared.env.memory.clone();
        let mut wait = memory.wait();
        loop {
            let freed = memory.freed();
            if self.take_room(batch) {
                return Ok(());
            }
            self.check_alive()?;
            memory.press();
            self.pressure = memory.pressure();
            self.relieve().await;
            let inbox = self.inbox.clone();
            let flushed = |message: &Message| matches!(message, Message::Ended(ended) if matches!(**ended, Ended::Flush(_)));
            let freed = async {
                freed.await;
                None
            };
            let ended = async { Some(inbox.take_out_of_turn(flushed).await) };
            match wait.until(or(freed, ended)).await {
                Some(Some(Message::Ended(ended))) => self.ended(*ended).await,
                Some(_) => {}
                None => {
                    let failure = self.shared.flush_failure.lock().clone();
                    let dim = self.shared.config.dim();
                    let bytes = self.active.lacks(batch.memory_bytes(dim)) + self.lookups_lack();
                    return Err(failure.unwrap_or_else(|| Error::from(memory.exhausted(bytes))));
                }
            }
        }
    }

    /// Somebody lacks memory: flushes what there is if it is worth it.
    pub(super) async fn relieve_if_worth(&mut self) {
        self.pressure = self.shared.env.memory.pressure();
        if self.active.charged() >= self.shared.env.memory.worth_freeing() {
            self.relieve().await;
        }
    }

    /// Begins to flush what there is, for the sake of its memory.
    async fn relieve(&mut self) {
        let fails = self.shared.flush_failure.lock().is_some();
        if self.sealed.is_none()
            && self.active.rows() > 0
            && !fails
            && self.check_alive().is_ok()
            && let Err(error) = self.seal().await
        {
            self.fail(&error);
        }
        self.start_flush().await;
    }
}
