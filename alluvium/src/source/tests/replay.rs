//! Readers can start anywhere, agree with each other, and notice a changed input.

use std::io::Write;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::super::{Counts, Reader};
use super::*;

/// What a job sees: records with positions, and the counts after each and at the end.
fn trace(mut reader: Reader) -> Vec<(Option<Record>, Counts)> {
    let mut trace = Vec::new();
    loop {
        let mut record = Record::default();
        let more = reader.next_into(&mut record).unwrap();
        trace.push((more.then_some(record), reader.counts()));
        if !more {
            return trace;
        }
    }
}

/// `open_at(n)` gives the rest of what a reader from 0 gives, counts included.
fn check_open_at(source: &Source, position: u64) {
    let rest: Vec<_> = trace(source.open_at(0).unwrap())
        .into_iter()
        .filter(|(record, _)| record.as_ref().is_none_or(|record| record.index() >= position))
        .collect();
    let opened = source.open_at(position).unwrap();
    assert_eq!(opened.position(), position);
    assert_eq!(trace(opened), rest);
}

/// Values with what makes formats stumble.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,3}",
        1 => Just("NA".to_owned()),
        2 => any::<i64>().prop_map(|n| n.to_string()),
        2 => "[ \",\\\\\n\r\t\u{e9}\u{1f600}x]{0,6}",
    ]
}

fn table() -> impl Strategy<Value = Vec<[String; 3]>> {
    prop::collection::vec([value(), value(), value()], 1..60)
}

fn as_csv(table: &[[String; 3]]) -> Vec<u8> {
    let mut writer =
        csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    writer.write_record(["id", "b", "c"]).unwrap();
    for row in table {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

fn as_json(table: &[[String; 3]]) -> Vec<u8> {
    let mut text = Vec::new();
    for [id, b, c] in table {
        serde_json::to_writer(&mut text, &serde_json::json!({ "id": id, "b": b, "c": c })).unwrap();
        text.push(b'\n');
    }
    text
}

fn flights() -> &'static Source {
    static SOURCE: OnceLock<Source> = OnceLock::new();
    SOURCE.get_or_init(|| Source::open(&Input::Flights, &ColumnRequest::default()).unwrap())
}

#[test]
fn a_digest_tells_inputs_apart_by_content_name_format_and_columns() {
    let directory = tempfile::tempdir().unwrap();
    let by_id = ColumnRequest::by_key("id");
    let write = |path: &str, bytes: &[u8]| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let digest = |path: &str, bytes: &[u8], columns: &ColumnRequest| {
        let input = Input::File(write(path, bytes));
        Source::open(&input, columns).unwrap().digest().unwrap()
    };
    let bytes = b"id,n,m\na,1,2\nb,3,4\n";
    let all = [
        digest("x/a.csv", bytes, &by_id),
        digest("x/b.csv", bytes, &by_id),
        digest("x/a.csv", b"id,n,m\na,1,2\nb,3,5\n", &by_id),
        digest("x/a.csv", b"id,n,m\na,1,2\n", &by_id),
        digest("x/a.csv", bytes, &ColumnRequest::by_key("m")),
        digest("x/a.csv", bytes, &ColumnRequest { measure: Some("m".into()), ..by_id.clone() }),
        Source::open(&Input::Nexmark(100), &ColumnRequest::default()).unwrap().digest().unwrap(),
        Source::open(&Input::Nexmark(101), &ColumnRequest::default()).unwrap().digest().unwrap(),
        flights().digest().unwrap(),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "{index}");
    }
    assert_eq!(digest("y/a.csv", bytes, &by_id), all[0], "the directory does not matter");
    let asked = ColumnRequest { measure: Some("n".into()), ..by_id };
    assert_eq!(digest("x/a.csv", bytes, &asked), all[0], "nor who chose the columns");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_are_read_as_written_from_any_position(
        table in table(),
        part in 0.0..=1.0_f64,
        json: bool,
        packed: bool,
    ) {
        let text = if json { as_json(&table) } else { as_csv(&table) };
        let bytes = if packed { gzip(&text) } else { text };
        let source = open_text("table", bytes, "id").unwrap();
        let id = source.schema().index_of("id").unwrap();
        prop_assert_eq!(source.selection().key.index, id);
        let columns = ["id", "b", "c"].map(|name| source.schema().index_of(name).unwrap());

        let read: Vec<_> = source.open_at(0).unwrap().map(Result::unwrap).collect();
        let kept: Vec<_> = (0_u64..)
            .zip(&table)
            .filter(|(_, row)| !row[0].is_empty() && row[0] != "NA")
            .collect();
        prop_assert_eq!(read.len(), kept.len());
        for (record, (index, row)) in read.iter().zip(kept) {
            prop_assert_eq!(record.index(), index);
            prop_assert_eq!(record.key(), &row[0]);
            prop_assert_eq!(columns.map(|column| record.field(column).unwrap()), row.each_ref().map(String::as_str));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a small number")]
        let position = (part * table.len() as f64) as u64;
        check_open_at(&source, position);
    }

    #[test]
    fn nexmark_goes_on_from_any_position(events in 1_u64..700, position in 0_u64..700) {
        let position = position.min(events);
        let source = Source::open(&Input::Nexmark(events), &ColumnRequest::default()).unwrap();
        check_open_at(&source, position);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), json: bool, packed: bool) {
        let bytes = if packed { gzip(&bytes) } else { bytes };
        let name = if json { "x.jsonl" } else { "x.csv" };
        if let Ok(source) = open_text(name, &bytes, "id") {
            source.open_at(0).unwrap().for_each(drop);
        }
        drop(Source::from_read(bytes.as_slice(), "standard input", &ColumnRequest::by_key("a")));
    }
}

