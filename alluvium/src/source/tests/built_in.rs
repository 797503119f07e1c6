//! The inputs that need no file: flights and Nexmark.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;

use super::super::{Progress, ProgressUnit, flights, nexmark_rows};
use super::*;

#[test]
fn flights_have_the_numbers_of_the_data_readme() {
    let source = Source::open(&Input::Flights, &ColumnRequest::default()).unwrap();
    assert_eq!(source.schema().names().len(), 19);
    assert_eq!(
        source.selection().to_string(),
        "key tailnum (by default), measure distance (by default), category dest (by default)"
    );
    assert_eq!(source.known_len(), Some(flights::ROWS));

    let mut reader = source.open_at(0).unwrap();
    let mut record = Record::default();
    let mut keys = std::collections::BTreeSet::new();
    let mut places = std::collections::BTreeSet::new();
    let mut miles = 0;
    while reader.next_into(&mut record).unwrap() {
        keys.insert(record.key().to_owned());
        places.insert(record.category().unwrap().to_owned());
        miles += record.measure().unwrap();
    }
    let counts = reader.counts();
    assert_eq!((counts.records, counts.without_key, counts.kept()), (27_004, 155, 26_849));
    assert_eq!((counts.without_measure, counts.not_a_bid), (0, 0));
    assert_eq!((keys.len(), places.len(), miles), (3148, 94, 27_107_042));
    let end = Progress { done: 27_004, total: 27_004, unit: ProgressUnit::Records };
    assert_eq!(reader.progress(), end);
}

#[test]
fn flights_begin_with_the_first_row_of_the_table() {
    let source = Source::open(&Input::Flights, &ColumnRequest::default()).unwrap();
    let first = source.open_at(0).unwrap().next().unwrap().unwrap();
    assert_eq!(
        (first.key(), first.measure(), first.category()),
        ("N14228", Some(1400), Some("IAH"))
    );
    assert_eq!(first.field(18), Some("2013-01-01T10:00:00Z"));
    assert_eq!((first.index(), first.field(19)), (0, None));
}

#[test]
fn flights_by_another_key_find_other_columns() {
    let by = |key| {
        let source = open(&Input::Flights, key).unwrap();
        source.selection().to_string()
    };
    assert_eq!(
        by("dest"),
        "key dest, measure distance (by default), category carrier (by default)"
    );
    assert_eq!(
        by("distance"),
        "key distance, measure air_time (by default), category dest (by default)"
    );
}

#[test]
fn bids_are_those_of_the_whole_default_stream() {
    // The plain generator, with persons, auctions and filler text.
    let config =
        NexmarkConfig { base_time: nexmark_rows::config().base_time, ..Default::default() };
    let expected: Vec<_> = (0_u64..)
        .zip(EventGenerator::new(config).take(20_000))
        .filter_map(|(index, event)| match event {
            Event::Bid(bid) => Some((index, bid)),
            Event::Person(_) | Event::Auction(_) => None,
        })
        .collect();
    let source = Source::open(&Input::Nexmark(20_000), &ColumnRequest::default()).unwrap();
    let mut reader = source.open_at(0).unwrap();
    let mut record = Record::default();
    for (index, bid) in &expected {
        assert!(reader.next_into(&mut record).unwrap());
        assert_eq!(record.index(), *index);
        let wanted = [
            bid.auction.to_string(),
            bid.bidder.to_string(),
            bid.price.to_string(),
            bid.channel.clone(),
            bid.url.clone(),
            bid.date_time.to_string(),
        ];
        assert!(record.fields().eq(wanted.iter().map(String::as_str)));
    }
    assert!(!reader.next_into(&mut record).unwrap());
    let counts = reader.counts();
    assert_eq!((counts.records, counts.not_a_bid, counts.kept()), (20_000, 1600, 18_400));
}

#[test]
fn nexmark_is_the_same_today_as_when_this_was_written() {
    let source = Source::open(&Input::Nexmark(5), &ColumnRequest::default()).unwrap();
    let only = source.open_at(0).unwrap().next().unwrap().unwrap();
    assert_eq!((only.key(), only.category()), ("1000", Some("channel-7568")));
    // The price comes from a power of floats, whose last digits are the platform's.
    assert!((only.measure().unwrap() - 73_134_520).abs() < 100);
    assert_eq!(only.field(5), Some("1436918400000"));
}

#[test]
fn nexmark_refuses_numbers_that_make_no_stream() {
    let refused = |events| Source::open(&Input::Nexmark(events), &ColumnRequest::default());
    assert_refused(&refused(0).unwrap_err(), SourceErrorKind::Empty, None);
    assert_refused(&refused(u64::MAX).unwrap_err(), SourceErrorKind::OutOfRange, None);
    let source = refused(super::super::MAX_NEXMARK_EVENTS).unwrap();
    let position = super::super::MAX_NEXMARK_EVENTS - 1;
    assert_eq!(source.open_at(position).unwrap().count(), 1);
}

#[test]
fn nexmark_without_a_bid_is_a_stream_of_skipped_records() {
    let source = Source::open(&Input::Nexmark(3), &ColumnRequest::default()).unwrap();
    let mut reader = source.open_at(0).unwrap();
    assert!(!reader.next_into(&mut Record::default()).unwrap());
    assert_eq!((reader.counts().not_a_bid, reader.counts().kept()), (3, 0));
}
