//! State files without a disk: encoding, decoding, verifying; and the codecs of single values.

use std::hint::black_box;
use std::sync::Arc;

use alluvium_benches::Outcome;
use alluvium_benches::subject::Subject;
use alluvium_state_api::codec::{Codec, Encode, EncodeKey, KeyCodec, Native};
use alluvium_state_api::format::StateFile;
use alluvium_state_api::random::OsRandomness;
use alluvium_state_api::snapshot::{
    CancelToken, FileName, KeyedSnapshot, Progress, SnapshotContext, SnapshotKind, SnapshotRequest,
};
use alluvium_state_api::storage::CheckpointStorage;
use alluvium_state_api::storage::memory::MemoryStorage;
use alluvium_state_api::{CheckpointId, Result};
use criterion::{Criterion, Throughput};

const KEYS: u64 = 100_000;

fn take(
    subject: &mut Subject<alluvium_backend_memory::MemoryStore>,
    storage: &MemoryStorage,
    (number, kind): (u64, SnapshotKind),
) -> Result<KeyedSnapshot> {
    let id = CheckpointId::new(number);
    let attempt = storage.begin(id)?;
    let (cancel, progress, sink) = (CancelToken::default(), Progress::default(), attempt.sink());
    let context = SnapshotContext { sink: &*sink, cancel: &cancel, progress: &progress };
    let snapshot = subject.backend.snapshot_now(&SnapshotRequest::new(id, kind), context)?;
    attempt.abort()?;
    Ok(snapshot)
}

fn state_files(criterion: &mut Criterion) -> Outcome<()> {
    let mut subject = Subject::memory(KEYS)?;
    let storage = MemoryStorage::new(FileName::new("codec")?, Arc::new(OsRandomness))
        .with_limit_bytes(1 << 30);
    let mut last = 0;
    let mut group = criterion.benchmark_group("codec/state-file");
    group.throughput(Throughput::Elements(KEYS)).sample_size(20);
    let forms = [(SnapshotKind::Full, "own"), (SnapshotKind::Canonical, "canonical")];
    for (kind, form) in forms {
        group.bench_function(format!("encode-{form}"), |bench| {
            bench.iter(|| {
                last += 1;
                take(&mut subject, &storage, (last, kind)).map(|snapshot| snapshot.bytes_new)
            });
        });
        last += 1;
        let snapshot = take(&mut subject, &storage, (last, kind))?;
        let file = snapshot.files.first().ok_or("a snapshot of something has a file")?;
        let source = storage.source(CheckpointId::new(last));
        let file = StateFile::open(source.open(file)?.into(), "bench")?;
        group.bench_function(format!("decode-{form}"), |bench| {
            bench.iter(|| {
                let (mut blocks, mut records) = (file.blocks_where(|_| true), 0u64);
                while let Some(block) = blocks.next_block()? {
                    records += block.records().map(black_box).count() as u64;
                }
                Result::<u64>::Ok(records)
            });
        });
        group.bench_function(format!("verify-{form}"), |bench| bench.iter(|| file.verify()));
    }
    group.finish();
    Ok(())
}

fn values(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("codec/native");
    group.throughput(Throughput::Elements(1));
    let (mut out, text) = (Vec::new(), "a key of 24 characters..");
    group.bench_function("u64-encode", |bench| {
        bench.iter(|| {
            out.clear();
            <Native as Encode<u64>>::encode(&black_box(7), &mut out)
        });
    });
    group.bench_function("u64-decode", |bench| {
        bench.iter(|| <Native as Codec<u64>>::decode(black_box(&[0, 0, 0, 0, 0, 0, 0, 7])));
    });
    group.bench_function("string-encode-key", |bench| {
        bench.iter(|| {
            out.clear();
            <Native as EncodeKey<str>>::encode_key(black_box(text), &mut out)
        });
    });
    let mut encoded = Vec::new();
    <Native as EncodeKey<str>>::encode_key(text, &mut encoded)?;
    group.bench_function("string-decode-key", |bench| {
        bench.iter(|| {
            let decoded = <Native as KeyCodec<String>>::decode_key(black_box(&encoded));
            decoded.map(|(text, rest)| text.len() + rest.len())
        });
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]
fn all(criterion: &mut Criterion) {
    state_files(criterion).expect("state files are written and read");
    values(criterion).expect("values are encoded");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    all(&mut criterion);
    criterion.final_summary();
}
