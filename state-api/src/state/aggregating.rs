//! Aggregating state: an accumulator that takes inputs and yields a result of another type.

use std::marker::PhantomData;

use super::Access;
use crate::Result;
use crate::change::Change;
use crate::codec::Codec;
use crate::store::KeyedStore;

/// How inputs are folded into an accumulator and what it yields.
///
/// ```
/// use alluvium_state_api::Aggregate;
///
/// struct Mean;
/// impl Aggregate for Mean {
///     type Input = f64;
///     type Accumulator = (u64, f64);
///     type Output = f64;
///     fn create() -> (u64, f64) { (0, 0.0) }
///     fn add((count, sum): (u64, f64), input: f64) -> (u64, f64) { (count + 1, sum + input) }
///     fn merge(a: (u64, f64), b: (u64, f64)) -> (u64, f64) { (a.0 + b.0, a.1 + b.1) }
///     fn result((count, sum): &(u64, f64)) -> f64 { sum / *count as f64 }
/// }
/// ```
pub trait Aggregate: 'static {
    /// What is added.
    type Input;
    /// What is stored.
    type Accumulator;
    /// What is read.
    type Output;

    /// An empty accumulator.
    fn create() -> Self::Accumulator;

    /// Folds one input in.
    fn add(accumulator: Self::Accumulator, input: Self::Input) -> Self::Accumulator;

    /// Folds the second accumulator into the first.
    fn merge(first: Self::Accumulator, second: Self::Accumulator) -> Self::Accumulator;

    /// The result so far.
    fn result(accumulator: &Self::Accumulator) -> Self::Output;
}

/// An accumulator per key and namespace.
pub trait AggregatingState<In, Out> {
    /// The result of everything added, if anything was.
    ///
    /// # Errors
    /// Where the store fails or the bytes cannot be decoded.
    fn get(&mut self) -> Result<Option<Out>>;

    /// Folds an input into the accumulator.
    ///
    /// # Errors
    /// `LimitExceeded`, and the state stays as it was; where the store fails.
    fn add(&mut self, input: In) -> Result<()>;

    /// Removes the accumulator.
    ///
    /// # Errors
    /// Where the store fails.
    fn clear(&mut self) -> Result<()>;
}

/// [`AggregatingState`] over a store.
#[derive(Debug)]
pub struct AggregatingView<'c, S, A, C> {
    access: Access<'c, S>,
    types: PhantomData<fn() -> (A, C)>,
}

impl<'c, S: KeyedStore, A: Aggregate, C: Codec<A::Accumulator>> AggregatingView<'c, S, A, C> {
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    pub(crate) fn new(access: Access<'c, S>) -> Self {
        Self { access, types: PhantomData }
    }
}

impl<S, A, C> AggregatingState<A::Input, A::Output> for AggregatingView<'_, S, A, C>
where
    S: KeyedStore,
    A: Aggregate,
    C: Codec<A::Accumulator>,
{
    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn get(&mut self) -> Result<Option<A::Output>> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.get_with(slot, &key, |bytes| {
            bytes.map(|bytes| Ok(A::result(&C::decode(bytes)?))).transpose()
        })
    }

    #[expect(clippy::inline_always, reason = "a view in memory costs more than the access")]
    #[inline(always)]
    fn add(&mut self, input: A::Input) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.modify_with(slot, &key, move |old, new| {
            let accumulator = old.map_or_else(|| Ok(A::create()), C::decode)?;
            let folded = A::add(accumulator, input);
            new.set::<C, _>(&folded).map(|()| Change::Put)
        })
    }

    #[inline]
    fn clear(&mut self) -> Result<()> {
        let (slot, word) = (self.access.slot()?, self.access.word);
        let key = self.access.address.key(&word);
        self.access.store.remove(slot, &key)
    }
}
