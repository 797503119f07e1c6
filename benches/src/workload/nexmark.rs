//! The queries of Nexmark that keep state, over the events of the crate `nexmark`: persons, auctions, bids.
//!
//! | query | asks | state |
//! |---|---|---|
//! | q3 | who sells in category 10, in three states | by seller: the person, a map of auctions |
//! | q4 | average closing price of a category | by auction: it, its best bid; by category: two sums |
//! | q5 | the auctions with most bids in 10 s, every 2 s | by auction and window: a sum; by window: the most |
//! | q7 | the highest bid of 10 s | by window: the bid |
//! | q8 | who has become a person and a seller within 10 s | by person and window: the person, a list of auctions |
//! | q9 | the winning bid of each auction | as q4 without categories |
//! | q11 | bids of a person in one session, a gap of 10 s | by bidder and session: a sum |
//! | q12 | bids of a person in 10 s | by bidder and window: a sum |
//! | q18 | the last bid of a person on an auction | by bidder: a map of auctions |
//! | q19 | the ten highest bids on an auction | by auction: a value of ten bids |
//! | q20 | bids on auctions of category 10 | by auction: it, a list of bids |
//!
//! What the answer depends on the program knows beside the state, as the generator of a trace must; the state
//! is read where the query would read it. Events come in order, so that the watermark is the newest time.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event};

use super::draw::Draw;
use super::stream::{self, Operator, Output, Timer};
use super::windows::{Kept, Regular, Sessions, Sliding};
use super::{Access, Accesses, Blob, Operation, Shape, Workload};
use crate::keys::mix;

/// Length of a window, and the gap of a session.
const SIZE_MS: u64 = 10_000;
/// From the begin of a sliding window to that of the next.
const SLIDE_MS: u64 = 2_000;
/// The category that q3 and q20 ask for.
const CATEGORY: usize = 10;
/// The states that q3 asks for.
const STATES: [&str; 3] = ["OR", "ID", "CA"];
/// How many bids q19 keeps.
const TOP: usize = 10;

const TUMBLING: Regular = Regular { size_ms: SIZE_MS, slide_ms: SIZE_MS };
const SLIDING: Regular = Regular { size_ms: SIZE_MS, slide_ms: SLIDE_MS };

/// All of them.
pub fn all() -> Vec<Workload> {
    let of = |name, run| Workload { name, fill: super::empty, run };
    vec![
        of("nexmark.q3", |shape, _: Draw| ask(shape, Sellers)),
        of("nexmark.q4", |shape, _| ask(shape, Winners::new(true))),
        of("nexmark.q5", |shape, _| ask(shape, HotItems::default())),
        of("nexmark.q7", |shape, _| ask(shape, Highest::default())),
        of("nexmark.q8", |shape, _| ask(shape, NewSellers)),
        of("nexmark.q9", |shape, _| ask(shape, Winners::new(false))),
        of("nexmark.q11", |shape, _| ask(shape, ByBidder(Sessions::new(Kept::Sum, SIZE_MS)))),
        of("nexmark.q12", |shape, _| {
            ask(shape, ByBidder(Sliding { windows: TUMBLING, kept: Kept::Sum }))
        }),
        of("nexmark.q18", |shape, _| ask(shape, LastBids)),
        of("nexmark.q19", |shape, _| ask(shape, TopBids::default())),
        of("nexmark.q20", |shape, _| ask(shape, BidsOfCategory::default())),
    ]
}

/// A query, as far as its state notices.
trait Query: Send + 'static {
    /// `blob` is what the event brings.
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output);

    fn timer(&mut self, _: &Timer, _: &mut Output) {}
}

/// The accesses of a query over the stream of events, without end.
struct Asked<Q> {
    query: Q,
    events: EventGenerator,
    shape: Shape,
    out: Output,
}

impl<Q> fmt::Debug for Asked<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("events", &self.events.offset()).finish_non_exhaustive()
    }
}

fn ask<Q: Query>(shape: &Shape, query: Q) -> Accesses {
    let rate = usize::try_from(shape.rate).unwrap_or(usize::MAX).clamp(1, 1_000_000);
    let config = NexmarkConfig {
        base_time: 0,
        first_rate: rate,
        next_rate: rate,
        // Filler text that nobody reads.
        avg_person_byte_size: 0,
        avg_auction_byte_size: 0,
        avg_bid_byte_size: 0,
        ..NexmarkConfig::default()
    };
    let events = EventGenerator::new(config).with_offset(mix(shape.seed) % (1 << 30));
    Box::new(Asked { query, events, shape: shape.clone(), out: Output::default() })
}

