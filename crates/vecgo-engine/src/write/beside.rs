//! Work beside the writer's task: flushes, merges and vacuums.

use std::future::Future;
use std::sync::Arc;

use super::flush;
use super::inbox::{Inbox, Message};
use super::writer::Writer;
use crate::compact;
use crate::vacuum::Swept;
use crate::{Error, Result};

/// How work beside the writer ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Flush(Result<flush::Output>),
    /// `None` if nothing was left to write.
    Merge(Result<Option<compact::Output>>),
    Vacuum(Result<Swept>),
}

/// Tells the writer how its work ended, whatever becomes of the task.
struct Report<T> {
    inbox: Arc<Inbox>,
    result: Option<Result<T>>,
    ended: fn(Result<T>) -> Ended,
}

impl<T> Drop for Report<T> {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err(Error::panicked()));
        self.inbox.send_now(Message::Ended(Box::new((self.ended)(result))));
    }
}

impl Writer {
    /// Starts work beside the writer, which is told how it ended.
    pub(super) fn beside<T: Send + 'static>(
        &self,
        ended: fn(Result<T>) -> Ended,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) {
        let report = Report { inbox: Arc::clone(&self.inbox), result: None, ended };
        let task = async move {
            // Moved in whole, so that it reports when the task ends and not before.
            let mut report = report;
            report.result = Some(work.await);
        };
        self.shared.env.spawn.spawn(Box::pin(task));
    }

    /// Takes up what work beside the writer came to.
    pub(super) async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Flush(flushed) => self.flushed(flushed).await,
            Ended::Merge(merged) => self.merged(merged).await,
            Ended::Vacuum(swept) => self.swept(swept),
        }
    }

    /// Waits for work that is running, before everything else that waits for the writer.
    pub(super) async fn wait_for(&mut self, is_it: fn(&Ended) -> bool) {
        let is_it = |message: &Message| matches!(message, Message::Ended(ended) if is_it(ended));
        if let Message::Ended(ended) = self.inbox.take_out_of_turn(is_it).await {
            self.ended(*ended).await;
        }
    }
}
