//! Descriptors: const, typed definitions of states; and the handles that opening them yields.
//!
//! A descriptor is data: a name, types, a size limit. [`KeyedBackend::open`](crate::KeyedBackend::open)
//! registers it with the store and returns a handle, which is `Copy`, typed, and belongs to that one
//! backend. A state that is kept per window or other namespace says so in its type, so that using it
//! without one does not compile.
//!
//! ```
//! use alluvium_state_api::codec::{Native, Postcard};
//! use alluvium_state_api::{
//!     InNamespace, ListDescriptor, MapDescriptor, ReducingDescriptor, ValueDescriptor,
//! };
//!
//! const COUNT: ValueDescriptor<u64> = ValueDescriptor::new("count");
//! const TOTAL: ReducingDescriptor<i64> = ReducingDescriptor::new("total", |a, b| a + b);
//! const PAGES: MapDescriptor<String, u32> = MapDescriptor::new("pages").with_size_limit(1 << 20);
//! // serde types choose their codec in the type; windowed states name the window's type
//! const TAGS: ValueDescriptor<Vec<String>, Postcard> = ValueDescriptor::new("tags").with_codec();
//! const SEEN: ListDescriptor<u64, Native, InNamespace<i64>> =
//!     ListDescriptor::new("seen").in_namespace();
//! ```

use std::marker::PhantomData;

use crate::codec::{Codec, KeyCodec, Native};
use crate::schema::{CodecSchema, Compatibility, DEFAULT_SIZE_LIMIT, StateKind, StateMeta};
use crate::state::Aggregate;
use crate::{Result, Slot};

/// Where a state's namespaces come from: [`NoNamespace`] or [`InNamespace`].
pub trait NamespaceSpec: 'static {
    /// The namespace's codec, if there are namespaces.
    fn schema() -> Option<CodecSchema>;
}

/// The state is kept per key alone.
#[derive(Clone, Copy, Debug)]
pub enum NoNamespace {}

impl NamespaceSpec for NoNamespace {
    fn schema() -> Option<CodecSchema> {
        None
    }
}

/// The state is kept per key and namespace `W` (a window, say), encoded by `C`.
#[derive(Clone, Copy, Debug)]
pub struct InNamespace<W, C = Native>(PhantomData<fn() -> (W, C)>);

impl<W: 'static, C: KeyCodec<W>> NamespaceSpec for InNamespace<W, C> {
    fn schema() -> Option<CodecSchema> {
        Some(C::key_schema())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A definition of a state; see the module's page. Sealed: the kinds of state are fixed.
pub trait Descriptor: sealed::Sealed {
    /// What opening it yields.
    type Handle: Copy;

    /// The description that stores and snapshots see.
    fn meta(&self) -> StateMeta;

    /// May values that were written under `previous` be used?
    fn resolve(&self, previous: &CodecSchema) -> Compatibility;

    /// Rewrites one value from `previous`.
    ///
    /// # Errors
    /// As [`Codec::migrate`].
    fn migrate(&self, previous: &CodecSchema, bytes: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// The handle for the slot that the store assigned.
    fn bind(&self, token: StateToken) -> Self::Handle;
}

/// A slot and the backend that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateToken {
    pub(crate) slot: Slot,
    pub(crate) backend: u32,
}

macro_rules! descriptor {
    (
        $(#[$doc:meta])*
        $descriptor:ident / $handle:ident <$($type:ident),+; $($codec:ident),+> $kind:ident
        where { $($bound:tt)* }
        value { $value:ty }
        map_key { $map_key:expr }
        extra { $($extra:ident: $extra_type:ty = $extra_default:expr),* }
        new($($argument:ident: $argument_type:ty),*)
    ) => {
        $(#[$doc])*
        pub struct $descriptor<$($type,)+ $($codec = Native,)+ N = NoNamespace> {
            name: &'static str,
            size_limit: u64,
            $($extra: $extra_type,)*
            types: PhantomData<fn() -> ($($type,)+ $($codec,)+ N)>,
        }

        impl<$($type),+> $descriptor<$($type),+> {
            /// Defines a state with this name: 1 to 255 bytes, unique within its operator.
            ///
            /// # Panics
            /// If the name is empty or too long; at compile time where the descriptor is a `const`.
            #[must_use]
            pub const fn new(name: &'static str $(, $argument: $argument_type)*) -> Self {
                assert!(!name.is_empty() && name.len() <= 255, "a state name has 1 to 255 bytes");
                Self { name, size_limit: DEFAULT_SIZE_LIMIT, $($extra: $extra_default,)* types: PhantomData }
            }
        }

        impl<$($type,)+ $($codec,)+ N> $descriptor<$($type,)+ $($codec,)+ N> {
            /// The state's name.
            pub const fn name(&self) -> &'static str {
                self.name
            }

            /// Limits the size of an entry, in bytes; 2^31 - 1 by default.
            #[must_use]
            pub const fn with_size_limit(mut self, bytes: u64) -> Self {
                self.size_limit = bytes;
                self
            }

            /// Keeps the state per key and namespace; the type follows from the annotation.
            #[must_use]
            pub const fn in_namespace<W, NC>(self) -> $descriptor<$($type,)+ $($codec,)+ InNamespace<W, NC>> {
                $descriptor {
                    name: self.name, size_limit: self.size_limit, $($extra: self.$extra,)*
                    types: PhantomData,
                }
            }
        }

        impl<$($type,)+ $($codec,)+ N> Clone for $descriptor<$($type,)+ $($codec,)+ N> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($type,)+ $($codec,)+ N> Copy for $descriptor<$($type,)+ $($codec,)+ N> {}

        impl<$($type,)+ $($codec,)+ N> std::fmt::Debug for $descriptor<$($type,)+ $($codec,)+ N> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($descriptor), self.name)
            }
        }

        #[doc = concat!("An opened [`", stringify!($descriptor), "`]: `Copy`, and bound to one backend.")]
        pub struct $handle<$($type,)+ $($codec = Native,)+ N = NoNamespace> {
            pub(crate) token: StateToken,
            $(pub(crate) $extra: $extra_type,)*
            types: PhantomData<fn() -> ($($type,)+ $($codec,)+ N)>,
        }

        impl<$($type,)+ $($codec,)+ N> Clone for $handle<$($type,)+ $($codec,)+ N> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($type,)+ $($codec,)+ N> Copy for $handle<$($type,)+ $($codec,)+ N> {}

        impl<$($type,)+ $($codec,)+ N> std::fmt::Debug for $handle<$($type,)+ $($codec,)+ N> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($handle), self.token)
            }
        }

        impl<$($type,)+ $($codec,)+ N> AnyHandle for $handle<$($type,)+ $($codec,)+ N> {
            type Namespace = N;

            fn token(&self) -> StateToken {
                self.token
            }
        }

        impl<$($type,)+ $($codec,)+ N> sealed::Sealed for $descriptor<$($type,)+ $($codec,)+ N> {}

        impl<$($type,)+ $($codec,)+ N: NamespaceSpec> Descriptor for $descriptor<$($type,)+ $($codec,)+ N>
        where
            $($bound)*
        {
            type Handle = $handle<$($type,)+ $($codec,)+ N>;

            fn meta(&self) -> StateMeta {
                StateMeta {
                    name: self.name.into(),
                    kind: StateKind::$kind,
                    namespace: N::schema(),
                    map_key: $map_key,
                    value: <C as Codec<$value>>::schema(),
                    size_limit: self.size_limit,
                    stamped: false,
                }
            }

            fn resolve(&self, previous: &CodecSchema) -> Compatibility {
                <C as Codec<$value>>::resolve(previous)
            }

            fn migrate(&self, previous: &CodecSchema, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
                <C as Codec<$value>>::migrate(previous, bytes, out)
            }

            fn bind(&self, token: StateToken) -> Self::Handle {
                $handle { token, $($extra: self.$extra,)* types: PhantomData }
            }
        }
    };
}

