//! Damaged and hostile files: every flip, cut and extension is noticed, and nothing panics.

use proptest::prelude::*;

use super::lookups::with_lookups;
use super::model::{
    Content, How, Numbers, bytes_of, options, random_content, random_spec, read, repetitive, write,
};
use crate::ErrorKind;
use crate::format::checksum::{crc32c, crc32c_of};
use crate::format::{BufferReader, FileForm, StateFile, StateFileSpec, WriteOptions, compress};
use crate::snapshot::Compression;

fn small(seed: u64, form: FileForm, compression: Compression) -> (Vec<u8>, StateFileSpec, Content) {
    small_with(seed, form, options(compression))
}

fn small_with(
    seed: u64,
    form: FileForm,
    options: WriteOptions,
) -> (Vec<u8>, StateFileSpec, Content) {
    let mut numbers = Numbers(seed);
    loop {
        let spec = random_spec(&mut numbers, form);
        let content = repetitive(random_content(&mut numbers, &spec, 24, 30), &spec);
        if content.is_empty() {
            continue;
        }
        let ordered = form == FileForm::Canonical || options.lookups;
        let how = if ordered { How::Sequential } else { How::Scatter(4096) };
        let written = write(&content, &spec, how, options, seed).unwrap();
        return (bytes_of(&written), spec, content);
    }
}

fn samples() -> impl Iterator<Item = (Vec<u8>, StateFileSpec, Content)> {
    let forms = [FileForm::Full, FileForm::Increment, FileForm::Canonical];
    let all = forms.into_iter().flat_map(|form| Compression::ALL.map(|c| (form, c)));
    let plain = (0..).zip(all).map(|(seed, (form, compression))| small(seed, form, compression));
    let forms = [FileForm::Full, FileForm::Increment].into_iter();
    plain.chain((20..).zip(forms).map(|(seed, form)| small_with(seed, form, with_lookups())))
}

#[test]
fn samples_have_blocks_of_every_compression() {
    let mut seen = std::collections::BTreeSet::new();
    for (bytes, _, _) in samples() {
        seen.extend(parts(&bytes).1.iter().map(|(start, _)| bytes[start + 1]));
    }
    assert_eq!(seen.len(), Compression::ALL.len());
}

#[test]
fn every_flipped_byte_is_noticed() {
    for (bytes, _, _) in samples() {
        for (index, bit) in (0..bytes.len()).zip((0..8).cycle()) {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1 << bit;
            let error = read(&damaged).expect_err("a flip went unnoticed");
            let expected = [ErrorKind::Corrupted, ErrorKind::Unsupported];
            assert!(expected.contains(&error.kind()), "{error:?} at {index}");
            assert!(error.path().is_some(), "{error:?}");
        }
    }
}

#[test]
fn every_cut_and_extension_is_noticed() {
    for (bytes, _, _) in samples() {
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        for extension in [&[0][..], &[255; 40], &bytes] {
            let longer = [&bytes[..], extension].concat();
            assert_eq!(read(&longer).unwrap_err().kind(), ErrorKind::Corrupted);
        }
    }
}

