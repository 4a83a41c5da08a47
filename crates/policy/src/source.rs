//! Everything the policy remembers of one source.

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::edges::Edges;
use crate::observation::Bytes;
use crate::rules::{Limits, Terms};
use crate::sensor::{Sensor, SensorKey};
use crate::window::{DayParts, Window};
use crate::{Cause, Hindrance, Importance, Observation};

/// Silence between two packets that still counts as watched: both ends prove that the mirror
/// worked. A longer one is unknown, until counters or a canary confirm that nothing was sent.
pub(crate) const SILENCE_MAX_NANOS: u64 = 15 * 60 * 1_000_000_000;
/// By how much one direction may be older than the other before the source counts as one-way.
const ONE_WAY_NANOS: u64 = 3_600 * 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Why a source must stay full for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinKind {
    /// It is new.
    New,
    /// It had an alert.
    Alert,
    /// The operator asked.
    Operator,
}

/// Ends of pins by [`PinKind`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pins([Timestamp; 3]);

impl Pins {
    pub(crate) fn of(&self, kind: PinKind) -> Timestamp {
        self.0[kind as usize]
    }

    /// Prolongs a pin; never shortens it.
    pub(crate) fn prolong(&mut self, kind: PinKind, until: Timestamp) {
        let pin = &mut self.0[kind as usize];
        *pin = (*pin).max(until);
    }

    pub(crate) fn clear(&mut self, kind: PinKind) {
        self.0[kind as usize] = Timestamp::ZERO;
    }

    /// When the last of them ends.
    pub(crate) fn until(&self) -> Timestamp {
        self.0.into_iter().fold(Timestamp::ZERO, Timestamp::max)
    }
}

/// Changes a source has had in the last day, up and down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    seconds: [u32; Self::KEPT as usize],
    next: u8,
}

impl Changes {
    /// As many as [`Limits::changes_max`] may be.
    const KEPT: u8 = 24;

    pub(crate) fn push(&mut self, at: Timestamp) {
        self.seconds[usize::from(self.next)] = crate::edges::seconds(at);
        self.next = (self.next + 1) % Self::KEPT;
    }

    /// All that are remembered, seconds since 1970.
    pub(crate) fn all(&self) -> Vec<u32> {
        let all = self.seconds.iter().copied();
        all.filter(|second| *second > 0).collect()
    }

    /// Those of an earlier run.
    pub(crate) fn restore(&mut self, seconds: &[u32]) {
        for second in seconds.iter().take(usize::from(Self::KEPT)) {
            self.push(Timestamp::new(u64::from(*second), 0));
        }
    }

    /// How many were in the 24 hours before.
    pub(crate) fn in_a_day(&self, now: Timestamp) -> u32 {
        let day_ago = crate::edges::seconds(now).saturating_sub(86_400);
        let recent = self.seconds.iter().filter(|at| **at > day_ago).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }
}

/// What a full mirror carries in an hour, smoothed over six.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HourlyRates {
    hours: f64,
    pub(crate) packets: f64,
    pub(crate) dns_never: f64,
    pub(crate) management: f64,
    pub(crate) bulk: f64,
    pub(crate) other: f64,
}

impl HourlyRates {
    const SMOOTHED_HOURS: f64 = 6.0;

    fn add(&mut self, hours: f64, packets: u64, bytes: &Bytes) {
        if hours <= 0.0 {
            return;
        }
        self.hours = (self.hours + hours).min(Self::SMOOTHED_HOURS);
        let weight = (hours / self.hours).min(1.0);
        let by_hour = 1.0 / hours;
        let smooth = |rate: &mut f64, sum: u64| *rate += weight * (sum as f64 * by_hour - *rate);
        smooth(&mut self.packets, packets);
        smooth(&mut self.dns_never, bytes.dns_never);
        smooth(&mut self.management, bytes.management);
        smooth(&mut self.bulk, bytes.bulk);
        smooth(&mut self.other, bytes.other);
    }

    /// Hours, packets and bytes, in the order of the fields.
    pub(crate) const fn all(&self) -> [f64; 6] {
        [
            self.hours,
            self.packets,
            self.dns_never,
            self.management,
            self.bulk,
            self.other,
        ]
    }

    /// Those of an earlier run, unless they are no numbers.
    pub(crate) fn restore(&mut self, all: [f64; 6]) {
        if all.iter().all(|one| one.is_finite() && *one >= 0.0) {
            let [hours, packets, dns_never, management, bulk, other] = all;
            *self = Self {
                hours: hours.min(Self::SMOOTHED_HOURS),
                packets,
                dns_never,
                management,
                bulk,
                other,
            };
        }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.dns_never + self.management + self.bulk + self.other
    }

