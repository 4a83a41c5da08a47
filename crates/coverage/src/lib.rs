//! What of a mirror source was seen when, and why not the rest: *not mirrored* on purpose, or
//! *not seen* because nobody was there or something was lost.
//!
//! A sensor appends [`Record`]s to a journal, one line of JSON each; [`Book`] makes a timeline of
//! them. A record says what is so from its time on. What no record speaks of is unknown, never
//! seen. Pure: lines and times are arguments.
//!
//! ```
//! use vxscope_coverage::{Book, Event, Record, Sight};
//!
//! let record = |at: u64, event| Record { at: at * 1_000_000, event };
//! let source = ([10, 0, 0, 5].into(), 7);
//! let lower = Event::Grade {
//!     outer_ip: source.0, vni: source.1, interface: "eni-1".into(),
//!     grade: "off".into(), reason: "quiet".into(), since: None,
//! };
//! let seen = Event::Source { outer_ip: source.0, vni: source.1, eni: None };
//! let mut book = Book::default();
//! for one in [record(0, Event::Start { sensor: "a".into() }), record(0, seen), record(60, lower)] {
//!     book.add(&one);
//! }
//! book.add(&record(90, Event::Alive));
//! let spans = book.timeline(source, 0, 90_000_000);
//! let times: Vec<_> = spans.iter().map(|it| (it.from, it.sight)).collect();
//! assert_eq!(times, [(0, Sight::Mirrored), (60_000_000, Sight::NotMirrored)]);
//! ```

mod book;
mod calendar;
mod record;
mod share;

pub use book::{Book, GAP_MICROS, Sight, Source, Span};
pub use calendar::{TimeError, month, parse_time, stamp};
pub use record::{Event, Record, RecordError, file_of};
pub use share::{Share, csv};
