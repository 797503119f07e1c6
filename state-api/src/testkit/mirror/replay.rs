//! What a closure was shown and what it replied, and the comparison of answers.

use std::fmt::{self, Debug};
use std::ops::ControlFlow;

use crate::{Error, ErrorKind, Result, StateKey};

/// A call of the SPI, as a difference names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) state: &'a str,
    pub(super) key: Option<StateKey<'a>>,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, state, key } = self;
        write!(f, "{operation} of state {state:?}")?;
        match key {
            Some(key) => write!(f, ", key {:?} in key group {}", key.entry(), key.key_group()),
            None => Ok(()),
        }
    }
}

impl Call<'_> {
    /// Stops the run: the stores differ.
    #[track_caller]
    fn differ(&self, what: &str, first: &dyn Debug, second: &dyn Debug) -> ! {
        panic!("the stores differ in {what}, {self}: first {first:?}, second {second:?}");
    }

    /// The first store's answer, which must be the second's as well: equal results, or errors of one
    /// kind that refuse the same size for the same limit.
    #[track_caller]
    pub(super) fn agree<T: Debug + PartialEq>(
        &self,
        first: Result<T>,
        second: &Result<T>,
    ) -> Result<T> {
        match (&first, second) {
            (Ok(one), Ok(other)) if one == other => {}
            (Err(one), Err(other))
                if one.kind() == other.kind() && one.limit() == other.limit() => {}
            _ => self.differ("the result", &first, second),
        }
        first
    }
}

/// A reply that may end the visit.
pub(super) trait Reply: Clone {
    /// Whether nothing may be shown after this reply.
    fn ends(&self) -> bool {
        false
    }
}

impl Reply for () {}
impl Reply for Vec<u8> {}
impl Reply for (crate::Change, Vec<u8>) {}

impl Reply for ControlFlow<()> {
    fn ends(&self) -> bool {
        self.is_break()
    }
}

/// What one store showed to a closure, with the replies, to be replayed for the other store.
#[derive(Debug)]
pub(super) struct Tape<'a, I, R> {
    call: Call<'a>,
    turns: Vec<(I, Result<R, ErrorKind>)>,
    replayed: usize,
}

impl<'a, I: Debug + PartialEq, R: Reply> Tape<'a, I, R> {
    pub(super) fn new(call: Call<'a>) -> Self {
        Self { call, turns: Vec::new(), replayed: 0 }
    }

    /// Records what the first store showed and what the closure replied.
    #[track_caller]
    pub(super) fn record(&mut self, shown: I, reply: Result<R>) -> Result<R> {
        let ended = self.turns.last().is_some_and(|(_, reply)| ends(reply));
        assert!(!ended, "the first store went on after it was stopped, {}: {shown:?}", self.call);
        self.turns.push((shown, reply.as_ref().map(R::clone).map_err(Error::kind)));
        reply
    }

    /// How often the first store called the closure.
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Replies to the second store as to the first one, if it shows the same.
    #[track_caller]
    pub(super) fn replay(&mut self, shown: &I) -> Result<R> {
        let Some((wanted, reply)) = self.turns.get(self.replayed) else {
            self.call.differ("what they show", &"nothing more", shown);
        };
        if wanted != shown {
            self.call.differ("what they show", wanted, shown);
        }
        self.replayed += 1;
        reply.clone().map_err(|kind| Error::new(kind, "as for the first store"))
    }

    /// The answer of both, after everything was replayed.
    #[track_caller]
    pub(super) fn agree<T: Debug + PartialEq>(
        self,
        first: Result<T>,
        second: &Result<T>,
    ) -> Result<T> {
        let answer = self.call.agree(first, second);
        if let Some((shown, _)) = self.turns.get(self.replayed) {
            self.call.differ("what they show", shown, &"nothing more");
        }
        answer
    }
}

fn ends<R: Reply>(reply: &Result<R, ErrorKind>) -> bool {
    reply.as_ref().map_or(true, Reply::ends)
}