impl<Q: Query> Iterator for Asked<Q> {
    type Item = Access;

    fn next(&mut self) -> Option<Access> {
        loop {
            if let Some(access) = self.out.next() {
                return Some(access);
            }
            let number = self.events.offset();
            let event = self.events.next()?;
            while let Some(timer) = self.out.due(event.timestamp()) {
                self.query.timer(&timer, &mut self.out);
            }
            let seed = mix(self.shape.seed ^ number);
            let blob = Blob { seed, bytes: self.shape.value_bytes };
            self.query.event(&event, blob, &mut self.out);
        }
    }
}

/// An id as a key: ids of persons and auctions come from the same numbers.
fn key(id: usize) -> u64 {
    crate::keys::key(id as u64)
}

/// q3.
struct Sellers;

impl Query for Sellers {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        match event {
            Event::Person(person) if STATES.contains(&person.state.to_uppercase().as_str()) => {
                out.access(Access::of(key(person.id), Operation::ValueSet(blob)));
                out.access(Access::of(key(person.id), Operation::MapScan));
            }
            Event::Auction(auction) if auction.category == CATEGORY => {
                let insert = Operation::MapInsert(auction.id as u64, blob);
                out.access(Access::of(key(auction.seller), insert));
                out.access(Access::of(key(auction.seller), Operation::ValueGet));
            }
            _ => {}
        }
    }
}

/// q4 and q9. The auction is without a window, its best bid in window 0; a category has its sum in window 1
/// and its number in window 2.
struct Winners {
    averages: bool,
    /// Category and best price of the auctions that are open.
    open: HashMap<u64, (u64, usize)>,
}

impl Winners {
    fn new(averages: bool) -> Self {
        Self { averages, open: HashMap::new() }
    }
}

impl Query for Winners {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        match event {
            Event::Auction(Auction { id, category, expires, .. }) => {
                let key = key(*id);
                out.access(Access::of(key, Operation::ValueSet(blob)));
                out.timer(Timer { time_ms: *expires, key, window: 0 });
                self.open.insert(key, (*category as u64, 0));
            }
            Event::Bid(Bid { auction, price, .. }) => {
                let key = key(*auction);
                out.access(Access::of(key, Operation::ValueGet));
                let Some((_, best)) = self.open.get_mut(&key) else { return };
                out.access(Access::within(key, 0, Operation::ValueGet));
                if *price > *best {
                    *best = *price;
                    out.access(Access::within(key, 0, Operation::ValueSet(blob)));
                }
            }
            Event::Person(_) => {}
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        let closed = self.open.remove(&timer.key);
        for operation in [Operation::ValueGet, Operation::ValueClear] {
            out.access(Access::of(timer.key, operation));
            out.access(Access::within(timer.key, 0, operation));
        }
        let Some((category, price)) = closed.filter(|(_, price)| self.averages && *price > 0)
        else {
            return;
        };
        for (window, number) in [(1, price as u64), (2, 1)] {
            out.access(Access::within(category, window, Operation::SumAdd(number)));
            out.access(Access::within(category, window, Operation::SumGet));
        }
    }
}

/// q5. The most bids of a window are a value of the window's own key.
#[derive(Default)]
struct HotItems {
    /// Bids of each auction in each window, and the most of each window.
    bids: HashMap<(u64, u64), u64>,
    most: HashMap<u64, u64>,
}

