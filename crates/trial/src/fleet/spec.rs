//! What a fleet is made of, as a file says it; `docs/fleet.toml` is the standard one.

use serde::Deserialize;
use vxscope_units::Grade;

/// The standard fleet.
pub const STANDARD: &str = include_str!("../../../../docs/fleet.toml");

/// Bytes of a packet that a truncated mirror keeps.
const TRUNCATED_BYTES: f64 = 512.0;

/// A fleet file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where the fleet stands.
    pub fleet: Place,
    /// Nights, weekends and deploy days.
    pub calendar: Calendar,
    /// Kinds of machines; their shares sum to 1.
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
}

/// Where the fleet stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Availability zones.
    pub zones: u32,
    /// Subnets of each.
    pub subnets_per_zone: u32,
    /// Zones with a sensor; sources elsewhere pay for crossing zones.
    pub sensor_zones: Vec<u32>,
}

/// When there is less to see, and when more.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Hour at which the night begins.
    pub night_from_hour: u64,
    /// Hour at which it ends.
    pub night_to_hour: u64,
    /// Activity of a night as a share of a busy hour's.
    pub night_activity: f64,
    /// Activity of Saturday and Sunday.
    pub weekend_activity: f64,
    /// Days of new software, 0 is Monday.
    pub deploy_weekdays: Vec<u64>,
    /// Hour at which deploying begins.
    pub deploy_hour: u64,
    /// How many hours it takes.
    pub deploy_hours: u64,
}

/// A kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Share of the fleet.
    pub share: f64,
    /// `low`, `standard` or `critical`.
    pub importance: String,
    /// Whether a source of standard importance may have no session at all for a while.
    #[serde(default)]
    pub allow_off: bool,
    /// Whether instances come and go.
    pub autoscaled: bool,
    /// Mean life of an autoscaled instance.
    pub life_hours: f64,
    /// Share of an autoscaled group that exists at night.
    pub night_share: f64,
    /// Median of the sources' mean rates in a busy hour, bytes of both directions.
    pub bytes_per_second: f64,
    /// Pareto index of those rates, and of the hours of one source.
    pub bytes_tail: f64,
    /// Mean size of a packet.
    pub packet_bytes: f64,
    /// Share of the bytes that is DNS.
    pub dns_share: f64,
    /// Share of the bytes that is management.
    pub management_share: f64,
    /// Share of the other bytes that is long transfers nobody can look into.
    pub bulk_share: f64,
    /// Known peers in the fleet.
    pub peers: usize,
    /// Exponent of Zipf's law over them.
    pub peer_exponent: f64,
    /// Which roles the peers have, the most usual first.
    pub peer_roles: Vec<String>,
    /// How often in an hour a known peer shows up with a new flow, summed over all of them as if
    /// they were one of the middle rank.
    pub edges_per_hour: f64,
    /// New (peer, protocol, port), a day.
    pub first_edges_per_day: f64,
    /// Chance of a newly served port, a deploy.
    pub new_services_per_deploy: f64,
    /// New domains, a day.
    pub first_domains_per_day: f64,
    /// Ten distinct failures in five minutes, so many times a day.
    pub failures_per_day: f64,
    /// Uses of a port that should never be used, a day.
    pub never_hits_per_day: f64,
    /// New management flows, a day.
    pub management_logins_per_day: f64,
    /// Passwords in the clear, a day.
    pub cleartext_logins_per_day: f64,
    /// Alerts about nothing, a day.
    pub false_alerts_per_day: f64,
    /// Hours at which all of them do the same heavy work.
    pub cron_hours: Vec<u64>,
    /// How many times the bytes of a busy hour that work takes.
    pub cron_bytes: f64,
}

impl Role {
    /// Share of the full mirror's bytes that each grade delivers, by [`Grade::index`].
    ///
    /// Packet sizes are taken as two-valued, small ones of 90 bytes and large ones of 1,460, in
    /// the mixture that has the role's mean.
    #[must_use]
    pub fn shares(&self) -> [f64; Grade::ALL.len()] {
        const SMALL: f64 = 90.0;
        const LARGE: f64 = 1_460.0;
        let large = ((self.packet_bytes - SMALL) / (LARGE - SMALL)).clamp(0.0, 1.0);
        let mean = SMALL + large * (LARGE - SMALL);
        let truncated = (SMALL + large * (TRUNCATED_BYTES - SMALL)) / mean;
        let sentinel = self.dns_share;
        [
            0.0,
            sentinel,
            sentinel + self.management_share,
            truncated,
            1.0,
        ]
    }
}

/// Why a fleet file was refused: all reasons at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("fleet: {}", .0.join("; "))]
pub struct SpecError(pub Vec<String>);

