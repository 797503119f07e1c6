//! Inputs that are wrong: one clear line each, with the line number where there is one.

use std::fmt::Write;

use super::SourceErrorKind::{
    Changed, Columns, Empty, Malformed, Stopped, TooLong, Truncated, Unreadable, Unsupported,
};
use super::*;

#[track_caller]
fn refused(name: &str, bytes: impl AsRef<[u8]>, kind: SourceErrorKind, line: Option<u64>) {
    let plain = first_error(open_text(name, bytes.as_ref(), "id"));
    assert_refused(&plain, kind, line);
    let packed = first_error(open_text(&format!("{name}.gz"), gzip(bytes.as_ref()), "id"));
    assert_refused(&packed, kind, line);
    assert_eq!(plain.to_string().split(": ").nth(1), packed.to_string().split(": ").nth(1));
}

#[test]
fn paths_that_are_no_readable_file() {
    let files = Files::new();
    for path in [files.path("missing.csv"), files.0.path().to_owned(), "".into()] {
        let error = open(&Input::File(path), "id").unwrap_err();
        assert_refused(&error, Unreadable, None);
    }
    let error = open(&Input::from_arg("no\nfile\u{1b}[2J"), "id").unwrap_err();
    assert_refused(&error, Unreadable, None);
    assert!(!error.to_string().contains(char::is_control), "{error}");
    if cfg!(unix) {
        let error = open(&Input::from_arg("/dev/zero"), "id").unwrap_err();
        assert_refused(&error, Unreadable, None);
    }
}

#[test]
fn inputs_without_a_record() {
    for (name, text) in [
        ("x.csv", ""),
        ("x", ""),
        ("x.jsonl", ""),
        ("x.csv", "\n\r\n\n"),
        ("x.csv", "id,n\n"),
        ("x.csv", "id,n"),
        ("x.jsonl", "\n  \n"),
        ("x.csv", "\u{feff}"),
    ] {
        refused(name, text, Empty, None);
    }
    let error = Source::from_read(std::io::empty(), "standard input", &ColumnRequest::default());
    assert_refused(&error.unwrap_err(), Empty, None);
}

#[test]
fn content_that_is_something_else() {
    let archives: [&[u8]; 7] = [
        b"PK\x03\x04....",
        b"BZh91AY",
        &[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3],
        &[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0],
        b"PAR1....",
        &[0xff, 0xfe, b'a', 0, b'b', 0],
        b"\x7fELF\0\0\0\0",
    ];
    for bytes in archives {
        refused("x", bytes, Unsupported, None);
        refused("x.csv", bytes, Unsupported, None);
        refused("x.jsonl", bytes, Unsupported, None);
    }
    refused("x", " \n[{\"id\":1}]", Unsupported, None);
    refused("x.json", "[{\"id\":1}]", Unsupported, None);
    refused("x.json", "id,n\na,1\n", Malformed, Some(1));
}

#[test]
fn bytes_that_are_not_utf8() {
    refused("x.csv", b"id,n\na,1\nb\xff,2\n", Malformed, Some(3));
    refused("x.csv", b"id,n\xff\na,1\n", Malformed, Some(1));
    refused("x.jsonl", b"{\"id\":\"a\"}\n\n{\"id\":\"\xff\"}\n", Malformed, Some(3));
    let noise: Vec<u8> =
        (0..10_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 128).collect();
    assert_eq!(first_error(open_text("x", &noise, "id")).kind(), Malformed);
}

#[test]
fn rows_of_another_width() {
    refused("x.csv", "id,n\na,1\nb\nc,3\n", Malformed, Some(3));
    refused("x.csv", "id,n\na,1\nb,2,3\n", Malformed, Some(3));
    refused("x.csv", "id,n\r\na,1\r\nb,2,3\r\n", Malformed, Some(3));
    refused("x.csv", "id,n\na,\"1\n1\"\nb,2,3\n", Malformed, Some(4));
    refused("x.csv", "id,n\n\n\na,1,2\n", Malformed, Some(4));
    let far = format!("id,n\n{}b\n", "a,1\n".repeat(50_000));
    refused("x.csv", far, Malformed, Some(50_002));
}

