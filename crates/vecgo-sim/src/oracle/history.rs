use std::sync::Arc;

/// The states that one thing went through, each change asked for only when the answer to the one
/// before was known.
#[derive(Debug)]
pub struct History<S> {
    states: Vec<Arc<S>>,
    /// The last state that no crash may take back.
    durable: usize,
    /// The last state that was acknowledged.
    acknowledged: usize,
}

/// The states that may be found at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(super) first: usize,
    pub(super) acknowledged: usize,
    pub(super) last: usize,
}

impl<S: Default> Default for History<S> {
    fn default() -> Self {
        Self::settled(vec![Arc::new(S::default())])
    }
}

impl<S> History<S> {
    /// A history that begins with states one of which is there and stays.
    pub(super) fn settled(states: Vec<Arc<S>>) -> Self {
        Self { acknowledged: states.len().saturating_sub(1), durable: 0, states }
    }

    /// The last state that was acknowledged: what readers see.
    pub fn current(&self) -> &Arc<S> {
        &self.states[self.acknowledged]
    }

    /// A change is asked for.
    pub fn ask(&mut self, state: S) {
        self.states.push(Arc::new(state));
    }

    /// The change was made; `durable` if no crash may take it back.
    pub fn acknowledge(&mut self, durable: bool) {
        self.acknowledged = self.states.len() - 1;
        if durable {
            self.durable = self.acknowledged;
        }
    }

    /// The change was refused: nothing of it may ever be seen. What asked before it is unknown
    /// stays so.
    pub fn refuse(&mut self) {
        if self.states.len() > self.acknowledged + 1 {
            self.states.pop();
        }
    }

    /// Finds a state again that the database shows after an unknown answer: from now on that is
    /// what there is. Gives false if it is none that may be there.
    pub(crate) fn resolve(&mut self, found: &S) -> bool
    where
        S: PartialEq,
    {
        let possible = self.states[self.durable..].iter().rev();
        let Some(is) = possible.clone().find(|state| ***state == *found).cloned() else {
            return false;
        };
        if self.is_open() || !Arc::ptr_eq(&is, self.current()) {
            self.states.push(is);
        }
        self.acknowledge(true);
        true
    }

    /// Whether a change was asked for whose fate is unknown.
    pub fn is_open(&self) -> bool {
        self.acknowledged + 1 < self.states.len()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    pub(super) fn durable(&self) -> usize {
        self.durable
    }

    pub(super) fn is_durable_through(&mut self, state: usize) {
        self.durable = self.durable.max(state);
    }

    pub(super) fn range(&self) -> Range {
        Range { first: self.durable, acknowledged: self.acknowledged, last: self.states.len() - 1 }
    }

    /// The states of a moment. One that was refused since then is not among them.
    pub(super) fn between(&self, range: Range) -> Vec<Arc<S>> {
        self.states[range.first..=range.last.min(self.states.len() - 1)].to_vec()
    }

    pub(super) fn since(&self, first: usize) -> Vec<Arc<S>> {
        self.states[first.min(self.states.len() - 1)..].to_vec()
    }
}
