use std::collections::VecDeque;

use event_listener::Event;
use futures_channel::oneshot;
use parking_lot::Mutex;
use vecgo_format::Config;

use super::Ack;
use super::batch::Batch;
use super::beside::Ended;
use crate::schema::NewSchema;
use crate::{Error, Result, Vacuumed};

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Message {
    Write {
        batch: Batch,
        reply: oneshot::Sender<Result<Ack>>,
    },
    /// Answered with the version that holds every earlier write.
    Commit {
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Answered once every earlier write is in a segment of a committed version.
    Flush {
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Answered once all that is in segments is in one segment of a committed version.
    Compact {
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Answered once no merge is running or due.
    Settle {
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Work beside the writer has ended.
    Ended(Box<Ended>),
    /// Answered once everything is deleted that may be.
    Vacuum {
        reply: oneshot::Sender<Result<Vacuumed>>,
    },
    /// Names a version, the newest unless another is given; or takes the name away. Answered with
    /// the version that is named.
    Tag {
        tag: String,
        change: TagChange,
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Another schema. Answered with a version that has it, or not if too few records are known to meet
    /// it.
    Schema {
        change: Box<NewSchema>,
        reply: oneshot::Sender<Result<Option<u64>>>,
    },
    /// Other settings of how segments are made. Answered with a version that has them.
    Configure {
        config: Config,
        reply: oneshot::Sender<Result<u64>>,
    },
    /// Answered once the writer has committed, ended, and let go of its lock.
    Close {
        reply: oneshot::Sender<Result<()>>,
    },
}

/// What is done with a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagChange {
    Add(Option<u64>),
    Remove,
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Message::Write { batch, .. } => batch.bytes,
            _ => 0,
        }
    }
}

/// What waits for the writer, bounded in bytes: senders wait for room.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Event,
    room: Event,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    closed: bool,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { queue: Mutex::default(), arrived: Event::new(), room: Event::new(), limit }
    }

    /// Hands a message over; from then on it is the writer's, whatever becomes of the caller.
    pub(crate) async fn send(&self, message: Message) -> Result<()> {
        let mut message = Some(message);
        loop {
            let room = self.room.listen();
            if self.try_send(&mut message)? {
                return Ok(());
            }
            room.await;
        }
    }

    fn try_send(&self, message: &mut Option<Message>) -> Result<bool> {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(Error::closed());
        }
        let bytes = message.as_ref().map_or(0, Message::bytes);
        // An empty queue takes any batch, or one as large as the limit would wait for ever.
        if queue.bytes > 0 && queue.bytes.saturating_add(bytes) > self.limit {
            return Ok(false);
        }
        queue.bytes += bytes;
        queue.messages.extend(message.take());
        drop(queue);
        self.arrived.notify(1);
        Ok(true)
    }

    /// Everything that waits, as soon as there is something; `None` once the inbox is closed.
    pub(crate) async fn take(&self) -> Option<VecDeque<Message>> {
        loop {
            let arrived = self.arrived.listen();
            {
                let mut queue = self.queue.lock();
                if !queue.messages.is_empty() {
                    queue.bytes = 0;
                    let messages = std::mem::take(&mut queue.messages);
                    drop(queue);
                    self.room.notify(usize::MAX);
                    return Some(messages);
                }
                if queue.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Ends the writer: what waits is still done, nothing more is taken.
    pub(crate) fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify(usize::MAX);
        self.room.notify(usize::MAX);
    }

    /// Returns once it is closed.
    pub(crate) async fn closed(&self) {
        loop {
            let told = self.room.listen();
            if self.is_closed() {
                return;
            }
            told.await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Closes it and throws away what waits: whoever asked learns that it is closed.
    pub(crate) fn abandon(&self) {
        self.close();
        let abandoned = std::mem::take(&mut self.queue.lock().messages);
        drop(abandoned);
    }

    /// The next message of a kind, taken out of turn.
    pub(crate) async fn take_out_of_turn(&self, is_it: impl Fn(&Message) -> bool) -> Message {
        loop {
            let arrived = self.arrived.listen();
            {
                let mut queue = self.queue.lock();
                let place = queue.messages.iter().position(&is_it);
                if let Some(message) = place.and_then(|place| queue.messages.remove(place)) {
                    return message;
                }
            }
            arrived.await;
        }
    }

    /// Hands over a message of the writer's own task, which must not wait for itself.
    pub(crate) fn send_now(&self, message: Message) {
        self.queue.lock().messages.push_back(message);
        self.arrived.notify(1);
    }
}
