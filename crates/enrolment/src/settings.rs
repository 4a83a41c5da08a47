//! What the operator decides about enrolment, in a file that only root writes.

use std::time::Duration;

use vxscope_control::reconcile::Owner;
use vxscope_policy::Usd;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::Rules;

use crate::balance::Balance;
use crate::inventory::Inventory;
use crate::lead::Hold;
use crate::selection::Selection;
use crate::target::{Sensor, SensorPlace, is_alive};

/// Sessions of an account and Region at most (EC2 quota, not adjustable). Beyond: `account_full`.
pub const SESSIONS_MAX: u32 = 10_000;
/// Sessions of one interface at most (EC2 quota, not adjustable). Beyond: `no_session`.
pub const PER_INTERFACE: usize = 3;

/// Which number of a virtual network a session gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VniChoice {
    /// One of its own, the same whenever it is made again.
    #[default]
    Unique,
    /// The same for all, as some guides tell; sources are then told apart by address alone.
    Fixed(u32),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which interfaces.
    pub selection: Selection,
    /// How to know our sessions.
    pub owner: Owner,
    /// Who matters how much, and for how long a source may be off: for limits and turns.
    pub rules: Rules,
    /// For the limit of cost.
    pub prices: PriceTable,
    /// `SessionNumber` that is tried first; 1 goes before everybody else's.
    pub first_number: u16,
    /// `VirtualNetworkId`.
    pub vni: VniChoice,
    /// `PacketLength` at full; whole frames if absent.
    pub packet_length: Option<u16>,
    /// `PacketLength` at truncated.
    pub truncated: u16,
    /// How sources move between targets.
    pub balance: Balance,
    /// Sessions of ours at most. Beyond, only critical sources are enrolled.
    pub sessions_max: u32,
    /// Cost of all sessions in a month at most, at the higher end. Beyond, only critical sources
    /// are enrolled.
    pub usd_per_month_max: Option<Usd>,
    /// How long a source keeps what somebody took from it: a removed tag, a narrower filter.
    pub wait: Duration,
    /// Percent of all sources that may leave within one waiting time, but one always may: so that
    /// one wrong tag policy does not switch off a fleet. The rest waits longer.
    pub leave_percent: u32,
    /// Somebody stopped everything: nothing is mirrored until it is gone.
    pub hold: Option<Hold>,
    /// How long sensors know a source that is gone: twice the longest flow timeout.
    pub linger: Duration,
}

impl Settings {
    /// The defaults for sessions of this owner.
    #[must_use]
    pub fn new(owner: Owner, prices: PriceTable) -> Self {
        Self {
            selection: Selection::default(),
            owner,
            rules: Rules::default(),
            prices,
            first_number: 1,
            vni: VniChoice::Unique,
            packet_length: None,
            truncated: 512,
            balance: Balance::default(),
            sessions_max: SESSIONS_MAX,
            usd_per_month_max: None,
            wait: Duration::from_secs(3_600),
            leave_percent: 25,
            hold: None,
            linger: Duration::from_secs(7_200),
        }
    }
}

/// What is known beside the inventory.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Who takes copies.
    pub sensors: Vec<Sensor>,
    /// Bytes a second that each interface sends and receives, by interface: reports of sensors, or
    /// CloudWatch. Who is missing counts as quiet.
    pub bytes: std::collections::BTreeMap<String, u64>,
}

impl Seen {
    /// Looks which sensors live, as far as the account tells.
    pub fn look(&mut self, inventory: &Inventory) {
        for sensor in &mut self.sensors {
            let place = match &sensor.place {
                SensorPlace::Place(place) => Some(place),
                SensorPlace::Target(id) => inventory.targets.get(id).map(|target| &target.place),
            };
            sensor.alive = place.is_none_or(|place| is_alive(place, inventory));
        }
    }
}
