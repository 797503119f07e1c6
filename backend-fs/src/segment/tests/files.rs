//! Opening, and what happens to the file while a segment is open.

use std::fs::OpenOptions;

use alluvium_state_api::ErrorKind;
use alluvium_state_api::format::{FileForm, WriteOptions};
use alluvium_state_api::vfs::FaultyFs;
use alluvium_state_api::vfs::faulty::{EIO, Fault};

use super::model::{Content, Key, Numbers, Says, rest, said, spec};
use super::*;

fn some() -> Content {
    Content::random(&Numbers::new(1), spec(FileForm::Full, Some(8)), 100)
}

fn read_all(content: &Content, segment: &Segment, cache: &mut BlockCache) -> Result<()> {
    for ((state, group), entries) in content.sections() {
        let group = KeyGroup::new(group);
        for (key, says) in entries {
            let place = segment.find(cache, state, group, key.entry(), key.hash())?;
            assert_eq!(said(segment, cache, place.unwrap())?, *says);
        }
        let mut cursor = SectionCursor::new(segment, state, group)?;
        cursor.rewind(cache)?;
        assert_eq!(rest(segment, cache, &mut cursor)?.len(), entries.len());
    }
    Ok(())
}

#[test]
fn a_segment_says_what_it_is() {
    let content = some();
    in_every_way(&content, |way, segment| {
        assert_eq!(segment.spec(), &content.spec);
        assert_eq!((segment.state_id("maps"), segment.state_id("none")), (Some(3), None));
        assert_eq!(segment.bytes(), content.written().len() as u64);
        assert_eq!(segment.kept_bytes(), 0, "nothing was read so far");
        read_all(&content, segment, &mut BlockCache::new(1 << 20)).unwrap();
        let kept = segment.kept_bytes();
        assert!(kept > 0 && kept < segment.bytes() / 10, "{way:?}: {kept}");
    });
}

#[test]
fn the_file_goes_with_the_last_owner() {
    let bytes = some().written();
    let place = Place::of(Way::Mapped);
    let segment = Arc::new(place.open(&bytes, Way::Mapped, &[]).unwrap());
    let path = segment.local().path().to_owned();
    let other = Arc::clone(&segment);
    drop(segment);
    assert!(path.exists());
    drop(other);
    assert!(!path.exists());
}

#[test]
fn an_open_segment_survives_renaming_and_removal() {
    let content = some();
    let bytes = content.written();
    for way in [Way::Mapped, Way::Pread] {
        let place = Place::of(way);
        let segment = place.open(&bytes, way, &[content.groups()]).unwrap();
        let other = segment.local().path().with_extension("other");
        RealFs.rename(segment.local().path(), &other).unwrap();
        RealFs.remove_file(&other).unwrap();
        read_all(&content, &segment, &mut BlockCache::new(10_000)).unwrap();
    }
}

#[test]
fn a_file_that_is_cut_in_place_is_an_error_where_it_is_read() {
    let content = some();
    let bytes = content.written();
    let place = Place::of(Way::Pread);
    let segment = place.open(&bytes, Way::Pread, &[content.groups()]).unwrap();
    let file = OpenOptions::new().write(true).open(segment.local().path()).unwrap();
    file.set_len(bytes.len() as u64 / 2).unwrap();
    let error = read_all(&content, &segment, &mut BlockCache::new(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    assert!(error.path().is_some() && error.offset().is_some() && error.key_group().is_some());
}

#[test]
fn a_file_of_another_length_and_one_without_lookups_are_refused() {
    let content = some();
    let bytes = content.written();
    let plain = content.written_with(WriteOptions::default());
    for way in Way::ALL {
        let place = Place::of(way);
        for length in [0, bytes.len() as u64 - 1, bytes.len() as u64 + 1] {
            let refused = Segment::open(place.put(&bytes), length, &[], way.mode()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupted);
        }
        for end in [0, 1, 63, 64, bytes.len() / 2, bytes.len() - 1] {
            let refused = place.open(&bytes[..end], way, &[]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupted);
        }
        let refused = place.open(&plain, way, &[]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Incompatible, "{refused}");
    }
    let empty = Content::empty(content.spec);
    in_every_way(&empty, |_, segment| assert_eq!(segment.state_file().sections().len(), 0));
}

#[test]
fn a_failing_read_is_unavailable_and_the_next_one_may_succeed() {
    let mut content = Content::empty(spec(FileForm::Full, Some(8)));
    let key = Key::new(b"12345678", &[], &[]);
    content.entries.insert((0, 2), [(key.clone(), Says::Value(b"87654321".to_vec()))].into());
    let (bytes, memory) = (content.written(), MemoryFs::new());
    // Directory, page and block.
    for failing in 0..3 {
        let fs = FaultyFs::new(Arc::new(memory.clone()));
        let randomness = Arc::new(OsRandomness);
        let directory = LocalDirectory::open(Arc::new(fs.clone()), "/state", randomness).unwrap();
        let (file, mut writer) = directory.create().unwrap();
        writer.write(&bytes).unwrap();
        writer.finish().unwrap();
        let segment =
            Segment::open(file, bytes.len() as u64, &[content.groups()], ReadMode::Pread).unwrap();
        let next = fs.operations() + 1;
        let _fs = fs.with_fault(next + failing, Fault::Fails(EIO));
        let (mut cache, group) = (BlockCache::new(1 << 20), KeyGroup::new(2));
        let mut find = || segment.find(&mut cache, 0, group, key.entry(), key.hash());
        let error = find().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!((error.state(), error.key_group()), (Some("fixed"), Some(group)));
        let place = find().unwrap().unwrap();
        assert_eq!(segment.value(&mut cache, place).unwrap(), b"87654321");
    }
}