/// Repairs all checksums of a file whose parts are where the undamaged `file` has them.
pub(super) fn reseal(
    bytes: &mut [u8],
    header_length: usize,
    blocks: &[(usize, usize)],
    index: (usize, usize),
) {
    let checksum = crc32c(&bytes[..header_length - 4]);
    bytes[header_length - 4..header_length].copy_from_slice(&checksum.to_le_bytes());
    for &(start, end) in blocks {
        let checksum = crc32c_of(&bytes[start..start + 20], &bytes[start + 24..end]);
        bytes[start + 20..start + 24].copy_from_slice(&checksum.to_le_bytes());
    }
    let checksum = crc32c(&bytes[index.0..index.1]);
    bytes[index.1 + 24..index.1 + 28].copy_from_slice(&checksum.to_le_bytes());
    let checksum = crc32c(&bytes[index.1..index.1 + 28]);
    bytes[index.1 + 28..index.1 + 32].copy_from_slice(&checksum.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where header, blocks and index are.
pub(super) fn parts(bytes: &[u8]) -> (usize, Vec<(usize, usize)>, (usize, usize)) {
    let header = u32_at(bytes, 12);
    let index_end = bytes.len() - 40;
    let index = u32_at(bytes, index_end);
    let mut blocks = Vec::new();
    let mut at = header;
    while at < index {
        let end = at + 24 + u32_at(bytes, at + 16);
        blocks.push((at, end));
        at = end;
    }
    (header, blocks, (index, index_end))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Checksums protect against accidents only: a liar repairs them.
    #[test]
    fn nothing_that_a_liar_writes_panics(seed in 0u64..40, lookups: bool, at: prop::sample::Index, byte: u8, more: prop::sample::Index) {
        let forms = [FileForm::Full, FileForm::Increment, FileForm::Canonical];
        let form = forms[(seed % if lookups { 2 } else { 3 }) as usize];
        let compression = Compression::ALL[(seed % 4) as usize];
        let options = if lookups { with_lookups() } else { options(compression) };
        let (mut bytes, _, _) = small_with(seed, form, options);
        let (header, blocks, index) = parts(&bytes);
        for at in [at, more] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        reseal(&mut bytes, header, &blocks, index);
        let _outcome = std::hint::black_box(StateFile::open(BufferReader::over(bytes), "x").and_then(|file| file.verify()));
    }

    #[test]
    fn any_bytes_are_decompressed_or_refused(stored in prop::collection::vec(any::<u8>(), 0..200), raw in 0usize..100_000, code in 0u8..4) {
        let mut out = Vec::new();
        if compress::decompress(compress::from_code(code).unwrap(), &stored, raw, &mut out).is_ok() {
            prop_assert_eq!(out.len(), raw);
        }
    }

    #[test]
    fn damaged_compressed_bytes_are_decompressed_or_refused(seed: u64, at: prop::sample::Index, byte: u8, code in 1u8..4) {
        let compression = compress::from_code(code).unwrap();
        let raw = Numbers(seed).bytes(300).repeat(10);
        let mut stored = Vec::new();
        prop_assert!(compress::compress(compression, &raw, &mut stored));
        let mut out = Vec::new();
        compress::decompress(compression, &stored, raw.len(), &mut out).unwrap();
        prop_assert_eq!(&out, &raw);
        let at = at.index(stored.len());
        stored[at] = byte;
        let _outcome = compress::decompress(compression, &stored, raw.len(), &mut out);
        for raw in [0, raw.len() - 1, raw.len() + 1] {
            let _outcome = compress::decompress(compression, &stored, raw, &mut out);
        }
    }
}

#[test]
fn bombs_are_refused_before_memory_is_taken() {
    let mut out = Vec::new();
    for code in 1..4 {
        let compression = compress::from_code(code).unwrap();
        for raw in [u32::MAX as usize, 1 << 30, 200 << 10] {
            let error = compress::decompress(compression, &[0; 12], raw, &mut out).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            assert_eq!(out.capacity(), 0);
        }
        // Zeros compress beyond the cap: the writer then leaves them as they are.
        for length in [64 << 10, 1 << 20, 8 << 20] {
            let zeros = vec![0; length];
            let mut stored = Vec::new();
            if compress::compress(compression, &zeros, &mut stored) {
                let mut raw = Vec::new();
                compress::decompress(compression, &stored, length, &mut raw).unwrap();
                assert!(raw == zeros);
            } else {
                assert_eq!((compression, length > 128 << 10), (Compression::Zstd, true));
            }
        }
    }
}

#[test]
fn wrong_counts_and_digests_are_noticed_behind_right_checksums() {
    for options in [options(Compression::None), with_lookups()] {
        wrong_numbers_are_noticed(small_with(7, FileForm::Full, options));
    }
}

fn wrong_numbers_are_noticed((bytes, spec, content): (Vec<u8>, StateFileSpec, Content)) {
    let (header, blocks, index) = parts(&bytes);
    let mut noticed = 0;
    for at in index.0..index.1 {
        for change in [1, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            reseal(&mut bytes, header, &blocks, index);
            match read(&bytes) {
                Ok(same) => assert_eq!(same, (spec.clone(), content.clone())),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupted);
                    noticed += 1;
                }
            }
        }
    }
    assert_eq!(noticed, 2 * (index.1 - index.0));
}

#[test]
fn unknown_features_and_versions_are_refused_as_unsupported() {
    let (bytes, _, _) = small(9, FileForm::Full, Compression::None);
    let (header, blocks, index) = parts(&bytes);
    for (at, value) in [(8, 2), (9, 1), (20, 1 << 3), (23, 0x80)] {
        let mut bytes = bytes.clone();
        bytes[at] |= value;
        if at == 8 {
            bytes[at] = value;
        }
        reseal(&mut bytes, header, &blocks, index);
        assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::Unsupported, "byte {at}");
    }
    // An unknown compatible bit only makes records extensible.
    let mut extended = bytes.clone();
    extended[19] |= 0x80;
    reseal(&mut extended, header, &blocks, index);
    assert_eq!(read(&extended).unwrap(), read(&bytes).unwrap());
}
