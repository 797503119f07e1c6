//! The part of the table that writer and snapshot share.

#![expect(dead_code, reason = "lock and tickets need no more of it")]

#[path = "../../../backend-memory/src/table/block.rs"]
mod block;
#[path = "../../../backend-memory/src/table/cell.rs"]
mod cell;
#[path = "../../../backend-memory/src/table/hash.rs"]
mod hash;
#[path = "../../../backend-memory/src/table/hints.rs"]
#[expect(unreachable_pub, reason = "the backend offers them to others")]
mod hints;
#[path = "../../../backend-memory/src/table/image.rs"]
mod image;
#[path = "../../../backend-memory/src/table/key.rs"]
mod key;
#[path = "../../../backend-memory/src/table/lock.rs"]
mod lock;
#[path = "models.rs"]
pub(crate) mod models;
#[path = "../../../backend-memory/src/table/order.rs"]
mod order;
#[path = "../../../backend-memory/src/table/pool.rs"]
mod pool;
#[path = "../../../backend-memory/src/table/raw.rs"]
mod raw;
#[path = "../../../backend-memory/src/table/records.rs"]
mod records;
#[path = "../../../backend-memory/src/table/regions.rs"]
mod regions;
#[path = "../../../backend-memory/src/table/shard.rs"]
mod shard;
#[path = "../../../backend-memory/src/table/span.rs"]
mod span;
#[path = "../../../backend-memory/src/table/tags.rs"]
#[expect(unreachable_pub, reason = "the backend offers one to others")]
mod tags;
#[path = "../../../backend-memory/src/table/tombs.rs"]
mod tombs;
#[path = "../../../backend-memory/src/table/view.rs"]
mod view;
#[path = "../../../backend-memory/src/table/words.rs"]
mod words;

/// Counts snapshots of a table.
pub(crate) type Epoch = u32;
