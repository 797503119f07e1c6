//! `alluvium checkpoints copy`.

use alluvium_checkpoint::{ExportOptions, export};
use serde_json::json;

use super::{failed, kind, open, storage, title};
use crate::cli::args::CopyArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::cli::progress::Reading;
use crate::cli::table::{grouped, size};

/// Copies a checkpoint or savepoint out.
///
/// # Errors
/// Why it cannot be read, or the copy not be written.
pub(in crate::cli) fn copy(args: &CopyArgs) -> Result<(), Failure> {
    let reading = Reading::new();
    let point = open(&args.pointer, &args.storage, &reading)?;
    let mut options = ExportOptions::default();
    options.links = !args.no_links;
    reading.begin(&format!("copying {}", title(&point)));
    let copied = export(&point, &*storage(&args.storage)?, &args.target, &options);
    reading.finish();
    let copied = copied.map_err(|error| failed(&error))?;
    let metadata = point.metadata();
    if args.json {
        let result = json!({
            "pointer": copied.pointer,
            "kind": kind(metadata.kind),
            "id": metadata.checkpoint.get(),
            "job": metadata.job,
            "files": copied.files,
            "bytes": copied.bytes,
        });
        return print::text(&format!("{result}\n"));
    }
    print::text(&format!(
        "copied {} to {}: {} files of {} beside the metadata\n",
        title(&point),
        copied.pointer,
        grouped(copied.files),
        size(copied.bytes),
    ))
}
