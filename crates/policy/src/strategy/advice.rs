//! What speaks against each strategy, and what helps.

use super::Strategy;

/// Cons and tips, a sentence each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What it is for.
    pub about: &'static str,
    /// What it misses, or costs.
    pub cons: &'static [&'static str],
    /// How to get more out of it.
    pub tips: &'static [&'static str],
}

impl Strategy {
    /// What speaks against it, and what helps.
    #[must_use]
    pub const fn advice(self) -> Advice {
        match self {
            Self::All => Advice {
                about: "every source, everything: dynamic mirroring then decides what is worth its price",
                cons: &[
                    "costs a session-hour for every interface, and a target slot: ten per interface target of most sizes",
                    "copies count against the bandwidth of each source; under pressure AWS drops copies first",
                ],
                tips: &[
                    "start with shadow mode for a week: it says what pausing would have saved and missed",
                    "keep targets in the zone of their sources: the data then costs nothing",
                ],
            },
            Self::Importance => Advice {
                about: "what matters most, and the hosts that lead to it",
                cons: &[
                    "an attacker enters by what nobody calls important and moves on from there: the first steps are not seen",
                    "lists of what is important age; what was built last week is not on them",
                ],
                tips: &[
                    "mirror jump hosts: everybody who administers anything passes them, an intruder too",
                    "let the importance follow a tag that deployments set, not a list of names",
                ],
            },
            Self::Information => Advice {
                about: "where data passes that somebody would want",
                cons: &[
                    "data that is copied to a place nobody marked leaves the picture",
                    "encrypted paths show that data moved and how much, not which",
                ],
                tips: &[
                    "mark the whole path, from where data is stored to where it leaves, not only the store",
                    "watch bytes by direction: a store that begins to send more than it answers is worth an alert by itself",
                ],
            },
            Self::Junctions => Advice {
                about: "where the traffic of many passes: firewalls, proxies, targets of load balancers",
                cons: &[
                    "traffic between neighbours that crosses no junction is not seen",
                    "behind a balancer or a proxy the client's address is in a header, not in the packet",
                    "much traffic in one place: such sources first reach the limits of bandwidth and packets per second",
                ],
                tips: &[
                    "a Network Load Balancer itself cannot be mirrored: mirror its targets",
                    "mirror behind where TLS ends, and the payload can be read",
                ],
            },
            Self::Access => Advice {
                about: "what each role is expected to serve, and nothing else",
                cons: &[
                    "whoever comes by another port is not seen, unless it is DNS or on the never-list",
                    "ten rules over both directions: roles with many ports, or with IPv6, do not fit whole; the plan names what is left out",
                    "lists of ports age with each deployment",
                ],
                tips: &[
                    "combine it with a sample: what the ports hide shows on some of each role",
                    "name peers where they are known (`tcp/5432 from 10.0.0.0/16`): another peer is then out of scope, so keep the never-list wide",
                    "neighbouring ports cost one rule; --widen says which few ports more would make the rest fit",
                ],
            },
            Self::Sample => Advice {
                about: "some of each role, Region and subnet, in turn",
                cons: &[
                    "one host attacked alone is seen only by chance; the plan prints that chance",
                    "each rotation deletes and creates sessions: started hours are paid twice, and the log of changes grows",
                ],
                tips: &[
                    "an attack that moves touches many hosts: look at the chance for five or ten of them",
                    "rotate at the end of a paid hour, with a seed that nobody can guess, and give small groups at least one",
                ],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_has_cons_and_tips() {
        for strategy in Strategy::ALL {
            let advice = strategy.advice();
            assert!(!advice.cons.is_empty() && !advice.tips.is_empty());
            for sentence in advice.cons.iter().chain(advice.tips) {
                assert!(
                    !sentence.ends_with('.') && sentence.len() > 20,
                    "{sentence}"
                );
            }
        }
    }
}
