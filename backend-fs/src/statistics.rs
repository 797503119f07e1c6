//! [`FsStatistics`]: figures about a store that only this backend has.

use crate::layer::Layer;
use crate::store::FsStore;

/// What a store consists of at the moment, and what its background work has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsStatistics {
    /// Segments.
    pub segments: u64,
    /// Segments of the key group that has most.
    pub deepest: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Bytes of those that are mapped.
    pub mapped_bytes: u64,
    /// Bytes of memory of the write layer, with the part that is being written.
    pub layer_bytes: u64,
    /// Bytes of memory for values that were read lately.
    pub read_cache_bytes: u64,
    /// Reads of segments that found their value there.
    pub read_cache_hits: u64,
    /// Those that did not.
    pub read_cache_misses: u64,
    /// Bytes of memory for directories, marks of verified blocks, what is noted of small sections, and the block cache.
    pub index_bytes: u64,
    /// Blocks that were found in the block cache (`pread` only).
    pub cache_hits: u64,
    /// Blocks that had to be read (`pread` only).
    pub cold_reads: u64,
    /// Layers that were written as segments.
    pub spills: u64,
    /// Bytes of these.
    pub spilled_bytes: u64,
    /// Merges.
    pub merges: u64,
    /// Bytes that merges wrote.
    pub merged_bytes: u64,
    /// Bytes that were read and verified in the background since the restore, with
    /// [`FsOptions::hydrate`](crate::FsOptions::hydrate).
    pub hydrated_bytes: u64,
}

impl FsStatistics {
    /// Bytes that were written to segments for each byte that was written once: 1 without merges.
    pub fn write_amplification(&self) -> f64 {
        if self.spilled_bytes == 0 {
            return 1.0;
        }
        let all = self.spilled_bytes.saturating_add(self.merged_bytes);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = all as f64 / self.spilled_bytes as f64;
        ratio
    }
}

impl FsStore {
    /// Figures about segments and background work. Costs a step per segment.
    pub fn fs_statistics(&self) -> FsStatistics {
        let (cache_hits, cold_reads) = self.cache.hits_and_misses();
        let (read_cache_hits, read_cache_misses) = self.reads.hits_and_misses();
        let mut statistics = FsStatistics {
            deepest: self.segments.deepest() as u64,
            layer_bytes: self.layer.memory_bytes()
                + self.sealed.as_ref().map_or(0, Layer::memory_bytes),
            read_cache_bytes: self.reads.held_bytes(),
            read_cache_hits,
            read_cache_misses,
            index_bytes: self.cache.held_bytes() + self.segments.joint_bytes(),
            cache_hits,
            cold_reads,
            hydrated_bytes: self.background.hydrated_bytes(),
            ..self.background.figures
        };
        for member in self.segments.all() {
            let segment = member.segment();
            statistics.segments += 1;
            statistics.segment_bytes += segment.bytes();
            statistics.index_bytes += segment.kept_bytes();
            if segment.is_mapped() {
                statistics.mapped_bytes += segment.bytes();
            }
        }
        statistics
    }
}