#[test]
fn flights_go_on_from_any_position() {
    for position in [0, 1, 400, 838, 13_000, 27_003, 27_004] {
        check_open_at(flights(), position);
    }
}

#[test]
fn two_openings_give_the_same() {
    for input in [Input::Flights, Input::Nexmark(20_000)] {
        let once = Source::open(&input, &ColumnRequest::default()).unwrap();
        let again = Source::open(&input, &ColumnRequest::default()).unwrap();
        assert!(trace(once.open_at(0).unwrap()) == trace(again.open_at(0).unwrap()));
    }
}

#[test]
fn readers_do_not_disturb_each_other_and_cross_threads() {
    let source = open_text("x.csv", "id,n\na,1\nb,2\nc,3\n", "id").unwrap();
    let mut one = source.open_at(0).unwrap();
    assert_eq!(one.next().unwrap().unwrap().key(), "a");
    let other = source.open_at(1).unwrap();
    let moved = std::thread::spawn(move || other.map(|r| r.unwrap().key().to_owned()));
    assert_eq!(moved.join().unwrap().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(one.next().unwrap().unwrap().key(), "b");
}

#[test]
fn a_file_that_is_replaced_is_read_as_it_was() {
    let files = Files::new();
    let input = files.put("x.csv", "id,n\na,1\n");
    let source = open(&input, "id").unwrap();
    let new = files.path("new.csv");
    std::fs::write(&new, "id,n\nz,9\nz,9\n").unwrap();
    std::process::Command::new("mv").arg(&new).arg(files.path("x.csv")).status().unwrap();
    assert_eq!(rows(&source), [("a".into(), Some(1), None)]);
}

#[test]
fn a_file_that_is_changed_in_place_is_refused() {
    let files = Files::new();
    let input = files.put("x.csv", "id,n\na,1\nb,2\n");
    let source = open(&input, "id").unwrap();
    let mut appended = std::fs::OpenOptions::new().append(true).open(files.path("x.csv")).unwrap();
    appended.write_all(b"c,3\n").unwrap();
    assert_refused(&source.open_at(0).unwrap_err(), SourceErrorKind::Changed, None);
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error_and_no_end() {
    let files = Files::new();
    let input = files.put("x.csv", format!("id,n\n{}", "a,1\n".repeat(100_000)));
    let source = open(&input, "id").unwrap();
    let mut reader = source.open_at(0).unwrap();
    assert!(reader.next().is_some());
    let file = std::fs::OpenOptions::new().write(true).open(files.path("x.csv")).unwrap();
    file.set_len(100_000).unwrap();
    let error = reader.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), SourceErrorKind::Changed);
}

#[test]
fn progress_counts_bytes_of_a_file() {
    let source = open_text("x.csv", "id,n\na,1\n", "id").unwrap();
    assert_eq!(source.known_len(), None);
    let mut reader = source.open_at(0).unwrap();
    while reader.next_into(&mut Record::default()).unwrap() {}
    let progress = reader.progress();
    assert_eq!((progress.done, progress.total), (9, 9));
    assert_eq!(progress.unit, super::super::ProgressUnit::Bytes);
}
