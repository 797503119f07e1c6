//! [`Native`] for strings and bytes.
//!
//! Plain: the bytes as they are, so that reading borrows them and they sort as bytes. Key: every 0x00
//! becomes 0x00 0xFF and 0x00 0x00 ends the key; that is prefix-free and keeps the order.

use super::{Codec, Encode, EncodeKey, KeyCodec, Native, malformed, native_schema};
use crate::Result;
use crate::schema::CodecSchema;

fn encode_terminated(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        let (head, tail) = rest.split_at(zero + 1);
        out.extend_from_slice(head);
        out.push(0xff);
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// The unescaped bytes up to the terminator, and what follows it.
fn decode_terminated<'a>(bytes: &'a [u8], shape: &str) -> Result<(Vec<u8>, &'a [u8])> {
    let (mut value, mut rest) = (Vec::new(), bytes);
    loop {
        let zero = rest.iter().position(|byte| *byte == 0);
        let (Some(zero), Some(mark)) = (zero, zero.and_then(|zero| rest.get(zero + 1))) else {
            return Err(malformed(shape, bytes.len()));
        };
        value.extend_from_slice(rest.get(..zero).unwrap_or_default());
        rest = rest.get(zero + 2..).unwrap_or_default();
        match mark {
            0 => return Ok((value, rest)),
            0xff => value.push(0),
            _ => return Err(malformed(shape, bytes.len())),
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_invalid| malformed("str", bytes.len()))
}

macro_rules! text {
    ($($owned:ty, $borrowed:ty, $shape:literal, $view:expr, $from_vec:expr;)*) => {$(
        impl Encode<$owned> for Native {
            #[inline]
            fn encode(value: &$owned, out: &mut Vec<u8>) -> Result<()> {
                <Self as Encode<$borrowed>>::encode(value, out)
            }
        }

        impl EncodeKey<$owned> for Native {
            #[inline]
            fn encode_key(value: &$owned, out: &mut Vec<u8>) -> Result<()> {
                <Self as EncodeKey<$borrowed>>::encode_key(value, out)
            }
        }

        impl Codec<$owned> for Native {
            type View<'a> = &'a $borrowed;

            fn schema() -> CodecSchema {
                native_schema($shape.into(), None)
            }

            #[inline]
            fn view(bytes: &[u8]) -> Result<&$borrowed> {
                $view(bytes)
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<$owned> {
                <Self as Codec<$owned>>::view(bytes).map(Into::into)
            }
        }

        impl KeyCodec<$owned> for Native {
            fn key_schema() -> CodecSchema {
                native_schema(concat!($shape, "+0").into(), None)
            }

            fn decode_key(bytes: &[u8]) -> Result<($owned, &[u8])> {
                let (value, rest) = decode_terminated(bytes, $shape)?;
                Ok(($from_vec(value)?, rest))
            }
        }
    )*};
}

macro_rules! text_borrowed {
    ($($borrowed:ty, $value:ident => $as_bytes:expr;)*) => {$(
        impl Encode<$borrowed> for Native {
            #[inline]
            fn encode($value: &$borrowed, out: &mut Vec<u8>) -> Result<()> {
                out.extend_from_slice($as_bytes);
                Ok(())
            }
        }

        impl EncodeKey<$borrowed> for Native {
            #[inline]
            fn encode_key($value: &$borrowed, out: &mut Vec<u8>) -> Result<()> {
                encode_terminated($as_bytes, out);
                Ok(())
            }
        }
    )*};
}

text_borrowed! {
    str, value => value.as_bytes();
    [u8], value => value;
}

fn string_of(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| malformed("str", error.as_bytes().len()))
}

text! {
    String, str, "str", utf8, string_of;
    Box<str>, str, "str", utf8, |bytes| string_of(bytes).map(String::into_boxed_str);
    Vec<u8>, [u8], "bytes", Ok, Ok;
    Box<[u8]>, [u8], "bytes", Ok, |bytes: Vec<u8>| Ok(bytes.into_boxed_slice());
}
