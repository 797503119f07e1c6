//! [`Native`] for types of fixed width: integers, floats, `bool`, `char`, `()`, byte arrays.
//!
//! Layout: big-endian with the sign bit flipped, so that unsigned byte order is numeric order. Floats
//! follow IEEE 754 total order (-NaN < -inf < ... < -0.0 < 0.0 < ... < inf < NaN): all bits flipped
//! where negative, otherwise the sign bit. `bool` is 0 or 1, `char` its code point in 4 bytes.
//! Fixed width makes the plain and the key encoding the same.

use super::{Codec, Encode, EncodeKey, KeyCodec, Native, ShortKey, malformed, native_schema};
use crate::Result;
use crate::schema::CodecSchema;

macro_rules! fixed_width {
    ($($type:ty, $shape:literal, $width:literal,
        $value:ident => $to_bytes:expr, $bytes:ident => $from_bytes:expr;)*) => {$(
        impl Encode<$type> for Native {
            #[inline]
            fn encode($value: &$type, out: &mut Vec<u8>) -> Result<()> {
                let $value = *$value;
                out.extend_from_slice(&$to_bytes);
                Ok(())
            }

            #[inline]
            fn short($value: &$type) -> Option<ShortKey> {
                let $value = *$value;
                ShortKey::new(&$to_bytes)
            }
        }

        impl EncodeKey<$type> for Native {
            #[inline]
            fn encode_key(value: &$type, out: &mut Vec<u8>) -> Result<()> {
                <Self as Encode<$type>>::encode(value, out)
            }

            #[inline]
            fn short_key(value: &$type) -> Option<ShortKey> {
                <Self as Encode<$type>>::short(value)
            }
        }

        impl Codec<$type> for Native {
            type View<'a> = $type;

            fn schema() -> CodecSchema {
                native_schema($shape.into(), Some($width))
            }

            #[inline]
            fn view(bytes: &[u8]) -> Result<$type> {
                <Self as Codec<$type>>::decode(bytes)
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<$type> {
                let decoded = <[u8; $width]>::try_from(bytes).ok().and_then(|$bytes| $from_bytes);
                decoded.ok_or_else(|| malformed($shape, bytes.len()))
            }
        }

        impl KeyCodec<$type> for Native {
            fn key_schema() -> CodecSchema {
                <Self as Codec<$type>>::schema()
            }

            fn decode_key(bytes: &[u8]) -> Result<($type, &[u8])> {
                let Some((head, rest)) = bytes.split_at_checked($width) else {
                    return Err(malformed($shape, bytes.len()));
                };
                Ok((<Self as Codec<$type>>::decode(head)?, rest))
            }
        }
    )*};
}

fixed_width! {
    u8, "u8", 1, value => [value], bytes => Some(bytes[0]);
    u16, "u16", 2, value => value.to_be_bytes(), bytes => Some(u16::from_be_bytes(bytes));
    u32, "u32", 4, value => value.to_be_bytes(), bytes => Some(u32::from_be_bytes(bytes));
    u64, "u64", 8, value => value.to_be_bytes(), bytes => Some(u64::from_be_bytes(bytes));
    u128, "u128", 16, value => value.to_be_bytes(), bytes => Some(u128::from_be_bytes(bytes));
    i8, "i8", 1, value => (value ^ i8::MIN).to_be_bytes(), bytes => Some(i8::from_be_bytes(bytes) ^ i8::MIN);
    i16, "i16", 2, value => (value ^ i16::MIN).to_be_bytes(), bytes => Some(i16::from_be_bytes(bytes) ^ i16::MIN);
    i32, "i32", 4, value => (value ^ i32::MIN).to_be_bytes(), bytes => Some(i32::from_be_bytes(bytes) ^ i32::MIN);
    i64, "i64", 8, value => (value ^ i64::MIN).to_be_bytes(), bytes => Some(i64::from_be_bytes(bytes) ^ i64::MIN);
    i128, "i128", 16, value => (value ^ i128::MIN).to_be_bytes(), bytes => Some(i128::from_be_bytes(bytes) ^ i128::MIN);
    f32, "f32", 4, value => sort_f32(value.to_bits()).to_be_bytes(), bytes => Some(f32::from_bits(unsort_f32(u32::from_be_bytes(bytes))));
    f64, "f64", 8, value => sort_f64(value.to_bits()).to_be_bytes(), bytes => Some(f64::from_bits(unsort_f64(u64::from_be_bytes(bytes))));
    bool, "bool", 1, value => [u8::from(value)], bytes => match bytes[0] { 0 => Some(false), 1 => Some(true), _ => None };
    char, "char", 4, value => u32::from(value).to_be_bytes(), bytes => char::from_u32(u32::from_be_bytes(bytes));
}

const SIGN_32: u32 = 1 << 31;
const SIGN_64: u64 = 1 << 63;

const fn sort_f32(bits: u32) -> u32 {
    if bits & SIGN_32 == 0 { bits | SIGN_32 } else { !bits }
}

const fn unsort_f32(bits: u32) -> u32 {
    if bits & SIGN_32 == 0 { !bits } else { bits & !SIGN_32 }
}

const fn sort_f64(bits: u64) -> u64 {
    if bits & SIGN_64 == 0 { bits | SIGN_64 } else { !bits }
}

const fn unsort_f64(bits: u64) -> u64 {
    if bits & SIGN_64 == 0 { !bits } else { bits & !SIGN_64 }
}

impl Encode<()> for Native {
    #[inline]
    fn encode((): &(), _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

impl EncodeKey<()> for Native {
    #[inline]
    fn encode_key((): &(), _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

impl Codec<()> for Native {
    type View<'a> = ();

    fn schema() -> CodecSchema {
        native_schema("()".into(), Some(0))
    }

    fn view(bytes: &[u8]) -> Result<()> {
        <Self as Codec<()>>::decode(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() { Ok(()) } else { Err(malformed("()", bytes.len())) }
    }
}

impl KeyCodec<()> for Native {
    fn key_schema() -> CodecSchema {
        <Self as Codec<()>>::schema()
    }

    fn decode_key(bytes: &[u8]) -> Result<((), &[u8])> {
        Ok(((), bytes))
    }
}

impl<const N: usize> Encode<[u8; N]> for Native {
    #[inline]
    fn encode(value: &[u8; N], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(value);
        Ok(())
    }
}

impl<const N: usize> EncodeKey<[u8; N]> for Native {
    #[inline]
    fn encode_key(value: &[u8; N], out: &mut Vec<u8>) -> Result<()> {
        <Self as Encode<[u8; N]>>::encode(value, out)
    }
}

impl<const N: usize> Codec<[u8; N]> for Native {
    type View<'a> = &'a [u8; N];

    fn schema() -> CodecSchema {
        native_schema(format!("[u8;{N}]").into(), u32::try_from(N).ok())
    }

    #[inline]
    fn view(bytes: &[u8]) -> Result<&[u8; N]> {
        bytes.try_into().map_err(|_wrong_length| malformed("a byte array", bytes.len()))
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<[u8; N]> {
        <Self as Codec<[u8; N]>>::view(bytes).copied()
    }
}

impl<const N: usize> KeyCodec<[u8; N]> for Native {
    fn key_schema() -> CodecSchema {
        <Self as Codec<[u8; N]>>::schema()
    }

    fn decode_key(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
        let Some((head, rest)) = bytes.split_first_chunk::<N>() else {
            return Err(malformed("a byte array", bytes.len()));
        };
        Ok((*head, rest))
    }
}