impl Query for HotItems {
    fn event(&mut self, event: &Event, _: Blob, out: &mut Output) {
        let Event::Bid(bid) = event else { return };
        let key = key(bid.auction);
        for window in SLIDING.of(bid.date_time) {
            out.access(Access::within(key, window, Operation::SumAdd(1)));
            out.timer(Timer { time_ms: SLIDING.end(window), key, window });
            // After all auctions of the window.
            out.timer(Timer { time_ms: SLIDING.end(window), key: u64::MAX, window });
            *self.bids.entry((key, window)).or_default() += 1;
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        let window = timer.window;
        if timer.key == u64::MAX {
            self.most.remove(&window);
            out.access(Access::of(window, Operation::ValueGet));
            out.access(Access::of(window, Operation::ValueClear));
            return;
        }
        Kept::Sum.fire(timer.key, window, out);
        out.access(Access::of(window, Operation::ValueGet));
        let bids = self.bids.remove(&(timer.key, window)).unwrap_or(0);
        let most = self.most.entry(window).or_default();
        if bids > *most {
            *most = bids;
            let item = Blob { seed: timer.key ^ bids, bytes: 16 };
            out.access(Access::of(window, Operation::ValueSet(item)));
        }
    }
}

/// q7.
#[derive(Default)]
struct Highest {
    prices: HashMap<u64, usize>,
}

impl Query for Highest {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        let Event::Bid(bid) = event else { return };
        for window in TUMBLING.of(bid.date_time) {
            out.access(Access::of(window, Operation::ValueGet));
            out.timer(Timer { time_ms: TUMBLING.end(window), key: window, window });
            let highest = self.prices.entry(window).or_default();
            if bid.price > *highest {
                *highest = bid.price;
                out.access(Access::of(window, Operation::ValueSet(blob)));
            }
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        self.prices.remove(&timer.window);
        out.access(Access::of(timer.key, Operation::ValueGet));
        out.access(Access::of(timer.key, Operation::ValueClear));
    }
}

/// q8.
struct NewSellers;

impl Query for NewSellers {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        let (id, operation) = match event {
            Event::Person(person) => (person.id, Operation::ValueSet(blob)),
            Event::Auction(auction) => (auction.seller, Operation::ListAdd(blob)),
            Event::Bid(_) => return,
        };
        for window in TUMBLING.of(event.timestamp()) {
            out.access(Access::within(key(id), window, operation));
            out.timer(Timer { time_ms: TUMBLING.end(window), key: key(id), window });
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        out.access(Access::within(timer.key, timer.window, Operation::ValueGet));
        out.access(Access::within(timer.key, timer.window, Operation::ValueClear));
        Kept::List.fire(timer.key, timer.window, out);
    }
}

/// q11 and q12: bids by bidder, through an operator of windows.
struct ByBidder<O>(O);

impl<O: Operator> Query for ByBidder<O> {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        let Event::Bid(bid) = event else { return };
        let blob = Blob { seed: 1, ..blob };
        let event = stream::Event { key: key(bid.bidder), time_ms: bid.date_time, side: 0, blob };
        self.0.event(&event, out);
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        self.0.timer(timer, out);
    }
}

/// q18.
struct LastBids;

impl Query for LastBids {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        let Event::Bid(Bid { auction, bidder, .. }) = event else { return };
        out.access(Access::of(key(*bidder), Operation::MapGet(*auction as u64)));
        out.access(Access::of(key(*bidder), Operation::MapInsert(*auction as u64, blob)));
    }
}

/// q19.
#[derive(Default)]
struct TopBids {
    prices: HashMap<u64, BTreeSet<(usize, u64)>>,
}

impl Query for TopBids {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        let Event::Bid(bid) = event else { return };
        let key = key(bid.auction);
        out.access(Access::of(key, Operation::ValueGet));
        let top = self.prices.entry(key).or_default();
        top.insert((bid.price, blob.seed));
        let lowest = if top.len() > TOP { top.pop_first() } else { None };
        if lowest != Some((bid.price, blob.seed)) {
            let bids = u32::try_from(top.len()).unwrap_or(0);
            let all = Blob { seed: blob.seed, bytes: blob.bytes.saturating_mul(bids) };
            out.access(Access::of(key, Operation::ValueSet(all)));
        }
    }
}

/// q20. Auctions and their bids are kept until the auction ends.
#[derive(Default)]
struct BidsOfCategory {
    open: BTreeSet<u64>,
}

impl Query for BidsOfCategory {
    fn event(&mut self, event: &Event, blob: Blob, out: &mut Output) {
        match event {
            Event::Auction(auction) if auction.category == CATEGORY => {
                let key = key(auction.id);
                out.access(Access::of(key, Operation::ValueSet(blob)));
                out.access(Access::of(key, Operation::ListGet));
                out.timer(Timer { time_ms: auction.expires, key, window: 0 });
                self.open.insert(key);
            }
            Event::Bid(bid) => {
                let key = key(bid.auction);
                out.access(Access::of(key, Operation::ValueGet));
                if self.open.contains(&key) {
                    out.access(Access::of(key, Operation::ListAdd(blob)));
                }
            }
            _ => {}
        }
    }

    fn timer(&mut self, timer: &Timer, out: &mut Output) {
        self.open.remove(&timer.key);
        out.access(Access::of(timer.key, Operation::ValueClear));
        out.access(Access::of(timer.key, Operation::ListClear));
    }
}