    /// Bytes an hour at each grade.
    pub(crate) fn by_grade(&self, packet_length: u32) -> [f64; Grade::ALL.len()] {
        let essential = self.dns_never + self.management;
        let cut = self.packets * f64::from(packet_length);
        [
            0.0,
            self.dns_never,
            essential,
            self.sum().min(cut),
            self.sum(),
        ]
    }

    /// Whether opaque bulk is more than the share of all bytes.
    pub(crate) fn is_bulk(&self, share: f64) -> bool {
        self.bulk > share * self.sum()
    }
}

/// What a source rests in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Rest {
    /// Nothing: it is full.
    #[default]
    None,
    /// A pause, until its deadline.
    Paused {
        /// Its end.
        until: Timestamp,
    },
    /// A pause that was refused at random: the source is full, and what it would have hidden is
    /// counted.
    Refused {
        /// Its end.
        until: Timestamp,
        /// The grade it would have had.
        grade: Grade,
        /// Events so far that nobody would have seen.
        events: u32,
        /// The probability with which it was refused.
        refusal: f64,
    },
}

impl Rest {
    pub(crate) fn until(&self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Paused { until } | Self::Refused { until, .. } => Some(*until),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Whether the row is in use.
    pub(crate) live: bool,
    pub(crate) importance: Importance,
    pub(crate) terms: Terms,
    pub(crate) group: u32,
    pub(crate) sensor: SensorKey,
    pub(crate) enrolled: Timestamp,
    /// The grade that was wished last.
    pub(crate) planned: Grade,
    /// The grade that control says is so.
    pub(crate) observed: Grade,
    /// Since when the session exists; of interest while it does.
    pub(crate) session_since: Timestamp,
    /// Since when each class is hidden by the observed grade.
    pub(crate) blind_since: [Option<Timestamp>; EvidenceClass::COUNT],
    /// Whether it counts as lowered in its group and in the fleet.
    pub(crate) lowered: bool,
    /// What it adds to the steady demand for API calls.
    pub(crate) demand: u64,
    pub(crate) rest: Rest,
    pub(crate) review_at: Timestamp,
    /// Why it must be raised at the next decision.
    pub(crate) woken: Option<Cause>,
    /// When a raise was wished that control has not yet shown.
    pub(crate) raise_wished: Timestamp,
    pub(crate) pins: Pins,
    /// Whether an alert's pin of it is counted in the fleet.
    pub(crate) alert_counted: bool,
    pub(crate) changes: Changes,
    /// Nanoseconds of this on-time that were watched.
    pub(crate) on_nanos: u64,
    /// Up to where time is accounted, and the sensor's good time there.
    anchor: Timestamp,
    anchor_good: u64,
    last_packet: Timestamp,
    last_ingress: Timestamp,
    last_egress: Timestamp,
    idle_known_to: Timestamp,
    pub(crate) saturated: bool,
    pub(crate) edges_unknown_until: Timestamp,
    pub(crate) window: Window,
    pub(crate) rates: HourlyRates,
    pub(crate) edges: Edges,
    /// Whether it has failed the rule of relevance since it last passed.
    pub(crate) failed: bool,
    pub(crate) told: Option<Hindrance>,
}

impl Source {
    pub(crate) fn new(importance: Importance, terms: Terms, group: u32, now: Timestamp) -> Self {
        Self {
            live: true,
            importance,
            terms,
            group,
            sensor: SensorKey::default(),
            enrolled: now,
            planned: Grade::Full,
            observed: Grade::Full,
            session_since: now,
            blind_since: [None; EvidenceClass::COUNT],
            lowered: false,
            demand: 0,
            rest: Rest::None,
            review_at: Timestamp::ZERO,
            woken: None,
            raise_wished: Timestamp::ZERO,
            pins: Pins::default(),
            alert_counted: false,
            changes: Changes::default(),
            on_nanos: 0,
            anchor: now,
            anchor_good: 0,
            last_packet: Timestamp::ZERO,
            last_ingress: Timestamp::ZERO,
            last_egress: Timestamp::ZERO,
            idle_known_to: Timestamp::ZERO,
            saturated: false,
            edges_unknown_until: Timestamp::ZERO,
            window: Window::new(),
            rates: HourlyRates::default(),
            edges: Edges::default(),
            failed: false,
            told: None,
        }
    }

    /// Whether others may rely on it to show that class: it is meant to, and it really does.
    pub(crate) fn shows(&self, class: EvidenceClass) -> bool {
        self.live && self.planned.min(self.observed).shows(class)
    }

