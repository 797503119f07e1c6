//! [`Native`] for `Option` and tuples.
//!
//! `Option`: one byte, 0 for `None` and 1 for `Some`, then the value; `None` sorts first. A tuple is
//! the key encodings of all fields but the last, then the last in the plain (or key) encoding, so
//! tuples sort by their fields in order.

use super::{Codec, Encode, EncodeKey, KeyCodec, Native, malformed, native_schema};
use crate::Result;
use crate::schema::CodecSchema;

impl<T> Encode<Option<T>> for Native
where
    Native: Encode<T>,
{
    #[inline]
    fn encode(value: &Option<T>, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(value.is_some()));
        value.as_ref().map_or(Ok(()), |value| <Self as Encode<T>>::encode(value, out))
    }
}

impl<T> EncodeKey<Option<T>> for Native
where
    Native: EncodeKey<T>,
{
    #[inline]
    fn encode_key(value: &Option<T>, out: &mut Vec<u8>) -> Result<()> {
        out.push(u8::from(value.is_some()));
        value.as_ref().map_or(Ok(()), |value| <Self as EncodeKey<T>>::encode_key(value, out))
    }
}

impl<T> Codec<Option<T>> for Native
where
    Native: Codec<T>,
{
    type View<'a> = Option<<Native as Codec<T>>::View<'a>>;

    fn schema() -> CodecSchema {
        native_schema(format!("{}?", <Native as Codec<T>>::schema().shape).into(), None)
    }

    fn view(bytes: &[u8]) -> Result<Self::View<'_>> {
        match bytes.split_first() {
            Some((0, [])) => Ok(None),
            Some((1, value)) => <Native as Codec<T>>::view(value).map(Some),
            _ => Err(malformed("an option", bytes.len())),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Option<T>> {
        match bytes.split_first() {
            Some((0, [])) => Ok(None),
            Some((1, value)) => <Native as Codec<T>>::decode(value).map(Some),
            _ => Err(malformed("an option", bytes.len())),
        }
    }
}

impl<T> KeyCodec<Option<T>> for Native
where
    Native: KeyCodec<T>,
{
    fn key_schema() -> CodecSchema {
        native_schema(format!("{}?", <Native as KeyCodec<T>>::key_schema().shape).into(), None)
    }

    fn decode_key(bytes: &[u8]) -> Result<(Option<T>, &[u8])> {
        match bytes.split_first() {
            Some((0, rest)) => Ok((None, rest)),
            Some((1, rest)) => {
                let (value, rest) = <Native as KeyCodec<T>>::decode_key(rest)?;
                Ok((Some(value), rest))
            }
            _ => Err(malformed("an option", bytes.len())),
        }
    }
}

fn tuple_schema(fields: &[CodecSchema]) -> CodecSchema {
    let shapes: Vec<&str> = fields.iter().map(|field| &*field.shape).collect();
    let width = fields.iter().try_fold(0u32, |sum, field| sum.checked_add(field.width?));
    native_schema(format!("({})", shapes.join(",")).into(), width)
}

macro_rules! tuple {
    ($($field:ident $value:ident),*; $last:ident $last_value:ident) => {
        impl<$($field,)* $last> Encode<($($field,)* $last,)> for Native
        where
            $(Native: EncodeKey<$field>,)*
            Native: Encode<$last>,
        {
            #[inline]
            fn encode(value: &($($field,)* $last,), out: &mut Vec<u8>) -> Result<()> {
                let ($($value,)* $last_value,) = value;
                $(<Self as EncodeKey<$field>>::encode_key($value, out)?;)*
                <Self as Encode<$last>>::encode($last_value, out)
            }
        }

        impl<$($field,)* $last> EncodeKey<($($field,)* $last,)> for Native
        where
            $(Native: EncodeKey<$field>,)*
            Native: EncodeKey<$last>,
        {
            #[inline]
            fn encode_key(value: &($($field,)* $last,), out: &mut Vec<u8>) -> Result<()> {
                let ($($value,)* $last_value,) = value;
                $(<Self as EncodeKey<$field>>::encode_key($value, out)?;)*
                <Self as EncodeKey<$last>>::encode_key($last_value, out)
            }
        }

        impl<$($field,)* $last> Codec<($($field,)* $last,)> for Native
        where
            $(Native: KeyCodec<$field>,)*
            Native: Codec<$last>,
        {
            type View<'a> = ($($field,)* <Native as Codec<$last>>::View<'a>,);

            fn schema() -> CodecSchema {
                tuple_schema(&[
                    $(<Native as KeyCodec<$field>>::key_schema(),)*
                    <Native as Codec<$last>>::schema(),
                ])
            }

            fn view(bytes: &[u8]) -> Result<Self::View<'_>> {
                let rest = bytes;
                $(let ($value, rest) = <Native as KeyCodec<$field>>::decode_key(rest)?;)*
                Ok(($($value,)* <Native as Codec<$last>>::view(rest)?,))
            }

            fn decode(bytes: &[u8]) -> Result<($($field,)* $last,)> {
                let rest = bytes;
                $(let ($value, rest) = <Native as KeyCodec<$field>>::decode_key(rest)?;)*
                Ok(($($value,)* <Native as Codec<$last>>::decode(rest)?,))
            }
        }

        impl<$($field,)* $last> KeyCodec<($($field,)* $last,)> for Native
        where
            $(Native: KeyCodec<$field>,)*
            Native: KeyCodec<$last>,
        {
            fn key_schema() -> CodecSchema {
                tuple_schema(&[
                    $(<Native as KeyCodec<$field>>::key_schema(),)*
                    <Native as KeyCodec<$last>>::key_schema(),
                ])
            }

            fn decode_key(bytes: &[u8]) -> Result<(($($field,)* $last,), &[u8])> {
                let rest = bytes;
                $(let ($value, rest) = <Native as KeyCodec<$field>>::decode_key(rest)?;)*
                let ($last_value, rest) = <Native as KeyCodec<$last>>::decode_key(rest)?;
                Ok((($($value,)* $last_value,), rest))
            }
        }
    };
}

tuple!(A a; B b);
tuple!(A a, B b; C c);
tuple!(A a, B b, C c; D d);
