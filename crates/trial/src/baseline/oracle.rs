//! Somebody who knows every attack beforehand, and mirrors nothing else.

use vxscope_units::Grade;

use crate::attack::{Attack, evidence_at};
use crate::fleet::Fleet;
use crate::timeline::{self, Timeline};

/// The first leg of each attack that can be seen at all is mirrored until there is enough of it.
#[must_use]
pub fn oracle<'a>(fleet: &Fleet, attacks: impl Iterator<Item = &'a Attack>) -> Timeline {
    let full = super::always(fleet, Grade::Full);
    let mut spans = vec![Vec::new(); fleet.sources.len()];
    for attack in attacks {
        let complete = attack
            .legs
            .iter()
            .find_map(|leg| Some((leg, evidence_at(leg, &full)?)));
        if let Some((leg, at)) = complete {
            let all = &mut spans[leg.source as usize];
            *all = timeline::union(
                std::mem::take(all),
                std::iter::once(leg.span.start..at).collect(),
            );
        }
    }
    let mut timeline = super::always(fleet, Grade::Off);
    for (source, spans) in (0_u32..).zip(&spans) {
        for span in spans {
            timeline.set(source, span.start, Grade::Full);
            timeline.set(source, span.end, Grade::Off);
        }
    }
    timeline
}