/// Any opened state.
pub trait AnyHandle: Copy {
    /// Its namespaces.
    type Namespace;

    /// Its slot and backend.
    fn token(&self) -> StateToken;
}

descriptor! {
    /// Defines a state with one value of type `V` per key.
    ValueDescriptor / ValueHandle <V; C> Value
    where { C: Codec<V>, }
    value { V }
    map_key { None }
    extra { default: Option<fn() -> V> = None }
    new()
}

descriptor! {
    /// Defines a state with a list of elements of type `T` per key.
    ListDescriptor / ListHandle <T; C> List
    where { C: Codec<T>, }
    value { T }
    map_key { None }
    extra {}
    new()
}

descriptor! {
    /// Defines a state into whose one value of type `V` others are folded by a function.
    ReducingDescriptor / ReducingHandle <V; C> Reducing
    where { C: Codec<V>, }
    value { V }
    map_key { None }
    extra { reduce: fn(V, V) -> V = reduce }
    new(reduce: fn(V, V) -> V)
}

descriptor! {
    /// Defines a state into whose accumulator inputs are folded by the [`Aggregate`] `A`.
    AggregatingDescriptor / AggregatingHandle <A; C> Aggregating
    where { A: Aggregate, C: Codec<A::Accumulator>, }
    value { A::Accumulator }
    map_key { None }
    extra {}
    new()
}

descriptor! {
    /// Defines a state with a map from `UK` to `V` per key, ordered by the bytes of its keys.
    MapDescriptor / MapHandle <UK, V; CK, C> Map
    where { CK: Codec<UK>, C: Codec<V>, }
    value { V }
    map_key { Some(<CK as Codec<UK>>::schema()) }
    extra {}
    new()
}

impl<V, C, N> ValueDescriptor<V, C, N> {
    /// Makes `default()` what an empty state reads as; a fresh value at each read.
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> V) -> Self {
        self.default = Some(default);
        self
    }
}

macro_rules! with_codec {
    ($($descriptor:ident <$type:ident> { $($extra:ident),* };)*) => {
        $(impl<$type, C, N> $descriptor<$type, C, N> {
            /// Encodes values with another codec; its type follows from the annotation.
            #[must_use]
            pub const fn with_codec<C2>(self) -> $descriptor<$type, C2, N> {
                $descriptor {
                    name: self.name, size_limit: self.size_limit, $($extra: self.$extra,)*
                    types: PhantomData,
                }
            }
        })*
    };
}

with_codec! {
    ValueDescriptor<V> { default };
    ListDescriptor<T> {};
    ReducingDescriptor<V> { reduce };
    AggregatingDescriptor<A> {};
}

impl<UK, V, CK, C, N> MapDescriptor<UK, V, CK, C, N> {
    /// Encodes map keys and values with other codecs; their types follow from the annotation.
    #[must_use]
    pub const fn with_codecs<CK2, C2>(self) -> MapDescriptor<UK, V, CK2, C2, N> {
        MapDescriptor { name: self.name, size_limit: self.size_limit, types: PhantomData }
    }
}
