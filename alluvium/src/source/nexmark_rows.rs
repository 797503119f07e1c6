//! The bids of the Nexmark benchmark, from the crate `nexmark`.
//!
//! The stream is the crate's default one: of 50 events 1 is a person, 3 are auctions and 46 are
//! bids. Every event takes a position, only bids have the columns of the schema.
//!
//! # Invariants
//!
//! 1. The same on every run: the crate seeds each event from its number, and the time of the first
//!    event, which would be the clock's, is fixed here.
//! 2. Persons and auctions are never generated, since nobody reads them: the generator makes bids
//!    only, which leaves the bids as they are. A test compares with the whole stream.
//! 3. Bids come without the filler text `extra` (three quarters of the cost). The crate draws it
//!    last, so all other fields are as with it. The same test compares.

use csv::StringRecord;
use itoa::Buffer;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Event, EventType};

use super::columns::Defaults;
use super::error::{Result, SourceError, SourceErrorKind};
use super::rows::Row;

/// The most events that can be asked for.
pub const MAX_EVENTS: u64 = 1_000_000_000_000;

/// Of so many events ...
const CYCLE: u64 = 50;
/// ... so many, the first ones, are not bids.
const NOT_BIDS: u64 = 4;

/// The time of the first event, in milliseconds: 2015-07-15, as in the original benchmark.
const BASE_TIME_MS: u64 = 1_436_918_400_000;

/// The columns of a bid.
pub(super) const COLUMNS: [&str; 6] = ["auction", "bidder", "price", "channel", "url", "date_time"];

/// Which columns have which role unless asked otherwise, best first.
pub(super) const DEFAULTS: Defaults = Defaults {
    key: Some("auction"),
    measure: &["price", "bidder"],
    category: &["channel", "bidder"],
};

/// What the input is called in messages.
pub(super) fn name(events: u64) -> String {
    format!("nexmark with {events} events")
}

/// Refuses a number of events that makes no stream.
pub(super) fn check_events(events: u64) -> Result<()> {
    let refuse = |kind, message: String| Err(SourceError::new(kind, &name(events), message));
    match events {
        0 => refuse(SourceErrorKind::Empty, "no events; ask for at least 1".to_owned()),
        1..=MAX_EVENTS => Ok(()),
        _ => refuse(SourceErrorKind::OutOfRange, format!("too many; ask for at most {MAX_EVENTS}")),
    }
}

/// How many of the first `position` events are not bids.
pub(super) fn not_bids_before(position: u64) -> u64 {
    let whole = (position / CYCLE).saturating_mul(NOT_BIDS);
    whole.saturating_add((position % CYCLE).min(NOT_BIDS))
}

/// The configuration of the stream.
pub(super) fn config() -> NexmarkConfig {
    NexmarkConfig { base_time: BASE_TIME_MS, avg_bid_byte_size: 0, ..NexmarkConfig::default() }
}

/// The events from a position on.
#[derive(Debug)]
pub(super) struct NexmarkRows {
    bids: EventGenerator,
    position: u64,
    end: u64,
}

impl NexmarkRows {
    pub(super) fn new(events: u64, position: u64) -> Self {
        let bids_before = position.saturating_sub(not_bids_before(position));
        let bids =
            EventGenerator::new(config()).with_type_filter(EventType::Bid).with_offset(bids_before);
        Self { bids, position, end: events }
    }

    pub(super) fn next_row(&mut self, fields: &mut StringRecord) -> Row {
        if self.position >= self.end {
            return Row::End;
        }
        let in_cycle = self.position % CYCLE;
        self.position = self.position.saturating_add(1);
        if in_cycle < NOT_BIDS {
            return Row::NotABid;
        }
        let Some(Event::Bid(bid)) = self.bids.next() else {
            return Row::NotABid;
        };
        let mut digits = Buffer::new();
        fields.clear();
        fields.push_field(digits.format(bid.auction));
        fields.push_field(digits.format(bid.bidder));
        fields.push_field(digits.format(bid.price));
        fields.push_field(&bid.channel);
        fields.push_field(&bid.url);
        fields.push_field(digits.format(bid.date_time));
        Row::Present
    }
}
