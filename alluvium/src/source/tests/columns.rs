//! Which columns get which role.

use super::*;

fn selected(text: &str, key: &str) -> String {
    open_text("x.csv", text, key).unwrap().selection().to_string()
}

#[test]
fn measure_is_the_first_column_of_whole_numbers_that_differ() {
    let text = "id,year,half,count,name\na,2013,0.5,7,x\nb,2013,1.5,NA,y\nc,2013,2,9,y\n";
    assert_eq!(
        selected(text, "id"),
        "key id, measure count (by default), category name (by default)"
    );
}

#[test]
fn a_constant_measure_is_better_than_none() {
    assert_eq!(selected("id,n\na,1\nb,1\n", "id"), "key id, measure n (by default), no category");
}

#[test]
fn a_column_without_values_is_no_measure() {
    let chosen = selected("id,n\na,\nb,NA\n", "id");
    assert_eq!(chosen, "key id, no measure, category n (by default)");
}

#[test]
fn whole_and_decimal_numbers_serve_as_category_where_there_is_no_text() {
    let chosen = selected("id,n,m\na,1,5\nb,2,6\n", "id");
    assert_eq!(chosen, "key id, measure n (by default), category m (by default)");
}

#[test]
fn a_key_alone_is_enough() {
    let source = open_text("x.csv", "id\na\nb\n", "id").unwrap();
    assert_eq!(source.selection().to_string(), "key id, no measure, no category");
    assert_eq!(rows(&source), [("a".into(), None, None), ("b".into(), None, None)]);
}

#[test]
fn what_is_asked_for_is_taken() {
    let files = Files::new();
    let input = files.put("x.csv", "a,b,c\nx,1,2\n");
    let request = ColumnRequest {
        key: Some("a".into()),
        measure: Some("c".into()),
        category: Some("b".into()),
    };
    let source = Source::open(&input, &request).unwrap();
    assert_eq!(source.selection().to_string(), "key a, measure c, category b");
    assert_eq!(rows(&source), [("x".into(), Some(2), Some("1".into()))]);
}

#[test]
fn an_unknown_column_is_refused_with_those_that_exist() {
    for role in ["key", "measure", "category"] {
        let mut request = ColumnRequest::by_key("a");
        match role {
            "key" => request.key = Some("nope".into()),
            "measure" => request.measure = Some("nope".into()),
            _ => request.category = Some("nope".into()),
        }
        let files = Files::new();
        let input = files.put("x.csv", "a,b c,d\n1,2,3\n");
        let error = Source::open(&input, &request).unwrap_err();
        assert_refused(&error, SourceErrorKind::Columns, None);
        let text = error.to_string();
        assert!(text.contains(role) && text.ends_with("there are: a, \"b c\", d"), "{text}");
    }
}

#[test]
fn a_file_needs_a_key() {
    let files = Files::new();
    let input = files.put("x.csv", "a,b\n1,2\n");
    let error = Source::open(&input, &ColumnRequest::default()).unwrap_err();
    assert_refused(&error, SourceErrorKind::Columns, None);
    assert!(error.to_string().contains("--key: a, b"), "{error}");
}

#[test]
fn a_measure_of_text_is_refused() {
    let files = Files::new();
    let input = files.put("x.csv", "a,b\n1,2\n2,two\n");
    let request = ColumnRequest { measure: Some("b".into()), ..ColumnRequest::by_key("a") };
    let error = Source::open(&input, &request).unwrap_err();
    assert_refused(&error, SourceErrorKind::Columns, None);
    assert!(error.to_string().contains("\"two\""), "{error}");
}

#[test]
fn names_that_occur_twice_are_refused() {
    let error = open_text("x.csv", "a,b,a\n1,2,3\n", "b").unwrap_err();
    assert_refused(&error, SourceErrorKind::Columns, Some(1));
    assert!(error.to_string().contains("\"a\""), "{error}");
}

#[test]
fn a_long_list_of_columns_is_cut() {
    let header = (0..100).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let error = open_text("x.csv", format!("{header}\n{header}\n"), "x").unwrap_err();
    assert!(error.to_string().ends_with("c39 and 60 more"), "{error}");
}