    /// Whether its flows are hidden, or would be if a pause had not been refused at random: what
    /// wakes the one ends the other.
    pub(crate) fn hides_flows(&self) -> bool {
        let refused = matches!(
            self.rest,
            Rest::Refused { grade, .. } if !grade.shows(EvidenceClass::Flow)
        );
        refused || !self.observed.shows(EvidenceClass::Flow)
    }

    /// Whether it is lowered, or control was asked to.
    pub(crate) fn is_down(&self) -> bool {
        self.planned < Grade::Full || self.observed < Grade::Full
    }

    /// Begins to account time anew, from a moment that its sensor has not yet passed.
    pub(crate) fn restart(&mut self, at: Timestamp, sensor: &Sensor) {
        self.anchor = at.max(sensor.to);
        self.anchor_good = sensor.good;
    }

    /// Takes over what the last tick showed.
    pub(crate) fn observe(
        &mut self,
        sensor: &Sensor,
        parts: DayParts,
        observation: &Observation<'_>,
    ) {
        if observation.packets > 0 {
            self.last_packet = sensor.to;
        }
        if observation.ingress_bytes > 0 {
            self.last_ingress = sensor.to;
        }
        if observation.egress_bytes > 0 {
            self.last_egress = sensor.to;
        }
        self.saturated = observation.saturated;
        let known = self.credit(sensor, parts);
        if self.observed == Grade::Full {
            let hours = known as f64 / 3.6e12;
            self.rates
                .add(hours, observation.packets, &observation.bytes);
        }
    }

    /// Accounts the time up to the sensor's last tick, and returns the nanoseconds that were
    /// watched: all that was reported without loss, unless a silence in it is too long.
    fn credit(&mut self, sensor: &Sensor, parts: DayParts) -> u64 {
        let wall = sensor.to.nanos_since(self.anchor);
        let good = (sensor.good.saturating_sub(self.anchor_good)).min(wall);
        let lost = wall - good;
        let known = if good <= SILENCE_MAX_NANOS {
            good
        } else {
            good.min(sensor.good_last)
        };
        let expected = if self.observed.shows(EvidenceClass::Flow) {
            known.saturating_add(lost)
        } else {
            0
        };
        let times = [millis(known), millis(expected)];
        let observed = self.observed;
        self.window
            .add_time(parts, sensor.to, times, |class| observed.shows(class));
        if self.observed == Grade::Full {
            self.on_nanos = self.on_nanos.saturating_add(known);
        }
        self.anchor = self.anchor.max(sensor.to);
        self.anchor_good = sensor.good;
        known
    }

    /// Somebody else knows that nothing was sent until then, or that the mirror works.
    pub(crate) fn confirm_idle(&mut self, to: Timestamp, sensor: &Sensor, parts: DayParts) {
        self.idle_known_to = self.idle_known_to.max(to);
        let known = self.credit(sensor, parts);
        if self.observed == Grade::Full {
            self.rates.add(known as f64 / 3.6e12, 0, &Bytes::default());
        }
    }

    /// The sender's counters moved while nothing came: that time was not watched.
    pub(crate) fn miss(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        parts: DayParts,
        sensor: &Sensor,
    ) {
        let lost = millis(to.nanos_since(from.max(self.anchor)));
        self.window.add_time(parts, to, [0, lost], |_| false);
        self.restart(to, sensor);
    }

    /// Whether nothing was received in all of that time.
    pub(crate) fn was_silent_since(&self, from: Timestamp) -> bool {
        self.last_packet <= from
    }

    /// Whether neither packets nor anybody else tell that its mirror works.
    pub(crate) fn is_silent(&self, now: Timestamp) -> bool {
        now.nanos_since(self.last_packet.max(self.idle_known_to)) > SILENCE_MAX_NANOS
    }

    /// Whether one direction has not been seen for long while the other one was.
    pub(crate) fn is_one_way(&self) -> bool {
        let newest = self.last_ingress.max(self.last_egress);
        let oldest = self.last_ingress.min(self.last_egress);
        newest.nanos_since(oldest) > ONE_WAY_NANOS
    }

    /// The lowest grade that its terms and what is known of its traffic allow.
    pub(crate) fn floor(&self, limits: &Limits, now: Timestamp) -> Grade {
        let unsure =
            self.saturated || self.edges_unknown_until > now || self.rates.is_bulk(limits.bulk_max);
        let least = if unsure { Grade::Truncated } else { Grade::Off };
        self.terms.lowest().max(least)
    }
}

fn millis(nanos: u64) -> u32 {
    u32::try_from(nanos / NANOS_PER_MILLI).unwrap_or(u32::MAX)
}
