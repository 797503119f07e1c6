//! Files that are read: formats, packings, missing values, odd but valid content.

use super::*;

const CSV: &str = "id,n,word\na,1,x\n,2,y\nNA,3,z\nb,,\nc,5.5,NA\n";
const JSON: &str = concat!(
    "{\"id\":\"a\",\"n\":1,\"word\":\"x\"}\n",
    "{\"n\":2,\"word\":\"y\"}\n",
    "{\"id\":null,\"n\":3,\"word\":\"z\"}\n",
    "{\"id\":\"b\"}\n",
    "{\"word\":\"NA\",\"n\":5.5,\"id\":\"c\"}\n",
);

fn check_small_table(source: &Source, measured: bool) {
    let one = measured.then_some(1);
    let expected = [
        ("a".to_owned(), one, Some("x".to_owned())),
        ("b".to_owned(), None, None),
        ("c".to_owned(), None, None),
    ];
    assert_eq!(rows(source), expected);
    let mut reader = source.open_at(0).unwrap();
    while reader.next_into(&mut Record::default()).unwrap() {}
    let counts = reader.counts();
    assert_eq!((counts.records, counts.without_key, counts.kept()), (5, 2, 3));
    assert_eq!((reader.position(), counts.without_measure), (5, if measured { 2 } else { 3 }));
}

fn open_words(input: &Input) -> Source {
    let request = ColumnRequest { category: Some("word".into()), ..ColumnRequest::by_key("id") };
    Source::open(input, &request).unwrap()
}

#[test]
fn formats_and_packings_give_the_same_records() {
    for (name, text) in [
        ("t.csv", CSV),
        ("t.CSV", CSV),
        ("t", CSV),
        ("t.txt", CSV),
        ("t.json", JSON),
        ("t.jsonl", JSON),
        ("t.ndjson", JSON),
        ("t.log", JSON),
    ] {
        let files = Files::new();
        check_small_table(&open_words(&files.put(name, text)), false);
        check_small_table(&open_words(&files.put(&format!("{name}.gz"), gzip(text))), false);
        // The content says what is packed, not the name.
        check_small_table(&open_words(&files.put(name, gzip(text))), false);
        let spooled = {
            let request =
                ColumnRequest { category: Some("word".into()), ..ColumnRequest::by_key("id") };
            Source::from_read(text.as_bytes(), "standard input", &request).unwrap()
        };
        check_small_table(&spooled, false);
    }
}

#[test]
fn a_measure_that_is_no_whole_number_later_is_counted() {
    // More records than are looked at, then one that does not fit.
    let mut text = String::from("id,n\n");
    text.push_str(&"a,1\n".repeat(1000));
    text.push_str("b,1.5\nc,99999999999999999999\nd,-3\n");
    let source = open_text("x.csv", text, "id").unwrap();
    let mut reader = source.open_at(1000).unwrap();
    let rest: Vec<_> = reader.by_ref().map(|record| record.unwrap().measure()).collect();
    assert_eq!(rest, [None, None, Some(-3)]);
    assert_eq!(reader.counts().without_measure, 2);
}

#[test]
fn gzip_members_that_follow_each_other_are_one_input() {
    let bytes = [gzip("id,n\na,1\n"), gzip("b,2\n")].concat();
    assert_eq!(rows(&open_text("x.csv.gz", bytes, "id").unwrap()).len(), 2);
}

#[test]
fn csv_knows_quotes_line_ends_marks_and_blank_lines() {
    let text = "\u{feff}id,n,word\r\n\r\n\"a,1\",1,\"say \"\"hi\"\"\nthere\"\r\n\r\nb,2,w";
    let source = open_text("x.csv", text, "id").unwrap();
    assert_eq!(fields(&source), [["a,1", "1", "say \"hi\"\nthere"], ["b", "2", "w"]]);
}

#[test]
fn json_keeps_values_as_they_are_written() {
    let text = concat!(
        "\u{feff}{\"id\":\"a\\n\\u00e9\\ud83d\\ude00\",\"big\":12345678901234567890123,",
        "\"deep\":{\"x\": [1, {\"y\":null}]},\"yes\":true,\"none\":null}\r\n",
        "\n   \n",
        "{\"yes\":false,\"id\":\"b\",\"late\":1.50,\"de\\u0065p\":[]}",
    );
    let source = open_text("x.jsonl", text, "id").unwrap();
    assert_eq!(source.schema().names(), ["id", "big", "deep", "yes", "none", "late"]);
    assert_eq!(
        fields(&source),
        [
            [
                "a\n\u{e9}\u{1f600}",
                "12345678901234567890123",
                "{\"x\": [1, {\"y\":null}]}",
                "true",
                "",
                ""
            ],
            ["b", "", "[]", "false", "", "1.50"],
        ]
    );
}

#[test]
fn json_names_that_come_late_are_ignored() {
    let mut text = "{\"id\":\"a\"}\n".repeat(1000);
    text.push_str("{\"late\":1,\"id\":\"b\"}\n");
    let source = open_text("x.jsonl", text, "id").unwrap();
    assert_eq!(source.schema().names(), ["id"]);
    let last = source.open_at(1000).unwrap().next().unwrap().unwrap();
    assert_eq!(last.key(), "b");
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let text = format!("{{\"id\":\"a\",\"deep\":{deep}}}\n");
    let source = open_text("x.jsonl", text, "id").unwrap();
    assert_eq!(fields(&source)[0][1].len(), 400_000);
}

#[test]
fn a_record_just_below_the_cap_is_read() {
    let long = "x".repeat(16 * 1024 * 1024 - 100);
    for (name, text) in [
        ("x.csv", format!("id,n\na,{long}\n")),
        ("x.jsonl", format!("{{\"id\":\"a\",\"n\":\"{long}\"}}\n")),
    ] {
        let source = open_text(name, text, "id").unwrap();
        assert_eq!(fields(&source)[0][1].len(), long.len());
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_spooled() {
    let files = Files::new();
    let path = files.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || std::fs::write(path, CSV).unwrap())
    };
    let source = open_words(&Input::from_arg(&path));
    writer.join().unwrap();
    check_small_table(&source, false);
    check_small_table(&source, false);
}

#[test]
fn the_argument_dash_means_standard_input() {
    assert_eq!(Input::from_arg("-"), Input::Stdin);
    assert_eq!(Input::from_arg("a.csv"), Input::File("a.csv".into()));
}
