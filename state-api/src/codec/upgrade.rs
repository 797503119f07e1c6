//! [`Upgrade`]: a codec for a type that changed.

use std::marker::PhantomData;

use super::{Codec, Encode, ShortKey};
use crate::Result;
use crate::schema::{CodecSchema, Compatibility};

/// Writes `T` with `C`, and migrates state that was written as `Old` with `OldC`. Chains: `OldC` may
/// be an `Upgrade` itself.
///
/// ```
/// use alluvium_state_api::codec::{Codec, Native, Upgrade};
/// use alluvium_state_api::schema::Compatibility;
///
/// type Widened = Upgrade<u32, Native, Native>;                 // u64 state that once was u32
/// let old = <Native as Codec<u32>>::schema();
/// assert_eq!(<Widened as Codec<u64>>::resolve(&old), Compatibility::AfterMigration);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Upgrade<Old, OldC, C>(PhantomData<fn() -> (Old, OldC, C)>);

impl<T, Old: 'static, OldC: 'static, C: Encode<T>> Encode<T> for Upgrade<Old, OldC, C> {
    #[inline]
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        C::encode(value, out)
    }

    #[inline]
    fn short(value: &T) -> Option<ShortKey> {
        C::short(value)
    }
}

impl<T, Old, OldC, C> Codec<T> for Upgrade<Old, OldC, C>
where
    T: From<Old>,
    Old: 'static,
    OldC: Codec<Old>,
    C: Codec<T>,
{
    type View<'a> = C::View<'a>;

    fn schema() -> CodecSchema {
        C::schema()
    }

    #[inline]
    fn view(bytes: &[u8]) -> Result<Self::View<'_>> {
        C::view(bytes)
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<T> {
        C::decode(bytes)
    }

    fn resolve(previous: &CodecSchema) -> Compatibility {
        if *previous == C::schema() {
            return Compatibility::AsIs;
        }
        match OldC::resolve(previous) {
            Compatibility::AsIs | Compatibility::AfterMigration => Compatibility::AfterMigration,
            Compatibility::Incompatible(_) => C::resolve(previous),
        }
    }

    fn migrate(previous: &CodecSchema, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let old = if *previous == OldC::schema() {
            OldC::decode(bytes)?
        } else {
            let mut current = Vec::new();
            OldC::migrate(previous, bytes, &mut current)?;
            OldC::decode(&current)?
        };
        C::encode(&T::from(old), out)
    }
}
