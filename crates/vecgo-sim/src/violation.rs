use std::fmt;

/// A promise that was not kept.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which, as `RELIABILITY.md` numbers them.
    pub invariant: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

impl Violation {
    /// A broken promise.
    pub fn new(invariant: &'static str, message: impl Into<String>) -> Self {
        Self { invariant, message: message.into() }
    }

    /// The same seen from further up.
    #[must_use]
    pub(crate) fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)
    }
}

impl std::error::Error for Violation {}

/// Why a look at the database came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine returned an error, which may be right.
    Engine(vecgo_engine::Error),
    /// The engine returned an answer, and it is wrong.
    Wrong(Violation),
}

impl From<vecgo_engine::Error> for Failure {
    fn from(error: vecgo_engine::Error) -> Self {
        Failure::Engine(error)
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Failure::Wrong(violation)
    }
}

impl Failure {
    /// A violation where no error was to be expected.
    pub(crate) fn unexpected(self, invariant: &'static str) -> Violation {
        match self {
            Failure::Engine(error) => {
                Violation::new(invariant, format!("{:?}: {error}", error.kind()))
            }
            Failure::Wrong(violation) => violation,
        }
    }
}