impl Spec {
    /// Reads and checks a fleet file.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let spec: Self =
            toml::from_str(text).map_err(|error| SpecError(vec![error.to_string()]))?;
        let errors = spec.errors();
        if errors.is_empty() {
            Ok(spec)
        } else {
            Err(SpecError(errors))
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<usize> {
        self.roles.iter().position(|role| role.name == name)
    }

    fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                errors.push(text.to_owned());
            }
        };
        let place = &self.fleet;
        demand((1..=64).contains(&place.zones), "fleet.zones: 1 to 64");
        demand(
            (1..=64).contains(&place.subnets_per_zone),
            "fleet.subnets_per_zone: 1 to 64",
        );
        demand(
            !place.sensor_zones.is_empty(),
            "fleet.sensor_zones: at least one",
        );
        demand(
            place.sensor_zones.iter().all(|zone| *zone < place.zones),
            "fleet.sensor_zones: zones are numbered from 0",
        );
        let calendar = &self.calendar;
        let hours = [
            calendar.night_from_hour,
            calendar.night_to_hour,
            calendar.deploy_hour,
        ];
        demand(
            hours.iter().all(|hour| *hour < 24) && calendar.deploy_hours <= 24,
            "calendar: hours are 0 to 23",
        );
        demand(
            [calendar.night_activity, calendar.weekend_activity]
                .iter()
                .all(|one| (0.0..=1.0).contains(one)),
            "calendar: activities are 0 to 1",
        );
        let sum: f64 = self.roles.iter().map(|role| role.share).sum();
        demand((sum - 1.0).abs() < 1e-6, "role.share: the sum must be 1");
        for role in &self.roles {
            errors.extend(self.role_errors(role));
        }
        errors
    }

    fn role_errors(&self, role: &Role) -> Vec<String> {
        let rates = [
            role.edges_per_hour,
            role.first_edges_per_day,
            role.first_domains_per_day,
            role.failures_per_day,
            role.never_hits_per_day,
            role.management_logins_per_day,
            role.cleartext_logins_per_day,
            role.false_alerts_per_day,
            role.cron_bytes,
        ];
        let shares = [
            role.share,
            role.night_share,
            role.new_services_per_deploy,
            role.bulk_share,
            role.dns_share + role.management_share,
        ];
        let unknown = role
            .peer_roles
            .iter()
            .find(|name| self.role(name).is_none());
        let demands = [
            (
                ["low", "standard", "critical"].contains(&role.importance.as_str()),
                "importance: low, standard or critical",
            ),
            (
                rates.iter().all(|rate| (0.0..=1e4).contains(rate)),
                "rates: 0 to 10,000",
            ),
            (
                shares.iter().all(|share| (0.0..=1.0).contains(share)),
                "shares: 0 to 1",
            ),
            (
                (1.0..=1e9).contains(&role.bytes_per_second)
                    && (1.05..=10.0).contains(&role.bytes_tail)
                    && (60.0..=9_000.0).contains(&role.packet_bytes),
                "bytes_per_second 1 to 1e9, bytes_tail 1.05 to 10, packet_bytes 60 to 9,000",
            ),
            (
                !role.autoscaled || role.life_hours >= 1.0,
                "life_hours: at least 1 if autoscaled",
            ),
            (
                role.peers <= 64 && (role.peers == 0 || !role.peer_roles.is_empty()),
                "peers: at most 64, of named peer_roles",
            ),
            (unknown.is_none(), "peer_roles: must be roles of this file"),
            (
                role.cron_hours.iter().all(|hour| *hour < 24),
                "cron_hours: 0 to 23",
            ),
        ];
        let failed = demands.iter().filter(|(holds, _)| !holds);
        failed
            .map(|(_, text)| format!("role {}: {text}", role.name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_fleet_is_well_formed() {
        let spec = Spec::parse(STANDARD).unwrap();
        assert!(spec.roles.len() >= 8);
    }

    #[test]
    fn a_narrower_filter_never_delivers_more() {
        for role in Spec::parse(STANDARD).unwrap().roles {
            let [off, sentinel, essential, truncated, full] = role.shares();
            assert!(off < sentinel && sentinel <= essential && essential <= full);
            assert!(truncated < full && full <= 1.0, "{}", role.name);
        }
    }

    #[test]
    fn every_fault_of_a_file_is_told_at_once() {
        let bad = STANDARD
            .replacen("importance = \"low\"", "importance = \"huge\"", 1)
            .replacen("zones = 3", "zones = 0", 1);
        let errors = Spec::parse(&bad).unwrap_err().0;
        assert!(errors.len() >= 3, "{errors:?}");
        check("wrong = 1", "unknown field");
    }

    fn check(text: &str, expected: &str) {
        let error = Spec::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