#[test]
fn lines_that_are_no_json_object() {
    for line in [
        "{\"id\":\"a\"",
        "{\"id\":\"a\"} {\"id\":\"b\"}",
        "[1]",
        "1",
        "{\"id\":tru}",
        "{'id':1}",
        "{\"id\":\"a\",\"id\":\"b\"}",
        "{\"id\":\"\\ud800\"}",
    ] {
        refused("x.jsonl", format!("{{\"id\":\"a\"}}\n\n{line}\n"), Malformed, Some(3));
    }
    let far = format!("{}{{\n", "{\"id\":\"a\"}\n".repeat(50_000));
    refused("x.jsonl", far, Malformed, Some(50_001));
    refused("x.json", "{\n  \"id\": \"a\"\n}\n", Malformed, Some(1));
}

#[test]
fn json_with_too_many_names() {
    let object = (0..10_001).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",");
    refused("x.jsonl", format!("{{{object}}}\n"), Columns, Some(1));
}

#[test]
fn damaged_gzip() {
    let mut lines = String::from("id,n\n");
    for n in 0..100_000_u32 {
        writeln!(lines, "k{},{n}", n.wrapping_mul(2_654_435_761)).unwrap();
    }
    let whole = gzip(lines);
    let cut = |len: usize| first_error(open_text("x.csv.gz", &whole[..len], "id"));
    for len in [whole.len() - 1, whole.len() - 8, whole.len() / 2] {
        assert_eq!(cut(len).kind(), Truncated, "{}", cut(len));
    }
    for len in [2, 5, 9] {
        assert_refused(&cut(len), Truncated, None);
    }
    for at in [whole.len() / 2, whole.len() - 6, whole.len() - 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let error = first_error(open_text("x.csv.gz", bytes, "id"));
        assert!(matches!(error.kind(), Malformed | Truncated), "{error}");
    }
    let error = first_error(open_text("x.csv.gz", "id,n\na,1\n", "id"));
    assert_refused(&error, Malformed, None);
}

#[test]
fn records_above_the_cap() {
    let long = "x".repeat(17 * 1024 * 1024);
    refused("x.csv", format!("id,n\na,1\nb,{long}\n"), TooLong, Some(3));
    refused("x.csv", format!("id,n\na,1\nb,\"{}", "c,2\n".repeat(5_000_000)), TooLong, Some(3));
    refused("x.csv", &long, TooLong, Some(1));
    refused("x.jsonl", format!("{{\"id\":\"a\"}}\n{{\"id\":\"{long}\"}}\n"), TooLong, Some(2));
}

#[test]
fn a_reader_that_failed_goes_on_failing() {
    let text = format!("id,n\n{}b\nc,3\n", "a,1\n".repeat(2000));
    let source = open_text("x.csv", text, "id").unwrap();
    let mut reader = source.open_at(1999).unwrap();
    let mut record = Record::default();
    assert!(reader.next_into(&mut record).unwrap());
    assert_eq!(reader.next_into(&mut record).unwrap_err().kind(), Malformed);
    assert_eq!(reader.next_into(&mut record).unwrap_err().kind(), Stopped);
    assert!(reader.next().is_none());
    assert_eq!(source.open_at(2001).unwrap_err().kind(), Malformed);
}

#[test]
fn positions_past_the_end() {
    let text = open_text("x.csv", "id,n\na,1\n", "id").unwrap();
    assert_eq!(text.open_at(1).unwrap().count(), 0);
    assert_refused(&text.open_at(2).unwrap_err(), Changed, None);
    for input in [Input::Flights, Input::Nexmark(10)] {
        let source = Source::open(&input, &ColumnRequest::default()).unwrap();
        let len = source.known_len().unwrap();
        assert_eq!(source.open_at(len).unwrap().count(), 0);
        assert_refused(&source.open_at(len + 1).unwrap_err(), Changed, None);
        assert_refused(&source.open_at(u64::MAX).unwrap_err(), Changed, None);
    }
}

#[test]
fn an_input_that_cannot_be_read_to_its_end() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    let error = Source::from_read(Broken, "standard input", &ColumnRequest::by_key("id"));
    let error = error.unwrap_err();
    assert_refused(&error, Unreadable, None);
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "unplugged");
    assert!(!error.to_string().contains("unplugged"), "the cause is not repeated");
}
